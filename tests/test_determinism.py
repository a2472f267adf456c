"""The same result each time and everywhere, and nothing changed that is the user's."""

import os
import random
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import keras
import numpy as np
import pandas as pd
import PIL.Image
import pytest
from helpers import small_localizer

from skbbox import SingleBoxLocalizer
from skbbox.features import forget_features


@pytest.fixture(scope="module")
def localizers(frozen_backbone):
    """One whose heads alone are trained, and one that is trained as a whole."""
    frozen = {"backbone": frozen_backbone, "weights": "imagenet", "engine": "keras"}
    return [small_localizer(**frozen), small_localizer(box_head="pooled")]


def weights_of_fit(localizer, X, y):
    return localizer.fit(X, y).model_.get_weights()


def assert_equal(first, second):
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours, theirs)


# ---------------------------------------------------------------- the same result


# Workers of Dask are in test_scaling.py.
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_seed_gives_the_same_weights_in_all_workers(localizers, shapes, backend):
    X, y = shapes
    expected = [weights_of_fit(localizer, X, y) for localizer in localizers]
    twice = [joblib.delayed(weights_of_fit)(localizer, X, y) for localizer in localizers * 2]
    with joblib.parallel_config(backend, n_jobs=2):
        found = joblib.Parallel()(twice)
    for number, weights in enumerate(found):
        assert_equal(weights, expected[number % len(expected)])


@pytest.mark.parametrize("engine", ["keras", "onnxruntime", "openvino"])
def test_an_engine_gives_the_same_weights_twice(frozen_backbone, shapes, engine):
    for package in {"onnxruntime": ("onnxruntime", "tf2onnx"), "openvino": ("openvino",)}.get(
        engine, ()
    ):
        pytest.importorskip(package)
    localizer = small_localizer(backbone=frozen_backbone, weights="imagenet", engine=engine)
    first = weights_of_fit(localizer, *shapes)
    forget_features()
    assert_equal(weights_of_fit(localizer, *shapes), first)


@pytest.mark.slow
def test_two_fits_and_eight_predictions_at_once_give_what_they_give_one_by_one(
    localizers, fitted, shapes
):
    X, y = shapes
    expected_weights = [weights_of_fit(localizer, X, y) for localizer in localizers]
    of_frozen = SingleBoxLocalizer(**localizers[0].get_params()).fit(X, y)
    predictors = [fitted, of_frozen] * 4
    parts = [slice(6 * number, None) for number in range(8)]
    expected = [
        predictor.predict(X[part]) for predictor, part in zip(predictors, parts, strict=True)
    ]
    forget_features()
    begin = threading.Barrier(10)

    def fit(localizer):
        begin.wait()
        return weights_of_fit(localizer, X, y)

    def predict(predictor, part):
        begin.wait()
        return [predictor.predict(X[part]) for _ in range(5)]

    with ThreadPoolExecutor(10) as threads:
        fits = [threads.submit(fit, localizer) for localizer in localizers]
        predictions = [
            threads.submit(predict, predictor, part)
            for predictor, part in zip(predictors, parts, strict=True)
        ]
        for fit, weights in zip(fits, expected_weights, strict=True):
            assert_equal(fit.result(), weights)
        for prediction, table in zip(predictions, expected, strict=True):
            for predicted in prediction.result():
                pd.testing.assert_frame_equal(predicted, table, check_exact=True)


# ---------------------------------------------------------------- what is the user's


def random_states():
    """What the next draws of NumPy, Python and Keras would be."""
    keras.utils.set_random_seed(7)
    random.seed(7)
    np.random.seed(7)
    return [random.getstate(), np.random.get_state()[1].tolist()]


def test_global_random_states_stay_as_they_are(localizers, shapes):
    X, y = shapes
    states = random_states()
    drawn = keras.ops.convert_to_numpy(keras.random.normal((3,)))
    random_states()
    for localizer in localizers:
        localizer.fit(X, y).predict(X)
    assert [random.getstate(), np.random.get_state()[1].tolist()] == states
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(keras.random.normal((3,))), drawn)


def settings():
    """Global settings of Python and of the packages that are used."""
    found = {
        "environment": dict(os.environ),
        "directory": os.getcwd(),
        "warnings": list(warnings.filters),
        "interrupt": signal.getsignal(signal.SIGINT),
        "floating-point errors": np.geterr(),
        "printing": np.get_printoptions(),
        "pandas": {
            name: pd.get_option(name)
            for name in ("mode.string_storage", "display.max_rows", "display.width")
        },
        "pixels": PIL.Image.MAX_IMAGE_PIXELS,
        "keras": [
            keras.backend.backend(),
            keras.config.dtype_policy().name,
            keras.config.floatx(),
            keras.config.epsilon(),
            keras.config.image_data_format(),
            keras.config.is_traceback_filtering_enabled(),
            keras.config.is_interactive_logging_enabled(),
        ],
    }
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        found["tensorflow"] = [
            tf.config.threading.get_intra_op_parallelism_threads(),
            tf.config.threading.get_inter_op_parallelism_threads(),
            tf.config.functions_run_eagerly(),
            tf.config.optimizer.get_jit(),
            tf.get_logger().level,
        ]
    return found


def test_no_setting_is_changed(localizers, shapes, tmp_path):
    X, y = shapes
    forget_features()
    before = settings()
    for number, localizer in enumerate(localizers):
        localizer.fit(X, y)
        localizer.predict(X)
        localizer.embed(X)
        localizer.score(X, y)
        localizer.save(tmp_path / str(number))
        SingleBoxLocalizer.load(tmp_path / str(number))
    assert settings() == before


@pytest.fixture
def dtype_policy():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow_only")
@pytest.mark.parametrize(
    ("policy", "inside", "box_head"),
    [
        ("mixed_float16", "float16", "spatial"),
        ("mixed_float16", "float16", "dense"),
        ("mixed_bfloat16", "bfloat16", "pooled"),
        ("bfloat16", "bfloat16", "spatial"),
        ("float64", "float64", "dense"),
    ],
)
def test_a_dtype_policy_is_followed_but_boxes_keep_their_digits(
    dtype_policy, shapes, policy, inside, box_head
):
    dtype_policy(policy)
    localizer = small_localizer(box_head=box_head, epochs=1).fit(*shapes)
    model = localizer.model_
    layer = {"spatial": "bbox_map1_bn", "pooled": "bbox_bn", "dense": "bbox_conv"}[box_head]
    assert model.get_layer(layer).compute_dtype == inside
    assert [output.dtype for output in model.outputs] == ["float32", "float32"]
    # Half precision has steps of 1/512 and more between 1/4 and 1; of boxes not all lie on them.
    boxes = localizer.predict(shapes[0])[["x_min", "x_max"]].to_numpy()
    assert (boxes * 4096 % 1 != 0).any()


@pytest.mark.slow
@pytest.mark.usefixtures("tensorflow_only")
def test_mixed_precision_features_are_kept_and_used(dtype_policy, shapes):
    from skbbox.network import small_convnet

    dtype_policy("mixed_bfloat16")
    localizer = small_localizer(
        backbone=small_convnet((32, 32, 3)), weights="imagenet", engine="keras"
    )
    assert_equal(weights_of_fit(localizer, *shapes), weights_of_fit(localizer, *shapes))


def test_images_in_another_order_of_axes_are_refused(shapes):
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match=r"set_image_data_format\('channels_last'\)"):
            small_localizer().fit(*shapes)
    finally:
        keras.config.set_image_data_format("channels_last")
