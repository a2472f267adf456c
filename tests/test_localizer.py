"""The estimator: fit, predict, score, fitted attributes, and each parameter's effect."""

import copy
import multiprocessing
import pickle
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest
from helpers import predicted_numbers, small_localizer
from PIL import Image
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score

from skbbox import (
    TARGET_COLUMNS,
    TUTORIAL_PARAMS,
    DummyLocalizer,
    SingleBoxLocalizer,
    iou,
    iou_at,
)
from skbbox.boxes import COORDINATES
from skbbox.datasets import make_shapes
from skbbox.engines.registry import get_engine
from skbbox.exceptions import (
    BoxError,
    DivergenceWarning,
    ForkError,
    ImageError,
    SkbboxWarning,
    TrainingDivergedError,
)
from skbbox.features import forget_features
from skbbox.model_selection import split_train_validation
from skbbox.network import pool, small_convnet
from skbbox.training.callbacks import copy_callbacks

HISTORY_KEYS = {
    "loss",
    "class_prediction_loss",
    "bbox_prediction_loss",
    "class_prediction_accuracy",
    "bbox_prediction_mean_iou",
    "bbox_iou_loss",
    "bbox_x_edges_loss",
    "bbox_y_edges_loss",
}


def weights_of(localizer):
    return np.concatenate([w.ravel() for w in localizer.model_.get_weights()])


@pytest.mark.backend
@pytest.mark.slow
def test_it_learns_to_find_objects():
    X, y = make_shapes(600, image_size=32, n_classes=2, random_state=0)
    X_test, y_test = make_shapes(100, image_size=32, n_classes=2, random_state=1)
    localizer = small_localizer(epochs=10, box_loss_weight=100, learning_rate=3e-3).fit(X, y)
    baseline = DummyLocalizer().fit(X, y).score(X_test, y_test)
    assert localizer.score(X_test, y_test) > baseline + 0.2


def test_predict_gives_the_columns_of_y_and_confidence(fitted, shapes):
    predicted = fitted.predict(shapes[0])
    assert list(predicted.columns) == [*TARGET_COLUMNS, "class_confidence", "box_confidence"]
    assert len(predicted) == 48


def test_predicted_boxes_are_proper_and_within_the_image(fitted, shapes):
    x_min, x_max, y_min, y_max = fitted.predict(shapes[0])[list(COORDINATES)].to_numpy().T
    assert (x_min >= 0).all() and (x_max <= 1).all() and (x_min <= x_max).all()
    assert (y_min >= 0).all() and (y_max <= 1).all() and (y_min <= y_max).all()


def test_predict_keeps_the_index(fitted, shapes):
    X = pd.Series(list(shapes[0][:3]), index=["a", "b", "c"])
    assert fitted.predict(X).index.tolist() == ["a", "b", "c"]


def test_arrays_paths_and_pil_images_give_the_same_boxes(fitted, shapes, tmp_path):
    images = shapes[0][:4]
    paths = []
    for number, image in enumerate(images):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(image).save(paths[-1])
    expected = fitted.predict(images)
    for X in (
        list(images),
        paths,
        [str(path) for path in paths],
        np.array([str(path) for path in paths]),
        np.array([[str(path)] for path in paths], dtype=object),
        pd.DataFrame({"image": paths, "note": "x"}),
        [Image.fromarray(image) for image in images],
    ):
        pd.testing.assert_frame_equal(fitted.predict(X), expected)


def test_predict_proba_has_a_column_for_each_class_and_rows_of_one(fitted, shapes):
    probabilities = fitted.predict_proba(shapes[0])
    assert probabilities.shape == (48, 4)
    assert np.allclose(probabilities.sum(axis=1), 1)


def test_the_predicted_class_is_the_most_probable_one(fitted, shapes):
    predicted = fitted.predict(shapes[0])
    probabilities = fitted.predict_proba(shapes[0])
    assert (predicted["class_name"] == fitted.classes_[probabilities.argmax(axis=1)]).all()


@pytest.mark.parametrize("box_head", ["spatial", "pooled"])
def test_class_confidence_is_the_probability_of_the_class(shapes, box_head):
    localizer = small_localizer(box_head=box_head).fit(*shapes)
    confidence = localizer.predict(shapes[0])["class_confidence"]
    assert np.allclose(confidence, localizer.predict_proba(shapes[0]).max(axis=1), atol=1e-6)


def test_without_an_iou_estimate_there_is_no_box_confidence(shapes):
    localizer = small_localizer(box_head="pooled").fit(*shapes)
    assert list(localizer.predict(shapes[0])) == [*TARGET_COLUMNS, "class_confidence"]


@pytest.mark.slow
def test_box_confidence_tells_good_boxes_from_bad_ones():
    X, y = make_shapes(600, image_size=32, n_classes=2, random_state=0)
    X_test, y_test = make_shapes(200, image_size=32, n_classes=2, random_state=1)
    # Boxes of a second look are nearly all as good.
    predicted = small_localizer(epochs=20, n_looks=1).fit(X, y).predict(X_test)
    found = iou(y_test[list(COORDINATES)].to_numpy(), predicted[list(COORDINATES)].to_numpy())
    assert predicted["box_confidence"].between(0, 1).all()
    assert spearmanr(predicted["box_confidence"], found).statistic > 0.2


def test_score_is_mean_iou_and_share_at_one_half(fitted, shapes):
    X, y = shapes
    mean_iou, iou_50 = fitted.score(X, y)
    predicted = fitted.predict(X)
    assert iou_50 == iou_at(y, predicted)
    columns = list(COORDINATES)
    assert mean_iou == pytest.approx(
        iou(y[columns].to_numpy(), predicted[columns].to_numpy()).mean()
    )


def test_score_weights_rows(fitted, shapes):
    X, y = shapes
    weights = np.r_[1.0, np.zeros(47)]
    weighted = fitted.score(X, y, sample_weight=weights)
    assert weighted == pytest.approx(fitted.score(X[:1], y[:1]), abs=1e-6)


def test_embedding_is_the_mean_of_the_feature_map(fitted, shapes):
    pixels = shapes[0][:5]
    network = fitted.model_
    feature_maps = keras.Model(network.input, network.get_layer("features").output)
    # 32 pixels at stride 8 are 4 positions a side; small_convnet has 96 channels.
    maps = keras.ops.convert_to_numpy(feature_maps.predict_on_batch(pixels))
    assert maps.shape == (5, 4, 4, 96)
    np.testing.assert_allclose(fitted.embed(pixels), maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-6)


def test_classes_are_sorted(fitted):
    assert fitted.classes_.tolist() == ["disc", "square", "star", "triangle"]


def test_history_has_keras_names_and_one_value_an_epoch(fitted):
    assert set(fitted.history_) == HISTORY_KEYS
    assert {len(values) for values in fitted.history_.values()} == {2}
    assert fitted.n_iter_ == 2


def test_history_has_val_curves_with_a_validation_fraction(shapes):
    localizer = small_localizer(validation_fraction=0.25).fit(*shapes)
    assert set(localizer.history_) == HISTORY_KEYS | {f"val_{key}" for key in HISTORY_KEYS}


def test_model_is_keras_with_the_chapters_layer_names(fitted):
    assert isinstance(fitted.model_, keras.Model)
    for name in ("dense_class", "class_prediction", "bbox_prediction"):
        fitted.model_.get_layer(name)


def test_model_predicts_class_and_box_from_pixels(fitted, shapes):
    probabilities, boxes = fitted.model_.predict(shapes[0][:3], verbose=0)
    assert probabilities.shape == (3, 4)
    assert boxes.shape == (3, 4)


def test_without_class_name_boxes_alone_are_learnt(shapes):
    X, y = shapes
    localizer = small_localizer().fit(X, y.drop(columns="class_name"))
    assert list(localizer.predict(X)) == [*COORDINATES, "box_confidence"]
    assert set(localizer.history_) == {key for key in HISTORY_KEYS if "class" not in key}
    assert localizer.classes_ is None
    with pytest.raises(ValueError, match="no class_name in fit"):
        localizer.predict_proba(X)


@pytest.mark.parametrize("box_head", ["dense", "spatial"])
def test_the_loss_of_boxes_alone_is_given_without_its_weight(shapes, box_head):
    X, y = shapes
    localizer = small_localizer(box_head=box_head, box_loss_weight=10.0, box_loss="mse")
    history = localizer.fit(X, y.drop(columns="class_name")).history_
    others = [0.0, 0.0]
    if box_head == "spatial":
        # The estimate counts once, the edges an eighth of the weight.
        edges = np.add(history["bbox_x_edges_loss"], history["bbox_y_edges_loss"])
        others = history["bbox_iou_loss"] + 10 / 8 * edges
    expected = 10 * np.array(history["bbox_prediction_loss"]) + others
    assert history["loss"] == pytest.approx(expected.tolist(), rel=1e-4)


def test_a_structured_array_is_a_y(shapes):
    X, y = shapes
    records = y.astype({"class_name": object}).to_records(index=False)
    assert np.array_equal(
        weights_of(small_localizer().fit(X, records)), weights_of(small_localizer().fit(X, y))
    )


def test_rows_are_matched_by_position_not_by_index(shapes):
    X, y = shapes
    mixed = y.set_axis(np.random.default_rng(0).permutation(len(y)))
    assert np.array_equal(
        weights_of(small_localizer().fit(X, mixed)), weights_of(small_localizer().fit(X, y))
    )


@pytest.mark.backend
def test_same_random_state_gives_the_same_weights(shapes, fitted):
    assert np.array_equal(weights_of(small_localizer().fit(*shapes)), weights_of(fitted))


def test_another_random_state_gives_other_weights(shapes, fitted):
    assert not np.array_equal(
        weights_of(small_localizer(random_state=1).fit(*shapes)), weights_of(fitted)
    )


def test_fit_changes_no_parameter(shapes):
    localizer = small_localizer(callbacks=[keras.callbacks.TerminateOnNaN()])
    before = localizer.get_params()
    localizer.fit(*shapes)
    assert localizer.get_params() == before


def test_clone_has_the_parameters_and_is_not_fitted(fitted):
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    assert not hasattr(copied, "model_")


def test_tutorial_params_are_parameters():
    assert SingleBoxLocalizer(**TUTORIAL_PARAMS).get_params()["box_head"] == "pooled"


def test_pickle_and_deepcopy_predict_the_same(fitted, shapes):
    expected = fitted.predict(shapes[0])
    for copied in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        pd.testing.assert_frame_equal(copied.predict(shapes[0]), expected)


@pytest.mark.slow
def test_a_pickle_travels_to_a_fresh_process_and_back(fitted, shapes, tmp_path):
    with (tmp_path / "fitted.pkl").open("wb") as file:
        pickle.dump((fitted, shapes[0]), file)
    program = (
        "import pickle, sys; folder = sys.argv[1];"
        "localizer, X = pickle.load(open(folder + '/fitted.pkl', 'rb'));"
        "pickle.dump((localizer, localizer.predict(X)), open(folder + '/back.pkl', 'wb'))"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True)
    with (tmp_path / "back.pkl").open("rb") as file:
        localizer, predicted = pickle.load(file)
    pd.testing.assert_frame_equal(predicted, fitted.predict(shapes[0]))
    pd.testing.assert_frame_equal(localizer.predict(shapes[0]), predicted)


def test_an_unfitted_estimator_pickles():
    assert pickle.loads(pickle.dumps(small_localizer())).epochs == 2


@pytest.mark.slow
def test_zero_weight_rows_do_not_change_the_class_and_box_layers(shapes):
    # One batch and plain gradient steps: a row of weight 0 adds nothing to them.
    X, y = shapes
    wrong = y.copy()
    wrong.loc[wrong.index[24:], list(COORDINATES)] = [0.0, 0.1, 0.0, 0.1]
    wrong.loc[wrong.index[24:], "class_name"] = "disc"
    weights = np.r_[np.ones(24), np.zeros(24)]
    options = {"batch_size": 48, "optimizer": "sgd", "dropout": 0.0, "augment": None, "n_looks": 1}
    first = small_localizer(**options).fit(X, y, sample_weight=weights)
    second = small_localizer(**options).fit(X, wrong, sample_weight=weights)
    assert np.allclose(weights_of(first), weights_of(second), atol=1e-6)


@pytest.mark.slow
def test_class_weight_balanced_equals_the_weights_worked_out_by_hand(shapes):
    X, y = shapes
    two = y.assign(class_name=np.where(np.arange(48) < 36, "often", "rare"))
    # n / (n_classes * count): 48 / (2 * 36) and 48 / (2 * 12).
    by_hand = {"often": 2 / 3, "rare": 2.0}
    assert np.array_equal(
        weights_of(small_localizer(class_weight="balanced").fit(X, two)),
        weights_of(small_localizer(class_weight=by_hand).fit(X, two)),
    )


@pytest.mark.slow
def test_class_weight_does_not_touch_the_box(shapes):
    X, y = shapes
    weights = {name: 5.0 for name in y["class_name"].unique()}
    options = {"class_loss_weight": 0.2, "l2": 0.0}
    weighted = small_localizer(class_weight=weights, **options).fit(X, y)
    plain = small_localizer(class_loss_weight=1.0, l2=0.0).fit(X, y)
    # 0.2 times a weight of 5 is the plain class loss.
    assert np.allclose(weights_of(weighted), weights_of(plain), atol=1e-4)


def test_loss_weight_zero_leaves_the_box_head_untrained(frozen_backbone, shapes):
    localizer = small_localizer(
        backbone=frozen_backbone, weights="imagenet", box_loss_weight=0.0, box_head="dense"
    )
    first = localizer.fit(*shapes).model_.get_layer("bbox_prediction").get_weights()
    longer = clone(localizer).set_params(epochs=4)
    second = longer.fit(*shapes).model_.get_layer("bbox_prediction").get_weights()
    assert np.array_equal(first[0], second[0])


def test_a_frozen_backbone_keeps_its_weights(frozen_backbone, shapes):
    localizer = small_localizer(backbone=frozen_backbone, weights="imagenet").fit(*shapes)
    after = localizer.model_.get_layer("small_convnet").get_weights()
    assert all(
        np.array_equal(a, b) for a, b in zip(frozen_backbone.get_weights(), after, strict=True)
    )


def on_features_and_on_images(frozen_backbone, shapes, **options):
    def unchanged(image, box, rng):
        return image, box

    options |= {"backbone": frozen_backbone, "weights": "imagenet", "dropout": 0.0}
    # Kept windows are those of all epochs.
    options["n_looks"] = 1
    on_features = small_localizer(**options, augment=None).fit(*shapes)
    on_images = small_localizer(**options, augment=unchanged).fit(*shapes)
    return on_features, on_images


@pytest.mark.backend
@pytest.mark.slow
def test_kept_features_train_the_same_heads_as_the_whole_network(frozen_backbone, shapes):
    forget_features()
    # Where a gradient is next to nothing, Adam would make full steps of the rounding error.
    on_features, on_images = on_features_and_on_images(
        frozen_backbone, shapes, engine="keras", optimizer="sgd", learning_rate=0.03
    )
    forget_features()
    # A kept value has 256 levels.
    difference = np.abs(weights_of(on_features) - weights_of(on_images))
    assert difference.max() < 0.02
    assert difference.mean() < 1e-4


@pytest.mark.slow
def test_features_kept_in_half_the_bytes_train_heads_that_give_the_same_boxes(
    frozen_backbone, shapes
):
    boxes = [
        localizer.predict(shapes[0])[list(COORDINATES)].to_numpy()
        for localizer in on_features_and_on_images(frozen_backbone, shapes, engine="auto")
    ]
    assert np.abs(boxes[0] - boxes[1]).max() < 0.01


def test_a_fit_whose_features_are_too_large_to_keep_computes_them_again(
    frozen_backbone, shapes, monkeypatch, capsys
):
    localizer = small_localizer(backbone=frozen_backbone, weights="imagenet")
    kept = localizer.fit(*shapes).predict(shapes[0])
    monkeypatch.setattr("skbbox.features.frozen_backbone.KEPT_BYTES", 0)
    monkeypatch.setattr("skbbox.features.frozen_backbone.DISK_BYTES", 0)
    again = clone(localizer).set_params(verbose=1).fit(*shapes).predict(shapes[0])
    assert "0.0 GB of the disk may be used, so they are computed again" in capsys.readouterr().out
    columns = list(COORDINATES)
    assert np.allclose(kept[columns], again[columns], atol=0.01)


@pytest.fixture
def of_many(frozen_backbone, shapes, tmp_path, monkeypatch):
    """What a localizer predicts for few images, and itself, for which they are many."""
    localizer = small_localizer(backbone=frozen_backbone, weights="imagenet")
    localizer.fit(shapes[0][:40], shapes[1][:40])
    predicted = predicted_numbers(localizer, shapes[0])
    monkeypatch.setattr("skbbox.features.frozen_backbone.WITHOUT_FEATURES", 0)
    return predicted, localizer.set_params(memory=tmp_path / "kept")


def test_another_engine_than_keras_predicts_many_images_without_features(of_many, shapes, tmp_path):
    if get_engine("auto") == "keras":
        pytest.skip("no other engine is installed")
    expected, localizer = of_many
    predicted = predicted_numbers(localizer.set_params(engine=get_engine("auto")), shapes[0])
    assert not (tmp_path / "kept").exists()
    assert np.allclose(predicted, expected, atol=1e-3)


def test_keras_predicts_many_images_from_features(of_many, shapes, tmp_path):
    _, localizer = of_many
    localizer.set_params(engine="keras").predict(shapes[0])
    assert list((tmp_path / "kept").glob("*.npy"))


def test_features_are_kept_of_as_many_images_as_were_learnt_from(of_many, shapes, tmp_path):
    # Those of a search are, which predicts what it learns from in other folds.
    expected, localizer = of_many
    predicted = predicted_numbers(localizer, shapes[0][8:])
    assert list((tmp_path / "kept").glob("*.npy"))
    assert np.allclose(predicted, expected[8:], atol=1e-3)


def test_score_is_of_what_predict_gives(fitted, shapes):
    class Whole(SingleBoxLocalizer):
        def predict(self, X):
            return super().predict(X).assign(x_min=0.0, x_max=1.0, y_min=0.0, y_max=1.0)

    localizer = Whole()
    vars(localizer).update(vars(fitted))
    boxes = shapes[1][list(COORDINATES)].to_numpy()
    # The IoU with the whole image is the area.
    areas = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
    assert localizer.score(*shapes) == pytest.approx(areas.mean())


def test_memory_keeps_features_between_fits(frozen_backbone, shapes, tmp_path):
    options = {"backbone": frozen_backbone, "weights": "imagenet", "memory": tmp_path}
    first = small_localizer(**options).fit(*shapes)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")}
    second = small_localizer(**options).fit(*shapes)
    assert files
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")}
    assert np.array_equal(weights_of(first), weights_of(second))


def test_memory_finds_a_backbone_again_that_is_built_anew(tmp_path, shapes):
    weights = tmp_path / "backbone.weights.h5"
    small_convnet((32, 32, 3)).save_weights(weights)
    for _ in range(2):
        files = set(tmp_path.glob("*.npy"))
        small_localizer(weights=weights, memory=tmp_path, epochs=1).fit(*shapes)
    assert files
    assert set(tmp_path.glob("*.npy")) == files


def test_memory_does_not_serve_features_of_a_changed_image(frozen_backbone, tmp_path):
    X, y = make_shapes(16, image_size=32, random_state=0)
    paths = [tmp_path / f"{row}.png" for row in range(16)]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    options = {"backbone": frozen_backbone, "weights": "imagenet", "memory": tmp_path / "kept"}
    before = small_localizer(**options).fit(paths, y)
    Image.fromarray(255 - X[3]).save(paths[3])
    after = small_localizer(**options).fit(paths, y)
    assert not np.array_equal(weights_of(before), weights_of(after))


@pytest.mark.backend
def test_fine_tuning_trains_the_backbone_but_not_its_batchnorm(frozen_backbone, shapes):
    localizer = small_localizer(
        backbone=frozen_backbone,
        weights="imagenet",
        fine_tune_epochs=1,
        fine_tune_learning_rate=1e-3,
    ).fit(*shapes)
    after = localizer.model_.get_layer("small_convnet")
    conv, bn = (after.get_layer(name).get_weights() for name in ("conv1", "bn1"))
    assert not np.array_equal(frozen_backbone.get_layer("conv1").get_weights()[0], conv[0])
    before = frozen_backbone.get_layer("bn1").get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, bn, strict=True))
    assert localizer.n_iter_ == 3


@pytest.fixture(scope="module")
def two_rates(shapes):
    """The same fit of one step with a constant rate, by `frozen`; do not change them."""
    backbone = small_convnet((32, 32, 3))
    return backbone, {
        frozen: small_localizer(
            backbone=backbone,
            weights="imagenet",
            frozen=frozen,
            learning_rate=0.01,
            backbone_learning_rate=1e-4,
            learning_rate_schedule="constant",
            augment=None,
            batch_size=48,
            epochs=1,
        ).fit(*shapes)
        for frozen in ("early", "none")
    }


def find_layer(localizer, name):
    """A layer of the model or of the parts of its backbone."""
    models = [localizer.model_, *localizer.model_.layers]
    return next(
        layer
        for model in models
        if isinstance(model, keras.Model)
        for layer in model.layers
        if layer.name == name
    )


def largest_move(localizer, before, name):
    """The largest change of a kernel since `before`, the weights of its layer."""
    return np.abs(find_layer(localizer, name).get_weights()[0] - before).max()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("frozen", "name", "expected"),
    [
        ("early", "conv1", 0),
        ("early", "conv2", 0),
        ("early", "conv3", 1e-4),
        ("early", "conv5", 1e-4),
        ("none", "conv1", 1e-4),
        ("none", "conv5", 1e-4),
    ],
)
def test_the_first_step_moves_the_trained_part_of_the_backbone_by_its_rate(
    two_rates, frozen, name, expected
):
    # Adam's first step is the rate times the sign of the gradient.
    backbone, localizers = two_rates
    before = backbone.get_layer(name).get_weights()[0]
    moved = largest_move(localizers[frozen], before, name)
    assert moved == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("frozen", ["early", "none"])
def test_the_first_step_moves_the_heads_by_their_rate(two_rates, frozen):
    # Biases are 0 at first.
    bias = find_layer(two_rates[1][frozen], "dense_class").get_weights()[1]
    assert np.abs(bias) == pytest.approx(np.full(4, 0.01), rel=1e-2)


@pytest.mark.parametrize("frozen", ["early", "none"])
@pytest.mark.parametrize("name", ["bn1", "bn5"])
def test_batchnorm_of_a_trained_backbone_is_fixed(two_rates, frozen, name):
    backbone, localizers = two_rates
    before = backbone.get_layer(name).get_weights()
    after = find_layer(localizers[frozen], name).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("frozen", ["early", "none"])
def test_the_public_model_has_the_users_optimizer(two_rates, frozen):
    assert type(two_rates[1][frozen].model_.optimizer) is type(keras.optimizers.get("adam"))


def partly_frozen(**changes):
    """An unfitted estimator whose early layers are frozen."""
    options = {"backbone": small_convnet, "weights": "imagenet", "frozen": "early"}
    return small_localizer(**(options | changes))


@pytest.mark.slow
def test_with_rate_0_only_the_heads_are_trained(frozen_backbone, shapes):
    localizer = partly_frozen(backbone=frozen_backbone, backbone_learning_rate=0).fit(*shapes)
    for layer in filter(keras.layers.Layer.count_params, frozen_backbone.layers):
        after = find_layer(localizer, layer.name).get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), after, strict=True))
    assert np.abs(find_layer(localizer, "dense_class").get_weights()[1]).min() > 0


def test_early_kept_features_predict_what_the_whole_network_does(two_rates, shapes):
    localizer = copy.copy(two_rates[1]["early"]).set_params(n_looks=1)
    boxes = localizer.predict(shapes[0])[list(COORDINATES)].to_numpy()
    expected = localizer.model_.predict_on_batch(shapes[0].astype("float32"))[1]
    # Features are kept as float16.
    assert np.allclose(boxes, expected, atol=0.01)


def test_embedding_is_of_the_coarsest_map_when_earlier_features_are_kept(two_rates, shapes):
    # small_convnet has 96 channels at the end.
    assert two_rates[1]["early"].embed(shapes[0][:2]).shape == (2, 96)


@pytest.mark.parametrize("box_head", ["dense", "pooled"])
@pytest.mark.slow
def test_heads_of_one_map_train_the_last_stage(frozen_backbone, shapes, box_head):
    localizer = partly_frozen(backbone=frozen_backbone, box_head=box_head).fit(*shapes)
    before = frozen_backbone.get_layer("conv5").get_weights()[0]
    assert largest_move(localizer, before, "conv5") > 0
    assert len(localizer.predict(shapes[0])) == 48


@pytest.mark.slow
def test_new_changes_of_images_train_the_last_stage_too(frozen_backbone, shapes):
    def unchanged(image, box, rng):
        return image, box

    localizer = partly_frozen(backbone=frozen_backbone, augment=unchanged, epochs=1).fit(*shapes)
    moves = {
        name: largest_move(localizer, frozen_backbone.get_layer(name).get_weights()[0], name)
        for name in ("conv2", "conv3")
    }
    assert moves["conv2"] == 0
    assert moves["conv3"] > 0


@pytest.mark.slow
def test_frozen_has_no_influence_without_weights(shapes, fitted):
    for frozen in ("early", "none"):
        again = small_localizer(frozen=frozen, backbone_learning_rate=1.0).fit(*shapes)
        assert np.array_equal(weights_of(again), weights_of(fitted))


@pytest.mark.parametrize("frozen", ["early", "none"])
def test_copies_of_a_trained_backbone_predict_the_same(two_rates, shapes, tmp_path, frozen):
    localizer = two_rates[1][frozen]
    localizer.save(tmp_path / "m")
    for again in (
        SingleBoxLocalizer.load(tmp_path / "m"),
        pickle.loads(pickle.dumps(localizer)),
    ):
        pd.testing.assert_frame_equal(
            again.predict(shapes[0]), localizer.predict(shapes[0]), check_exact=True
        )
        assert again.model_.count_params() == localizer.model_.count_params()


@pytest.mark.slow
def test_a_loaded_estimator_goes_on_with_the_layers_that_were_trained(two_rates, shapes, tmp_path):
    two_rates[1]["early"].save(tmp_path / "m")
    again = SingleBoxLocalizer.load(tmp_path / "m").set_params(warm_start=True)
    early, late = (find_layer(again, name).get_weights()[0] for name in ("conv2", "conv5"))
    again.fit(*shapes)
    assert largest_move(again, early, "conv2") == 0
    assert largest_move(again, late, "conv5") > 0


@pytest.mark.slow
def test_frozen_may_change_between_warm_starts(frozen_backbone, shapes):
    localizer = partly_frozen(backbone=frozen_backbone, epochs=1, warm_start=True)
    for frozen in ("all", "early", "none", "early", "all"):
        before = None if frozen == "all" else find_layer(localizer, "conv1").get_weights()[0]
        localizer.set_params(frozen=frozen).fit(*shapes)
        if before is not None:
            assert (largest_move(localizer, before, "conv1") > 0) == (frozen == "none")
    names = [name for name, _ in localizer.stages_]
    first, early, whole = "frozen backbone", "frozen early layers", "whole network"
    assert names == [first, early, whole, early, first]
    assert localizer.n_iter_ == 5


@pytest.mark.slow
def test_fine_tuning_has_one_rate_for_all_weights(frozen_backbone, shapes):
    localizer = partly_frozen(
        backbone=frozen_backbone,
        epochs=0,
        fine_tune_epochs=1,
        fine_tune_learning_rate=1e-3,
        learning_rate_schedule="constant",
        batch_size=48,
    ).fit(*shapes)
    for name in ("conv1", "conv5"):
        before = frozen_backbone.get_layer(name).get_weights()[0]
        assert largest_move(localizer, before, name) == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0},
        {"optimizer": keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))},
    ],
)
def test_a_rate_of_the_backbone_needs_one_of_the_heads(frozen_backbone, shapes, changes):
    with pytest.raises(ValueError, match="need a learning rate above 0 that is a number"):
        partly_frozen(backbone=frozen_backbone, **changes).fit(*shapes)


@pytest.mark.backend
def test_warm_start_goes_on_from_the_last_weights(shapes):
    localizer = small_localizer(warm_start=True).fit(*shapes)
    first = localizer.history_["loss"]
    localizer.fit(*shapes)
    assert localizer.n_iter_ == 4
    assert localizer.history_["loss"][:2] == first
    assert localizer.history_["loss"][2] < first[0]


@pytest.mark.slow
def test_warm_start_draws_other_changes_than_the_last_fit(shapes):
    draws = []

    def watched(image, box, rng):
        draws.append(rng.random())
        return image, box

    localizer = small_localizer(warm_start=True, epochs=1, augment=watched)
    first = set(localizer.fit(*shapes).history_ and draws)
    draws.clear()
    localizer.fit(*shapes)
    assert first.isdisjoint(draws)


@pytest.mark.slow
def test_a_warm_start_that_diverges_at_once_keeps_the_weights_it_began_with(shapes):
    def never(y_true, y_pred):
        return keras.ops.mean(y_pred, axis=-1) * float("nan")

    localizer = small_localizer(warm_start=True).fit(*shapes)
    before = weights_of(localizer)
    with pytest.warns(DivergenceWarning, match="epoch 1; .*from before training were kept"):
        localizer.set_params(box_loss=never).fit(*shapes)
    assert np.array_equal(weights_of(localizer), before)
    assert localizer.n_iter_ == 2


def test_without_warm_start_fit_begins_anew(shapes):
    localizer = small_localizer().fit(*shapes)
    first = weights_of(localizer)
    assert np.array_equal(weights_of(localizer.fit(*shapes)), first)


def test_warm_start_refuses_other_classes(shapes):
    X, y = shapes
    localizer = small_localizer(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="warm_start needs the classes"):
        localizer.fit(X, y.assign(class_name=np.where(np.arange(48) < 9, "a", "b")))


def test_warm_start_refuses_another_network(shapes):
    localizer = small_localizer(warm_start=True).fit(*shapes)
    with pytest.raises(ValueError, match="warm_start needs the network"):
        localizer.set_params(box_head="dense").fit(*shapes)


def test_early_stopping_restores_the_best_weights(shapes):
    X, y = shapes
    localizer = small_localizer(
        box_head="dense",
        epochs=30,
        early_stopping=True,
        patience=1,
        validation_fraction=0.3,
        learning_rate=0.03,
    ).fit(X, y)
    losses = localizer.history_["val_loss"]
    assert localizer.n_iter_ < 30
    assert np.argmin(losses) == len(losses) - 2
    # The rows set aside are those of the same seed; their loss is the best one again.
    rng = np.random.default_rng(localizer._seed())
    _, rows = split_train_validation(y["class_name"], range(48), 0.3, rng)
    codes = np.searchsorted(localizer.classes_, y["class_name"].to_numpy(object)[rows])
    boxes = y[list(COORDINATES)].to_numpy("float32")[rows]
    loss = localizer.model_.evaluate(
        X[rows], (codes, boxes), batch_size=16, verbose=0, return_dict=True
    )["loss"]
    assert loss == pytest.approx(min(losses), rel=1e-4)


def test_a_validation_part_alone_stops_nothing(shapes):
    # Without learning no epoch is better than the first, and patience would end at the third.
    localizer = small_localizer(
        validation_fraction=0.3, learning_rate=0.0, epochs=6, patience=1, box_head="dense"
    )
    assert localizer.fit(*shapes).n_iter_ == 6
    assert localizer.set_params(early_stopping=True).fit(*shapes).n_iter_ < 6


@pytest.mark.parametrize(
    ("weights", "n_steps"),
    [("imagenet", 400), pytest.param(None, 1200, marks=pytest.mark.slow)],
)
def test_auto_epochs_train_the_steps_that_they_promise(frozen_backbone, shapes, weights, n_steps):
    options = {"backbone": frozen_backbone, "weights": weights, "box_head": "dense"}
    X, y = shapes
    # Of 40 images in batches of 2, 20 steps are an epoch.
    localizer = small_localizer(epochs="auto", batch_size=2, **options).fit(X[:40], y[:40])
    assert localizer.n_iter_ == n_steps // 20


def fit_with_class_weight(frozen_backbone, shapes, weight, **changes):
    changes = {"backbone": frozen_backbone, "weights": "imagenet"} | changes
    return small_localizer(**changes, class_loss_weight=weight).fit(*shapes)


def test_the_class_loss_changes_the_boxes_through_the_neck(frozen_backbone, shapes):
    small, large = (
        fit_with_class_weight(frozen_backbone, shapes, w).predict(shapes[0])[list(COORDINATES)]
        for w in (0.1, 10)
    )
    assert not np.allclose(small, large, atol=1e-4)


@pytest.mark.slow
def test_without_a_neck_the_class_loss_does_not_change_the_boxes(frozen_backbone, shapes):
    small, large = (
        fit_with_class_weight(frozen_backbone, shapes, w, neck=0).predict(shapes[0])
        for w in (0.1, 10)
    )
    pd.testing.assert_frame_equal(small[list(COORDINATES)], large[list(COORDINATES)])


def test_a_classifier_has_no_neck(shapes):
    message = "neck must be 'auto' or 0. Received: 64"
    with pytest.raises(ValueError, match=message):
        SingleBoxLocalizer(classifier="classifier.keras", neck=64).fit(*shapes)


def test_the_learning_rate_rises_and_falls_to_zero(shapes):
    rates = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    # 48 images in batches of 16: 20 epochs are 60 steps, of which 6 lead up.
    small_localizer(epochs=20, learning_rate=0.01, callbacks=[Watch]).fit(*shapes)
    assert np.argmax(rates) == 6
    assert max(rates) == pytest.approx(0.01)
    assert (np.diff(rates[6:]) < 0).all()
    assert rates[-1] < 1e-5


def test_early_stopping_sets_a_tenth_aside_by_itself(shapes):
    trained_boxes = set()

    def record(image, box, rng):
        trained_boxes.add(tuple(box))
        return image, box

    localizer = small_localizer(early_stopping=True, epochs=1, augment=record, n_looks=1)
    localizer.fit(*shapes)
    assert "val_loss" in localizer.history_
    # A tenth of 48 images is 5.
    assert len(trained_boxes) == 43


@pytest.mark.parametrize(("many", "stops"), [(48, True), (49, False)])
def test_early_stopping_begins_where_images_are_many(shapes, monkeypatch, many, stops):
    monkeypatch.setattr("skbbox.training.plan.MANY_IMAGES", many)
    monkeypatch.setattr("skbbox.training.plan.MINIMUM_STEPS_OF_NEW", 1)
    localizer = small_localizer(epochs="auto").fit(*shapes)
    assert ("val_loss" in localizer.history_) == stops


def test_callbacks_run_on_copies(shapes):
    class Counter(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.epochs = 0

        def on_epoch_end(self, epoch, logs=None):
            self.epochs += 1

    given = Counter()
    localizer = small_localizer(callbacks=[given, Counter]).fit(*shapes)
    localizer.fit(*shapes)
    assert given.epochs == 0
    assert [callback.epochs for callback in localizer.callbacks_] == [2, 2]


def test_copies_of_callbacks_share_what_is_not_their_own():
    class Report(keras.callbacks.Callback):
        def __init__(self, service, file):
            super().__init__()
            self.services, self.report, self.file = [service], service.predict, file
            self.losses = {"loss": np.zeros(1)}

    # An estimator stands for the trial of a search: another package's object.
    service = DummyLocalizer()
    given = Report(service, sys.stderr)
    (copied,) = copy_callbacks([given])
    assert copied.services[0] is copied.report.__self__ is service
    assert copied.file is sys.stderr
    assert copied.losses["loss"] is not given.losses["loss"]


class Journal:
    """A callback of scikit-learn that notes the tasks that it is told of."""

    def __init__(self):
        self.events = []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.events.append(f"{context.task_name} of {context.max_subtasks}")
        return len(self.events) == 3


def test_callbacks_of_scikit_learn_see_epochs_and_stop_training(shapes):
    pytest.importorskip("sklearn.callback", reason="scikit-learn 1.9 brought callbacks")
    journal = Journal()
    localizer = small_localizer(epochs=5).set_callbacks(journal).fit(*shapes)
    # After the second epoch it asks to stop.
    assert journal.events == ["setup", "epoch of 0", "epoch of 0", "fit of 5", "teardown"]
    assert localizer.n_iter_ == 2


def test_embed_traces_its_network_once(fitted, shapes):
    fitted.embed(shapes[0][:5])
    networks = pool._idle.copy()
    fitted.embed(shapes[0][5:10])
    assert pool._idle.keys() == networks.keys()


def test_integer_classes_are_predicted_as_integers(shapes):
    X, y = shapes
    codes = y["class_name"].astype("category").cat.codes
    localizer = small_localizer(epochs=1).fit(X, y.assign(class_name=codes))
    assert localizer.classes_.tolist() == [0, 1, 2, 3]
    assert localizer.classes_.dtype == localizer.predict(X)["class_name"].dtype == np.int8
    accuracy_score(codes, localizer.predict(X)["class_name"])


def test_a_forked_process_is_told_to_spawn(fitted, shapes):
    context = multiprocessing.get_context("fork")
    with context.Pool(1) as workers, pytest.raises(ForkError, match=r"get_context.'spawn'."):
        workers.apply_async(fitted.predict, (shapes[0][:2],)).get(timeout=60)


def test_an_optimizer_instance_is_not_used_up(shapes):
    optimizer = keras.optimizers.SGD(0.05)
    first = weights_of(small_localizer(optimizer=optimizer).fit(*shapes))
    second = weights_of(small_localizer(optimizer=optimizer).fit(*shapes))
    assert np.array_equal(first, second)
    assert not optimizer.built


def test_learning_rate_replaces_the_optimizers_own(shapes):
    given = small_localizer(optimizer=keras.optimizers.SGD(0.05)).fit(*shapes)
    named = small_localizer(optimizer="sgd", learning_rate=0.05).fit(*shapes)
    assert np.array_equal(weights_of(given), weights_of(named))


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        ({}, [("whole network", 2)]),
        ({"fine_tune_epochs": 1}, [("whole network", 2), ("fine-tuning", 1)]),
        ({"epochs": 0, "fine_tune_epochs": 1}, [("fine-tuning", 1)]),
    ],
)
def test_stages_tell_how_long_each_was_trained(changes, stages, shapes):
    assert small_localizer(**changes).fit(*shapes).stages_ == stages


def test_stages_of_a_warm_start_follow_those_before(shapes, frozen_backbone):
    localizer = small_localizer(
        backbone=frozen_backbone, weights="imagenet", epochs=1, warm_start=True
    )
    localizer.fit(*shapes).set_params(fine_tune_epochs=2).fit(*shapes)
    first = ("frozen backbone", 1)
    assert localizer.stages_ == [first, first, ("fine-tuning", 2)]


def test_verbose_0_prints_nothing(shapes, capfd):
    small_localizer().fit(*shapes).predict(shapes[0])
    assert capfd.readouterr().out == ""


def test_verbose_1_shows_progress(shapes, capfd):
    small_localizer(verbose=1).fit(*shapes).predict(shapes[0])
    printed = capfd.readouterr().out
    assert "      2/2   " in printed
    assert "48/48" in printed


def test_image_size_may_be_height_and_width(shapes):
    localizer = small_localizer(image_size=(32, 48)).fit(*shapes)
    assert localizer.model_.input_shape == (None, 32, 48, 3)


def test_one_class_is_allowed_with_advice(shapes):
    X, y = shapes
    with pytest.warns(SkbboxWarning, match="only one class, 'thing'.*only boxes"):
        localizer = small_localizer().fit(X, y.assign(class_name="thing"))
    assert set(localizer.predict(X)["class_name"]) == {"thing"}
    assert localizer.history_["class_prediction_accuracy"] == [1, 1]


def test_an_unseen_class_in_score_is_warned_of_and_its_box_counts(fitted, shapes):
    X, y = shapes
    with pytest.warns(SkbboxWarning, match="not in training: .'unknown'.*StratifiedBoxKFold"):
        score = fitted.score(X, y.assign(class_name="unknown"))
    assert score == fitted.score(X, y)


def test_predict_before_fit_is_refused(shapes):
    for method in ("predict", "predict_proba", "embed"):
        with pytest.raises(NotFittedError):
            getattr(small_localizer(), method)(shapes[0])
    with pytest.raises(NotFittedError):
        small_localizer().score(*shapes)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"epochs": 1.5}, "epochs must be an integer"),
        ({"learning_rate_schedule": "step"}, "learning_rate_schedule must be one of"),
        ({"frozen": "late"}, r"frozen must be one of \['all', 'early', 'none'\]"),
        ({"backbone_learning_rate": -1}, "backbone_learning_rate must be a number of at least 0"),
        ({"epochs": 0}, "both 0"),
        ({"batch_size": 0}, "batch_size"),
        ({"dropout": 1.0}, "dropout"),
        ({"box_loss_weight": -1}, "box_loss_weight"),
        ({"class_loss_weight": float("nan")}, "class_loss_weight"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"early_stopping": True, "validation_fraction": 0}, "early_stopping"),
        ({"engine": "magic"}, "engine"),
        ({"augment": "blur"}, "augment"),
        ({"image_size": "big"}, "image_size"),
        ({"image_size": (32, 0)}, "image_size"),
        ({"box_head": "round"}, "box_head"),
        ({"box_loss": "l7"}, "box_loss"),
        ({"backbone": "mobilnet"}, "Did you mean"),
        ({"backbone": 3}, "backbone must be"),
        ({"verbose": 2}, "verbose"),
        ({"preprocessing": "imagenet"}, "preprocessing"),
        ({"class_weight": {"disc": float("nan")}}, "class_weight .* 'disc': nan"),
        ({"class_weight": {"disc": -1.0}}, "class_weight .* 'disc': -1.0"),
        # The least positive float32 is 1.4e-45.
        ({"class_weight": {"disc": 1e-46}}, "class_weight .* 0 .* float32.* 'disc': 1e-46"),
        ({"class_weight": {"disc": 1e39}}, "class_weight .* infinity .* 'disc': 1e[+]39"),
        ({"class_weight": [1.0, 2.0]}, "class_weight must be 'balanced', None, or a dict"),
    ],
)
def test_a_wrong_parameter_is_named_and_nothing_is_fitted(shapes, wrong, message):
    localizer = small_localizer(**wrong)
    with pytest.raises(ValueError, match=message):
        localizer.fit(*shapes)
    assert not hasattr(localizer, "classes_")


class Uncopied(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.lines = (line for line in "a generator cannot be copied")


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"random_state": 1.5}, "random_state must be an integer of at least 0"),
        ({"random_state": -1}, "random_state must be an integer of at least 0"),
        ({"random_state": "0"}, "random_state must be an integer of at least 0"),
        ({"random_state": np.random.default_rng(0)}, "random_state must be .*RandomState"),
        ({"callbacks": keras.callbacks.History()}, "callbacks must be a list"),
        ({"callbacks": [None]}, r"callbacks\[0\]: None"),
        ({"callbacks": [keras.callbacks.History(), 3]}, r"callbacks\[1\]: 3"),
        ({"callbacks": [lambda: None]}, r"callbacks\[0\] is a function that must return"),
        ({"callbacks": [Uncopied()]}, r"callbacks\[0\], a Uncopied, cannot be copied.*function"),
    ],
)
def test_a_wrong_parameter_is_refused_before_a_network_is_built(shapes, wrong, message):
    def build():
        raise AssertionError("a network was built")

    with pytest.raises(ValueError, match=message):
        small_localizer(backbone=build, **wrong).fit(*shapes)


def test_weights_that_are_0_in_float32_are_refused(shapes):
    X, y = shapes
    weights = np.where(np.arange(48) == 7, 1e-46, 1.0)
    with pytest.raises(ValueError, match=r"sample_weight .*float32.*1e-46 in row 7"):
        small_localizer().fit(X, y, sample_weight=weights)
    with pytest.raises(ValueError, match=r"times class_weight is 0 in every row"):
        small_localizer(class_weight=dict.fromkeys(set(y["class_name"]), 0.0)).fit(X, y)


def test_an_unreadable_image_leaves_the_estimator_unfitted(shapes, tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    X = [*shapes[0][:5], tmp_path / "text.jpg"]
    localizer = small_localizer()
    with pytest.raises(ImageError, match=r"Row 5: .*text\.jpg"):
        localizer.fit(X, shapes[1][:6])
    assert not hasattr(localizer, "model_")


def test_an_unreadable_image_that_is_decoded_in_training_is_named(shapes, tmp_path, monkeypatch):
    # Data too large for memory are decoded by the generator, inside Keras's fit.
    monkeypatch.setattr("skbbox.training.sources.DECODED_BYTES", 0)
    X = [*shapes[0][:5], tmp_path / "gone.jpg"]
    with pytest.raises(ImageError, match=r"Row 5: .*gone\.jpg"):
        small_localizer().fit(X, shapes[1][:6])


def test_an_unreadable_image_that_is_decoded_in_validation_is_named(shapes, tmp_path, monkeypatch):
    monkeypatch.setattr("skbbox.training.sources.DECODED_BYTES", 0)
    X, y = shapes
    localizer = small_localizer(validation_fraction=0.3)
    rng = np.random.default_rng(localizer._seed())
    _, rows = split_train_validation(y["class_name"], range(48), 0.3, rng)
    X = [tmp_path / "gone.jpg" if row == rows[0] else image for row, image in enumerate(X)]
    with pytest.raises(ImageError, match=rf"Row {rows[0]}: .*gone\.jpg"):
        localizer.fit(X, y)


@pytest.mark.slow
def test_data_too_large_for_memory_train_the_same_weights(shapes, fitted, monkeypatch):
    monkeypatch.setattr("skbbox.training.sources.DECODED_BYTES", 0)
    assert np.array_equal(weights_of(small_localizer().fit(*shapes)), weights_of(fitted))


@pytest.mark.parametrize(
    "column, value, message",
    [
        ("x_min", np.nan, "Row 2: half a box"),
        ("x_min", 300.0, "Row 2: these look like pixel"),
        ("x_max", 1.1, "Row 2: an edge lies outside"),
        ("x_min", 0.999, "Row 2: the box is inverted"),
        ("class_name", 3, "class_name mixes text with other types"),
    ],
)
def test_a_wrong_row_of_y_is_named(shapes, column, value, message):
    X, y = shapes
    wrong = y.astype({"class_name": object})
    wrong.loc[2, column] = value
    with pytest.raises(BoxError, match=message):
        small_localizer().fit(X, wrong)


def test_lengths_that_differ_are_refused(shapes):
    X, y = shapes
    with pytest.raises(BoxError, match="48 images and 47 rows"):
        small_localizer().fit(X, y[:47])


def test_a_loss_that_is_nan_at_once_is_an_error(shapes):
    def never(y_true, y_pred):
        return keras.ops.mean(y_pred, axis=-1) * float("nan")

    localizer = small_localizer(box_loss=never)
    with pytest.raises(TrainingDivergedError, match="first epoch"):
        localizer.fit(*shapes)
    assert not hasattr(localizer, "model_")


@pytest.mark.backend
def test_a_loss_that_becomes_nan_stops_and_keeps_the_last_good_weights(shapes):
    class Spoil(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                layer = self.model.get_layer("dense_class")
                layer.set_weights([np.full_like(w, np.nan) for w in layer.get_weights()])

    X, y = shapes
    with pytest.warns(DivergenceWarning, match="epoch 3; .*epoch 2 were kept"):
        localizer = small_localizer(
            epochs=5, learning_rate_schedule="constant", callbacks=[Spoil]
        ).fit(X, y)
    assert localizer.n_iter_ == 2
    two_epochs = small_localizer(learning_rate_schedule="constant").fit(X, y)
    assert np.array_equal(weights_of(localizer), weights_of(two_epochs))


class Leap(keras.callbacks.Callback):
    """The last step of an epoch, counted from 0, makes the weights huge."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch, self.seen = epoch, -1

    def on_epoch_begin(self, epoch, logs=None):
        self.seen = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self.seen == self.epoch and batch == self.params["steps"] - 1:
            self.model.optimizer.learning_rate = 1e30


STEADY = {"learning_rate_schedule": "constant", "optimizer": "sgd", "learning_rate": 1e-3}


@pytest.mark.slow
@pytest.mark.parametrize("batch_size", [48, 16], ids=["one batch", "three batches"])
@pytest.mark.parametrize("epochs", [2, 3], ids=["last epoch", "an epoch before"])
def test_weights_that_the_last_step_of_an_epoch_made_huge_are_not_kept(shapes, batch_size, epochs):
    options = {"batch_size": batch_size, **STEADY}
    with pytest.warns(DivergenceWarning, match="epoch 2; .*of epoch 1 were kept"):
        localizer = small_localizer(epochs=epochs, callbacks=[Leap(1)], **options).fit(*shapes)
    assert localizer.n_iter_ == len(localizer.history_["loss"]) == 1
    one_epoch = small_localizer(epochs=1, **options).fit(*shapes)
    assert np.array_equal(weights_of(localizer), weights_of(one_epoch))


def test_a_single_step_that_makes_the_weights_huge_is_an_error(shapes):
    localizer = small_localizer(epochs=1, batch_size=48, callbacks=[Leap(0)], **STEADY)
    with pytest.raises(TrainingDivergedError, match="first epoch"):
        localizer.fit(*shapes)
    assert not hasattr(localizer, "model_")


def test_weights_that_are_nan_where_the_loss_does_not_see_it_are_not_kept(shapes):
    class Spoil(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                for layer in self.model.layers:
                    if isinstance(layer, keras.layers.BatchNormalization):
                        # Training uses the variance of the batch.
                        layer.moving_variance.assign(layer.moving_variance * float("nan"))

    with pytest.warns(DivergenceWarning, match="epoch 2; .*of epoch 1 were kept"):
        localizer = small_localizer(callbacks=[Spoil]).fit(*shapes)
    assert localizer.n_iter_ == 1
    assert all(np.isfinite(w).all() for w in localizer.model_.get_weights())


def test_a_refit_replaces_all_fitted_attributes_at_once(shapes):
    X, y = shapes
    localizer = small_localizer(epochs=1).fit(X, y)
    names = sorted(name for name in vars(localizer) if name.endswith("_") or name[0] == "_")
    old = vars(localizer).copy()
    seen = set()

    def watch(frame, event, arg):
        if frame.f_code.co_filename.endswith("localizer.py"):
            seen.add(tuple(id(vars(localizer)[name]) for name in names))
            return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        localizer.fit(X, y.assign(class_name=y["class_name"] + "s"))
    finally:
        sys.settrace(before)
    new = vars(localizer)
    # Between any two lines, everything is of the first fit or everything is of the second.
    assert seen == {tuple(id(state[name]) for name in names) for state in (old, new)}
    assert old["classes_"].tolist() != new["classes_"].tolist()


def test_a_prediction_during_a_refit_is_that_of_the_old_fit(shapes, monkeypatch):
    X, y = shapes
    localizer = small_localizer(epochs=1).fit(X, y)
    expected = localizer.predict(X)
    run = keras.Model.predict_on_batch
    refits = [y.assign(class_name="s" + y["class_name"])]

    def refit_first(model, batch):
        while refits:
            localizer.fit(X, refits.pop())
        return run(model, batch)

    monkeypatch.setattr(keras.Model, "predict_on_batch", refit_first)
    pd.testing.assert_frame_equal(localizer.predict(X), expected)
    assert localizer.predict(X)["class_name"].str.startswith("s").all()


@pytest.mark.skipif(
    subprocess.run(["which", "dot"], capture_output=True).returncode != 0,
    reason="graphviz's dot is not installed",
)
def test_keras_plots_the_model(fitted, tmp_path):
    pytest.importorskip("pydot")
    keras.utils.plot_model(fitted.model_, tmp_path / "model.png", expand_nested=True)
    assert (tmp_path / "model.png").stat().st_size > 1000
