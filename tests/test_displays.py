"""Displays: numbers worked out by hand, and pictures compared with reviewed baseline images."""

from itertools import pairwise

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from skbbox import (
    BoxGridDisplay,
    BoxStatisticsDisplay,
    ConfusionMatrixDisplay,
    DummyLocalizer,
    IoUDistributionDisplay,
    IoUThresholdDisplay,
    PresenceDisplay,
    SearchDisplay,
    TrainingDisplay,
)
from skbbox.datasets import make_shapes
from skbbox.displays.box_grid import compute_suspicion
from skbbox.exceptions import BoxError, DataError, ImageError

# Pixels of text differ a little between builds of FreeType.
picture = pytest.mark.mpl_image_compare(
    baseline_dir="baseline", tolerance=8, savefig_kwargs={"dpi": 60}, style="default"
)

NAMES = ["class_name", "x_min", "x_max", "y_min", "y_max"]
Y_TRUE = pd.DataFrame(
    [
        ("cat", 0.0, 0.5, 0.0, 1.0),
        ("cat", 0.0, 0.5, 0.0, 1.0),
        ("dog", 0.0, 0.5, 0.0, 1.0),
        ("dog", 0.0, 0.5, 0.0, 1.0),
    ],
    columns=NAMES,
)
# IoU: 1; half of the union, 0.5; none; (0.25 * 1) / (0.5 * 1) = 0.5.
Y_PRED = pd.DataFrame(
    [
        ("cat", 0.0, 0.5, 0.0, 1.0, 0.9, 0.95),
        ("dog", 0.0, 1.0, 0.0, 1.0, 0.6, 0.55),
        ("dog", 0.5, 1.0, 0.0, 1.0, 0.8, 0.4),
        ("dog", 0.0, 0.25, 0.0, 1.0, 0.3, 0.7),
    ],
    columns=[*NAMES, "class_confidence", "box_confidence"],
)
IMAGES = [np.full((40, 60, 3), shade, dtype=np.uint8) for shade in (40, 90, 140, 190)]


# A false alarm; no object, rightly; a missed cat; a class only, which is wrong and which is right;
# a box only, half of it found; and a complete row, found.
NO_BOX, NOTHING = [np.nan] * 4, [None, *[np.nan] * 4]
HALF = [0.0, 0.5, 0.0, 1.0]
PARTIAL_TRUE = pd.DataFrame(
    [
        NOTHING,
        NOTHING,
        ["cat", *HALF],
        ["cat", *NO_BOX],
        ["dog", *NO_BOX],
        [None, *HALF],
        ["cat", *HALF],
    ],
    columns=NAMES,
)
PARTIAL_PRED = pd.DataFrame(
    [
        ["dog", *HALF, 0.7, 0.6, 0.8],
        [*NOTHING, np.nan, np.nan, 0.1],
        [*NOTHING, np.nan, np.nan, 0.3],
        ["dog", *HALF, 0.9, 0.5, 0.9],
        ["dog", *HALF, 0.6, 0.5, 0.9],
        ["cat", 0.0, 1.0, 0.0, 1.0, 0.8, 0.4, 0.6],
        ["cat", *HALF, 0.95, 0.9, 0.95],
    ],
    columns=[*NAMES, "class_confidence", "box_confidence", "presence"],
)
PARTIAL_IMAGES = [IMAGES[0]] * 7


class Fixed:
    """An estimator that predicts the four rows."""

    def predict(self, X):
        assert len(X) == 4
        return Y_PRED


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def with_error(row, reason="a.jpg is empty"):
    """The predictions with an image that could not be read."""
    predicted = Y_PRED.assign(error=None)
    predicted.loc[row, NAMES] = [None, *[np.nan] * 4]
    predicted.loc[row, "error"] = reason
    return predicted


def texts(ax):
    return [text.get_text() for text in ax.texts]


# BoxGridDisplay


@pytest.mark.parametrize(
    ("order", "rows"),
    [
        ("worst", [2, 1, 3, 0]),
        ("best", [0, 1, 3, 2]),
        # 0.95 * 0; wrong class, so 0.55; 0.4 * 1; 0.7 * 0.5.
        ("suspicious", [1, 2, 3, 0]),
        ([3, 0], [3, 0]),
        (pd.Series([1, 2]), [1, 2]),
    ],
)
def test_grid_has_the_requested_order(order, rows):
    display = BoxGridDisplay.from_predictions(IMAGES, Y_TRUE, Y_PRED, order=order)
    assert display.rows.tolist() == rows
    assert [ax.get_title().split()[1] for ax in display.axes_] == [str(row) for row in rows]


def test_suspicion_is_the_box_confidence_times_what_the_iou_lacks():
    assert compute_suspicion(Y_TRUE, Y_PRED) == pytest.approx([0.0, 0.55, 0.4, 0.35])


def test_suspicion_without_a_box_confidence_uses_the_class_confidence():
    predicted = Y_PRED.drop(columns="box_confidence")
    # 0.9 * 0; wrong class, so 0.6; 0.8 * 1; 0.3 * 0.5.
    assert compute_suspicion(Y_TRUE, predicted) == pytest.approx([0.0, 0.6, 0.8, 0.15])
    display = BoxGridDisplay.from_predictions(IMAGES, Y_TRUE, predicted, order="suspicious")
    assert display.rows.tolist() == [2, 1, 3, 0]


def test_suspicion_of_boxes_without_a_confidence_is_what_the_iou_lacks():
    boxes = Y_TRUE[NAMES[1:]], Y_PRED[NAMES[1:]]
    assert compute_suspicion(*boxes) == pytest.approx([0.0, 0.5, 1.0, 0.5])


def test_random_order_follows_the_seed_and_has_each_row_once():
    orders = [
        BoxGridDisplay.from_predictions(
            IMAGES, Y_TRUE, Y_PRED, order="random", random_state=seed
        ).rows.tolist()
        for seed in (0, 0, 1, 2, 3)
    ]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) > 1
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)


def test_grid_labels_the_class_both_confidences_and_the_iou():
    display = BoxGridDisplay.from_estimator(Fixed(), IMAGES, Y_TRUE, order=[1])
    (ax,) = display.axes_
    assert ax.get_title() == "row 1   IoU 0.50, expected 0.55"
    assert texts(ax) == ["true: cat", "predicted: dog 0.60"]


def test_grid_draws_true_and_predicted_box_in_pixels():
    display = BoxGridDisplay.from_estimator(Fixed(), IMAGES, Y_TRUE, order=[1])
    # 60 pixels wide, 40 high: half of the width, and all of it.
    boxes = [patch.get_bbox().bounds for patch in display.axes_[0].patches]
    assert boxes == [(0, 0, 30, 40), (0, 0, 60, 40)]


def test_grid_without_true_boxes_shows_predictions():
    display = BoxGridDisplay.from_estimator(Fixed(), IMAGES, order="random", random_state=0)
    assert display.iou is None
    assert all(len(ax.patches) == 1 for ax in display.axes_)
    titles = dict(ax.get_title().split("   ") for ax in display.axes_)
    assert titles == {
        f"row {row}": f"expected IoU {text}"
        for row, text in enumerate(["0.95", "0.55", "0.40", "0.70"])
    }


def test_grid_without_predictions_shows_true_boxes():
    display = BoxGridDisplay.from_predictions(IMAGES, Y_TRUE, order=[1])
    (ax,) = display.axes_
    assert (ax.get_title(), texts(ax)) == ("row 1", ["true: cat"])
    assert len(ax.patches) == 1


def test_grid_without_any_boxes_raises():
    with pytest.raises(BoxError, match="pass y_true, y_pred or both"):
        BoxGridDisplay.from_predictions(IMAGES, None, order="random")


def test_order_by_iou_needs_predicted_boxes():
    with pytest.raises(BoxError, match="order='worst' needs predicted boxes"):
        BoxGridDisplay.from_predictions(IMAGES, Y_TRUE)


@pytest.mark.parametrize("order", ["worst", "best", "suspicious"])
def test_order_by_iou_needs_true_boxes(order):
    with pytest.raises(BoxError, match=f"order='{order}' needs true boxes"):
        BoxGridDisplay.from_estimator(Fixed(), IMAGES, order=order)


@pytest.mark.parametrize("order", ["first", [0, 4], [-1], [0.5], [[0]]])
def test_unknown_order_raises(order):
    with pytest.raises(ValueError, match="order"):
        BoxGridDisplay.from_predictions(IMAGES, Y_TRUE, Y_PRED, order=order)


def test_different_numbers_of_images_and_boxes_raise():
    with pytest.raises(ValueError, match="3 images and 4 boxes"):
        BoxGridDisplay.from_predictions(IMAGES[:3], Y_TRUE, Y_PRED)


def test_image_that_could_not_be_read_is_left_out():
    display = BoxGridDisplay.from_predictions(IMAGES, Y_TRUE, with_error(2))
    assert sorted(display.rows.tolist()) == [0, 1, 3]


def test_missing_image_is_named_in_the_error():
    with pytest.raises(ImageError, match=r"gone\.png"):
        BoxGridDisplay.from_predictions(["gone.png"], Y_TRUE[:1], Y_PRED[:1])


def test_long_names_are_shortened():
    true = Y_TRUE.assign(class_name="a" * 40)
    predicted = Y_PRED.assign(class_name="b" * 19)
    display = BoxGridDisplay.from_predictions(IMAGES, true, predicted, order=[0])
    # At most 18 characters of each name, followed by the confidence.
    assert texts(display.axes_[0]) == [
        "true: " + "a" * 17 + "…",
        "predicted: " + "b" * 17 + "… 0.90",
    ]


def test_grid_has_at_most_n_images():
    display = BoxGridDisplay.from_predictions(IMAGES, Y_TRUE, Y_PRED, n_images=3, n_columns=2)
    assert len(display.axes_) == 3
    assert len(display.figure_.axes) == 4


def test_grid_replaces_a_subplot():
    figure, (left, right) = plt.subplots(1, 2)
    display = BoxGridDisplay.from_predictions(IMAGES, Y_TRUE, Y_PRED, n_columns=2, ax=left)
    assert display.figure_ is figure
    assert not left.axison
    assert right.axison
    assert max(ax.get_position().x1 for ax in display.axes_) <= left.get_position().x1 + 1e-9


def test_grid_uses_given_axes():
    axes = plt.subplots(2, 2)[1]
    display = BoxGridDisplay.from_predictions(IMAGES, Y_TRUE, Y_PRED, n_columns=2, ax=axes)
    assert list(display.axes_) == list(axes.ravel())


def test_too_few_axes_raise():
    axes = plt.subplots(1, 3)[1]
    with pytest.raises(ValueError, match=r"ax needs 4 axes.*Received: 3"):
        BoxGridDisplay.from_predictions(IMAGES, Y_TRUE, Y_PRED, ax=axes)


def test_axes_without_a_subplot_raise():
    ax = plt.figure().add_axes((0, 0, 1, 1))
    with pytest.raises(ValueError, match="must be a subplot"):
        BoxGridDisplay.from_predictions(IMAGES, Y_TRUE, Y_PRED, ax=ax)


@pytest.mark.parametrize(
    ("order", "rows"),
    [
        # IoU: 0, 1, 0, -, -, 0.5, 1; the wrong class before the right one.
        ("worst", [0, 2, 5, 1, 6, 3, 4]),
        ("best", [1, 6, 5, 0, 2, 4, 3]),
        # 0.8; 0; 1 - 0.3; 0.9 of the class; 0; 0.4 * 0.5; 0.
        ("suspicious", [3, 0, 2, 5, 1, 4, 6]),
    ],
)
def test_rows_of_all_kinds_have_their_place_in_each_order(order, rows):
    display = BoxGridDisplay.from_predictions(
        PARTIAL_IMAGES, PARTIAL_TRUE, PARTIAL_PRED, order=order
    )
    assert display.rows.tolist() == rows


@pytest.mark.parametrize(
    ("row", "title", "labels"),
    [
        (0, "false alarm, presence 0.80", ["true: no object", "predicted: dog 0.70"]),
        (1, "presence 0.10", ["true: no object", "predicted: no object"]),
        (2, "missed, presence 0.30", ["true: cat", "predicted: no object"]),
        (3, "expected IoU 0.50", ["true: cat (class only)", "predicted: dog 0.90"]),
        (5, "IoU 0.50, expected 0.40", ["true: box only", "predicted: cat 0.80"]),
    ],
)
def test_labels_and_titles_name_what_is_missing(row, title, labels):
    display = BoxGridDisplay.from_predictions(
        PARTIAL_IMAGES, PARTIAL_TRUE, PARTIAL_PRED, order=[row]
    )
    (ax,) = display.axes_
    assert (ax.get_title(), texts(ax)) == (f"row {row}   {title}", labels)


def test_grid_draws_a_box_only_where_a_row_has_one():
    display = BoxGridDisplay.from_predictions(
        PARTIAL_IMAGES, PARTIAL_TRUE, PARTIAL_PRED, order=range(7)
    )
    # Of the true row and of the predicted one.
    assert [len(ax.patches) for ax in display.axes_] == [1, 0, 1, 1, 1, 2, 2]


def test_class_without_a_box_is_a_predicted_object():
    # By a model that was fitted without boxes, in an image without an object.
    true, predicted = PARTIAL_TRUE[:1], PARTIAL_TRUE[:1].assign(class_name="cat")
    display = BoxGridDisplay.from_predictions(PARTIAL_IMAGES[:1], true, predicted)
    assert display.iou.tolist() == [0.0]
    assert display.axes_[0].get_title() == "row 0   false alarm"
    assert texts(display.axes_[0]) == ["true: no object", "predicted: cat (class only)"]


def test_prediction_of_no_object_is_named_without_true_rows():
    display = BoxGridDisplay.from_predictions(PARTIAL_IMAGES, None, PARTIAL_PRED, order=[1])
    (ax,) = display.axes_
    assert (ax.get_title(), texts(ax)) == ("row 1   presence 0.10", ["predicted: no object"])


def test_suspicion_without_presence_is_certain_of_a_missed_object():
    predicted = PARTIAL_PRED.drop(columns="presence")
    # The false alarm has the confidence of its box.
    assert compute_suspicion(PARTIAL_TRUE, predicted)[:3] == pytest.approx([0.6, 0.0, 1.0])


# IoUDistributionDisplay


def test_distribution_stacks_images_without_an_object_on_the_others():
    display = IoUDistributionDisplay.from_predictions(PARTIAL_TRUE, PARTIAL_PRED, bins=2)
    # Below 0.5 and from it on; with an object 0, 0.5, 1, without one 0, 1.
    assert [bar.get_height() for bar in display.ax_.patches] == [1, 2, 1, 1]
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[:2] == [*("images with an object", "without one: 1 if none is predicted, else 0")]


def test_distribution_by_class_has_rows_for_no_object_and_for_a_box_only():
    display = IoUDistributionDisplay.from_predictions(PARTIAL_TRUE, PARTIAL_PRED, by_class=True)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    # The mean of each is 0.5; the dog has no box.
    assert labels == ["cat (2)", "box only (1)", "no object (2)"]


@pytest.mark.parametrize("display", [IoUDistributionDisplay, IoUThresholdDisplay])
def test_classes_alone_have_no_iou_to_draw(display):
    with pytest.raises(BoxError, match="nothing to score"):
        display.from_predictions(PARTIAL_TRUE[3:5], PARTIAL_PRED[3:5])


def test_threshold_curve_leaves_out_rows_with_a_class_only():
    display = IoUThresholdDisplay.from_predictions(PARTIAL_TRUE, PARTIAL_PRED)
    # 0, 0, 0.5, 1 and 1.
    assert display.thresholds.tolist() == [0.0, 0.5, 1.0]
    assert display.shares == pytest.approx([1.0, 0.6, 0.4])


def test_distribution_counts_images():
    display = IoUDistributionDisplay.from_estimator(Fixed(), IMAGES, Y_TRUE, bins=4)
    assert display.iou.tolist() == [1.0, 0.5, 0.0, 0.5]
    # 0..0.25, 0.25..0.5, 0.5..0.75, 0.75..1.
    assert [bar.get_height() for bar in display.ax_.patches] == [1, 0, 2, 1]


def test_distribution_shows_the_mean_and_the_share_at_one_half():
    display = IoUDistributionDisplay.from_predictions(Y_TRUE, Y_PRED, name="fixed")
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["mean 0.500", "0.5, reached by 75%"]
    assert display.ax_.get_title() == "fixed"


def test_classes_are_rows_with_the_worst_at_the_top():
    display = IoUDistributionDisplay.from_predictions(Y_TRUE, Y_PRED, by_class=True)
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    # Means of 0.75 and 0.25; the first is the lowest row.
    assert labels == ["cat (2)", "dog (2)"]


def test_distribution_by_class_needs_classes():
    with pytest.raises(ValueError, match="by_class=True needs class_name"):
        IoUDistributionDisplay.from_predictions(Y_TRUE[NAMES[1:]], Y_PRED, by_class=True)


@pytest.mark.parametrize("display", [IoUDistributionDisplay, IoUThresholdDisplay])
def test_measures_leave_out_unreadable_images(display):
    drawn = display.from_predictions(Y_TRUE, with_error(2))
    # Of 1, 0.5 and 0.5.
    mean = drawn.mean_iou if display is IoUThresholdDisplay else drawn.iou.mean()
    assert mean == pytest.approx(2 / 3)


# IoUThresholdDisplay


def test_threshold_curve_is_exact():
    display = IoUThresholdDisplay.from_predictions(Y_TRUE, Y_PRED)
    assert display.thresholds.tolist() == [0.0, 0.5, 1.0]
    assert display.shares.tolist() == [1.0, 0.75, 0.25]


def test_area_under_the_threshold_curve_is_the_mean_iou():
    rng = np.random.default_rng(0)
    sides = np.sort(rng.random((50, 2, 2)), axis=2).reshape(50, 4)
    other = np.sort(rng.random((50, 2, 2)), axis=2).reshape(50, 4)
    display = IoUThresholdDisplay.from_predictions(sides, other)
    area = np.sum(np.diff(display.thresholds) * display.shares[1:])
    assert area == pytest.approx(display.mean_iou)


def test_several_models_are_in_one_picture():
    X, y = make_shapes(8, image_size=32, random_state=0)
    dummy = DummyLocalizer().fit(X, y)
    first = IoUThresholdDisplay.from_estimator(dummy, X, y)
    second = IoUThresholdDisplay.from_predictions(y, y, name="truth", ax=first.ax_, color="k")
    labels = [text.get_text() for text in second.ax_.get_legend().get_texts()]
    assert second.ax_ is first.ax_
    assert labels == [f"DummyLocalizer (mean IoU {first.mean_iou:.3f})", "truth (mean IoU 1.000)"]
    assert second.line_.get_color() == "k"


# TrainingDisplay


HISTORY = {
    "loss": [4.0, 3.0, 2.0],
    "class_prediction_loss": [2.0, 1.5, 1.0],
    "bbox_prediction_loss": [2.0, 1.5, 1.0],
    "class_prediction_accuracy": [0.2, 0.5, 0.8],
    "bbox_prediction_mean_iou": [0.1, 0.3, 0.5],
    "val_bbox_prediction_mean_iou": [0.1, 0.2, 0.3],
}
STAGES = [("frozen backbone", 2), ("fine-tuning", 1)]


def test_training_has_a_panel_for_each_curve():
    display = TrainingDisplay.from_history(HISTORY)
    labels = [ax.get_ylabel() for ax in display.axes_]
    assert labels == ["class loss", "box loss", "accuracy", "mean IoU"]
    assert [len(ax.lines) for ax in display.axes_] == [1, 1, 1, 2]


def test_second_stage_is_marked_between_its_epochs():
    display = TrainingDisplay.from_history(HISTORY, stages=STAGES)
    for ax in display.axes_:
        assert ax.lines[-1].get_xdata() == [2.5, 2.5]
        assert texts(ax) == ["fine-tuning"]


def test_training_of_an_estimator_has_its_stages(fitted):
    display = TrainingDisplay.from_estimator(fitted)
    assert display.history == fitted.history_
    assert display.stages == [("whole network", 2)]


def test_history_without_a_curve_raises():
    with pytest.raises(DataError, match=r"none of the curves.*Its keys: \['loss'\]"):
        TrainingDisplay.from_history({"loss": [1.0]})


# SearchDisplay


def results(params, scores):
    """``cv_results_`` of two folds, which are 0.1 below and above the mean."""
    mean = np.array(scores, dtype=float)
    return {
        "params": params,
        "mean_test_score": mean,
        "std_test_score": np.full(len(mean), 0.1),
        "split0_test_score": mean - 0.1,
        "split1_test_score": mean + 0.1,
    }


GRID = results(
    [{"box_loss_weight": b, "class_loss_weight": c} for b in (10, 1) for c in (0.5, 1, 2)],
    [0.6, 0.7, 0.65, 0.4, np.nan, 0.45],
)


def test_two_parameters_are_a_heat_map_with_its_scores():
    display = SearchDisplay.from_cv_results(GRID)
    assert display.params == ["box_loss_weight", "class_loss_weight"]
    # A row is a class_loss_weight, from 0.5 at the bottom; a column a box_loss_weight.
    scores = display.ax_.images[0].get_array().filled(np.nan)
    expected = [[0.4, 0.6], [np.nan, 0.7], [0.45, 0.65]]
    np.testing.assert_array_equal(scores, expected)
    assert texts(display.ax_) == [
        "0.400\n± 0.100",
        "0.600\n± 0.100",
        "failed",
        "0.700\n± 0.100",
        "0.450\n± 0.100",
        "0.650\n± 0.100",
    ]


def test_best_cell_is_framed():
    (frame,) = SearchDisplay.from_cv_results(GRID).ax_.patches
    assert frame.get_xy() == pytest.approx((0.53, 0.53))


def test_one_parameter_is_the_best_over_the_other_one():
    display = SearchDisplay.from_cv_results(GRID, params="box_loss_weight")
    curve = next(line for line in display.ax_.lines if line.get_label() == "mean over folds")
    assert curve.get_xdata().tolist() == [1, 10]
    assert curve.get_ydata().tolist() == [0.45, 0.7]
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["1", "10"]


def test_curve_shows_each_fold():
    display = SearchDisplay.from_cv_results(GRID, params="box_loss_weight")
    folds = [line.get_ydata().tolist() for line in display.ax_.lines[:2]]
    np.testing.assert_allclose(folds, [[0.35, 0.6], [0.55, 0.8]])


def test_values_without_an_order_keep_the_order_of_the_search():
    params = [{"box_head": head} for head in ("spatial", "pooled", None)]
    display = SearchDisplay.from_cv_results(results(params, [0.5, 0.4, 0.3]))
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["spatial", "pooled", "None"]


def test_parameter_that_some_candidates_lack_leaves_them_out():
    params = [{"a": 1}, {"a": 2}, {"b": 3}]
    display = SearchDisplay.from_cv_results(results(params, [0.1, 0.2, 0.3]), params="a")
    assert display.table["mean"].tolist() == [0.1, 0.2]


def test_random_search_over_two_parameters_is_drawn_as_points():
    params = [{"a": 0.1, "b": 3.0}, {"a": 0.7, "b": 1.0}, {"a": 0.4, "b": 2.0}]
    display = SearchDisplay.from_cv_results(results(params, [0.1, np.nan, 0.3]))
    assert not display.ax_.images
    (points,) = display.ax_.collections
    assert points.get_offsets().tolist() == [[0.1, 3.0], [0.4, 2.0]]


def test_halving_search_shows_the_last_try_of_each_candidate():
    tried = results([{"a": 1}, {"a": 2}, {"a": 2}], [0.9, 0.8, 0.5])
    display = SearchDisplay.from_cv_results(tried | {"iter": np.array([0, 0, 1])})
    assert display.table["mean"].tolist() == [0.9, 0.5]


@pytest.mark.parametrize("params", [["a", "b", "c"], "d", []])
def test_parameters_that_cannot_be_drawn_raise(params):
    three = results([{"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2, "c": 2}], [0.1, 0.2])
    with pytest.raises(ValueError, match="params must be one or two parameters"):
        SearchDisplay.from_cv_results(three, params=params)


def test_three_parameters_need_a_choice():
    three = results([{"a": 1, "b": 1, "c": 1}, {"a": 2, "b": 2, "c": 2}], [0.1, 0.2])
    with pytest.raises(ValueError, match=r"it has \['a', 'b', 'c'\]"):
        SearchDisplay.from_cv_results(three)


def test_search_with_several_metrics_shows_that_of_refit():
    X, y = make_shapes(12, image_size=32, random_state=0)

    def scores(estimator, X, y):
        share = estimator.score(X, y).iou_50
        return {"mean_iou": float(estimator.score(X, y)), "iou_50": share}

    search = GridSearchCV(
        DummyLocalizer(), {"strategy": ["full", "median"]}, scoring=scores, refit="iou_50", cv=2
    ).fit(X, y)
    display = SearchDisplay.from_estimator(search)
    assert display.metric == "iou_50"
    assert display.ax_.get_ylabel() == "share with IoU ≥ 0.5"
    assert display.table["mean"].tolist() == search.cv_results_["mean_test_iou_50"].tolist()


def test_unknown_metric_raises():
    with pytest.raises(ValueError, match=r"metric must be one of \['score'\]"):
        SearchDisplay.from_cv_results(GRID, metric="accuracy")


def test_search_must_be_fitted():
    with pytest.raises(NotFittedError):
        SearchDisplay.from_estimator(GridSearchCV(DummyLocalizer(), {"strategy": ["full"]}))


# BoxStatisticsDisplay


def test_statistics_count_shares_of_the_image():
    # Half of the image, each.
    area = BoxStatisticsDisplay.from_boxes(Y_TRUE).axes_[0]
    heights = {round(bar.get_x(), 2): bar.get_height() for bar in area.patches}
    assert heights.pop(0.5) == 4
    assert set(heights.values()) == {0}


def test_statistics_count_width_to_height():
    # 0.5 to 1 is 2 to the power of -1.
    ratio = BoxStatisticsDisplay.from_boxes(Y_TRUE).axes_[1]
    heights = {bar.get_x(): bar.get_height() for bar in ratio.patches}
    assert heights.pop(-1.0) == 4
    assert set(heights.values()) == {0}
    low, high = ratio.get_xlim()
    labels = {tick.get_position()[0]: tick.get_text() for tick in ratio.get_xticklabels()}
    assert [label for at, label in labels.items() if low < at < high] == ["1:2", "1:1", "2:1"]


def test_statistics_have_centres_from_the_top_left():
    centre = BoxStatisticsDisplay.from_boxes(Y_TRUE[:1]).axes_[2]
    assert centre.collections[0].get_offsets().tolist() == [[0.25, 0.5]]
    assert centre.get_ylim() == (1, 0)


def test_statistics_compare_true_and_predicted_boxes():
    display = BoxStatisticsDisplay.from_estimator(Fixed(), IMAGES, Y_TRUE)
    classes = display.axes_[3]
    # Of cat and dog: two and two are true; one and three are predicted.
    assert [bar.get_width() for bar in classes.patches] == [2, 2, 1, 3]
    labels = [text.get_text() for text in display.axes_[0].get_legend().get_texts()]
    assert labels == ["true", "predicted"]


def test_rarest_of_many_classes_share_one_bar():
    boxes = pd.concat([Y_TRUE[:1]] * 25).assign(class_name=[f"class {n:02}" for n in range(25)])
    classes = BoxStatisticsDisplay.from_boxes(boxes).axes_[3]
    assert [bar.get_width() for bar in classes.patches] == [1] * 20 + [5]
    assert classes.get_yticklabels()[-1].get_text() == "5 more"


def test_boxes_alone_have_widths_and_heights():
    last = BoxStatisticsDisplay.from_boxes(Y_TRUE[NAMES[1:]]).axes_[3]
    assert (last.get_xlabel(), last.get_ylabel()) == ("width", "height")
    assert last.collections[0].get_offsets()[0].tolist() == [0.5, 1.0]


def test_each_kind_of_row_is_counted():
    area, _, _, classes = BoxStatisticsDisplay.from_boxes(PARTIAL_TRUE).axes_
    assert sum(bar.get_height() for bar in area.patches) == 3
    assert area.get_title() == "2 class and box, 2 class only, 1 box only, 2 no object"
    assert (classes.get_xlabel(), [bar.get_width() for bar in classes.patches]) == (
        "rows of each class",
        [3, 1],
    )


def test_statistics_of_predictions_without_a_box_show_the_true_boxes():
    predicted = PARTIAL_PRED.assign(**dict.fromkeys(NAMES))
    centre = BoxStatisticsDisplay.from_predictions(PARTIAL_TRUE, predicted).axes_[2]
    assert [len(points.get_offsets()) for points in centre.collections] == [3, 0]


def test_no_box_raises():
    boxes = Y_TRUE.assign(x_min=np.nan, x_max=np.nan, y_min=np.nan, y_max=np.nan)
    with pytest.raises(BoxError, match="no row has coordinates"):
        BoxStatisticsDisplay.from_boxes(boxes)


def test_boxes_without_extent_raise():
    with pytest.raises(BoxError, match="4 boxes have no width or height"):
        BoxStatisticsDisplay.from_boxes(Y_TRUE.assign(x_max=0.0))


# PresenceDisplay


class WithPresence:
    """An estimator with a threshold of 0.2, which the missed cat of `PARTIAL_PRED` reaches."""

    presence_threshold = 0.2

    def predict(self, X):
        predicted = PARTIAL_PRED.copy()
        predicted.loc[2, NAMES] = ["cat", *HALF]
        return predicted


def legend(display):
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def test_presence_counts_both_kinds_of_images_and_their_errors():
    display = PresenceDisplay.from_predictions(PARTIAL_TRUE, PARTIAL_PRED, bins=2)
    assert legend(display) == [
        "with an object (5)",
        "without an object (2)",
        "threshold 0.5: 50.0% false alarms, 20.0% missed",
    ]
    # Below 0.5 and from it on, with an object; then without one.
    assert [bar.get_height() for bar in display.ax_.patches] == [1, 4, 1, 1]


def test_presence_threshold_is_that_of_the_estimator():
    display = PresenceDisplay.from_estimator(WithPresence(), PARTIAL_IMAGES, PARTIAL_TRUE)
    assert (display.threshold, display.false_alarm_rate, display.miss_rate) == (0.2, 0.5, 0.0)
    assert list(display.ax_.lines[0].get_xdata()) == [0.2, 0.2]


def test_presence_of_another_threshold_needs_it():
    predicted = WithPresence().predict(PARTIAL_IMAGES)
    with pytest.raises(BoxError, match=r"Row 2 .* presence of 0\.30 and an object.*threshold="):
        PresenceDisplay.from_predictions(PARTIAL_TRUE, predicted)


def test_rates_without_such_an_image_are_left_out():
    display = PresenceDisplay.from_predictions(PARTIAL_TRUE[2:], PARTIAL_PRED[2:])
    assert np.isnan(display.false_alarm_rate)
    assert legend(display)[-1] == "threshold 0.5: 20.0% missed"


def test_presence_must_have_been_predicted():
    with pytest.raises(BoxError, match="needs the column presence in y_pred"):
        PresenceDisplay.from_predictions(Y_TRUE, Y_PRED)


def test_presence_must_be_a_probability():
    with pytest.raises(BoxError, match=r"Received: 80\.0 in row 0"):
        PresenceDisplay.from_predictions(
            PARTIAL_TRUE, PARTIAL_PRED.assign(presence=PARTIAL_PRED["presence"] * 100)
        )


@pytest.mark.parametrize("threshold", [-0.1, 1.1, True, "0.5", np.nan])
def test_threshold_of_presence_must_be_in_0_to_1(threshold):
    with pytest.raises(ValueError, match=r"threshold must be a number in 0\.\.1"):
        PresenceDisplay.from_predictions(PARTIAL_TRUE, PARTIAL_PRED, threshold=threshold)


# ConfusionMatrixDisplay


def test_confusion_has_a_row_and_a_column_without_an_object():
    display = ConfusionMatrixDisplay.from_predictions(PARTIAL_TRUE, PARTIAL_PRED, name="mine")
    assert display.display_labels == ["cat", "dog", "no object"]
    # Cats: one found, one taken for a dog, one missed; the dog; a false alarm, and none.
    assert display.confusion_matrix.tolist() == [[1, 1, 1], [0, 1, 0], [0, 1, 1]]
    assert display.ax_.get_title() == "mine\n1 with a box only left out"


def test_colour_of_the_confusion_is_the_share_of_the_row():
    display = ConfusionMatrixDisplay.from_predictions(Y_TRUE, Y_PRED)
    assert display.display_labels == ["cat", "dog"]
    assert display.im_.get_array().tolist() == [[0.5, 0.5], [0.0, 1.0]]
    assert texts(display.ax_) == ["1", "1", "2"]


def test_class_that_is_called_no_object_is_another_row():
    true = Y_TRUE.replace("dog", "no object")
    predicted = true.assign(**dict.fromkeys(NAMES))
    display = ConfusionMatrixDisplay.from_predictions(true, predicted)
    assert display.display_labels == ["cat", "no object", "(no object)"]
    assert display.confusion_matrix.tolist() == [[0, 0, 2], [0, 0, 2], [0, 0, 0]]


def test_confusion_without_unreadable_images():
    display = ConfusionMatrixDisplay.from_predictions(Y_TRUE, with_error(1))
    assert display.confusion_matrix.tolist() == [[1, 0], [0, 2]]


@pytest.mark.parametrize("which", ["y_true", "y_pred"])
def test_confusion_needs_classes(which):
    tables = {"y_true": Y_TRUE, "y_pred": Y_PRED}
    tables[which] = tables[which].drop(columns="class_name")
    with pytest.raises(BoxError, match=f"{which} has no class_name"):
        ConfusionMatrixDisplay.from_predictions(**tables)


def test_predicted_box_without_a_class_is_no_confusion():
    predicted = Y_PRED.assign(class_name=["cat", "dog", None, "dog"])
    with pytest.raises(BoxError, match="row 2 of y_pred has a box and no class"):
        ConfusionMatrixDisplay.from_predictions(Y_TRUE, predicted)


def test_labels_of_twenty_classes_do_not_overlap():
    names = [f"golden retriever {number:02}" for number in range(20)]
    boxes = pd.DataFrame([[name, *HALF] for name in names], columns=NAMES)
    display = ConfusionMatrixDisplay.from_predictions(boxes, boxes)
    display.figure_.canvas.draw()
    for axis in (display.ax_.xaxis, display.ax_.yaxis):
        extents = [label.get_window_extent() for label in axis.get_ticklabels()]
        assert not any(one.overlaps(other) for one, other in pairwise(extents))


# Baseline images


@pytest.fixture(scope="module")
def drawn():
    """Pictures, true boxes, and predicted ones that are a little off."""
    X, y = make_shapes(24, image_size=64, random_state=0)
    rng = np.random.default_rng(0)
    predicted = y.copy()
    sides = y[NAMES[1:]].to_numpy() + rng.normal(0, 0.08, (24, 4))
    predicted[NAMES[1:]] = np.sort(sides.clip(0, 1).reshape(24, 2, 2), axis=2).reshape(24, 4)
    predicted.loc[::5, "class_name"] = "star"
    predicted["class_confidence"] = np.linspace(0.3, 0.95, 24)
    predicted["box_confidence"] = np.linspace(0.9, 0.4, 24)
    return X, y, predicted


@picture
def test_picture_of_the_grid(drawn):
    return BoxGridDisplay.from_predictions(*drawn, n_images=6, n_columns=3).figure_


@picture
def test_picture_of_the_distribution(drawn):
    return IoUDistributionDisplay.from_predictions(*drawn[1:], name="drawn").figure_


@picture
def test_picture_of_the_distribution_by_class(drawn):
    return IoUDistributionDisplay.from_predictions(*drawn[1:], by_class=True).figure_


@picture
def test_picture_of_the_thresholds(drawn):
    X, y, predicted = drawn
    first = IoUThresholdDisplay.from_predictions(y, predicted, name="drawn")
    dummy = DummyLocalizer().fit(X, y)
    return IoUThresholdDisplay.from_estimator(dummy, X, y, ax=first.ax_).figure_


@picture
def test_picture_of_training():
    return TrainingDisplay.from_history(HISTORY, stages=STAGES).figure_


@picture
def test_picture_of_a_heat_map():
    return SearchDisplay.from_cv_results(GRID).figure_


@picture
def test_picture_of_a_curve():
    return SearchDisplay.from_cv_results(GRID, params="class_loss_weight").figure_


@picture
def test_picture_of_points():
    rng = np.random.default_rng(0)
    weights = 10 ** rng.uniform(-1, 1.5, (12, 2))
    params = [{"class_loss_weight": a, "box_loss_weight": b} for a, b in weights]
    scores = np.append(rng.random(11), np.nan)
    return SearchDisplay.from_cv_results(results(params, scores)).figure_


@picture
def test_picture_of_statistics(drawn):
    return BoxStatisticsDisplay.from_boxes(drawn[1]).figure_


@picture
def test_picture_of_true_and_predicted_statistics(drawn):
    return BoxStatisticsDisplay.from_predictions(*drawn[1:]).figure_


@pytest.fixture(scope="module")
def partial(drawn):
    """The pictures with all four kinds of rows, false alarms and missed objects."""
    X, true, predicted = drawn
    true, predicted = true.astype({"class_name": object}), predicted.copy()
    true.loc[:4, NAMES] = NOTHING
    true.loc[5:7, NAMES[1:]] = np.nan
    true.loc[8:9, "class_name"] = None
    predicted["presence"] = np.linspace(0.5, 0.99, 24)
    missing = [2, 3, 4, 10, 11]
    predicted.loc[missing, [*NAMES, "class_confidence", "box_confidence"]] = np.nan
    predicted.loc[missing, "presence"] = np.linspace(0.1, 0.4, 5)
    return X, true, predicted


@picture
def test_picture_of_the_grid_with_missing_labels(partial):
    rows = [0, 2, 5, 8, 10, 12]
    return BoxGridDisplay.from_predictions(*partial, order=rows, n_columns=3).figure_


@picture
def test_picture_of_the_presence(partial):
    return PresenceDisplay.from_predictions(*partial[1:], name="drawn").figure_


@picture
def test_picture_of_the_confusion(partial):
    return ConfusionMatrixDisplay.from_predictions(*partial[1:]).figure_
