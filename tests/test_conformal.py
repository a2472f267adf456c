"""Regions, class sets and calibration: by hand, against definitions, and with real networks."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers import small_localizer
from sklearn.base import BaseEstimator, clone
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skbbox import TARGET_COLUMNS, ConformalLocalizer, DummyLocalizer, mean_iou, region_coverage
from skbbox.conformal.calibration import (
    apply_curve,
    apply_temperature,
    fit_curve,
    fit_temperature,
)
from skbbox.conformal.scores import (
    bound_boxes,
    count_needed,
    find_rank,
    include_classes,
    score_boxes,
    score_classes,
)
from skbbox.datasets import make_shapes
from skbbox.exceptions import BoxError, ModelFileError, SkbboxWarning

BOX = list(TARGET_COLUMNS[1:])
INNER, OUTER = ([f"{kind}_{edge}" for edge in BOX] for kind in ("inner", "outer"))
ONES = np.ones((1, 4))


class PixelLocalizer(BaseEstimator):
    """Reads a box and class probabilities from the first pixels of an image.

    Its boxes are off by the mean error of the boxes that it was fitted to.
    """

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y["class_name"].to_numpy(dtype=object))
        self.bias_ = np.average(y[BOX].to_numpy() - read_boxes(X), axis=0, weights=sample_weight)
        return self

    def predict(self, X):
        table = pd.DataFrame(np.clip(read_boxes(X) + self.bias_, 0, 1), columns=BOX)
        table["class_name"] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return table.assign(class_confidence=self.predict_proba(X).max(axis=1))

    def predict_proba(self, X):
        first = np.asarray(X)[:, 1, 0, 0] / 255
        return np.column_stack([first, 1 - first])


def read_boxes(X):
    return np.asarray(X)[:, 0, :4, 0] / 255


def draw_pixels(n, rng):
    """Images whose pixels are a box with errors, and the probability of the first class."""
    centres, sides = rng.uniform(0.35, 0.65, (n, 2)), rng.uniform(0.2, 0.5, (n, 2))
    true = np.stack([centres - sides / 2, centres + sides / 2], axis=2).reshape(n, 4)
    X = np.zeros((n, 2, 4, 3), np.uint8)
    X[:, 0, :, 0] = np.clip(255 * (true + rng.normal(0, 0.03, true.shape)), 0, 255)
    X[:, 0, :, 0].sort(axis=1)
    X[:, 0, :, 0] = X[:, 0][:, [0, 2, 1, 3], 0]
    X[:, 0, :, 0] = np.sort(X[:, 0, :, 0].reshape(n, 2, 2), axis=2).reshape(n, 4)
    probability = rng.beta(0.4, 0.4, n)
    X[:, 1, 0, 0] = 255 * probability
    y = pd.DataFrame(true, columns=BOX)
    y["class_name"] = np.where(rng.random(n) < probability, "cat", "dog")
    return X, y


@pytest.fixture(scope="module")
def more_shapes():
    """40 pictures that `fitted` was not fitted to."""
    return make_shapes(40, image_size=32, random_state=1)


@pytest.fixture(scope="module")
def prefit(fitted, more_shapes):
    """Regions around the predictions of a network."""
    return ConformalLocalizer(fitted, coverage=0.8, cv="prefit").fit(*more_shapes)


# --- Ranks and scores


@pytest.mark.parametrize(
    ("n", "coverage", "rank"), [(9, 0.9, 9), (10, 0.9, 10), (99, 0.9, 90), (19, 0.55, 11)]
)
def test_rank_is_that_of_the_finite_sample_quantile(n, coverage, rank):
    assert find_rank(n, coverage) == rank


@pytest.mark.parametrize(("coverage", "n"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_number_of_images_that_a_coverage_needs(coverage, n):
    assert count_needed(coverage) == n


def test_score_is_the_largest_error_in_scales_of_its_edge():
    true, predicted = np.array([[0.1, 0.9, 0.2, 0.8]]), np.array([[0.2, 0.9, 0.2, 0.7]])
    scale = np.array([[0.1, 0.1, 0.1, 0.05]])
    # 0.1 / 0.1 on the left, 0.1 / 0.05 at the bottom.
    np.testing.assert_allclose(score_boxes(true, predicted, scale), [2.0])


def test_score_of_a_small_true_box_ends_where_the_inner_box_is_empty():
    true, predicted = np.array([[0.45, 0.46, 0.45, 0.46]]), np.array([[0.4, 0.6, 0.4, 0.6]])
    # The right edge is 0.14 too far out, but with 0.1 on either side the inner box is empty.
    np.testing.assert_allclose(score_boxes(true, predicted, ONES), [0.1])


def test_missed_box_has_an_infinite_score_and_a_missing_one_none():
    boxes = np.array([[0.1, 0.9, 0.2, 0.8], [np.nan] * 4])
    scores = score_boxes(boxes, boxes[::-1], np.ones((2, 4)))
    assert scores[0] == np.inf
    assert np.isnan(scores[1])


def test_split_region_moves_each_edge_by_the_quantile_times_its_scale():
    predicted, scale = np.array([[0.3, 0.7, 0.3, 0.7]]), np.array([[0.1, 0.1, 0.1, 0.2]])
    # The third of four scores, because ceil(5 * 0.6) is 3.
    inner, outer = bound_boxes(
        predicted[None], scale[None], np.array([0.5, 0.1, 9.0, 0.2]), np.zeros(4, int), 0.6
    )
    np.testing.assert_allclose(inner, [[0.35, 0.65, 0.35, 0.6]])
    np.testing.assert_allclose(outer, [[0.25, 0.75, 0.25, 0.8]])


def test_region_of_folds_contains_each_box_of_the_cross_conformal_set():
    # Barber et al. (2021), section 2.2: boxes that fewer than `rank` images contradict.
    rng = np.random.default_rng(0)
    n, n_folds = 20, 3
    scores, folds = rng.exponential(0.1, n), np.arange(n) % n_folds
    predicted = np.array([[0.3, 0.7, 0.3, 0.7]]) + rng.normal(0, 0.03, (n_folds, 1, 4))
    scale = rng.uniform(0.5, 1.5, (n_folds, 1, 4))
    inner, outer = bound_boxes(predicted, scale, scores, folds, 0.7)
    boxes = predicted.mean(axis=0) + rng.uniform(-0.3, 0.3, (20000, 4))
    boxes = np.sort(boxes.reshape(-1, 2, 2), axis=2).reshape(-1, 4)
    new = np.array([score_boxes(boxes, predicted[k], scale[k]) for k in range(n_folds)])
    is_in_set = (scores[:, None] < new[folds]).sum(axis=0) < find_rank(n, 0.7)
    sign = np.array([-1, 1, -1, 1])
    fits = (sign * boxes <= sign * outer).all(axis=1)
    is_empty = (inner[:, ::2] >= inner[:, 1::2]).any()
    holds = is_empty | (sign * boxes >= sign * inner).all(axis=1)
    assert is_in_set.sum() > 100
    assert (fits & holds)[is_in_set].all()


def test_class_scores_of_both_kinds():
    probabilities = np.array([[0.2, 0.5, 0.3]])
    np.testing.assert_allclose(score_classes(probabilities, "lac"), [[0.8, 0.5, 0.7]])
    np.testing.assert_allclose(score_classes(probabilities, "aps"), [[1.0, 0.5, 0.8]])


def test_class_is_in_the_set_if_fewer_images_than_the_rank_conform_better():
    new = np.array([[[0.1, 0.4, 0.6]]])
    # The rank is 2: 0.4 has one lower score, 0.6 two.
    included = include_classes(new, np.array([0.2, 0.5, 0.7]), np.zeros(3, int), 0.5)
    assert included.tolist() == [[True, True, False]]


# --- Coverage


@pytest.mark.parametrize(("cv", "method"), [("split", "plus"), (3, "plus"), (3, "base")])
def test_coverage_of_regions_and_sets_over_many_samples(cv, method):
    rng = np.random.default_rng(0)
    boxes, classes = [], []
    for _ in range(10):
        X, y = draw_pixels(160, rng)
        X_new, y_new = draw_pixels(200, rng)
        conformal = ConformalLocalizer(
            PixelLocalizer(), 0.8, cv, method=method, test_size=0.5, random_state=0
        ).fit(X, y)
        boxes.append(region_coverage(y_new, conformal.predict_region(X_new)))
        included = conformal.predict_set(X_new).to_numpy()
        true_classes = (y_new["class_name"] == "dog").to_numpy(int)
        classes.append(included[np.arange(200), true_classes])
    # With a standard deviation of about 0.02.
    assert 0.75 < np.mean(boxes) < 0.86
    assert 0.75 < np.mean(classes) < 0.9


def test_mondrian_sets_cover_each_class():
    rng = np.random.default_rng(0)
    covered = {"cat": [], "dog": []}
    for _ in range(8):
        X, y = draw_pixels(120, rng)
        y["class_name"] = np.where(rng.random(120) < 0.15, "dog", "cat")
        conformal = ConformalLocalizer(
            PixelLocalizer(), 0.75, "split", mondrian=True, test_size=0.5
        )
        X_new, y_new = draw_pixels(200, rng)
        y_new["class_name"] = np.where(rng.random(200) < 0.15, "dog", "cat")
        conformal.set_params(test_size=0.5, random_state=0).fit(X, y)
        included = conformal.predict_set(X_new)
        for name, parts in covered.items():
            parts.append(included.loc[(y_new["class_name"] == name).to_numpy(), name].mean())
    assert all(np.mean(parts) > 0.7 for parts in covered.values())


# --- Calibration


def test_temperature_undoes_overconfidence():
    rng = np.random.default_rng(0)
    honest = rng.dirichlet(np.ones(4), 4000)
    classes = (honest.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    overconfident = apply_temperature(honest, 0.5)
    # Dividing logits by 2 makes up for having multiplied them by 2.
    assert fit_temperature(overconfident, classes) == pytest.approx(2, abs=0.1)


def test_temperature_stays_finite_if_all_classes_are_right():
    probabilities = np.tile([[0.8, 0.2]], (98, 1))
    temperature = fit_temperature(probabilities, np.zeros(98, int))
    # Each row counts as wrong by 1 / 100.
    np.testing.assert_allclose(
        apply_temperature(probabilities[:1], temperature), [[0.99, 0.01]], atol=1e-4
    )


def test_temperature_of_one_changes_nothing():
    probabilities = np.array([[0.2, 0.5, 0.3]])
    np.testing.assert_allclose(apply_temperature(probabilities, 1.0), probabilities)


def test_curve_pools_what_is_not_in_order():
    curve = fit_curve(np.array([0.2, 0.4, 0.6, 0.8]), np.array([0.1, 0.7, 0.5, 0.9]))
    # 0.7 and 0.5 are out of order, so they become 0.6 at their centre, 0.5; 0.35 is halfway there.
    np.testing.assert_allclose(
        apply_curve(np.array([0.2, 0.35, 0.5, 0.8, 1.0, np.nan]), curve),
        [0.1, 0.35, 0.6, 0.9, 0.9, np.nan],
    )


def test_calibration_brings_the_expected_iou_to_the_real_one(prefit, fitted, more_shapes):
    X, y = more_shapes
    predicted = prefit.predict(X)
    gap = abs(predicted["box_confidence"].mean() - mean_iou(y, predicted))
    assert gap < 0.01 < abs(fitted.predict(X)["box_confidence"].mean() - mean_iou(y, predicted))


def test_calibration_changes_neither_boxes_nor_classes(prefit, fitted, more_shapes):
    columns = ["class_name", *BOX]
    calibrated, plain = prefit.predict(more_shapes[0]), fitted.predict(more_shapes[0])
    pd.testing.assert_frame_equal(calibrated[columns], plain[columns])
    assert list(calibrated) == list(plain)
    np.testing.assert_allclose(
        calibrated["class_confidence"], prefit.predict_proba(more_shapes[0]).max(axis=1)
    )


def test_without_calibrate_predictions_are_those_of_the_localizer(fitted, more_shapes):
    conformal = ConformalLocalizer(fitted, 0.8, "prefit", calibrate=False).fit(*more_shapes)
    expected = fitted.predict(more_shapes[0])
    pd.testing.assert_frame_equal(conformal.predict(more_shapes[0]), expected, check_exact=True)
    assert (conformal.temperature_, conformal.box_curve_) == (1.0, None)


# --- With networks


def test_predicted_box_lies_in_its_region(prefit, more_shapes):
    X = more_shapes[0]
    assert region_coverage(prefit.predict(X)[BOX], prefit.predict_region(X)) == 1


def test_regions_cover_the_share_of_calibration_images_that_the_rank_says(prefit, more_shapes):
    X, y = more_shapes
    # ceil(41 * 0.8) = 33 of 40.
    assert region_coverage(y, prefit.predict_region(X)) == 33 / 40
    assert prefit.margin_ == "spread"


def test_coverage_can_be_changed_after_fit(prefit, more_shapes):
    X, y = more_shapes
    wide = pickle.loads(pickle.dumps(prefit)).set_params(coverage=0.95)
    # ceil(41 * 0.95) = 39 of 40.
    assert region_coverage(y, wide.predict_region(X)) == 39 / 40
    with pytest.raises(ValueError, match=r"needs at least 99 calibration images .* Received: 40"):
        wide.set_params(coverage=0.99).predict_region(X)


def test_spread_is_the_deviation_of_the_edge_distribution(fitted, more_shapes):
    X = more_shapes[0][:3]
    spread = fitted.predict_spread(X)
    assert list(spread) == BOX
    # A distribution on 0..1 deviates by at most 0.5.
    assert ((spread > 0) & (spread <= 0.5)).all(axis=None)


def test_spread_of_a_known_distribution():
    from skbbox.features.predict import compute_spread

    # Half of the weight at 0 and half at 1; all at 0.5; the edges are in the wrong order.
    weights = np.array([[[0.5, 1e-9], [1e-9, 1e-9], [0.5, 1.0]]])
    np.testing.assert_allclose(compute_spread(np.log(weights)), [[0.5, 0.0]], atol=1e-3)


@pytest.mark.slow
def test_other_heads_have_no_spread_and_use_the_size(shapes):
    X, y = shapes
    localizer = small_localizer(epochs=1, box_head="pooled").fit(X, y)
    with pytest.raises(ValueError, match="box_head='pooled'"):
        localizer.predict_spread(X)
    assert ConformalLocalizer(localizer, 0.8, "prefit").fit(X, y).margin_ == "size"


@pytest.fixture(scope="module")
def folds(shapes):
    """Regions from two folds of a network."""
    return ConformalLocalizer(small_localizer(epochs=1), 0.8, cv=2, random_state=0).fit(*shapes)


def test_folds_keep_a_model_each_and_one_of_all_images(folds, shapes):
    assert [len(folds.estimators_), len(folds.box_scores_)] == [2, 48]
    final = small_localizer(epochs=1).fit(*shapes)
    pd.testing.assert_frame_equal(
        folds.predict(shapes[0])[BOX], final.predict(shapes[0])[BOX], check_exact=True
    )
    assert folds.score(*shapes) == final.score(*shapes)


def test_saved_and_loaded_gives_the_same(folds, shapes, tmp_path):
    path = tmp_path / "conformal.skbbox"
    folds.save(path)
    loaded = ConformalLocalizer.load(path)
    for method in ("predict", "predict_region", "predict_set"):
        expected = getattr(folds, method)(shapes[0][:5])
        pd.testing.assert_frame_equal(getattr(loaded, method)(shapes[0][:5]), expected)
    assert loaded.get_params()["estimator__epochs"] == 1


def test_damaged_file_is_refused(prefit, tmp_path):
    path = tmp_path / "conformal.skbbox"
    broken = pickle.loads(pickle.dumps(prefit))
    broken.temperature_ = -1.0
    broken.save(path)
    with pytest.raises(ModelFileError, match="temperature_ must be above 0"):
        ConformalLocalizer.load(path)


def test_another_localizer_cannot_be_saved(tmp_path):
    conformal = ConformalLocalizer(DummyLocalizer(), 0.8, "split", random_state=0)
    conformal.fit(*make_shapes(40, image_size=32, random_state=0))
    with pytest.raises(ModelFileError, match="save needs a SingleBoxLocalizer"):
        conformal.save(tmp_path / "x")


@pytest.mark.slow
def test_skops_stores_it(prefit, more_shapes):
    sio = pytest.importorskip("skops.io")
    stored = sio.dumps(prefit)
    loaded = sio.loads(stored, trusted=sio.get_untrusted_types(data=stored))
    X = more_shapes[0][:5]
    pd.testing.assert_frame_equal(loaded.predict_region(X), prefit.predict_region(X))


# --- As an estimator


@pytest.fixture(scope="module")
def pixels():
    return draw_pixels(60, np.random.default_rng(0))


def test_clone_and_parameters(pixels):
    conformal = ConformalLocalizer(PixelLocalizer(), coverage=0.7, cv=3, mondrian=True)
    assert clone(conformal).get_params()["coverage"] == 0.7
    with pytest.raises(NotFittedError):
        conformal.predict_region(pixels[0])


def test_results_keep_the_index_of_the_images(pixels):
    X = pd.Series(list(pixels[0]), index=range(100, 160))
    conformal = ConformalLocalizer(DummyLocalizer(), cv="split", random_state=0)
    conformal.fit(X, pixels[1].set_axis(X.index))
    for table in (conformal.predict(X), conformal.predict_region(X), conformal.predict_set(X)):
        assert table.index.equals(X.index)


def test_polars_gives_polars(pixels, tmp_path):
    pl = pytest.importorskip("polars")
    X = pl.Series([f"{row}.png" for row in range(60)])
    conformal = ConformalLocalizer(DummyLocalizer(), cv="split", random_state=0)
    conformal.fit(X, pl.from_pandas(pixels[1]))
    assert isinstance(conformal.predict_region(X), pl.DataFrame)
    assert conformal.predict_set(X).columns == ["cat", "dog"]


def test_pipeline_is_a_localizer(pixels):
    pipeline = make_pipeline(FunctionTransformer(), PixelLocalizer())
    conformal = ConformalLocalizer(pipeline, cv=3, random_state=0).fit(*pixels)
    assert conformal.predict_region(pixels[0]).shape == (60, 8)


def test_search_over_the_parameters_of_the_localizer(pixels):
    conformal = ConformalLocalizer(DummyLocalizer(), 0.7, cv="split", random_state=0)
    grid = {"estimator__strategy": ["full", "median"]}
    search = GridSearchCV(conformal, grid, cv=KFold(2)).fit(*pixels)
    assert search.best_params_ == {"estimator__strategy": "median"}


def test_groups_stay_in_one_fold(pixels):
    X, y = pixels
    groups = np.repeat(np.arange(12), 5)
    for cv in (3, GroupKFold(3)):
        conformal = ConformalLocalizer(PixelLocalizer(), cv=cv).fit(X, y, groups=groups)
        assert (pd.Series(conformal.folds_).groupby(groups).nunique() == 1).all()


def test_groups_are_held_out_together(pixels):
    X, y = pixels
    groups = np.repeat(np.arange(12), 5)
    conformal = ConformalLocalizer(PixelLocalizer(), cv="split", random_state=0)
    # A quarter of 12 groups of 5.
    assert len(conformal.fit(X, y, groups=groups).box_scores_) == 15


def test_metadata_is_routed(pixels):
    X, y = pixels
    weights, groups = np.r_[np.zeros(30), np.ones(30)], np.repeat(np.arange(12), 5)
    with sklearn.config_context(enable_metadata_routing=True):
        localizer = PixelLocalizer().set_fit_request(sample_weight=True)
        conformal = ConformalLocalizer(localizer, cv=GroupKFold(3)).set_fit_request(
            sample_weight=True
        )
        conformal.fit(X, y, sample_weight=weights, groups=groups)
    expected = PixelLocalizer().fit(X, y, weights).bias_
    assert (conformal.estimator_.bias_ == expected).all()
    assert (pd.Series(conformal.folds_).groupby(groups).nunique() == 1).all()


def test_images_without_an_object_are_no_part_of_the_coverage(pixels):
    X, y = pixels
    y = y.astype(object)
    y.iloc[:10] = None
    conformal = ConformalLocalizer(DummyLocalizer("prior"), cv="split", random_state=0).fit(X, y)
    assert np.isnan(conformal.box_scores_).sum() == conformal.true_classes_.tolist().count(-1) > 0


def test_nothing_is_known_of_an_image_without_a_predicted_box(pixels):
    X, y = pixels
    conformal = ConformalLocalizer(PixelLocalizer(), cv="split", random_state=0).fit(X, y)
    conformal.estimator_.bias_ = np.full(4, np.nan)
    region = conformal.predict_region(X[:1])
    assert region[OUTER].to_numpy().tolist() == [[0, 1, 0, 1]]
    assert region[INNER].isna().all(axis=None)


# --- What is refused


@pytest.mark.parametrize("coverage", [0, 1, 1.5, -0.1, "90 %", True, np.nan])
def test_coverage_outside_0_to_1_is_refused(pixels, coverage):
    with pytest.raises(ValueError, match="coverage must be a number above 0 and below 1"):
        ConformalLocalizer(PixelLocalizer(), coverage).fit(*pixels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cv": 1}, "cv must be at least 2 folds"),
        ({"cv": "holdout"}, "'split' or 'prefit'. Received: 'holdout'"),
        ({"method": "minmax"}, "method must be one of"),
        ({"margin": 2}, "margin must be one of"),
        ({"margin": "spread", "cv": "split"}, "margin='spread' needs a localizer"),
        ({"class_score": "raps"}, "class_score must be one of"),
        ({"calibrate": "yes"}, "calibrate must be True or False"),
        ({"test_size": 2, "cv": "split"}, "test_size must be a number"),
    ],
)
def test_parameters_out_of_range_are_refused(pixels, changes, message):
    with pytest.raises(ValueError, match=message):
        ConformalLocalizer(PixelLocalizer(), **changes).fit(*pixels)


@pytest.mark.parametrize("estimator", [DummyClassifier(), None, PixelLocalizer, object()])
def test_an_estimator_that_is_no_localizer_is_refused(pixels, estimator):
    with pytest.raises(ValueError, match="estimator must be a localizer"):
        ConformalLocalizer(estimator).fit(*pixels)


def test_too_few_images_are_refused_with_the_number_that_is_needed(pixels):
    X, y = pixels
    with pytest.raises(ValueError, match=r"at least 19 .* with a box\. Received: 18"):
        ConformalLocalizer(PixelLocalizer(), 0.95, cv=3).fit(X[:18], y[:18])
    with pytest.raises(ValueError, match=r"at least 19 .* with a box\. Received: 15"):
        ConformalLocalizer(PixelLocalizer(), 0.95, cv="split").fit(X, y)


def test_a_single_group_cannot_be_split(pixels):
    X, y = pixels
    with pytest.raises(ValueError, match="cv='split' needs at least two groups"):
        ConformalLocalizer(PixelLocalizer(), cv="split").fit(X, y, groups=np.zeros(60))


def test_too_few_images_of_a_class_are_refused(pixels):
    X, y = pixels
    y = y.assign(class_name=["cat"] * 55 + ["dog"] * 5)
    with pytest.raises(ValueError, match=r"of the class 'dog' \(mondrian=True\). Received: 5"):
        ConformalLocalizer(PixelLocalizer(), mondrian=True).fit(X, y)


def test_one_class_has_no_sets_and_no_coverage_by_class(pixels):
    X, y = pixels
    y = y.assign(class_name="cat")
    conformal = ConformalLocalizer(DummyLocalizer(), cv="split", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="predict_set needs at least two classes"):
        conformal.predict_set(X)
    with pytest.raises(ValueError, match="mondrian=True needs at least two classes"):
        conformal.set_params(mondrian=True).fit(X, y)


def test_boxes_without_classes_have_regions(pixels):
    X, y = pixels
    conformal = ConformalLocalizer(DummyLocalizer(), cv=3, random_state=0).fit(X, y[BOX])
    assert conformal.predict_region(X).shape == (60, 8)
    assert list(conformal.predict(X)) == BOX


def test_a_class_that_a_fold_lacks_is_refused(pixels):
    X, y = pixels
    y = y.assign(class_name=["cat"] * 40 + ["dog"] * 20)
    with pytest.raises(ValueError, match=r"'dog', .* is missing in the training part of fold 2"):
        ConformalLocalizer(PixelLocalizer(), cv=KFold(3)).fit(X, y)


def test_a_class_that_the_fitted_localizer_does_not_know_is_refused(pixels):
    X, y = pixels
    localizer = PixelLocalizer().fit(X, y)
    with pytest.raises(ValueError, match="class 'owl' is not one of the known classes"):
        ConformalLocalizer(localizer, cv="prefit").fit(X, y.assign(class_name="owl"))


def test_images_without_any_object_are_refused(pixels):
    X, y = pixels
    nothing = pd.DataFrame(index=y.index, columns=y.columns)
    with pytest.raises(BoxError, match="None of the 60 images has an object"):
        ConformalLocalizer(PixelLocalizer()).fit(X, nothing)


def test_unfitted_localizer_is_refused_with_prefit(pixels):
    with pytest.raises(NotFittedError):
        ConformalLocalizer(PixelLocalizer(), cv="prefit").fit(*pixels)


def test_score_warns_of_classes_that_were_not_in_training(pixels):
    X, y = pixels
    conformal = ConformalLocalizer(DummyLocalizer(), cv="split", random_state=0).fit(X, y)
    with pytest.warns(SkbboxWarning, match="not in training"):
        conformal.score(X, y.assign(class_name="owl"))


def test_unreadable_images_have_no_score_and_no_region(fitted, more_shapes, tmp_path):
    localizer = pickle.loads(pickle.dumps(fitted)).set_params(on_bad_image="skip")
    X = [*more_shapes[0]]
    X[3] = tmp_path / "missing.png"
    conformal = ConformalLocalizer(localizer, 0.8, "prefit").fit(X, more_shapes[1])
    assert np.flatnonzero(np.isnan(conformal.box_scores_)).tolist() == [3]
    assert np.flatnonzero(conformal.predict_region(X).isna().all(axis=1)).tolist() == [3]
    assert conformal.predict_set(X).iloc[3].all()


@pytest.mark.slow
def test_regions_do_not_depend_on_the_presence_threshold(shapes):
    X, y = shapes
    y = y.astype(object)
    y.iloc[:8] = None
    localizer = small_localizer(presence_threshold=0.999).fit(X, y)
    conformal = ConformalLocalizer(localizer, 0.8, "prefit").fit(X, y)
    assert conformal.predict(X)["x_min"].isna().all()
    region = conformal.predict_region(X)
    localizer.set_params(presence_threshold=0.0)
    pd.testing.assert_frame_equal(region, conformal.predict_region(X))
    assert region_coverage(y, region) == 33 / 40


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_other_engines_give_the_same_spread(fitted, more_shapes, engine):
    pytest.importorskip(engine)
    other = pickle.loads(pickle.dumps(fitted)).set_params(engine=engine)
    X = more_shapes[0]
    np.testing.assert_allclose(other.predict_spread(X), fitted.predict_spread(X), atol=1e-4)
