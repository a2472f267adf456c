"""The estimator in scikit-learn: cross-validation, searches, pipelines, routing."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from helpers import small_localizer
from scipy.stats import loguniform
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skbbox import (
    DummyLocalizer,
    StratifiedBoxKFold,
    StratifiedGroupBoxKFold,
    box_scorer,
    iou_50_scorer,
    localization_scorer,
    mean_iou,
    mean_iou_scorer,
)

pytestmark = pytest.mark.slow
CV = StratifiedBoxKFold(2)


def one_epoch(**changes):
    return small_localizer(**({"epochs": 1} | changes))


def test_cross_validate_with_named_scorers_equals_box_scorer(shapes):
    scoring = {"a": mean_iou_scorer, "b": iou_50_scorer, "c": localization_scorer}
    named = cross_validate(one_epoch(), *shapes, cv=CV, scoring=scoring)
    together = cross_validate(one_epoch(), *shapes, cv=CV, scoring=box_scorer)
    for name, key in zip("abc", ("mean_iou", "iou_50", "localization_accuracy"), strict=True):
        assert np.array_equal(named[f"test_{name}"], together[f"test_{key}"])


def test_measures_accept_rows_of_cross_val_predict(shapes):
    X, y = shapes
    predicted = cross_val_predict(one_epoch(), X, y, cv=CV)
    train, test = next(CV.split(X, y))
    by_hand = one_epoch().fit(X[train], y.iloc[train]).predict(X[test])
    assert mean_iou(y.iloc[test], predicted[test]) == mean_iou(y.iloc[test], by_hand)


def test_grid_search_with_several_metrics_refits_by_the_named_one(shapes):
    search = GridSearchCV(
        one_epoch(),
        {"box_loss_weight": [1.0, 50.0]},
        cv=CV,
        scoring=box_scorer,
        refit="mean_iou",
    ).fit(*shapes)
    assert search.best_score_ == search.cv_results_["mean_test_mean_iou"].max()
    assert len(search.predict(shapes[0])) == 48


def test_randomized_search_samples_loss_weights(shapes):
    search = RandomizedSearchCV(
        one_epoch(),
        {"box_loss_weight": loguniform(1, 100), "class_loss_weight": loguniform(0.1, 1)},
        n_iter=2,
        cv=CV,
        random_state=0,
        refit=False,
    ).fit(*shapes)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    for name, lowest, highest in [("box_loss_weight", 1, 100), ("class_loss_weight", 0.1, 1)]:
        sampled = search.cv_results_[f"param_{name}"]
        assert len(set(sampled)) == 2
        assert ((lowest <= sampled) & (sampled <= highest)).all()


def test_halving_search_uses_epochs_as_its_resource(shapes):
    search = HalvingGridSearchCV(
        one_epoch(),
        {"box_loss_weight": [1.0, 50.0]},
        resource="epochs",
        min_resources=1,
        max_resources=2,
        factor=2,
        cv=CV,
        refit=False,
    ).fit(*shapes)
    assert search.n_resources_ == [1, 2]


def test_pipeline_fits_predicts_and_scores(shapes):
    X, y = shapes
    pipeline = make_pipeline(FunctionTransformer(), one_epoch()).fit(X, y)
    localizer = one_epoch().fit(X, y)
    assert tuple(pipeline.score(X, y)) == tuple(localizer.score(X, y))
    pd.testing.assert_frame_equal(pipeline.predict(X), localizer.predict(X))


def test_learning_curve_over_the_number_of_images(shapes):
    sizes, train_scores, test_scores = learning_curve(
        one_epoch(), *shapes, cv=CV, train_sizes=[12, 24], shuffle=True, random_state=0
    )
    assert sizes.tolist() == [12, 24]
    assert np.isfinite([train_scores, test_scores]).all()


def test_frozen_estimator_is_not_fitted_again(fitted, shapes):
    X, y = shapes
    frozen = FrozenEstimator(fitted).fit(X[:4], y[:4])
    pd.testing.assert_frame_equal(frozen.predict(X), fitted.predict(X))
    assert frozen.score(X, y) == fitted.score(X, y)


def test_sample_weight_is_routed_to_fit_and_score(shapes):
    X, y = shapes
    weights = np.linspace(0.1, 2, 48)
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = (
            one_epoch().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        )
        routed = cross_validate(estimator, X, y, cv=CV, params={"sample_weight": weights})
    train, test = next(CV.split(X, y))
    by_hand = one_epoch().fit(X[train], y.iloc[train], sample_weight=weights[train])
    expected = by_hand.score(X[test], y.iloc[test], sample_weight=weights[test])
    assert routed["test_score"][0] == expected.mean_iou


def test_sample_weight_in_params_is_passed_to_fit(shapes):
    X, y = shapes
    weights = np.linspace(0.1, 2, 48)
    weighted = cross_validate(one_epoch(), X, y, cv=CV, params={"sample_weight": weights})
    train, test = next(CV.split(X, y))
    by_hand = one_epoch().fit(X[train], y.iloc[train], sample_weight=weights[train])
    assert weighted["test_score"][0] == by_hand.score(X[test], y.iloc[test]).mean_iou


def test_rows_of_one_image_are_in_one_part(shapes, tmp_path):
    from PIL import Image

    X, y = shapes
    paths = []
    for row in range(12):
        Image.fromarray(X[row]).save(tmp_path / f"{row}.png")
        paths += [str(tmp_path / f"{row}.png")] * 2
    y = y.iloc[np.repeat(np.arange(12), 2)].assign(class_name="thing")
    y.loc[:, "class_name"] = np.repeat(["a", "b"], 12)
    found = cross_validate(
        DummyLocalizer(), paths, y, cv=StratifiedGroupBoxKFold(2), return_indices=True
    )
    for train, test in zip(found["indices"]["train"], found["indices"]["test"], strict=True):
        assert not {paths[row] for row in train} & {paths[row] for row in test}


def test_paths_in_worker_processes_score_as_arrays_in_one_process(shapes, tmp_path):
    from PIL import Image

    X, y = shapes
    paths = []
    for row, image in enumerate(X):
        paths.append(tmp_path / f"{row}.png")
        Image.fromarray(image).save(paths[-1])
    on_paths = cross_val_score(one_epoch(), paths, y, cv=CV, n_jobs=2)
    assert np.array_equal(on_paths, cross_val_score(one_epoch(), X, y, cv=CV))


def test_notebook_shows_the_estimator_and_its_changed_parameters(frozen_backbone):
    html = small_localizer(backbone=frozen_backbone, box_loss="<ciou>")._repr_html_()
    assert "SingleBoxLocalizer" in html
    assert "&lt;ciou&gt;" in html
    assert "Not fitted" in html
