"""Kinds of errors, calibration errors and their displays, with numbers worked out by hand."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from skbbox import (
    TARGET_COLUMNS,
    CalibrationDisplay,
    DummyLocalizer,
    ErrorDisplay,
    LearningCurveDisplay,
    SearchDisplay,
    expected_calibration_error,
    localization_errors,
    mean_iou,
    region_coverage,
)
from skbbox.datasets import make_shapes
from skbbox.displays.significance import compare_with_best
from skbbox.exceptions import BoxError, DataError

BOX = list(TARGET_COLUMNS[1:])
NOTHING = (None, None, None, None, None)
KINDS = ["shift", "scale", "aspect", "wrong_object", "missed", "false_alarm"]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def errors(true, predicted):
    return localization_errors([true], [predicted]).iloc[0]


def test_shift_is_what_the_iou_gains_at_the_true_centre():
    # Half of each box overlaps: 0.5 / 1.5.
    row = errors((0.0, 0.4, 0.0, 1.0), (0.2, 0.6, 0.0, 1.0))
    assert row["shift"] == pytest.approx(2 / 3)
    assert row[["scale", "aspect", "wrong_object"]].sum() == pytest.approx(0)


def test_scale_is_what_the_iou_gains_at_the_true_area():
    row = errors((0.2, 0.6, 0.2, 0.6), (0.3, 0.5, 0.3, 0.5))
    assert row["scale"] == pytest.approx(0.75)


def test_aspect_is_the_rest():
    # Same centre and area; 1 x 0.25 and 0.5 x 0.5 share 0.125 of 0.375.
    row = errors((0.25, 0.75, 0.25, 0.75), (0.0, 1.0, 0.375, 0.625))
    assert row["aspect"] == pytest.approx(1 - 0.125 / 0.375)
    assert row[["shift", "scale"]].sum() == pytest.approx(0)


def test_box_around_something_else_is_a_wrong_object():
    row = errors((0.0, 0.4, 0.0, 0.4), (0.5, 0.9, 0.5, 0.9))
    assert row["wrong_object"] == 1
    assert row[["shift", "scale", "aspect"]].sum() == 0


@pytest.fixture
def mixed():
    """A missed object, a false alarm, an empty image, a wrong class with half a box, a good one."""
    half, full = (0.0, 0.5, 0.0, 1.0), (0.0, 1.0, 0.0, 1.0)
    true = [("cat", *half), NOTHING, NOTHING, ("cat", *half), ("dog", *half)]
    predicted = [NOTHING, ("cat", *half), NOTHING, ("dog", *full), ("dog", *half)]
    return (pd.DataFrame(rows, columns=TARGET_COLUMNS) for rows in (true, predicted))


def test_missed_objects_false_alarms_and_wrong_classes(mixed):
    row = localization_errors(*mixed).iloc[0]
    assert row[["n", "missed", "false_alarm"]].tolist() == [5, 0.2, 0.2]
    # An IoU of 0.5 with the wrong class, of five rows.
    assert row["wrong_class"] == pytest.approx(0.1)


def test_kinds_add_up_to_the_lost_iou():
    rng = np.random.default_rng(0)
    true, predicted = np.sort(rng.random((2, 500, 2, 2)), axis=3).reshape(2, 500, 4)
    row = localization_errors(true, predicted).iloc[0]
    assert row[KINDS].sum() == pytest.approx(1 - mean_iou(true, predicted))
    assert (row[KINDS] >= 0).all()
    assert "wrong_class" not in row


def test_groups_by_class_and_by_labels(mixed):
    true, predicted = mixed
    assert localization_errors(true, predicted, by="class_name")["n"].to_dict() == {
        "cat": 2,
        "dog": 1,
        "no object": 2,
    }
    by_label = localization_errors(true, predicted, by=["b", "a", "b", "b", "a"])
    assert by_label["n"].to_dict() == {"b": 3, "a": 2}
    assert by_label.loc["b", "missed"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("size", ["small", "large"]),
        ("position", ["top left", "middle centre"]),
        ("aspect_ratio", ["square", "wide"]),
    ],
)
def test_groups_by_the_true_box(by, groups):
    true = [(0.0, 0.3, 0.0, 0.3), (0.0, 1.0, 0.25, 0.75)]
    assert list(localization_errors(true, true, by=by).index) == groups


@pytest.mark.parametrize(
    ("by", "message"),
    [
        ("colour", "by must be 'class_name', 'size'"),
        ("class_name", "needs the column class_name"),
        ([1, 2], "one label for each of the 1 rows"),
    ],
)
def test_unknown_groups_are_refused(by, message):
    with pytest.raises(BoxError, match=message):
        localization_errors([(0, 1, 0, 1)], [(0, 1, 0, 1)], by=by)


@pytest.fixture
def confident():
    """Two right classes of four at 0.8, one of one at 0.3; boxes with half of the IoU claimed."""
    true = pd.DataFrame([("cat", 0, 0.4, 0, 1)] * 5, columns=TARGET_COLUMNS)
    predicted = true.assign(x_max=0.8, class_name=["cat", "cat", "dog", "dog", "cat"])
    predicted["class_confidence"] = [0.8, 0.8, 0.8, 0.8, 0.3]
    predicted["box_confidence"] = 0.75
    return true, predicted


def test_calibration_error_weights_the_gap_of_each_bin(confident):
    # 4/5 of 0.8 - 0.5, and 1/5 of 1 - 0.3.
    assert expected_calibration_error(*confident) == pytest.approx(0.8 * 0.3 + 0.2 * 0.7)
    assert expected_calibration_error(*confident, of="box_confidence") == pytest.approx(0.25)


def test_calibration_error_needs_the_confidence(confident):
    true, predicted = confident
    with pytest.raises(BoxError, match="no column class_confidence"):
        expected_calibration_error(true, predicted[BOX])
    with pytest.raises(ValueError, match="of must be one of"):
        expected_calibration_error(true, predicted, of="presence")
    with pytest.raises(ValueError, match="n_bins must be an integer"):
        expected_calibration_error(true, predicted, n_bins=0)


def test_region_needs_the_columns_and_a_row_for_each_box():
    region = pd.DataFrame(
        [[np.nan] * 4 + [0, 1, 0, 1]],
        columns=[f"{box}_{edge}" for box in ("inner", "outer") for edge in BOX],
    )
    # An inner box that is missing excludes nothing.
    assert region_coverage([(0, 1, 0, 1)], region) == 1
    with pytest.raises(BoxError, match="missing the columns"):
        region_coverage([(0, 1, 0, 1)], region[["inner_x_min"]])
    with pytest.raises(BoxError, match="2 and 1 rows"):
        region_coverage([(0, 1, 0, 1)] * 2, region)
    with pytest.raises(BoxError, match="nothing to compare"):
        region_coverage([(None,) * 4], region)


def test_bars_of_errors_end_at_the_lost_iou(mixed):
    display = ErrorDisplay.from_predictions(*mixed, name="drawn")
    ends = [bar.get_x() + bar.get_width() for bar in display.ax_.patches]
    assert max(ends) == pytest.approx(1 - 0.5 + 0.1)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    # What no row has is left out.
    assert labels == ["scale", "aspect", "missed", "false alarm", "wrong class"]


def test_errors_of_an_estimator_by_size():
    X, y = make_shapes(30, image_size=32, random_state=0)
    display = ErrorDisplay.from_estimator(DummyLocalizer().fit(X, y), X, y, by="size")
    assert display.table["n"].sum() == 30


def test_calibration_display_draws_what_is_there(confident):
    true, predicted = confident
    display = CalibrationDisplay.from_predictions(true, predicted, name="drawn")
    assert display.curves["class_confidence"].reached.tolist() == [1.0, 0.5]
    assert list(display.curves["box_confidence"].count) == [5]
    X, y = make_shapes(30, image_size=32, random_state=0)
    of_dummy = CalibrationDisplay.from_estimator(DummyLocalizer().fit(X, y), X, y)
    assert list(of_dummy.curves) == ["class_confidence"]
    with pytest.raises(BoxError, match="needs class_confidence or box_confidence"):
        CalibrationDisplay.from_predictions(true, predicted[BOX])


def test_learning_curve_extrapolates_a_power_law():
    sizes = np.array([20, 40, 80, 160])
    display = LearningCurveDisplay.from_scores(sizes, (0.9 - 2 / sizes)[:, None] * np.ones(3))
    # 2 / 160 - 2 / 320.
    assert display.gain == pytest.approx(1 / 160, abs=1e-4)
    np.testing.assert_allclose(display.gain_interval, [1 / 160] * 2, atol=1e-4)


def test_folds_that_differ_widen_the_interval_of_the_gain():
    rng, sizes = np.random.default_rng(0), np.array([20, 40, 80, 160])
    scores = (0.9 - 2 / sizes)[:, None] + rng.normal(0, 0.02, (4, 5))
    low, high = LearningCurveDisplay.from_scores(sizes, scores).gain_interval
    assert high - low > 0.002


def test_learning_curve_of_an_estimator():
    X, y = make_shapes(60, image_size=32, random_state=0)
    display = LearningCurveDisplay.from_estimator(
        DummyLocalizer(), X, y, train_sizes=[0.25, 0.5, 1.0], cv=3
    )
    assert display.train_sizes.tolist() == [10, 20, 40]
    assert display.ax_.get_ylabel() == "mean IoU"


@pytest.mark.parametrize(
    ("sizes", "scores", "message"),
    [
        ([10, 20], [[0.5], [0.6]], "at least three ascending"),
        ([10, 40, 20], [[0.5], [0.6], [0.7]], "at least three ascending"),
        ([10, 20, 40], [[0.5], [np.nan], [0.7]], "without missing values"),
    ],
)
def test_learning_curve_needs_three_sizes_and_all_scores(sizes, scores, message):
    with pytest.raises(DataError, match=message):
        LearningCurveDisplay.from_scores(sizes, scores)


def test_p_value_is_that_of_the_corrected_t_test():
    # Differences 0.1, 0.2, 0.3: mean 0.2, variance 0.01, times 1/3 + 1/2; t = 2.19 with 2 degrees
    # of freedom, for which P(|T| > t) is 1 - t / sqrt(2 + t**2).
    t = 0.2 / np.sqrt(0.01 * 5 / 6)
    p_values = compare_with_best(np.array([[0.9, 0.8, 0.7], [0.8, 0.6, 0.4]]))
    np.testing.assert_allclose(p_values, [1, 1 - t / np.sqrt(2 + t**2)])


def search_results(scores):
    table = {f"split{fold}_test_score": column for fold, column in enumerate(np.transpose(scores))}
    params = [{"box_loss_weight": 10**row} for row in range(len(scores))]
    return {"params": params, "mean_test_score": np.mean(scores, axis=1)} | table


def test_search_marks_what_cannot_be_distinguished_from_the_best():
    scores = [[0.1, 0.21, 0.3], [0.6, 0.7, 0.8], [0.62, 0.67, 0.82]]
    display = SearchDisplay.from_cv_results(search_results(scores))
    assert (display.table["p_value"] >= 0.05).tolist() == [False, True, True]
    assert display.ax_.get_title().startswith("≈ cannot be distinguished from the best")
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "≈ best" in labels


def test_search_says_if_nothing_can_be_distinguished_from_the_best():
    scores = [[0.6, 0.7, 0.8], [0.62, 0.67, 0.82]]
    display = SearchDisplay.from_cv_results(search_results(scores))
    assert display.ax_.get_title().startswith("None can be distinguished")


def test_a_single_fold_is_not_compared():
    display = SearchDisplay.from_cv_results(search_results([[0.6], [0.7]]))
    assert display.ax_.get_title() == ""
