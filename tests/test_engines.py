"""Networks prepared for prediction, and the engines that run them."""

import copy
import random
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from helpers import predicted_numbers, small_localizer
from keras import layers
from sklearn.base import clone

from skbbox import SingleBoxLocalizer, iou, one_box_per_image
from skbbox.boxes import COORDINATES
from skbbox.datasets import load_annotated_folder
from skbbox.engines.folding import fold_batch_norm
from skbbox.engines.registry import ENGINES, get_engine
from skbbox.engines.runners import get_runner
from skbbox.exceptions import EngineError, MissingPackageError, SkbboxWarning
from skbbox.features import forget_features
from skbbox.network.building import build_network
from skbbox.network.graph import get_feature_extractor


def settled(model):
    """The model with BatchNorm weights that are not the identity."""
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
    return get_feature_extractor(
        build_network(
            backbone=backbone,
            weights=None,
            frozen="none",
            alpha=0.25,
            preprocessing="auto",
            image_size=(size, size),
            neck=0,
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
        model.predict_on_batch(images), fold_batch_norm(model).predict_on_batch(images), strict=True
    ):
        assert np.abs(received - expected).max() < 1e-4 * np.abs(expected).max()


def test_no_batch_norm_of_a_mobilenet_is_left():
    assert norms(fold_batch_norm(extractor("mobilenet", 64))) == []


def test_scale_and_shift_enter_the_convolution_as_worked_out_by_hand():
    image = keras.Input((1, 1, 1))
    convolution = layers.Conv2D(1, 1, bias_initializer="ones", kernel_initializer="ones")
    norm = layers.BatchNormalization(epsilon=0.0)
    model = keras.Model(image, norm(convolution(image)))
    # gamma 3, beta 5, mean 2, variance 4: (x + 1 - 2) / 2 * 3 + 5 = 1.5 x + 3.5.
    norm.set_weights([np.array([value]) for value in (3.0, 5.0, 2.0, 4.0)])
    kernel, bias = fold_batch_norm(model).get_weights()
    assert kernel.item() == 1.5
    assert bias.item() == 3.5


def test_a_convolution_with_another_user_keeps_its_batch_norm():
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(3, 1)(image)
    model = settled(keras.Model(image, layers.Add()([x, layers.BatchNormalization()(x)])))
    copy = fold_batch_norm(model)
    assert len(norms(copy)) == 1
    images = pixels(2, 4)
    assert np.array_equal(copy.predict_on_batch(images), model.predict_on_batch(images))


def test_a_convolution_that_is_an_output_keeps_its_batch_norm():
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(3, 1)(image)
    model = settled(keras.Model(image, [x, layers.BatchNormalization()(x)]))
    copy, images = fold_batch_norm(model), pixels(2, 4)
    assert len(norms(copy)) == 1
    for received, expected in zip(
        copy.predict_on_batch(images), model.predict_on_batch(images), strict=True
    ):
        assert np.array_equal(received, expected)


def adapted(*more):
    """A model with a Normalization that was adapted to images with a range per channel."""
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
        # It has the name of a layer in the nested model.
        lambda: adapted(layers.Conv2D(2, 1, name="normalization")),
    ],
    ids=["measured", "of functions", "of equal names"],
)
def test_models_within_a_model_are_folded(model):
    model, images = model(), pixels(2, 8)
    copy = fold_batch_norm(model)
    assert norms(copy) == []
    expected = model.predict_on_batch(images)
    assert np.abs(copy.predict_on_batch(images) - expected).max() < 1e-4 * np.abs(expected).max()


def test_folding_leaves_the_global_random_state_alone():
    model = extractor("mobilenet", 32)
    before = random.getstate()
    fold_batch_norm(model)
    assert random.getstate() == before


def test_an_activation_between_convolution_and_batch_norm_keeps_both():
    image = keras.Input((4, 4, 3))
    x = layers.Conv2D(3, 1, activation="relu")(image)
    model = settled(keras.Model(image, layers.BatchNormalization()(x)))
    copy = fold_batch_norm(model)
    assert len(norms(copy)) == 1
    images = pixels(2, 4)
    assert np.array_equal(copy.predict_on_batch(images), model.predict_on_batch(images))


def test_folding_does_not_change_the_model():
    model = settled(extractor("mobilenet", 32))
    before = model.get_weights()
    fold_batch_norm(model)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_a_network_is_prepared_once():
    model = settled(extractor("mobilenet", 32))
    assert get_runner(model, "identity", "keras") is get_runner(model, "identity", "keras")


def test_the_least_recently_used_runner_is_evicted(monkeypatch):
    monkeypatch.setattr("skbbox.engines.runners.N_RUNNERS", 2)
    model = settled(extractor("mobilenet", 32))
    first, second, again, _ = (get_runner(model, identity, "keras") for identity in "abac")
    assert first is again
    assert get_runner(model, "a", "keras") is first
    assert get_runner(model, "b", "keras") is not second


def installed(engine):
    """The engine; skips the test if it is not installed or cannot run on this backend."""
    if engine != "keras" and keras.backend.backend() == "jax":
        pytest.skip(f"{engine} takes no network of JAX")
    try:
        return get_engine(engine)
    except EngineError as error:
        pytest.skip(str(error))


CONVERTING = pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])


@CONVERTING
def test_an_engine_gives_the_features_that_keras_gives(engine):
    model, images = settled(extractor("mobilenet", 64)), pixels(5, 64)
    run = get_runner(model, "features", installed(engine))
    for expected, received in zip(
        model.predict_on_batch(images), run(images.astype(np.uint8), 5), strict=True
    ):
        assert received.dtype == np.float32
        assert np.abs(received - expected).max() < 1e-4 * np.abs(expected).max()


@CONVERTING
def test_an_engine_includes_the_constants_of_a_network(engine):
    image = keras.Input((8, 8, 3))
    # A tensor, as in Keras's own preprocessing, not an array.
    x = image - keras.ops.convert_to_tensor(np.array([100, 120, 140], np.float32))
    x = layers.Normalization(mean=[1, 2, 3], variance=[4, 5, 6])(x)
    model, images = keras.Model(image, layers.Conv2D(4, 3)(x)), pixels(2, 8)
    (received,) = get_runner(model, "constants", installed(engine))(images.astype(np.uint8), 2)
    assert np.allclose(received, model.predict_on_batch(images), rtol=1e-4, atol=1e-3)


@CONVERTING
def test_an_engine_does_not_augment_images(engine):
    image = keras.Input((8, 8, 3))
    x = layers.RandomFlip("horizontal", seed=0)(image)
    model = keras.Model(image, layers.Conv2D(4, 3)(layers.GaussianNoise(1.0, seed=0)(x)))
    run, images = get_runner(model, "augments", installed(engine)), pixels(8, 8)
    (received,) = run(images.astype(np.uint8), 8)
    assert np.allclose(received, model.predict_on_batch(images), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_features_of_an_image_do_not_depend_on_other_images(engine):
    model, images = settled(extractor("mobilenet", 64)), pixels(5, 64)
    run = get_runner(model, "alone", installed(engine))
    together, alone = (run(some.astype(np.uint8), 8) for some in (images, images[3:4]))
    for several, one in zip(together, alone, strict=True):
        assert np.array_equal(several[3], one[0])


@pytest.mark.parametrize("engine", ENGINES)
def test_outputs_of_an_engine_do_not_change_when_it_runs_again(engine):
    model, images = settled(extractor("mobilenet", 64)), pixels(24, 64).astype(np.uint8)
    run = get_runner(model, "runs again", installed(engine))
    alone = [run(images[row : row + 1], 1) for row in range(24)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda first: run(images[first : first + 3], 3), range(0, 24, 3)))
    for row, expected in enumerate(alone):
        batch, place = divmod(row, 3)
        for part, one in zip(together[batch], expected, strict=True):
            # Keras may add in another order for another batch size.
            assert np.allclose(part[place], one[0], rtol=1e-4, atol=1e-4)


def trained(shapes, **changes):
    return small_localizer(**changes).fit(*shapes)


@pytest.mark.slow
@CONVERTING
@pytest.mark.parametrize("box_head", ["spatial", "dense", "pooled"])
def test_a_complete_network_predicts_the_same_on_every_engine(shapes, engine, box_head):
    if (engine, box_head, keras.backend.backend()) == ("onnxruntime", "dense", "torch"):
        pytest.skip("PyTorch does not convert Keras's LayerNormalization to ONNX")
    localizer = trained(shapes, box_head=box_head, engine=installed(engine))
    converted = predicted_numbers(localizer, shapes[0])
    by_keras = predicted_numbers(localizer.set_params(engine="keras"), shapes[0])
    assert np.abs(converted - by_keras).max() < 1e-4


@pytest.fixture(scope="module")
def on_real_images(shared):
    """An estimator fitted to photographs, and others with their boxes."""
    X, y = one_box_per_image(load_annotated_folder(shared / "datasets" / "asl_letters"))
    rows = np.random.default_rng(0).permutation(len(X))[:500]
    X, y = X.iloc[rows], y.iloc[rows]
    localizer = SingleBoxLocalizer(image_size=96, epochs=4, random_state=0, engine="keras")
    return localizer.fit(X[:200], y[:200]), X[200:], y[200:]


@pytest.mark.slow
@CONVERTING
@pytest.mark.parametrize("without_features", [5000, 0], ids=["features", "complete network"])
def test_engines_agree_on_real_images(on_real_images, engine, without_features, monkeypatch):
    monkeypatch.setattr("skbbox.features.frozen_backbone.WITHOUT_FEATURES", without_features)
    localizer, X, y = on_real_images
    predicted, scores = [], []
    for name in ("keras", installed(engine)):
        forget_features()
        localizer.set_params(engine=name)
        predicted.append(localizer.predict(X))
        scores.append(localizer.score(X, y))
    boxes, others = (table[list(COORDINATES)].to_numpy() for table in predicted)
    assert np.abs(boxes - others).mean() < 0.005
    assert iou(boxes, others).mean() > 0.98
    agree = predicted[0]["class_name"] == predicted[1]["class_name"]
    # Rounding picks one of classes that are nearly equally probable.
    assert agree[predicted[0]["class_confidence"] > 0.5].all()
    assert agree.mean() >= 0.98
    assert scores[0] == pytest.approx(scores[1], abs=0.002)


def test_auto_is_keras_on_jax_whatever_is_installed(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    assert get_engine("auto") == "keras"


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="on JAX it is Keras")
def test_auto_takes_the_fastest_engine_that_is_installed(monkeypatch):
    for missing, expected in (
        ((), "openvino"),
        (("openvino",), "onnxruntime"),
        # Without the converter, ONNX Runtime has nothing to run.
        (("openvino", "tf2onnx"), "keras"),
    ):
        monkeypatch.setattr(
            "importlib.util.find_spec", lambda name, missing=missing: name not in missing or None
        )
        assert get_engine("auto") == expected


def test_a_missing_engine_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    message = r"needs openvino: pip install 'skbbox\[openvino\]'"
    with pytest.raises(MissingPackageError, match=message) as caught:
        get_engine("openvino")
    assert isinstance(caught.value, ImportError)
    assert isinstance(caught.value, EngineError)


def test_an_unknown_engine_is_refused_by_predict_too(shapes, fitted):
    with pytest.raises(EngineError, match="engine must be 'auto' or one of"):
        clone(fitted).set_params(engine="magic").fit(*shapes)
    with pytest.raises(EngineError, match="engine must be"):
        copy.copy(fitted).set_params(engine="magic").predict(shapes[0])


@CONVERTING
def test_a_network_that_an_engine_cannot_run_is_named(engine, no_conversion):
    installed(engine)
    model = extractor("mobilenet", 32)
    with pytest.raises(EngineError, match=f"{engine} cannot run this network: no such layer"):
        get_runner(model, "refused", engine)


def test_auto_warns_when_keras_runs_what_an_engine_cannot(no_conversion):
    if get_engine("auto") == "keras":
        pytest.skip("no other engine is installed")
    model, images = settled(extractor("mobilenet", 32)), pixels(2, 32)
    with pytest.warns(SkbboxWarning, match="no such layer. Keras runs it"):
        run = get_runner(model, "not for auto", "auto")
    expected = fold_batch_norm(model).predict_on_batch(images)
    assert all(map(np.array_equal, run(images.astype(np.uint8), 2), expected))
