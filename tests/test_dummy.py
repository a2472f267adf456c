"""The localizer that never looks at the image, by hand."""

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
# Edges: x_min 0 0 .2 .4; x_max .5 .6 .7 1; y_min 0 .1 .1 .4; y_max .5 .6 .8 .9
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
BOXES_ALONE = Y[COORDINATES]


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        # The middle two of each edge, halved.
        ("median", [0.1, 0.65, 0.1, 0.7]),
        # Sums 0.6, 2.8, 0.6 and 2.8 over four.
        ("mean", [0.15, 0.7, 0.15, 0.7]),
        ("full", [0.0, 1.0, 0.0, 1.0]),
        ("center", [0.25, 0.75, 0.25, 0.75]),
    ],
)
def test_strategy_makes_the_box(strategy, expected):
    predicted = DummyLocalizer(strategy).fit(X, Y).predict(["new.jpg"])
    np.testing.assert_allclose(predicted[COORDINATES].to_numpy(), [expected])


def test_median_is_taken_unless_told():
    assert DummyLocalizer().strategy == "median"


def test_class_is_the_most_frequent_one_and_confidence_its_share():
    predicted = DummyLocalizer().fit(X, Y).predict(X)
    assert predicted["class_name"].tolist() == ["cat"] * 4
    assert predicted["confidence"].tolist() == [0.5] * 4


def test_classes_are_sorted_and_have_their_share():
    localizer = DummyLocalizer().fit(X, Y)
    assert localizer.classes_.tolist() == ["cat", "dog", "owl"]
    assert localizer.class_prior_.tolist() == [0.5, 0.25, 0.25]


def test_numbered_classes_stay_numbers():
    predicted = DummyLocalizer().fit(X, Y.assign(class_name=[3, 1, 1, 2])).predict(X)
    assert predicted["class_name"].tolist() == [1] * 4


def test_prediction_has_the_columns_of_y_and_the_confidence():
    predicted = DummyLocalizer().fit(X, Y).predict(X)
    assert list(predicted.columns) == [*TARGET_COLUMNS, "confidence"]


def test_boxes_alone_give_boxes_alone():
    localizer = DummyLocalizer().fit(X, BOXES_ALONE)
    assert localizer.classes_ is None
    assert localizer.class_prior_ is None
    assert list(localizer.predict(X).columns) == COORDINATES


def test_prediction_keeps_the_index_of_x():
    index = pd.Index([7, 3, 3, 9], name="picture")
    predicted = DummyLocalizer().fit(X, Y).predict(pd.Series(X, index=index))
    assert predicted.index.identical(index)


def test_prediction_for_x_without_an_index_counts_rows():
    assert DummyLocalizer().fit(X, Y).predict(X).index.tolist() == [0, 1, 2, 3]


def test_sample_weight_weighs_the_mean_and_the_class():
    localizer = DummyLocalizer("mean").fit(X, Y, sample_weight=[1, 0, 0, 3])
    # Rows 0 and 3: (0 + 1.2) / 4, (0.5 + 3) / 4, (0 + 1.2) / 4, (0.5 + 2.7) / 4.
    np.testing.assert_allclose(localizer.box_, [0.3, 0.875, 0.3, 0.8])
    # cat 0, dog 3/4, owl 1/4.
    np.testing.assert_allclose(localizer.class_prior_, [0, 0.75, 0.25])


def test_fitting_again_forgets_what_was_learnt():
    localizer = DummyLocalizer().fit(X, Y).fit(X, BOXES_ALONE)
    assert list(localizer.predict(X).columns) == COORDINATES


def test_score_is_mean_iou_with_the_share_at_half():
    localizer = DummyLocalizer("full").fit(X, Y)
    # Areas 0.25, 0.3, 0.35 and 0.3 of the whole image: 1.2 / 4; none is half.
    score = localizer.score(X, Y)
    assert type(score) is IoUScore
    assert tuple(score) == pytest.approx((0.3, 0.0))


def test_score_takes_sample_weight():
    localizer = DummyLocalizer("full").fit(X, Y)
    # (0.25 + 3 x 0.35) / 4
    assert localizer.score(X, Y, sample_weight=[1, 0, 3, 0]) == pytest.approx(1.3 / 4)


def test_score_with_a_class_never_seen_still_counts_the_box():
    localizer = DummyLocalizer("full").fit(X, Y)
    assert localizer.score(X, Y.assign(class_name="unseen")) == pytest.approx(0.3)


# ---------------------------------------------------------------- what is refused


def test_unknown_strategy_shows_the_known_ones():
    with pytest.raises(ValueError, match=r"one of \['median', .*Received: 'mode'"):
        DummyLocalizer("mode").fit(X, Y)


@pytest.mark.parametrize(
    "use", [lambda d: d.predict(X), lambda d: d.score(X, Y)], ids=["predict", "score"]
)
def test_use_before_fit_is_refused(use):
    with pytest.raises(NotFittedError):
        use(DummyLocalizer())


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        (X[:3], Y, BoxError, "3 images and 4 rows"),
        (X, Y.to_numpy(), BoxError, "y needs named columns"),
        (X, Y.assign(x_min=[0, 0, 0.9, 0]), BoxError, "Row 2: the box is inverted"),
        ([], Y, ImageError, "X holds no image"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "score"])
def test_x_and_y_are_checked(method, X, y, error, message):
    localizer = DummyLocalizer().fit(["a.jpg"], Y.iloc[:1])
    with pytest.raises(error, match=message):
        getattr(localizer, method)(X, y)


# ---------------------------------------------------------------- inside scikit-learn


def test_clone_keeps_the_strategy_and_nothing_learnt():
    copy = clone(DummyLocalizer("mean").fit(X, Y))
    assert copy.strategy == "mean"
    assert not hasattr(copy, "box_")


def test_pickle_keeps_what_was_learnt():
    localizer = DummyLocalizer().fit(X, Y)
    restored = pickle.loads(pickle.dumps(localizer))
    pd.testing.assert_frame_equal(restored.predict(X), localizer.predict(X))


@pytest.mark.parametrize(
    "make",
    [list, np.array, pd.Series, lambda paths: pd.DataFrame({"image": paths})],
    ids=["list", "array", "Series", "DataFrame"],
)
def test_cross_val_score_gives_the_mean_iou_of_each_fold(make):
    # The whole image against areas 0.25 and 0.3, then 0.35 and 0.3.
    scores = cross_val_score(DummyLocalizer("full"), make(X), Y, cv=2)
    np.testing.assert_allclose(scores, [0.275, 0.325])


def test_cross_val_predict_is_taken_by_the_measures():
    predicted = cross_val_predict(DummyLocalizer("full"), X, Y, cv=2)
    # Columns: the class, four coordinates, the confidence.
    assert predicted.shape == (4, 6)
    assert mean_iou(Y, predicted) == pytest.approx(0.3)
    # Cat is right in rows 1 and 2 at most; a tie of cat and dog in rows 2, 3 is cat for rows
    # 0, 1, and one of cat and owl in rows 0, 1 is cat for rows 2, 3. Every IoU is above 0.2.
    assert localization_accuracy(Y, predicted, threshold=0.2) == 0.5


def test_cross_val_predict_of_boxes_alone_is_taken_by_the_measures():
    predicted = cross_val_predict(DummyLocalizer("full"), X, BOXES_ALONE, cv=2)
    assert predicted.shape == (4, 4)
    assert mean_iou(BOXES_ALONE, predicted) == pytest.approx(0.3)


@pytest.mark.parametrize("scoring", [None, box_scorer])
def test_grid_search_finds_the_strategy(scoring):
    # Every box is the middle half, so that the full image has IoU 0.25 and "center" 1.
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
