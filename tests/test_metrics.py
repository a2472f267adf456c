"""The score of an estimator and the scorers."""

import copy
import json
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import sklearn
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
from skbbox.exceptions import BoxError
from skbbox.metrics import (
    class_accuracy,
    class_scorer,
    compute_box_issue,
    iou_at,
    localization_accuracy,
    mean_iou,
    pair_rows,
    presence_auc,
    presence_scorer,
)

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


def test_box_scorer_receives_weights_that_are_routed():
    weights = np.array([1.0, 1.0, 3.0, 1.0])
    with sklearn.config_context(enable_metadata_routing=True):
        localizer = DummyLocalizer(strategy="full").set_fit_request(sample_weight=False)
        scorer = box_scorer.set_score_request(sample_weight=True)
        params = {"sample_weight": weights}
        scores = cross_validate(localizer, X, Y, cv=2, scoring=scorer, params=params)
        with pytest.raises(ValueError, match="not explicitly set"):
            cross_validate(localizer, X, Y, cv=2, scoring=box_scorer, params=params)
    # The first fold has IoU 1 and 0.5; the second 0.25 three times and 0.65.
    assert scores["test_mean_iou"] == pytest.approx([0.75, 0.35])


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


@pytest.mark.parametrize("make", [lambda y: y, lambda y: y.to_records(index=False)])
def test_pairs_leave_out_unreadable_rows(make):
    pairs = pair_rows(make(Y), make_predictions([None, "b.jpg is empty", None, "d.jpg is gone"]))
    assert pairs.rows.tolist() == [0, 2]
    assert pairs.true[:, 1].tolist() == Y["x_max"].iloc[[0, 2]].tolist()
    assert pairs.true_names.tolist() == ["cat", "dog"]


def test_only_unreadable_rows_raise_with_the_first_error():
    predicted = make_predictions(["a.jpg is gone", "b.jpg is empty", "c.jpg", "d.jpg"])
    with pytest.raises(BoxError) as caught:
        pair_rows(Y, predicted)
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


def test_scorer_leaves_out_unreadable_rows():
    predicted = make_predictions([None, "b.jpg is empty", None, None])
    predicted.loc[0, "class_name"] = "dog"
    # Two of three are right.
    assert localization_scorer(Predicts(predicted), X, Y) == pytest.approx(2 / 3)


# ---------------------------------------------------------------- missing labels

# Class and box, class and box, class only, box only, no object, no object.
PARTIAL = pd.DataFrame(
    [
        ("cat", 0.0, 1.0, 0.0, 1.0),
        ("dog", 0.0, 0.5, 0.0, 1.0),
        ("cat", *[np.nan] * 4),
        (None, 0.0, 0.5, 0.0, 1.0),
        (None, *[np.nan] * 4),
        (None, *[np.nan] * 4),
    ],
    columns=TARGET_COLUMNS,
)
# Missed; right class and IoU 0.5; right class; IoU 1; none predicted, which is right; false alarm.
FOUND = pd.DataFrame(
    [
        (None, *[np.nan] * 4),
        ("dog", 0.0, 1.0, 0.0, 1.0),
        ("cat", 0.0, 1.0, 0.0, 1.0),
        ("cat", 0.0, 0.5, 0.0, 1.0),
        (None, *[np.nan] * 4),
        ("cat", 0.0, 1.0, 0.0, 1.0),
    ],
    columns=TARGET_COLUMNS,
).assign(presence=[0.4, 0.9, 0.8, 0.7, 0.1, 0.6])


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        # 0, 0.5, -, 1, 1, 0
        pytest.param(mean_iou, 2.5 / 5, id="mean IoU"),
        pytest.param(iou_at, 3 / 5, id="IoU at 0.5"),
        # 0, 1, -, -, 1, 0
        pytest.param(localization_accuracy, 2 / 4, id="localization accuracy"),
        # 0, 1, 1, -, -, -
        pytest.param(class_accuracy, 2 / 3, id="class accuracy"),
        # Of the pairs of an image with and one without an object, that of 0.4 and 0.6 is reversed.
        pytest.param(presence_auc, 7 / 8, id="presence"),
    ],
)
def test_each_kind_of_row_counts_where_its_label_is_known(measure, expected):
    assert measure(PARTIAL, FOUND) == pytest.approx(expected)


def test_weights_of_rows_that_are_not_scored_do_not_count():
    # (1 x 0 + 2 x 1 + 100 x 1) / 103, without the weights of rows without a class.
    assert class_accuracy(PARTIAL, FOUND, sample_weight=[1, 2, 100, 7, 7, 7]) == 102 / 103


@pytest.mark.parametrize(
    ("measure", "rows", "needed"),
    [
        (mean_iou, [2], "a box, or neither class nor box"),
        (iou_at, [2], "a box, or neither class nor box"),
        (localization_accuracy, [2, 3], "both class and box, or neither"),
        (class_accuracy, [3, 4], "a class"),
    ],
)
def test_a_measure_with_nothing_to_score_raises(measure, rows, needed):
    with pytest.raises(BoxError, match=f"no row of y_true has {needed}"):
        measure(PARTIAL.iloc[rows], FOUND.iloc[rows])


@pytest.mark.parametrize(("rows", "which"), [([0, 1, 2, 3], "each image"), ([4, 5], "no image")])
def test_presence_auc_of_one_kind_of_image_raises(rows, which):
    with pytest.raises(BoxError, match=which):
        presence_auc(PARTIAL.iloc[rows], FOUND.iloc[rows])


def test_presence_auc_without_presence_says_what_fit_needs():
    with pytest.raises(BoxError, match="rows with neither class nor box"):
        presence_auc(PARTIAL, FOUND.drop(columns="presence"))


@pytest.mark.parametrize("side", ["y_true", "y_pred"])
def test_half_a_box_raises_with_its_row(side):
    tables = {"y_true": PARTIAL.copy(), "y_pred": FOUND.copy()}
    tables[side].loc[1, "x_max"] = np.nan
    with pytest.raises(BoxError, match=r"Row 1: half a box.*x_max=nan"):
        mean_iou(**tables)


def test_scorers_of_class_and_presence_are_their_measures():
    estimator = Predicts(FOUND)
    assert class_scorer(estimator, X, PARTIAL) == pytest.approx(2 / 3)
    assert presence_scorer(estimator, X, PARTIAL) == pytest.approx(7 / 8)


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
