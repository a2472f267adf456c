"""Rows of y without a class, without a box, or with neither: what ``fit`` learns from them."""

import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from sklearn.model_selection import GridSearchCV

from skbbox import (
    SingleBoxLocalizer,
    StratifiedBoxKFold,
    mean_iou,
    mean_iou_scorer,
    presence_scorer,
)
from skbbox.exceptions import BoxError, SkbboxWarning
from skbbox.model_selection import find_strata, split_train_validation

SIDES = ["x_min", "x_max", "y_min", "y_max"]
#: Rows of `partial` by kind; the other 24 have class and box.
CLASS_ONLY, BOX_ONLY, EMPTY = range(8), range(8, 16), range(16, 24)


@pytest.fixture(scope="module")
def partial(shapes):
    """X and y of `shapes` without some labels; the images without an object are grey."""
    X, y = shapes[0].copy(), shapes[1].copy()
    y.loc[CLASS_ONLY, SIDES] = np.nan
    y.loc[BOX_ONLY, "class_name"] = None
    y.loc[EMPTY] = None
    X[EMPTY] = np.random.default_rng(0).integers(120, 130, X[EMPTY].shape)
    return X, y.astype(dict.fromkeys(SIDES, float))


@pytest.fixture(scope="module")
def on_partial(partial):
    """An estimator fitted to `partial`; do not change it or fit it again."""
    return small_localizer().fit(*partial)


# ---------------------------------------------------------------- what is learned


def test_without_empty_images_there_is_no_presence(fitted, shapes):
    assert "presence" not in fitted.predict(shapes[0][:2])
    assert fitted.model_.output_names == ["class_prediction", "bbox_prediction"]


def test_history_is_the_mean_over_rows_that_have_the_label(partial):
    X, y = partial
    # One batch, because Keras gives each batch the same weight, whatever its size.
    localizer = small_localizer(validation_fraction=0.5, n_looks=1, batch_size=24).fit(X, y)
    rng = np.random.default_rng(localizer._seed())
    has_box = y["x_min"].notna().to_numpy()
    strata = find_strata(y["class_name"].to_numpy(), has_box)
    _, rows = split_train_validation(strata, range(48), 0.5, rng)
    probabilities, boxes, presence = localizer.model_.predict(X[rows], verbose=0)
    y = y.iloc[rows]
    named, boxed = y["class_name"].notna().to_numpy(), y["x_min"].notna().to_numpy()
    indices = localizer.classes_.searchsorted(y["class_name"][named].astype(str))
    last = {name: values[-1] for name, values in localizer.history_.items()}
    expected = {
        "val_class_prediction_accuracy": np.mean(probabilities[named].argmax(1) == indices),
        "val_class_prediction_loss": -np.log(
            probabilities[named][np.arange(named.sum()), indices]
        ).mean(),
        "val_bbox_prediction_mean_iou": mean_iou(y[SIDES][boxed], boxes[boxed]),
        "val_object_presence_accuracy": np.mean((presence[:, 0] > 0.5) == (named | boxed)),
    }
    assert {name: last[name] for name in expected} == pytest.approx(expected, abs=1e-4)


@pytest.mark.backend
def test_grey_images_are_recognised_as_empty(partial):
    localizer = small_localizer(epochs=20).fit(*partial)
    assert presence_scorer(localizer, *partial) > 0.95


def test_images_without_a_box_can_have_kept_features(partial, frozen_backbone):
    X, y = partial
    localizer = small_localizer(backbone=frozen_backbone, weights="imagenet").fit(X, y)
    assert localizer.stages_ == [("frozen backbone", 2)]
    assert localizer.predict(X)["presence"].between(0, 1).all()


def test_presence_weight_of_0_leaves_presence_untrained(partial):
    X, y = partial
    losses = small_localizer(presence_loss_weight=0.0).fit(X, y).history_["object_presence_loss"]
    weighted = small_localizer(presence_loss_weight=5.0).fit(X, y).history_["object_presence_loss"]
    assert weighted[-1] < losses[-1]


# ---------------------------------------------------------------- predict and score


def test_below_the_threshold_class_box_and_confidences_are_missing(on_partial, partial):
    localizer = SingleBoxLocalizer().set_params(**on_partial.get_params(deep=False))
    vars(localizer).update(vars(on_partial))
    everything = localizer.set_params(presence_threshold=0.0).predict(partial[0])
    limit = everything["presence"].median()
    predicted = localizer.set_params(presence_threshold=limit).predict(partial[0])
    below = everything["presence"] < limit
    assert everything.notna().all(axis=None)
    assert predicted[below].drop(columns="presence").isna().all(axis=None)
    pd.testing.assert_frame_equal(predicted[~below], everything[~below], check_dtype=False)
    assert predicted["presence"].equals(everything["presence"])


def test_threshold_can_be_searched(partial):
    X, y = partial
    search = GridSearchCV(
        small_localizer(epochs=1),
        {"presence_threshold": [0.0, 0.999]},
        cv=StratifiedBoxKFold(2),
        scoring=mean_iou_scorer,
        refit=False,
    ).fit(X, y)
    # Above the highest presence no object is predicted, so that in each fold the 4 of 20 scored
    # images without one count 1.
    assert search.cv_results_["mean_test_score"][1] == pytest.approx(4 / 20)


def test_saved_file_keeps_presence(on_partial, partial, tmp_path):
    on_partial.save(tmp_path / "a.skbbox")
    loaded = SingleBoxLocalizer.load(tmp_path / "a.skbbox")
    pd.testing.assert_frame_equal(loaded.predict(partial[0]), on_partial.predict(partial[0]))


@pytest.mark.slow
def test_exported_network_has_an_output_for_presence(on_partial, partial, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    on_partial.export(tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    (presence,) = session.run(["presence"], {"image": partial[0]})
    expected = on_partial.predict(partial[0])["presence"]
    np.testing.assert_allclose(presence, expected, atol=1e-5)


def test_warm_start_continues_presence_without_empty_images(partial, shapes):
    localizer = small_localizer(warm_start=True).fit(*partial).fit(*shapes)
    assert localizer.n_iter_ == 4
    assert "presence" in localizer.predict(shapes[0][:2])


# ---------------------------------------------------------------- invalid and one-sided labels


def test_only_empty_images_raise_with_what_is_needed(partial):
    X, y = partial
    with pytest.raises(BoxError, match=r"None of the 8 images has an object.*Add images"):
        small_localizer().fit(X[EMPTY], y.loc[EMPTY])


def test_half_a_box_raises_with_its_row(partial):
    X, y = partial
    y = y.copy()
    y.loc[30, "y_max"] = np.nan
    with pytest.raises(BoxError, match=r"Row 30: half a box.*y_max=nan"):
        small_localizer().fit(X, y)


def test_labels_without_any_box_give_classes_alone(shapes):
    X, y = shapes
    with pytest.warns(SkbboxWarning, match="classes but no box.*classifier"):
        localizer = small_localizer().fit(X, y.assign(**dict.fromkeys(SIDES, np.nan)))
    predicted = localizer.predict(X[:3])
    assert predicted["class_name"].notna().all()
    assert predicted[[*SIDES, "box_confidence"]].isna().all(axis=None)


def test_labels_without_any_class_give_boxes_alone(shapes):
    X, y = shapes
    localizer = small_localizer(epochs=1).fit(X, y.assign(class_name=None))
    assert localizer.classes_ is None
    assert "class_name" not in localizer.predict(X[:3])


def test_a_class_without_a_box_is_learned_with_a_warning(shapes):
    X, y = shapes
    y = y.copy()
    y.loc[y["class_name"] == "disc", SIDES] = np.nan
    with pytest.warns(SkbboxWarning, match=r"No image of these classes has a box: \['disc'\]"):
        localizer = small_localizer(epochs=1).fit(X, y)
    assert "disc" in localizer.classes_


@pytest.mark.parametrize("threshold", [-0.1, 1.0, None, "half"])
def test_threshold_out_of_range_is_refused(shapes, threshold):
    with pytest.raises(ValueError, match="presence_threshold must be a number"):
        small_localizer(presence_threshold=threshold).fit(*shapes)


@pytest.mark.filterwarnings("ignore:No image of these classes")
def test_a_validation_set_without_a_box_is_refused(shapes):
    X, y = shapes
    y = y.copy()
    y.loc[1:, SIDES] = np.nan
    with pytest.raises(ValueError, match=r"no image with a box.*only 1 of 48"):
        small_localizer(validation_fraction=0.1).fit(X, y)
