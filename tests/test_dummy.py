"""The baseline that ignores the images, compared with values worked out by hand."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score

from skbbox import (
    TARGET_COLUMNS,
    DummyLocalizer,
    IoUScore,
    box_scorer,
    localization_accuracy,
    mean_iou,
)
from skbbox.exceptions import BoxError, ImageError

X = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
# Edges: x_min 0 0 0.2 0.4; x_max 0.5 0.6 0.7 1; y_min 0 0.1 0.1 0.4; y_max 0.5 0.6 0.8 0.9
Y = pd.DataFrame(
    [
        ("owl", 0.0, 0.5, 0.0, 0.5),
        ("cat", 0.0, 0.6, 0.1, 0.6),
        ("cat", 0.2, 0.7, 0.1, 0.8),
        ("dog", 0.4, 1.0, 0.4, 0.9),
    ],
    columns=TARGET_COLUMNS,
)
COORDINATES = list(TARGET_COLUMNS[1:])
BOXES_ONLY = Y[COORDINATES]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        # The mean of the middle two values of each edge.
        ("median", [0.1, 0.65, 0.1, 0.7]),
        # Sums 0.6, 2.8, 0.6 and 2.8, divided by 4.
        ("mean", [0.15, 0.7, 0.15, 0.7]),
        ("full", [0.0, 1.0, 0.0, 1.0]),
        ("center", [0.25, 0.75, 0.25, 0.75]),
    ],
)
def test_strategy_determines_the_box(strategy, expected):
    predicted = DummyLocalizer(strategy).fit(X, Y).predict(["new.jpg"])
    np.testing.assert_allclose(predicted[COORDINATES].to_numpy(), [expected])


def test_median_is_the_default_strategy():
    assert DummyLocalizer().strategy == "median"


def test_class_is_the_most_frequent_and_class_confidence_its_share():
    predicted = DummyLocalizer().fit(X, Y).predict(X)
    assert predicted["class_name"].tolist() == ["cat"] * 4
    assert predicted["class_confidence"].tolist() == [0.5] * 4


def test_probabilities_are_the_shares_of_the_classes():
    probabilities = DummyLocalizer().fit(X, Y).predict_proba(["new.jpg", "other.jpg"])
    # cat 2/4, dog 1/4, owl 1/4.
    assert probabilities.tolist() == [[0.5, 0.25, 0.25]] * 2


def test_probabilities_without_classes_raise_with_the_fix():
    localizer = DummyLocalizer().fit(X, BOXES_ONLY)
    with pytest.raises(ValueError, match=r"predict_proba needs classes.*Add the column class_name"):
        localizer.predict_proba(X)


def test_number_of_features_is_one():
    localizer = DummyLocalizer()
    assert not hasattr(localizer, "n_features_in_")
    assert localizer.fit(X, Y).n_features_in_ == 1


def test_classes_are_sorted_with_their_shares():
    localizer = DummyLocalizer().fit(X, Y)
    assert localizer.classes_.tolist() == ["cat", "dog", "owl"]
    assert localizer.class_prior_.tolist() == [0.5, 0.25, 0.25]


def test_numbered_classes_stay_numbers():
    predicted = DummyLocalizer().fit(X, Y.assign(class_name=[3, 1, 1, 2])).predict(X)
    assert predicted["class_name"].tolist() == [1] * 4


def test_prediction_has_the_columns_of_y_and_class_confidence():
    predicted = DummyLocalizer().fit(X, Y).predict(X)
    assert list(predicted.columns) == [*TARGET_COLUMNS, "class_confidence"]


def test_fit_without_classes_predicts_boxes_only():
    localizer = DummyLocalizer().fit(X, BOXES_ONLY)
    assert localizer.classes_ is None
    assert localizer.class_prior_ is None
    assert list(localizer.predict(X).columns) == COORDINATES


def test_prediction_has_the_index_of_x():
    index = pd.Index([7, 3, 3, 9], name="picture")
    predicted = DummyLocalizer().fit(X, Y).predict(pd.Series(X, index=index))
    assert predicted.index.identical(index)


def test_prediction_for_x_without_an_index_numbers_the_rows():
    assert DummyLocalizer().fit(X, Y).predict(X).index.tolist() == [0, 1, 2, 3]


def test_sample_weight_weights_the_mean_and_the_classes():
    localizer = DummyLocalizer("mean").fit(X, Y, sample_weight=[1, 0, 0, 3])
    # Rows 0 and 3: (0 + 1.2) / 4, (0.5 + 3) / 4, (0 + 1.2) / 4, (0.5 + 2.7) / 4.
    np.testing.assert_allclose(localizer.box_, [0.3, 0.875, 0.3, 0.8])
    # cat 0, dog 3/4, owl 1/4.
    np.testing.assert_allclose(localizer.class_prior_, [0, 0.75, 0.25])


def test_fitting_again_replaces_the_fitted_state():
    localizer = DummyLocalizer().fit(X, Y).fit(X, BOXES_ONLY)
    assert list(localizer.predict(X).columns) == COORDINATES


def test_score_is_mean_iou_with_the_share_at_half():
    localizer = DummyLocalizer("full").fit(X, Y)
    # Areas 0.25, 0.3, 0.35 and 0.3 of the full image: mean 1.2 / 4, and none is at least 0.5.
    score = localizer.score(X, Y)
    assert type(score) is IoUScore
    assert tuple(score) == pytest.approx((0.3, 0.0))


def test_score_uses_sample_weight():
    localizer = DummyLocalizer("full").fit(X, Y)
    # (0.25 + 3 x 0.35) / 4
    assert localizer.score(X, Y, sample_weight=[1, 0, 3, 0]) == pytest.approx(1.3 / 4)


def test_box_of_an_unseen_class_counts_in_the_score():
    localizer = DummyLocalizer("full").fit(X, Y)
    assert localizer.score(X, Y.assign(class_name="unseen")) == pytest.approx(0.3)


# ---------------------------------------------------------------- missing labels

NOTHING = [np.nan] * 4
#: Class and box twice, class only, box only, and an image without an object.
PARTIAL = pd.DataFrame(
    [
        ("cat", 0.0, 0.4, 0.0, 0.4),
        ("dog", 0.2, 0.6, 0.2, 0.6),
        ("dog", *NOTHING),
        (None, 0.7, 1.0, 0.7, 1.0),
        (None, *NOTHING),
    ],
    columns=TARGET_COLUMNS,
)
FIVE = [*X, "e.jpg"]


def with_empty(n):
    """Images and y: an owl in the left half, then `n` images without an object."""
    rows = [("owl", 0.0, 0.5, 0.0, 1.0)] + [(None, *NOTHING)] * n
    return [f"{row}.jpg" for row in range(n + 1)], pd.DataFrame(rows, columns=TARGET_COLUMNS)


def test_prior_is_the_median_box_and_the_most_frequent_class():
    expected = DummyLocalizer().fit(X, Y).predict(X)
    pd.testing.assert_frame_equal(DummyLocalizer("prior").fit(X, Y).predict(X), expected)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        # The middle of the three boxes, and the sums 0.9, 2, 0.9 and 2 divided by 3.
        ("median", [0.2, 0.6, 0.2, 0.6]),
        ("prior", [0.2, 0.6, 0.2, 0.6]),
        ("mean", [0.3, 2 / 3, 0.3, 2 / 3]),
        ("full", [0.0, 1.0, 0.0, 1.0]),
    ],
)
def test_rows_count_for_the_labels_that_they_have(strategy, expected):
    localizer = DummyLocalizer(strategy).fit(FIVE, PARTIAL)
    np.testing.assert_allclose(localizer.box_, expected)
    # Of the three rows with a class, two are dogs; four of five images have an object.
    np.testing.assert_allclose(localizer.class_prior_, [1 / 3, 2 / 3])
    predicted = localizer.predict(["new.jpg"])
    assert predicted["class_name"].tolist() == ["dog"]
    assert predicted["presence"].tolist() == [0.8]


def test_weights_of_rows_with_a_label_count():
    localizer = DummyLocalizer("mean").fit(FIVE, PARTIAL, sample_weight=[3, 0, 1, 1, 5])
    # Rows 0 and 3: 0.7 / 4 and 2.2 / 4.
    np.testing.assert_allclose(localizer.box_, [0.175, 0.55, 0.175, 0.55])
    np.testing.assert_allclose(localizer.class_prior_, [0.75, 0.25])
    assert localizer.presence_prior_ == pytest.approx(0.5)


@pytest.mark.parametrize("make", [lambda y: y, lambda y: y.drop(columns="class_name")])
@pytest.mark.parametrize(("n", "presence", "is_object"), [(1, 0.5, True), (3, 0.25, False)])
def test_prior_predicts_no_object_if_most_images_have_none(n, presence, is_object, make):
    images, y = with_empty(n)
    predicted = DummyLocalizer("prior").fit(images, make(y)).predict(["new.jpg"])
    assert predicted["presence"].tolist() == [presence]
    assert (predicted.drop(columns="presence").notna() == is_object).all(axis=None)


@pytest.mark.parametrize("strategy", ["median", "mean", "full", "center"])
def test_other_strategies_always_predict_an_object(strategy):
    predicted = DummyLocalizer(strategy).fit(*with_empty(3)).predict(["new.jpg"])
    assert predicted.notna().all(axis=None)


def test_presence_is_absent_if_each_image_has_an_object():
    localizer = DummyLocalizer("prior").fit(FIVE[:4], PARTIAL[:4])
    assert localizer.presence_prior_ is None
    assert "presence" not in localizer.predict(X)


@pytest.mark.parametrize("strategy", ["median", "mean", "prior"])
def test_without_any_box_only_classes_are_predicted(strategy):
    y = PARTIAL.assign(**dict.fromkeys(COORDINATES, np.nan))
    predicted = DummyLocalizer(strategy).fit(FIVE, y).predict(["new.jpg"])
    assert predicted["class_name"].tolist() == ["dog"]
    assert predicted[COORDINATES].isna().all(axis=None)


def test_numbered_classes_stay_numbers_beside_missing_ones():
    y = PARTIAL.assign(class_name=pd.array([7, 3, 3, None, None], dtype="Int64"))
    predicted = DummyLocalizer().fit(FIVE, y).predict(X)
    assert predicted["class_name"].tolist() == [3] * 4


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        # 1 for each of three images without an object, 0 for the one that is missed.
        ("prior", 0.75),
        # The box itself, and three false alarms.
        ("median", 0.25),
    ],
)
def test_score_counts_images_without_an_object(strategy, expected):
    images, y = with_empty(3)
    assert DummyLocalizer(strategy).fit(images, y).score(images, y) == expected


def test_score_leaves_out_rows_with_a_class_and_no_box():
    localizer = DummyLocalizer("full").fit(X, Y)
    # Areas 0.16, 0.16 and 0.09; the image without an object is a false alarm.
    assert localizer.score(FIVE, PARTIAL) == pytest.approx(0.41 / 4)


@pytest.mark.parametrize(
    "y",
    [with_empty(2)[1][1:], with_empty(2)[1][1:].drop(columns="class_name")],
    ids=["classes", "boxes only"],
)
def test_y_without_any_object_raises(y):
    with pytest.raises(BoxError, match=r"None of the 2 images has an object.*Add images with"):
        DummyLocalizer("prior").fit(X[:2], y)


@pytest.mark.parametrize(
    ("weights", "label"), [([0, 0, 0, 1, 1], "class"), ([0, 0, 1, 0, 1], "box")]
)
def test_weights_of_0_in_all_rows_with_a_label_raise(weights, label):
    with pytest.raises(ValueError, match=f"sample_weight is 0 in every row with a {label}"):
        DummyLocalizer("mean").fit(FIVE, PARTIAL, sample_weight=weights)


def test_half_a_box_raises_with_its_row():
    with pytest.raises(BoxError, match=r"Row 1 .b\.jpg.: half a box"):
        DummyLocalizer().fit(X, Y.assign(x_min=[0, np.nan, 0, 0]))


# ---------------------------------------------------------------- errors


def test_unknown_strategy_raises_with_the_known_ones():
    with pytest.raises(ValueError, match=r"one of \['median', .*Received: 'mode'"):
        DummyLocalizer("mode").fit(X, Y)


@pytest.mark.parametrize(
    "use",
    [lambda d: d.predict(X), lambda d: d.predict_proba(X), lambda d: d.score(X, Y)],
    ids=["predict", "predict_proba", "score"],
)
def test_use_before_fit_raises(use):
    with pytest.raises(NotFittedError):
        use(DummyLocalizer())


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (X[:3], Y, BoxError, "3 images and 4 rows"),
        (X, Y.to_numpy(), BoxError, "y needs named columns"),
        (X, Y.assign(x_min=[0, 0, 0.9, 0]), BoxError, "Row 2 .c.jpg.: the box is inverted"),
        ([], Y, ImageError, "X has no images"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "score"])
def test_x_and_y_are_checked(method, X, y, error, message):
    localizer = DummyLocalizer().fit(["a.jpg"], Y.iloc[:1])
    with pytest.raises(error, match=message):
        getattr(localizer, method)(X, y)


# ---------------------------------------------------------------- inside scikit-learn


def test_clone_has_the_strategy_and_is_not_fitted():
    copy = clone(DummyLocalizer("mean").fit(X, Y))
    assert copy.strategy == "mean"
    assert not hasattr(copy, "box_")


def test_pickle_restores_the_fitted_state():
    localizer = DummyLocalizer().fit(X, Y)
    restored = pickle.loads(pickle.dumps(localizer))
    pd.testing.assert_frame_equal(restored.predict(X), localizer.predict(X))


@pytest.mark.parametrize(
    "make",
    [list, np.array, pd.Series, lambda paths: pd.DataFrame({"image": paths})],
    ids=["list", "array", "Series", "DataFrame"],
)
def test_cross_val_score_gives_the_mean_iou_of_each_fold(make):
    # The full image and areas of 0.25 and 0.3, then 0.35 and 0.3.
    scores = cross_val_score(DummyLocalizer("full"), make(X), Y, cv=2)
    np.testing.assert_allclose(scores, [0.275, 0.325])


def test_measures_accept_the_array_of_cross_val_predict():
    predicted = cross_val_predict(DummyLocalizer("full"), X, Y, cv=2)
    # Columns: the class, four coordinates, the class confidence.
    assert predicted.shape == (4, 6)
    assert mean_iou(Y, predicted) == pytest.approx(0.3)
    # Each training half has a tie of cat with another class, and cat is the first in sorted
    # order, so cat is predicted for all: right in rows 1 and 2. Every IoU is above 0.2.
    assert localization_accuracy(Y, predicted, threshold=0.2) == 0.5


def test_measures_accept_the_array_of_cross_val_predict_without_classes():
    predicted = cross_val_predict(DummyLocalizer("full"), X, BOXES_ONLY, cv=2)
    assert predicted.shape == (4, 4)
    assert mean_iou(BOXES_ONLY, predicted) == pytest.approx(0.3)


@pytest.mark.parametrize("scoring", [None, box_scorer])
def test_grid_search_finds_the_strategy(scoring):
    # Every box is the middle half, so "full" has IoU 0.25 and "center" IoU 1.
    y = Y.assign(x_min=0.25, x_max=0.75, y_min=0.25, y_max=0.75)
    search = GridSearchCV(
        DummyLocalizer(),
        {"strategy": ["full", "center"]},
        cv=2,
        scoring=scoring,
        refit=True if scoring is None else "mean_iou",
    ).fit(X, y)
    name = "score" if scoring is None else "mean_iou"
    np.testing.assert_allclose(search.cv_results_[f"mean_test_{name}"], [0.25, 1.0])
    assert search.best_params_ == {"strategy": "center"}
    assert search.predict(X)[COORDINATES].iloc[0].tolist() == [0.25, 0.75, 0.25, 0.75]
