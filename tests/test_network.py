"""Backbones, preprocessing, weights and the chapter's model."""

import os
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from skbbox import TUTORIAL_PARAMS, SingleBoxLocalizer
from skbbox.datasets import make_shapes
from skbbox.exceptions import WeightsError
from skbbox.network import feature_maps, small_convnet
from skbbox.network.applications import KERAS_MODELS, _get_keras_home
from skbbox.network.box_heads import ChannelDropout, ProfileConvolution
from skbbox.network.building import build_network
from skbbox.network.class_head import average_inside
from skbbox.network.graph import (
    LAST_STAGE,
    describe_architecture,
    get_feature_extractor,
    get_heads,
)
from skbbox.training.compilation import compile_model
from skbbox.training.plan import TrainingSpec


def build(**changes):
    parameters = {
        "backbone": small_convnet,
        "weights": None,
        "frozen": "all",
        "alpha": 0.75,
        "preprocessing": "auto",
        "image_size": (32, 32),
        "neck": 0,
        "box_head": "pooled",
        "n_classes": 3,
        "dropout": 0.7,
        "l2": 0.01,
        "rng": np.random.default_rng(0),
    }
    return build_network(**(parameters | changes))


def pixels(n, size):
    return np.random.default_rng(0).integers(0, 256, (n, *size, 3)).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["mobilenet", "mobilenet_v2", "mobilenet_v3_small", "efficientnet_b0", "resnet50"],
)
def test_backbones_of_keras_applications_give_both_outputs(name):
    model = build(backbone=name)
    probabilities, boxes = model.predict_on_batch(pixels(2, (32, 32)))
    assert probabilities.shape == (2, 3)
    assert boxes.shape == (2, 4)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def edges_at(low, high, length=8):
    """Distributions that are certain of two edges, at multiples of 1/7."""
    edges = np.zeros((1, length, 2), np.float32)
    edges[0, low, 0] = edges[0, high, 1] = 1
    return edges


@pytest.mark.backend
def test_the_class_head_reads_the_mean_inside_the_box():
    features = np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)
    # Columns of centres 0.375, 0.625 and 0.875 lie between 2/7 and 1; only row 0.375 between 1/7
    # and 3/7.
    mean = average_inside(ops.convert_to_tensor(features), edges_at(2, 7), edges_at(1, 3))
    assert float(mean[0, 0]) == pytest.approx((5 + 6 + 7) / 3, abs=0.01)


@pytest.mark.backend
def test_a_box_without_area_has_a_mean():
    features = np.ones((1, 4, 4, 1), np.float32)
    mean = average_inside(ops.convert_to_tensor(features), edges_at(5, 2), edges_at(3, 3))
    assert float(mean[0, 0]) == pytest.approx(1)


def test_the_neck_is_the_map_of_both_heads():
    model = build(backbone="mobilenet", image_size=(64, 64), box_head="spatial", neck=24)
    assert model.get_layer("neck").output.shape[-1] == 24
    # The whole image and the inside of the box, and the inside of the box on the finer map.
    fine = model.get_layer("features_fine").output.shape[-1]
    assert model.get_layer("dense_class").input.shape[-1] == 24 + 24 + fine
    assert model.get_layer("bbox_map2").input.shape[-1] == 24


@pytest.mark.parametrize("name", ["mobilenet", "resnet50"])
def test_a_backbone_gets_the_preprocessing_of_its_own_module(name):
    module = {"mobilenet": keras.applications.mobilenet, "resnet50": keras.applications.resnet}
    model = build(backbone=name)
    images = pixels(2, (32, 32))
    prepared = model.get_layer("preprocessing").predict_on_batch(images)
    assert np.allclose(prepared, module[name].preprocess_input(images.copy()), atol=1e-4)


def test_chapters_model_has_its_layers_in_its_order():
    model = get_heads(build(backbone="mobilenet", n_classes=20))
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    assert {name: kind for name, kind in kinds.items() if kind != "InputLayer"} == {
        "class_pool": "GlobalAveragePooling2D",
        "class_dropout": "Dropout",
        "dense_class": "Dense",
        "class_prediction": "Activation",
        "bbox_conv": "Conv2D",
        "bbox_bn": "BatchNormalization",
        "bbox_relu": "ReLU",
        "bbox_pool": "GlobalAveragePooling2D",
        "bbox_prediction": "Dense",
    }
    assert model.get_layer("class_dropout").rate == 0.7
    assert model.get_layer("bbox_conv").kernel_size == (3, 3)
    assert model.get_layer("bbox_prediction").activation is keras.activations.linear


def test_chapters_model_has_its_parameter_counts():
    model = build(backbone="mobilenet", n_classes=20)
    # MobileNet with alpha 0.75 gives 768 channels and has 1,832,976 parameters
    # without its top (2,601,976 with the classifier's 768,000 + 1,000).
    assert model.get_layer("mobilenet_0.75_None").count_params() == 1_832_976
    assert model.get_layer("dense_class").count_params() == 768 * 20 + 20
    assert model.get_layer("bbox_conv").count_params() == 3 * 3 * 768 * 512 + 512
    assert model.get_layer("bbox_bn").count_params() == 4 * 512
    assert model.get_layer("bbox_prediction").count_params() == 512 * 4 + 4


@pytest.mark.backend
def test_chapters_loss_is_cross_entropy_plus_ten_mse_plus_l2():
    model = build(n_classes=3, dropout=0.0)
    names = ("optimizer", "learning_rate", "box_loss", "class_loss_weight", "box_loss_weight")
    compile_model(model, TrainingSpec(**{name: TUTORIAL_PARAMS[name] for name in names}))
    images = pixels(5, (32, 32))
    y_class = np.array([0, 1, 2, 1, 0])
    y_bbox = np.random.default_rng(1).random((5, 4)).astype("float32")
    reported = model.evaluate(images, (y_class, y_bbox), batch_size=5, verbose=0, return_dict=True)

    probabilities, boxes = (output.astype(np.float64) for output in model.predict_on_batch(images))
    cross_entropy = -np.log(probabilities[np.arange(5), y_class]).mean()
    mse = ((boxes - y_bbox) ** 2).mean()
    squared_weights = (model.get_layer("dense_class").get_weights()[0].astype(float) ** 2).sum()
    expected = 1.0 * cross_entropy + 10.0 * mse + 0.01 * squared_weights
    assert reported["loss"] == pytest.approx(expected, rel=1e-5)
    assert reported["class_prediction_loss"] == pytest.approx(cross_entropy, rel=1e-5)
    assert reported["bbox_prediction_loss"] == pytest.approx(mse, rel=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize("box_head", ["dense", "spatial"])
def test_box_heads_give_edges_within_the_image(box_head):
    _, boxes = build(box_head=box_head).predict_on_batch(pixels(4, (32, 32)))
    assert (boxes >= 0).all()
    assert (boxes <= 1).all()


@pytest.mark.backend
def test_spatial_head_with_equal_probabilities_everywhere_reads_the_middle():
    model = get_heads(build(box_head="spatial", image_size=(32, 32)))
    model.get_layer("bbox_x_edges").set_weights([np.zeros((5, 64, 2)), np.zeros(2)])
    boxes = model.predict_on_batch(np.random.default_rng(0).random((1, 4, 4, 96)))[1]
    # All positions equally likely: the mean of 0, 1/3, 2/3 and 1.
    assert boxes[0, :2] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("side", "sizes"), [(224, (28, 14, 7)), (64, (8, 4, 2)), (32, (4, 2, 1)), (100, (12, 6, 3))]
)
def test_spatial_features_are_two_maps_and_the_profiles_of_a_finer_one(side, sizes):
    # MobileNet's strides 8, 16 and 32, with 0.75 of its 256, 512 and 1024 channels.
    features = get_feature_extractor(
        build(backbone="mobilenet", image_size=(side, side), box_head="spatial")
    )
    eight, sixteen, thirty_two = sizes
    assert features.output_shape == [
        (None, eight, 2 * 192),
        (None, eight, 2 * 192),
        (None, sixteen, sixteen, 384),
        (None, thirty_two, thirty_two, 768),
    ]


@pytest.fixture(scope="module")
def mobilenet():
    return of_application("MobileNet")


def test_the_finer_features_of_a_frozen_backbone_have_half_of_the_channels(mobilenet):
    model = build(backbone=mobilenet, weights="imagenet", image_size=(64, 64), box_head="spatial")
    # MobileNet's strides 8, 16 and 32, with 256, 512 and 1024 channels; a profile has two of each.
    assert get_feature_extractor(model).output_shape == [
        (None, 8, 256),
        (None, 8, 256),
        (None, 4, 4, 256),
        (None, 2, 2, 1024),
    ]


def test_features_of_few_channels_are_not_projected():
    model = build(weights="imagenet", box_head="spatial")
    assert not any(isinstance(layer, keras.layers.Dense) for layer in features_of(model))


@pytest.mark.parametrize("frozen", ["early", "none"])
def test_features_of_a_trained_backbone_are_not_projected(mobilenet, frozen):
    options = {"weights": "imagenet", "image_size": (64, 64), "box_head": "spatial"}
    model = build(backbone=mobilenet, frozen=frozen, **options)
    assert not any(isinstance(layer, keras.layers.Dense) for layer in features_of(model))


def features_of(model):
    return [layer for layer in model.layers if layer.name.startswith("features")]


def kernel_of_projection(backbone, rng):
    model = build(
        backbone=backbone,
        weights="imagenet",
        image_size=(64, 64),
        box_head="spatial",
        rng=np.random.default_rng(rng),
    )
    return model.get_layer("features_fine").get_weights()[0]


def test_components_are_orthonormal(mobilenet):
    kernel = kernel_of_projection(mobilenet, 0)
    assert np.allclose(kernel.T @ kernel, np.eye(256), atol=1e-5)


def test_a_projection_does_not_depend_on_random_state(mobilenet):
    first = kernel_of_projection(mobilenet, 0)
    feature_maps._kernels.clear()
    assert np.array_equal(first, kernel_of_projection(mobilenet, 1))


def test_components_are_in_the_order_of_their_variance_which_is_that_of_the_values():
    rng = np.random.default_rng(0)
    # Column 299 varies most, then 298, and so on.
    values = rng.normal(size=(5000, 300)) * np.linspace(1, 40, 300)
    components = feature_maps._compute_components(values)
    assert components.shape == (300, 150)
    assert np.abs(components[:150]).max() < 0.5
    assert np.argmax(np.abs(components[:, 0])) > 250


def test_spatial_head_refuses_a_map_of_one_column():
    with pytest.raises(
        ValueError, match=r"at least 2 x 2 positions; this backbone outputs \(8, 1\)"
    ):
        build(box_head="spatial", image_size=(64, 8))


def test_no_map_is_finer_than_stride_8():
    def patches(input_shape):
        image = keras.Input(input_shape)
        x = keras.layers.Rescaling(1 / 255)(image)
        return keras.Model(image, keras.layers.Conv2D(8, 16, 16)(x))

    features = get_feature_extractor(
        build(backbone=patches, box_head="spatial", image_size=(64, 64))
    )
    assert features.output_shape == (None, 4, 4, 8)


@pytest.mark.backend
def test_spatial_head_reads_edges_at_the_pixels_of_the_finest_map():
    model = build(backbone="mobilenet", image_size=(64, 96), box_head="spatial")
    assert model.get_layer("bbox_x_distribution").output.shape == (None, 12, 2)
    assert model.get_layer("bbox_y_distribution").output.shape == (None, 8, 2)


@pytest.mark.backend
def test_spatial_head_takes_maps_whose_sizes_do_not_divide_one_another():
    # 72 pixels: 9, 4 and 2 columns.
    model = build(backbone="mobilenet", image_size=(72, 72), box_head="spatial")
    boxes = model.predict_on_batch(pixels(2, (72, 72)))[1]
    assert ((boxes >= 0) & (boxes <= 1)).all()
    assert (boxes[:, ::2] <= boxes[:, 1::2]).all()


def test_without_classes_there_is_one_output():
    assert [o.shape for o in build(n_classes=None).outputs] == [(None, 4)]


def test_backbone_with_weights_is_frozen_and_without_is_not(tmp_path):
    backbone = small_convnet((32, 32, 3))
    backbone.save_weights(tmp_path / "small.weights.h5")
    assert not build(weights=tmp_path / "small.weights.h5").get_layer("small_convnet").trainable
    assert build(weights=None).get_layer("small_convnet").trainable


def of_application(name, size=64):
    """A model of keras.applications with random weights; as a backbone, it keeps them."""
    function = getattr(keras.applications, name)
    return function(include_top=False, weights=None, input_shape=(size, size, 3))


def early(backbone, **changes):
    return build(backbone=backbone, weights="imagenet", frozen="early", **changes)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "first_trained"),
    [
        ("MobileNet", "conv_dw_12"),
        ("MobileNetV2", "block_13_depthwise"),
        ("MobileNetV3Small", "expanded_conv_8_depthwise"),
        ("EfficientNetB0", "block6a_dwconv"),
        ("ResNet50", "conv5_block1_1_conv"),
    ],
)
@pytest.mark.parametrize("box_head", ["spatial", "pooled"])
def test_the_last_stage_begins_at_the_second_coarsest_map(name, first_trained, box_head):
    model = early(of_application(name), box_head=box_head, image_size=(64, 64))
    last_stage = model.get_layer(LAST_STAGE)
    assert first_trained in {layer.name for layer in last_stage.layers[:4]}
    # Strides 16 and 32.
    assert last_stage.input_shape[1:3] == (4, 4)
    assert last_stage.output_shape[1:3] == (2, 2)


def test_features_before_the_last_stage_are_those_of_the_finer_maps():
    model = early(of_application("MobileNet"), box_head="spatial", image_size=(64, 64))
    # Strides 8 and 16 of MobileNet; its coarsest map of stride 32 is not among them.
    assert get_feature_extractor(model).output_shape == [
        (None, 8, 2 * 256),
        (None, 8, 2 * 256),
        (None, 4, 4, 512),
    ]


@pytest.mark.parametrize("box_head", ["dense", "pooled"])
def test_heads_of_one_map_keep_the_features_before_the_last_stage_alone(box_head):
    # conv2 has stride 4, and 32 channels.
    assert get_feature_extractor(early(small_convnet, box_head=box_head)).output_shape == (
        (None, 8, 8, 32)
    )


def whole_and_split(backbone, **options):
    """Equal models whose backbone is one part, and is split before its last stage."""
    return [
        build(
            backbone=backbone,
            weights="imagenet",
            frozen=frozen,
            rng=np.random.default_rng(0),
            **options,
        )
        for frozen in ("none", "early")
    ]


@pytest.mark.backend
@pytest.mark.parametrize("box_head", ["spatial", "pooled"])
def test_a_trainable_last_stage_changes_no_output(box_head):
    images = pixels(2, (32, 32))
    whole, split = (
        model.predict_on_batch(images)
        for model in whole_and_split(small_convnet((32, 32, 3)), box_head=box_head)
    )
    assert all(np.allclose(a, b, atol=1e-6) for a, b in zip(whole, split, strict=True))


def test_weights_have_the_same_order_with_a_trainable_last_stage():
    backbone = of_application("MobileNetV2")
    whole, split = whole_and_split(backbone, box_head="spatial", image_size=(64, 64))
    pairs = zip(whole.get_weights(), split.get_weights(), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("frozen", "trained"),
    [
        ("all", set()),
        ("early", {"conv3", "conv4", "conv5"}),
        ("none", {"conv1", "conv2", "conv3", "conv4", "conv5"}),
    ],
)
def test_the_layers_that_are_not_frozen_are_trained_except_for_batchnorm(frozen, trained):
    model = build(weights="imagenet", frozen=frozen)
    nested = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    layers = [inner for layer in nested for inner in layer.layers if layer.trainable]
    assert {layer.name for layer in layers if layer.trainable_weights} == trained


def test_frozen_has_no_influence_on_a_new_backbone():
    all_, early_, none = (
        describe_architecture(build(weights=None, frozen=frozen))
        for frozen in ("all", "early", "none")
    )
    assert all_ == early_ == none


def test_a_pooled_last_map_has_a_last_stage_with_weights():
    image = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, strides=4, name="first")(image)
    x = keras.layers.Conv2D(4, 3, padding="same", name="second")(x)
    backbone = keras.Model(image, keras.layers.MaxPooling2D()(x))
    assert "second" in {layer.name for layer in early(backbone).get_layer(LAST_STAGE).layers}


class Subclassed(keras.Model):
    input_shape = (None, 32, 32, 3)

    def __init__(self):
        super().__init__(name="mine")
        self.convolution = keras.layers.Conv2D(4, 8, 8)

    def call(self, images):
        return self.convolution(images)

    def compute_output_shape(self, shape):
        return self.convolution.compute_output_shape(shape)


def two_branches(shape):
    image = keras.Input(shape)
    branches = [keras.layers.Conv2D(4, 4, 4, name=f"branch{i}")(image) for i in (1, 2)]
    ends = [keras.layers.Conv2D(4, 2, 2)(x) for x in branches]
    return keras.Model(image, keras.layers.Add()(ends), name="branches")


def one_layer(shape):
    image = keras.Input(shape)
    return keras.Model(image, keras.layers.Conv2D(4, 8, 8, name="only")(image), name="single")


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (Subclassed, "mine is a subclassed model"),
        (two_branches, "of the backbone branches .* at the layers branch1 to branch2"),
        (one_layer, "of the backbone single .* at the layers none"),
    ],
)
def test_a_backbone_without_visible_stages_cannot_train_the_last(backbone, message):
    with pytest.raises(ValueError, match=f"frozen='early' needs.*{message}.*Pass frozen='all'"):
        early(backbone)


def test_weights_of_a_path_are_loaded(tmp_path):
    backbone = small_convnet((32, 32, 3))
    backbone.save_weights(tmp_path / "small.weights.h5")
    loaded = build(weights=tmp_path / "small.weights.h5").get_layer("small_convnet")
    assert all(map(np.array_equal, backbone.get_weights(), loaded.get_weights()))


def test_weights_may_have_a_path_with_a_tilde(tmp_path, monkeypatch):
    backbone = small_convnet((32, 32, 3))
    backbone.save_weights(tmp_path / "small.weights.h5")
    monkeypatch.setenv("HOME", str(tmp_path))
    loaded = build(weights="~/small.weights.h5").get_layer("small_convnet")
    assert all(map(np.array_equal, backbone.get_weights(), loaded.get_weights()))


@pytest.mark.backend
def test_a_model_given_as_backbone_is_copied_with_its_weights():
    backbone = small_convnet((32, 32, 3))
    copy = build(backbone=backbone, weights="imagenet").get_layer("small_convnet")
    assert copy is not backbone
    assert backbone.trainable
    assert not copy.trainable
    assert all(map(np.array_equal, backbone.get_weights(), copy.get_weights()))


@pytest.mark.parametrize(
    "build_backbone",
    [
        lambda: small_convnet((32, 32, 3)),
        lambda shape: small_convnet(shape),
        lambda *, input_shape: small_convnet(input_shape),
        keras.applications.MobileNet,
    ],
)
def test_a_callable_builds_the_backbone(build_backbone):
    assert build(backbone=build_backbone).predict_on_batch(pixels(1, (32, 32)))[1].shape == (1, 4)


def test_a_callable_that_does_not_return_a_model_is_refused():
    with pytest.raises(ValueError, match=r"must return a keras.Model. Received: 'mobilenet'"):
        build(backbone=lambda shape: "mobilenet")


def test_an_unknown_preprocessing_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'tf', 'torch', 'caffe'.*Received: 'keras'"):
        build(preprocessing="keras")


@pytest.mark.backend
def test_a_backbone_with_rescaling_receives_unchanged_pixels():
    images = pixels(1, (32, 32))
    prepared = build().get_layer("preprocessing").predict_on_batch(images)
    assert np.array_equal(prepared, images)


@pytest.mark.backend
def test_a_backbone_without_rescaling_receives_minus_one_to_one():
    backbone = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 8, 8)])
    prepared = build(backbone=backbone).get_layer("preprocessing")
    for value, expected in ((0.0, -1.0), (255.0, 1.0)):
        received = prepared.predict_on_batch(np.full((1, 32, 32, 3), value))
        assert np.allclose(received, expected)


@pytest.mark.backend
def test_same_generator_state_gives_the_same_initial_weights():
    first, second = (
        build(backbone="mobilenet", rng=np.random.default_rng(3)).get_weights() for _ in range(2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_layers_do_not_share_a_seed():
    model = build(backbone="mobilenet")
    kernels = [w for w in model.get_weights() if w.ndim == 4 and w.shape[:2] == (1, 1)]
    pairs = [(a, b) for i, a in enumerate(kernels) for b in kernels[:i] if a.shape == b.shape]
    assert pairs
    assert not any(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.backend
def test_building_does_not_change_pythons_random_state():
    before = random.getstate()
    build(backbone="mobilenet")
    assert random.getstate() == before


@pytest.mark.backend
@pytest.mark.parametrize("backbone", [small_convnet, "mobilenet"])
def test_feature_extractor_and_heads_compose_to_the_model(backbone):
    model = build(backbone=backbone, box_head="spatial")
    images = pixels(3, (32, 32))
    features = get_feature_extractor(model).predict_on_batch(images)
    for whole, part in zip(
        model.predict_on_batch(images), get_heads(model).predict_on_batch(features), strict=True
    ):
        assert np.allclose(whole, part, atol=1e-6)


def test_an_unknown_backbone_is_refused_with_near_names():
    with pytest.raises(ValueError, match=r"Did you mean .*'mobilenet'"):
        build(backbone="mobilnet")


@pytest.mark.parametrize("name, side", [("mobilenet", 31), ("xception", 70)])
def test_an_image_size_below_the_backbones_minimum_is_refused(name, side):
    with pytest.raises(ValueError, match=f"image_size must be at least {side + 1}"):
        build(backbone=name, image_size=(side, 224))


def test_an_image_size_other_than_the_backbones_is_refused():
    with pytest.raises(ValueError, match=r"pass image_size=\(32, 32\)"):
        build(backbone=small_convnet((32, 32, 3)), image_size=(48, 48))


def test_a_backbone_that_pools_is_refused():
    backbone = keras.applications.MobileNet(
        input_shape=(32, 32, 3), include_top=False, pooling="avg", weights=None
    )
    with pytest.raises(ValueError, match="one feature map"):
        build(backbone=backbone)


def test_missing_imagenet_weights_name_file_folder_and_fix(monkeypatch):
    # A proxy that refuses connections simulates a machine without a network.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(WeightsError) as caught:
        build(backbone="mobilenet", weights="imagenet", alpha=0.25)
    message = str(caught.value)
    assert "mobilenet_2_5_224_tf_no_top.h5" in message
    assert str(KERAS_MODELS) in message
    assert "weights=None" in message


@pytest.mark.parametrize("weights", ["nowhere.h5", 3, os.curdir])
def test_weights_that_are_not_a_file_are_refused(weights):
    with pytest.raises(WeightsError, match="not a file"):
        build(backbone="mobilenet", weights=weights)


def test_a_file_without_weights_is_refused_by_name(tmp_path):
    (tmp_path / "text.weights.h5").write_text("not weights")
    with pytest.raises(WeightsError, match=r"text\.weights\.h5 does not contain weights"):
        build(backbone="mobilenet", weights=tmp_path / "text.weights.h5")


@pytest.mark.backend
def test_profile_convolution_equals_conv1d_of_the_concatenated_stretched_profiles():
    rng = np.random.default_rng(0)
    coarse, fine = (rng.normal(size=(2, *shape)).astype("float32") for shape in [(3, 4), (6, 5)])
    layer = ProfileConvolution(7, 5)
    layer.build([coarse.shape, fine.shape])
    plain = keras.layers.Conv1D(7, 5, padding="same")
    together = np.concatenate([np.repeat(coarse, 2, axis=1), fine], axis=-1)
    plain.build(together.shape)
    layer.bias.assign(rng.normal(size=7))
    plain.set_weights(layer.get_weights())
    received, expected = layer([coarse, fine]), plain(together)
    assert np.allclose(*map(keras.ops.convert_to_numpy, (received, expected)), atol=1e-5)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("shape", "plain"),
    [
        ((3, 5, 6), keras.layers.SpatialDropout1D),
        ((3, 4, 5, 6), keras.layers.SpatialDropout2D),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_channel_dropout_equals_spatial_dropout(shape, plain, training):
    values = np.random.default_rng(0).normal(size=shape).astype("float32")
    received, expected = (
        keras.ops.convert_to_numpy(layer(0.4, seed=3)(values, training=training))
        for layer in (ChannelDropout, plain)
    )
    assert np.allclose(received, expected, rtol=1e-6, atol=0)
    assert (received == 0).any() == training


@pytest.mark.slow
def test_the_dense_head_does_not_collapse_to_one_box_for_all_images(tmp_path):
    X, y = make_shapes(200, image_size=32, random_state=0)
    weights = tmp_path / "backbone.weights.h5"
    build().get_layer("small_convnet").save_weights(weights)
    localizer = SingleBoxLocalizer(
        backbone=small_convnet,
        weights=weights,
        image_size=32,
        box_head="dense",
        learning_rate=0.02,
        epochs=20,
        batch_size=16,
        augment=None,
        random_state=0,
    ).fit(X, y)
    assert localizer.predict(X)[["x_min", "y_min"]].std().min() > 0.05


@pytest.mark.backend
def test_a_stretched_profile_repeats_the_nearest_position():
    # Centres of 9 positions in 4: 1/18 * 4 = 0.2, 0.7, 1.1, 1.6, 2, 2.4, 2.9, 3.3, 3.8.
    layer = ProfileConvolution(1, 1, use_bias=False, kernel_initializer="ones")
    profile = np.arange(4.0, dtype="float32").reshape(1, 4, 1)
    received = layer([profile, np.zeros((1, 9, 1), "float32")])
    assert keras.ops.convert_to_numpy(received).ravel().tolist() == [0, 0, 1, 1, 2, 2, 2, 3, 3]


@pytest.mark.backend
@pytest.mark.parametrize("weights", ["imagenet", None])
def test_a_backbone_keeps_its_adapted_normalization(weights):
    normalization = keras.layers.Normalization()
    normalization.adapt(pixels(4, (32, 32)) * [1, 2, 3])
    backbone = keras.Sequential([keras.Input((32, 32, 3)), normalization])
    model = build(backbone=backbone, weights=weights)
    images = pixels(2, (32, 32))
    features = get_feature_extractor(model).predict_on_batch(images)
    assert np.allclose(features, backbone.predict_on_batch(images), atol=1e-5)


def test_threads_can_describe_the_same_network(fitted):
    network = get_heads(fitted.model_)
    interval = sys.getswitchinterval()
    # Switch often, so that threads are interrupted while they read the graph.
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            texts = list(threads.map(lambda _: describe_architecture(network), range(200)))
    finally:
        sys.setswitchinterval(interval)
    assert set(texts) == {describe_architecture(network)}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [({"KERAS_HOME": "/data/keras"}, "/data/keras"), ({}, "/tmp/.keras")],
)
def test_weights_are_found_without_home_and_passwd(monkeypatch, variables, expected):
    pwd = pytest.importorskip("pwd")

    def refuse(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", refuse)
    monkeypatch.setattr(os, "environ", variables)
    assert _get_keras_home() == Path(expected)
