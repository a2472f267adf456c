"""The score of an estimator and the scorers."""

import copy
import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.model_selection import cross_validate

from skbbox import (
    TARGET_COLUMNS,
    DummyLocalizer,
    IoUScore,
    box_scorer,
    iou_50_scorer,
    localization_scorer,
    mean_iou_scorer,
)
from skbbox.boxes import localization_accuracy
from skbbox.exceptions import BoxError
from skbbox.metrics import _make_measure_scorer, compute_box_issue, drop_unreadable_rows

# A localizer that predicts "the full image, cat" has IoU 1, 0.5, 0.25 and 0.65, and the right
# class in the first two rows.
X = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
Y = pd.DataFrame(
    [
        ("cat", 0.0, 1.0, 0.0, 1.0),
        ("cat", 0.0, 0.5, 0.0, 1.0),
        ("dog", 0.0, 0.5, 0.0, 0.5),
        ("dog", 0.0, 0.65, 0.0, 1.0),
    ],
    columns=TARGET_COLUMNS,
)
BOXES_ONLY = Y.drop(columns="class_name")


class CountingLocalizer(DummyLocalizer):
    def predict(self, X):
        self.n_calls_ = getattr(self, "n_calls_", 0) + 1
        return super().predict(X)


@pytest.fixture
def full():
    """Predicts the full image, and of equally frequent classes the first in sorted order."""
    return DummyLocalizer(strategy="full").fit(X, Y)


# ---------------------------------------------------------------- IoUScore


def test_score_is_a_float_with_the_mean_iou():
    score = IoUScore(0.6, iou_50=0.75)
    assert isinstance(score, float)
    assert score == score.mean_iou == 0.6


def test_both_measures_of_a_score_are_plain_floats():
    score = IoUScore(np.float64(0.6), iou_50=np.float64(0.75))
    assert type(score.mean_iou) is type(score.iou_50) is float


def test_score_unpacks_into_both_measures():
    mean_iou, iou_50 = IoUScore(0.6, iou_50=0.75)
    assert (mean_iou, iou_50) == (0.6, 0.75)


def test_score_shows_both_measures():
    assert repr(IoUScore(0.6, iou_50=0.75)) == "IoUScore(mean_iou=0.600, iou_50=0.750)"


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_score_survives_pickling(protocol):
    restored = pickle.loads(pickle.dumps(IoUScore(0.6, iou_50=0.75), protocol=protocol))
    assert type(restored) is IoUScore
    assert tuple(restored) == (0.6, 0.75)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_score_survives_copying(copied):
    assert tuple(copied(IoUScore(0.6, iou_50=0.75))) == (0.6, 0.75)


def test_scores_sort_by_mean_iou():
    low, high = IoUScore(0.4, iou_50=0.9), IoUScore(0.6, iou_50=0.1)
    assert sorted([high, low]) == [low, high]
    assert max(low, high) is high


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (IoUScore(0.5, iou_50=1.0) + 1, 1.5),
        (-IoUScore(0.5, iou_50=1.0), -0.5),
        (1 - IoUScore(0.5, iou_50=1.0), 0.5),
        (IoUScore(0.5, iou_50=1.0) * 2, 1.0),
    ],
)
def test_arithmetic_on_a_score_gives_a_plain_float(result, expected):
    assert type(result) is float
    assert result == expected


def test_scores_make_a_one_dimensional_array():
    scores = np.array([IoUScore(0.4, iou_50=0.9), IoUScore(0.6, iou_50=0.1)])
    assert scores.dtype == np.float64
    assert scores.tolist() == [0.4, 0.6]


def test_score_formats_like_a_float():
    assert f"{IoUScore(0.6, iou_50=0.75):.2f}" == "0.60"


def test_score_is_a_number_in_json():
    assert json.dumps({"score": IoUScore(0.6, iou_50=0.75)}) == '{"score": 0.6}'


def test_sample_weight_applies_to_both_measures():
    # IoU 1 and 0.25, weights 1 and 3: (1 + 0.75) / 4; at least 0.5: 1 / 4.
    true = [(0, 1, 0, 1)] * 2
    score = IoUScore.from_boxes(true, [(0, 1, 0, 1), (0, 0.5, 0, 0.5)], sample_weight=[1, 3])
    assert tuple(score) == pytest.approx((1.75 / 4, 1 / 4))


# ---------------------------------------------------------------- scorers

# IoU 1, 0.5, 0.25 and 0.65: three are at least 0.5, and two of these have the right class.
UNWEIGHTED = {"mean_iou": 2.4 / 4, "iou_50": 3 / 4, "localization_accuracy": 2 / 4}
# With these weights: (1 + 0.75 + 2.6) / 8; (1 + 4) / 8; 1 / 8.
WEIGHTS = [1, 0, 3, 4]
WEIGHTED = {"mean_iou": 4.35 / 8, "iou_50": 5 / 8, "localization_accuracy": 1 / 8}
SCORERS = {
    "mean_iou": mean_iou_scorer,
    "iou_50": iou_50_scorer,
    "localization_accuracy": localization_scorer,
}


@pytest.mark.parametrize("name", SCORERS)
def test_scorer_gives_one_number(full, name):
    assert SCORERS[name](full, X, Y) == pytest.approx(UNWEIGHTED[name])


@pytest.mark.parametrize("name", SCORERS)
def test_scorer_uses_sample_weight(full, name):
    weighted = SCORERS[name](full, X, Y, sample_weight=WEIGHTS)
    assert weighted == pytest.approx(WEIGHTED[name])


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=SCORERS)
def test_scorer_is_accepted_by_scikit_learn(full, scorer):
    assert check_scoring(full, scoring=scorer) is scorer


def test_box_scorer_gives_all_measures(full):
    assert box_scorer(full, X, Y) == pytest.approx(UNWEIGHTED)


def test_box_scorer_uses_sample_weight(full):
    assert box_scorer(full, X, Y, sample_weight=WEIGHTS) == pytest.approx(WEIGHTED)


def test_box_scorer_predicts_once():
    localizer = CountingLocalizer().fit(X, Y)
    box_scorer(localizer, X, Y)
    assert localizer.n_calls_ == 1


def test_box_scorer_without_classes_omits_the_localization_accuracy():
    localizer = DummyLocalizer(strategy="full").fit(X, BOXES_ONLY)
    assert set(box_scorer(localizer, X, BOXES_ONLY)) == {"mean_iou", "iou_50"}


def test_localization_scorer_without_classes_points_to_iou_at():
    localizer = DummyLocalizer(strategy="full").fit(X, BOXES_ONLY)
    with pytest.raises(BoxError, match="use iou_at"):
        localization_scorer(localizer, X, BOXES_ONLY)


def test_unseen_class_counts_as_wrong_but_its_box_counts(full):
    scores = box_scorer(full, X, Y.assign(class_name="unseen"))
    assert scores == pytest.approx(UNWEIGHTED | {"localization_accuracy": 0.0})


def test_box_scorer_fills_a_column_for_each_measure_in_cross_validate():
    # Two folds of two rows; the prediction is always the full image.
    found = cross_validate(DummyLocalizer("full"), X, Y, cv=2, scoring=box_scorer)
    # (1 + 0.5) / 2 and (0.25 + 0.65) / 2; 2 / 2 and 1 / 2.
    np.testing.assert_allclose(found["test_mean_iou"], [0.75, 0.45])
    np.testing.assert_allclose(found["test_iou_50"], [1.0, 0.5])
    # Each fold is trained on the other class only.
    np.testing.assert_allclose(found["test_localization_accuracy"], [0.0, 0.0])


def test_notebook_shows_both_measures_with_bars():
    html = re.sub(r">\s+<", "><", IoUScore(0.6, iou_50=0.75)._repr_html_()).strip()
    for name, value, width in [
        ("mean IoU", "0.600", "60.0%"),
        ("share with IoU ≥ 0.5", "0.750", "75.0%"),
    ]:
        assert f"{name}</th><td>{value}</td>" in html
        assert f"width: {width};" in html
    row = (
        '<tr><th scope="row">mean IoU</th><td>0.600</td><td style="width: 12em; text-align: left">'
        '<div style="width: 60.0%; height: 0.8em; background: #009E73"></div></td></tr>'
    )
    assert html.startswith(f"<table>{row}<tr>")
    assert html.endswith("</tr></table>")


def make_predictions(errors):
    """Predictions in which rows with an error have no box."""
    predicted = Y.assign(error=errors)
    predicted.loc[predicted["error"].notna(), list(TARGET_COLUMNS)] = np.nan
    return predicted


def test_unreadable_rows_are_dropped_from_boxes_and_weights():
    predicted = make_predictions([None, "b.jpg is empty", None, "d.jpg is gone"])
    y_true, y_pred, weights = drop_unreadable_rows(Y, predicted, [1, 2, 3, 4])
    pd.testing.assert_frame_equal(y_true, Y.iloc[[0, 2]])
    pd.testing.assert_frame_equal(y_pred, predicted.iloc[[0, 2]])
    assert isinstance(weights, np.ndarray)
    assert weights.tolist() == [1, 3]


def test_unreadable_rows_are_dropped_from_arrays_and_without_weights():
    predicted = make_predictions([None, "b.jpg is empty", None, None])
    y_true, _, weights = drop_unreadable_rows(Y.to_records(index=False), predicted)
    assert y_true["x_max"].tolist() == Y["x_max"].iloc[[0, 2, 3]].tolist()
    assert weights is None


@pytest.mark.parametrize("predicted", [Y, Y.to_numpy()], ids=["no error", "array"])
def test_predictions_without_errors_are_returned_unchanged(predicted):
    weights = [1, 2, 3, 4]
    for given, returned in zip(
        (Y, predicted, weights), drop_unreadable_rows(Y, predicted, weights), strict=True
    ):
        assert returned is given


def test_only_unreadable_rows_raise_with_the_first_error():
    predicted = make_predictions(["a.jpg is gone", "b.jpg is empty", "c.jpg", "d.jpg"])
    with pytest.raises(BoxError) as caught:
        drop_unreadable_rows(Y, predicted)
    assert str(caught.value) == (
        "There are no boxes to compare: none of the 4 images can be read. Row 0: a.jpg is gone"
    )


class Predicts(BaseEstimator):
    """An estimator that returns the same table for every X."""

    def __init__(self, predicted=None):
        self.predicted = predicted

    def fit(self, X, y):
        return self

    def predict(self, X):
        return self.predicted


def test_scorer_has_the_name_of_its_measure_and_drops_unreadable_rows():
    # Not one of the module, so that mutation testing covers the function that makes it.
    scorer = _make_measure_scorer(localization_accuracy)
    predicted = make_predictions([None, "b.jpg is empty", None, None])
    predicted.loc[0, "class_name"] = "dog"
    assert scorer._score_func.__name__ == "localization_accuracy"
    # Two of three are right.
    assert scorer(Predicts(predicted), X, Y) == pytest.approx(2 / 3)


def test_scorer_passes_options_to_the_measure():
    function = _make_measure_scorer(localization_accuracy)._score_func
    # The full image and its left half have an IoU of 0.5.
    half = pd.DataFrame([("cat", 0.0, 0.5, 0.0, 1.0)], columns=list(TARGET_COLUMNS))
    assert function(Y.iloc[[0]], half, threshold=0.5) == 1.0
    assert function(Y.iloc[[0]], half, threshold=0.6) == 0.0


# ---------------------------------------------------------------- compute_box_issue


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        # (1 - 0.5) x 0.5 and (1 - 0.75) x 1.
        pytest.param(
            {"class_confidence": 0.1, "box_confidence": [0.5, 1.0]}, [0.25, 0.25], id="both"
        ),
        # (1 - 0.5) x 0.25 and (1 - 0.75) x 0.5.
        pytest.param({"class_confidence": [0.25, 0.5]}, [0.125, 0.125], id="class confidence"),
        pytest.param({}, [0.5, 0.25], id="no confidence"),
    ],
)
def test_box_issue_is_one_minus_iou_times_the_confidence(columns, expected):
    predicted = Y.iloc[[3, 1]].assign(**columns)
    issue = compute_box_issue([0.5, 0.75], predicted)
    assert isinstance(issue, np.ndarray)
    assert issue.tolist() == expected


def test_box_issue_of_an_array_of_boxes_has_confidence_one():
    assert compute_box_issue(np.array([0.5, 0.75]), np.zeros((2, 4))).tolist() == [0.5, 0.25]
