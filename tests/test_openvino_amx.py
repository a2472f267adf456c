"""OpenVINO with products of bfloat16 instead of float32."""

import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from keras import layers

openvino = pytest.importorskip("openvino")
if keras.backend.backend() == "jax":
    pytest.skip("OpenVINO takes no network of JAX", allow_module_level=True)

from openvino import opset13 as ops  # noqa: E402

from skbbox.engines import openvino_amx  # noqa: E402
from skbbox.engines.openvino_amx import SECOND_STAGE_IMAGES  # noqa: E402
from skbbox.engines.runners import get_runner  # noqa: E402


def flags():
    try:
        with open("/proc/cpuinfo") as file:
            return file.read()
    except FileNotFoundError:  # Not on Linux.
        return ""


amx = pytest.mark.skipif("amx_bf16" not in flags(), reason="the processor has no AMX")

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (1, 14, 14, 256), dtype=np.uint8)
SCALE = (RNG.random((1, 1, 1, 256)) / 100).astype(np.float32)
WEIGHTS = RNG.normal(0, 1 / 16, (256, 256)).astype(np.float32)


def inputs():
    """The input of a model, and its pixels scaled and transposed for a convolution."""
    pixels = ops.parameter([-1, 14, 14, 256], np.uint8)
    scaled = ops.multiply(ops.convert(pixels, "f32"), ops.constant(SCALE))
    return pixels, ops.transpose(scaled, ops.constant(np.array([0, 3, 1, 2])))


def convolved(x, weights=WEIGHTS):
    """The output of a 1 x 1 convolution."""
    weights = ops.constant(weights.T[:, :, None, None].copy())
    return ops.convolution(x, weights, [1, 1], [0, 0], [0, 0], [1, 1])


def model(output=lambda x: x):
    pixels, x = inputs()
    return openvino.Model([ops.result(output(convolved(x)))], [pixels])


def expected(weights=WEIGHTS):
    """A 1 x 1 convolution is a matrix product; here in float64."""
    x = PIXELS * SCALE.astype(np.float64)
    return np.moveaxis(x @ weights.astype(np.float64), 3, 1)


def compiled_stages(model):
    return openvino_amx.compile_stages(model, PIXELS.shape[1:])


def run(stages):
    (value,) = stages[0](PIXELS).values()
    for stage in stages[1:]:
        (value,) = stage(np.repeat(value, SECOND_STAGE_IMAGES, axis=0)).values()
    return value[:1]


def error(received, expected):
    return np.abs(received - expected).mean() / np.abs(expected).mean()


def primitives(stages):
    nodes = [node for stage in stages for node in stage.get_runtime_model().get_ops()]
    return " ".join(str(node.get_rt_info()["primitiveType"].value) for node in nodes)


@amx
def test_a_convolution_in_three_products_is_a_hundred_times_closer_than_in_one():
    stages = compiled_stages(model())
    assert primitives(stages).count("amx") == 3
    in_one = openvino.Core().compile_model(model(), "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
    assert error(run(stages), expected()) < 1e-5
    assert error(run([in_one]), expected()) > 1e-3


@amx
@pytest.mark.parametrize(
    "activation",
    [ops.relu, ops.swish, lambda x: ops.clamp(ops.add(x, ops.constant(np.float32(1))), 0.0, 6.0)],
    ids=["relu", "swish", "bias and relu6"],
)
def test_what_follows_a_convolution_is_computed_in_float32(activation):
    exact = openvino.Core().compile_model(
        model(activation), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    stages = compiled_stages(model(activation))
    assert "amx" in primitives(stages)
    assert error(run(stages), run([exact])) < 1e-5


@amx
def test_the_largest_of_several_is_taken_in_float32_too():
    def pooled(x):
        pool = ops.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2])
        return convolved(pool.output(0))

    stages = compiled_stages(model(pooled))
    x = expected().reshape(1, 256, 7, 2, 7, 2).max(axis=(3, 5))
    by_hand = np.moveaxis(np.moveaxis(x, 1, 3) @ WEIGHTS.astype(np.float64), 3, 1)
    assert primitives(stages).count("amx") == 6
    assert error(run(stages), by_hand) < 1e-4


@amx
def test_products_of_matrices_are_a_second_stage_in_float32(monkeypatch):
    monkeypatch.setattr(openvino_amx, "MIN_PRODUCTS_OF_STAGES", 0)

    def multiplied(x):
        rows = ops.transpose(x, ops.constant(np.array([0, 2, 3, 1])))
        return ops.matmul(rows, ops.constant(WEIGHTS), False, False)

    stages = compiled_stages(model(multiplied))
    by_hand = np.moveaxis(expected(), 1, 3) @ WEIGHTS.astype(np.float64)
    assert len(stages) == 2
    assert "amx" not in primitives(stages[1:])
    assert error(run(stages), by_hand) < 1e-5


def test_few_products_are_not_worth_a_second_stage():
    def multiplied(x):
        return ops.matmul(x, ops.constant(np.ones((14, 2), np.float32)), False, False)

    assert len(compiled_stages(model(multiplied))) == 1


def test_few_products_for_each_number_are_left_in_float32():
    stages = compiled_stages(model(lambda x: convolved(x, WEIGHTS[:, :8])))
    pixels, x = inputs()
    thin = openvino.Model([ops.result(convolved(x, WEIGHTS[:, :8]))], [pixels])
    assert "amx" not in primitives(compiled_stages(thin))
    assert error(run(stages), expected(WEIGHTS @ WEIGHTS[:, :8])) < 1e-5


def test_the_network_stays_in_float32_if_openvino_ignores_the_mark(monkeypatch):
    exact = openvino.Core().compile_model(
        model(ops.swish), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    monkeypatch.setitem(openvino_amx.MARK, "value", "f64:f16")
    assert np.array_equal(run(compiled_stages(model(ops.swish))), run([exact]))


def test_the_network_stays_in_float32_if_openvino_rejects_the_mark(monkeypatch):
    monkeypatch.setitem(openvino_amx.MARK, "value", "no type")
    assert error(run(compiled_stages(model())), expected()) < 1e-5


def test_pixels_that_are_scaled_before_they_are_transposed_give_the_same_bits(monkeypatch):
    before = run(compiled_stages(model(lambda x: convolved(x, WEIGHTS[:, :8]))))
    monkeypatch.setattr(openvino_amx, "SCALING", {})
    after = run(compiled_stages(model(lambda x: convolved(x, WEIGHTS[:, :8]))))
    assert np.array_equal(before, after)


def remove_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino._offline_transformations", None)


def remove_function(monkeypatch):
    name = "openvino._offline_transformations.apply_moc_transformations"
    monkeypatch.delattr(name)


def rename_parameter(monkeypatch):
    name = "openvino._offline_transformations.apply_moc_transformations"
    monkeypatch.setattr(name, lambda model, fold: None)


@pytest.mark.parametrize("change", [remove_module, remove_function, rename_parameter])
def test_the_network_is_compiled_in_float32_without_the_private_interface(change, monkeypatch):
    change(monkeypatch)
    stages = compiled_stages(model(ops.swish))
    assert len(stages) == 1
    assert "amx" not in primitives(stages)
    exact = openvino.Core().compile_model(
        model(ops.swish), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    assert error(run(stages), run([exact])) < 1e-6


def test_the_engine_runs_without_the_private_interface(monkeypatch):
    remove_module(monkeypatch)
    image = keras.Input((16, 16, 3))
    network = keras.Model(image, layers.Conv2D(4, 3)(image))
    images = RNG.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    (received,) = get_runner(network, "without private interface", "openvino")(images, 3)
    expected = network.predict_on_batch(images.astype("float32"))
    assert np.abs(received - expected).max() < 1e-5 * np.abs(expected).max()


@amx
def test_two_stages_give_the_same_in_several_threads(monkeypatch):
    monkeypatch.setattr(openvino_amx, "MIN_PRODUCTS_OF_STAGES", 0)
    image = keras.Input((16, 16, 3))
    x = layers.Conv2D(256, 3, activation="relu")(image)
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(256, 3)(x))
    network = keras.Model(image, [layers.Dense(4)(x), layers.Dense(2)(x)])
    run = get_runner(network, "two stages", "openvino")
    images = RNG.integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    alone = run(images, 24)
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda first: run(images[first : first + 8], 8), range(0, 24, 8)))
    assert len(run.stages) == 2
    for whole, *of_threads in zip(alone, *parts, strict=True):
        assert np.array_equal(whole, np.concatenate(of_threads))
