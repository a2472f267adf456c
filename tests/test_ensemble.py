"""Ensembles: combined outputs by hand, mirrored predictions, and switches after ``fit``."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from skbbox import TARGET_COLUMNS, ConformalLocalizer, DummyLocalizer, EnsembleLocalizer, mean_iou
from skbbox.augmentation import mirror
from skbbox.ensemble import combine_outputs, draw_seeds
from skbbox.exceptions import ModelFileError
from skbbox.network import small_convnet
from skbbox.network.graph import reinitialise

BOX = list(TARGET_COLUMNS[1:])


@pytest.fixture(scope="module")
def localizer():
    """An unfitted localizer with a frozen backbone, whose features members share."""
    # With the same weights in each run: of some weights, the boxes of all images are nearly equal.
    backbone = reinitialise(small_convnet((32, 32, 3)), np.random.default_rng(0))
    return small_localizer(backbone=backbone, weights="imagenet", epochs=20)


@pytest.fixture(scope="module")
def ensemble(localizer, shapes):
    """Three members, fitted to `shapes`; do not change it or fit it again."""
    return EnsembleLocalizer(localizer, n_members=3).fit(*shapes)


def switched(ensemble, **params):
    """The same members with other parameters."""
    return copy.copy(ensemble).set_params(**params)


# --- How members are combined


OUTPUTS = [
    {"bbox_prediction": [0.1, 0.5, 0.2, 0.9], "class_prediction": [0.6, 0.4], "presence": [0.9]},
    {"bbox_prediction": [0.3, 0.6, 0.1, 0.7], "class_prediction": [0.3, 0.7], "presence": [0.6]},
    {"bbox_prediction": [0.2, 0.9, 0.4, 0.8], "class_prediction": [0.3, 0.7], "presence": [0.3]},
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bbox_prediction", [[0.2, 0.6, 0.2, 0.8]]),
        ("class_prediction", [[0.4, 0.6]]),
        ("presence", [[0.6]]),
    ],
)
def test_median_of_the_edges_and_mean_of_the_rest(name, expected):
    found = [{key: np.array([value]) for key, value in outputs.items()} for outputs in OUTPUTS]
    np.testing.assert_allclose(combine_outputs(found)[name], expected)


def test_spread_is_that_of_the_mixture():
    # Edges 0 and 0.8, each with a standard deviation of 0.3: sqrt(0.3**2 + 0.4**2).
    found = [
        {"bbox_prediction": np.full((1, 4), edge), "bbox_spread": np.full((1, 4), 0.3)}
        for edge in (0.0, 0.8)
    ]
    np.testing.assert_allclose(combine_outputs(found)["bbox_spread"], 0.5)


def test_seeds_differ_and_repeat():
    assert len(set(draw_seeds(0, 9))) == 9
    assert draw_seeds(0, 9) == draw_seeds(0, 9)
    assert draw_seeds(None, 2) == [None, None]


# --- Predictions of members


def test_box_is_the_median_of_the_boxes_of_the_members(ensemble, shapes):
    boxes = [member.predict(shapes[0])[BOX].to_numpy() for member in ensemble.estimators_]
    np.testing.assert_array_equal(ensemble.predict(shapes[0])[BOX], np.median(boxes, axis=0))


def test_probabilities_are_the_mean_of_those_of_the_members(ensemble, shapes):
    of_members = [member.predict_proba(shapes[0]) for member in ensemble.estimators_]
    np.testing.assert_allclose(
        ensemble.predict_proba(shapes[0]), np.mean(of_members, axis=0), atol=1e-6
    )


def test_class_is_that_of_the_largest_mean_probability(ensemble, shapes):
    probabilities, table = ensemble.predict_proba(shapes[0]), ensemble.predict(shapes[0])
    assert table["class_name"].tolist() == ensemble.classes_[probabilities.argmax(axis=1)].tolist()
    np.testing.assert_allclose(table["class_confidence"], probabilities.max(axis=1), atol=1e-6)


def test_one_member_equals_the_localizer_alone(ensemble, localizer, shapes):
    alone = clone(localizer).fit(*shapes)
    pd.testing.assert_frame_equal(
        switched(ensemble, n_members=1).predict(shapes[0]), alone.predict(shapes[0])
    )


def test_members_differ_and_are_the_same_in_each_fit(ensemble, localizer, shapes):
    again = EnsembleLocalizer(localizer, n_members=2).fit(*shapes)
    first, second = (member.predict(shapes[0])[BOX] for member in again.estimators_)
    assert not np.allclose(first, second)
    pd.testing.assert_frame_equal(ensemble.estimators_[1].predict(shapes[0])[BOX], second)


def test_features_are_computed_once_for_all_members(localizer, shapes, monkeypatch):
    from skbbox.features import forget_features
    from skbbox.features.frozen_backbone import FrozenBackbone

    computed = []
    compute = FrozenBackbone._compute

    def count(self, job, missing, *pools):
        computed.append(len(missing))
        return compute(self, job, missing, *pools)

    monkeypatch.setattr(FrozenBackbone, "_compute", count)
    forget_features()
    brief = clone(localizer).set_params(epochs=1).fit(*shapes)
    of_one = sum(computed)
    forget_features()
    EnsembleLocalizer(brief, n_members=2).fit(*shapes)
    assert of_one > 0
    assert sum(computed) == 2 * of_one


# --- Mirrored predictions


def mirror_all(X, boxes):
    """The mirror images of images and boxes."""
    mirrored = [mirror(image, box) for image, box in zip(X, boxes, strict=True)]
    return np.array([image for image, _ in mirrored]), np.array([box for _, box in mirrored])


@pytest.mark.parametrize("n_images", [1, 48])
def test_mirror_adds_the_box_of_the_mirror_image(ensemble, shapes, n_images):
    X = shapes[0][:n_images]
    first = ensemble.estimators_[0]
    boxes = first.predict(X)[BOX].to_numpy()
    flipped, _ = mirror_all(X, boxes)
    _, back = mirror_all(X, first.predict(flipped)[BOX].to_numpy())
    both = switched(ensemble, n_members=1, mirror=True).predict(X)[BOX]
    # Windows are resized before they are mirrored.
    np.testing.assert_allclose(both, (boxes + back) / 2, atol=0.01)


def test_mirrored_image_has_the_mirrored_box(ensemble, shapes):
    X, both = shapes[0], switched(ensemble, n_members=3, mirror=True)
    boxes = both.predict(X)[BOX].to_numpy()
    flipped, expected = mirror_all(X, boxes)
    assert np.abs(boxes - expected).max() > 0.1
    np.testing.assert_allclose(both.predict(flipped)[BOX], expected, atol=0.01)


def test_spread_of_the_mirror_image_belongs_to_the_other_edge(ensemble, shapes):
    X, both = shapes[0], switched(ensemble, n_members=1, mirror=True)
    spread = both.predict_spread(X)
    flipped = both.predict_spread(X[:, :, ::-1])
    assert np.abs(spread["x_min"] - spread["x_max"]).max() > 0.01
    np.testing.assert_allclose(flipped[["x_max", "x_min"]], spread[["x_min", "x_max"]], atol=0.001)


# --- Switches, files and other estimators


@pytest.mark.parametrize("params", [{"n_members": 2}, {"mirror": True}])
def test_members_and_mirror_are_switched_after_fit(ensemble, shapes, params):
    before = ensemble.predict(shapes[0])[BOX]
    other = switched(ensemble, **params)
    assert not np.allclose(other.predict(shapes[0])[BOX], before, atol=1e-4)
    other.set_params(n_members=3, mirror=False)
    pd.testing.assert_frame_equal(other.predict(shapes[0])[BOX], before)


def test_more_members_than_were_fitted(ensemble, shapes):
    with pytest.raises(ValueError, match="n_members=4, but 3 members were fitted"):
        switched(ensemble, n_members=4).predict(shapes[0])


@pytest.mark.parametrize("store", ["save", "pickle"])
def test_stored_ensemble_predicts_the_same(ensemble, shapes, tmp_path, store):
    if store == "save":
        ensemble.save(tmp_path / "ensemble.skbbox")
        loaded = EnsembleLocalizer.load(tmp_path / "ensemble.skbbox")
    else:
        loaded = pickle.loads(pickle.dumps(ensemble))
    assert loaded.get_params(deep=False)["n_members"] == 3
    pd.testing.assert_frame_equal(loaded.predict(shapes[0]), ensemble.predict(shapes[0]))


def test_file_of_one_localizer_is_refused(ensemble, tmp_path):
    ensemble.estimators_[0].save(tmp_path / "one.skbbox")
    with pytest.raises(ModelFileError, match="not as save writes it"):
        EnsembleLocalizer.load(tmp_path / "one.skbbox")


def test_clone_is_not_fitted(ensemble, shapes):
    cloned = clone(ensemble)
    assert (cloned.n_members, cloned.mirror) == (3, False)
    with pytest.raises(NotFittedError):
        cloned.predict(shapes[0])


def test_score_is_the_mean_iou_of_the_boxes(ensemble, shapes):
    X, y = shapes
    assert float(ensemble.score(X, y)) == pytest.approx(mean_iou(y, ensemble.predict(X)))


@pytest.mark.slow
def test_search_over_the_members(localizer, shapes):
    search = GridSearchCV(
        EnsembleLocalizer(localizer, n_members=1), {"mirror": [False, True]}, cv=2
    ).fit(*shapes)
    first, second = search.cv_results_["mean_test_score"]
    assert first != second


def test_regions_around_an_ensemble(ensemble, shapes):
    conformal = ConformalLocalizer(ensemble, 0.8, cv="prefit").fit(*shapes)
    assert conformal.margin_ == "spread"
    pd.testing.assert_frame_equal(
        conformal.predict(shapes[0])[BOX], ensemble.predict(shapes[0])[BOX]
    )


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_members": 0}, "n_members must be an integer of at least 1. Received: 0."),
        ({"n_members": 2.5}, "n_members must be an integer of at least 1. Received: 2.5."),
        ({"n_members": True}, "n_members must be an integer of at least 1. Received: True."),
        ({"mirror": "left"}, "mirror must be True or False. Received: 'left'."),
        ({"estimator": DummyLocalizer()}, "estimator must be a SingleBoxLocalizer"),
    ],
)
def test_wrong_parameters(localizer, shapes, params, message):
    with pytest.raises(ValueError, match=message):
        EnsembleLocalizer(localizer).set_params(**params).fit(*shapes)
