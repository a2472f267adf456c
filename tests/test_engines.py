"""Networks made ready for prediction."""

import random

import keras
import numpy as np
import pytest
from keras import layers

from skbbox.engines import folded, prepared
from skbbox.network import build_network, feature_extractor


def settled(model):
    """The model with other weights in its BatchNorms than those that change nothing."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            settled(layer)
        elif isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


def norms(model):
    if isinstance(model, keras.Model):
        return [norm for layer in model.layers for norm in norms(layer)]
    return [model] if isinstance(model, layers.BatchNormalization) else []


def pixels(n, size):
    return np.random.default_rng(1).integers(0, 256, (n, size, size, 3)).astype("float32")


def extractor(backbone, size):
    return feature_extractor(
        build_network(
            backbone=backbone,
            weights=None,
            alpha=0.25,
            preprocessing="auto",
            image_size=(size, size),
            box_head="spatial",
            n_classes=2,
            dropout=0.2,
            l2=0.001,
            rng=np.random.default_rng(0),
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["mobilenet", "mobilenet_v2", "efficientnet_b0", "resnet50"])
def test_a_folded_extractor_gives_the_features_of_the_extractor(backbone):
    model = settled(extractor(backbone, 64))
    images = pixels(2, 64)
    for expected, received in zip(
        model.predict_on_batch(images), folded(model).predict_on_batch(images), strict=True
    ):
        assert np.abs(received - expected).max() < 1e-4 * np.abs(expected).max()


def test_no_batch_norm_of_a_mobilenet_is_left():
    assert norms(folded(extractor("mobilenet", 64))) == []


def test_scale_and_shift_enter_the_convolution_as_worked_out_by_hand():
    image = keras.Input((1, 1, 1))
    convolution = layers.Conv2D(1, 1, bias_initializer="ones", kernel_initializer="ones")
    norm = layers.BatchNormalization(epsilon=0.0)
    model = keras.Model(image, norm(convolution(image)))
    # gamma 3, beta 5, mean 2, variance 4: (x + 1 - 2) / 2 * 3 + 5 = 1.5 x + 3.5.
    norm.set_weights([np.array([value]) for value in (3.0, 5.0, 2.0, 4.0)])
    kernel, bias = folded(model).get_weights()
    assert kernel.item() == 1.5
    assert bias.item() == 3.5


def test_a_convolution_that_something_else_sees_too_keeps_its_batch_norm():
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(3, 1)(image)
    model = settled(keras.Model(image, layers.Add()([x, layers.BatchNormalization()(x)])))
    copy = folded(model)
    assert len(norms(copy)) == 1
    images = pixels(2, 4)
    assert np.array_equal(copy.predict_on_batch(images), model.predict_on_batch(images))


def test_a_convolution_whose_output_is_one_of_the_model_keeps_its_batch_norm():
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(3, 1)(image)
    model = settled(keras.Model(image, [x, layers.BatchNormalization()(x)]))
    assert len(norms(folded(model))) == 1


def adapted(*more):
    """A model that measured its images, each channel in its own range."""
    normalization = layers.Normalization()
    normalization.adapt(pixels(4, 8) * [1, 2, 3])
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), normalization, layers.Conv2D(4, 3), layers.BatchNormalization()]
    )
    return settled(keras.Sequential([keras.Input((8, 8, 3)), model, *more]))


@pytest.mark.parametrize(
    "model",
    [
        lambda: adapted(),
        lambda: adapted(layers.Lambda(lambda x: 2 * x)),
        # The name of a layer inside the model beside it.
        lambda: adapted(layers.Conv2D(2, 1, name="normalization")),
    ],
    ids=["measured", "of functions", "of equal names"],
)
def test_models_within_a_model_are_folded(model):
    model, images = model(), pixels(2, 8)
    copy = folded(model)
    assert norms(copy) == []
    expected = model.predict_on_batch(images)
    assert np.abs(copy.predict_on_batch(images) - expected).max() < 1e-4 * np.abs(expected).max()


def test_folding_leaves_the_global_random_state_alone():
    model = extractor("mobilenet", 32)
    before = random.getstate()
    folded(model)
    assert random.getstate() == before


def test_an_activation_between_convolution_and_batch_norm_keeps_both():
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(3, 1, activation="relu")(image)
    model = settled(keras.Model(image, layers.BatchNormalization()(x)))
    assert len(norms(folded(model))) == 1


def test_the_model_that_was_folded_stays_as_it_was():
    model = settled(extractor("mobilenet", 32))
    before = model.get_weights()
    folded(model)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_a_network_is_made_ready_once():
    model = settled(extractor("mobilenet", 32))
    assert prepared(model, "identity") is prepared(model, "identity")


def test_the_networks_that_were_used_last_are_kept(monkeypatch):
    monkeypatch.setattr("skbbox.engines.N_PREPARED", 2)
    model = settled(extractor("mobilenet", 32))
    first, _, again, _ = (prepared(model, identity) for identity in "abac")
    assert first is again
    assert prepared(model, "a") is first
