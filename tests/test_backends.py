"""TensorFlow, JAX and PyTorch: equal results, and the peculiarities of each."""

import importlib.util
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer

from skbbox.boxes import COORDINATES
from skbbox.features import forget_features
from skbbox.training.batches import choose_last_batch

pytestmark = pytest.mark.backend

BACKENDS = ("jax", "tensorflow", "torch")

PREDICT = """
import pickle, sys
import keras
with open(sys.argv[1], "rb") as file:
    localizers, X = pickle.load(file)
predicted = {name: (localizer.predict(X), localizer.predict_proba(X))
             for name, localizer in localizers.items()}
with open(sys.argv[2], "wb") as file:
    pickle.dump((keras.backend.backend(), predicted), file)
"""


@pytest.fixture(scope="module")
def localizers(shapes):
    return {
        head: small_localizer(box_head=head).fit(*shapes) for head in ("spatial", "dense", "pooled")
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(
            name,
            # Unlike a skip in the test, this is before the fixtures fit.
            marks=pytest.mark.skipif(
                importlib.util.find_spec(name) is None, reason=f"{name} is not installed"
            ),
        )
        # Each pair once.
        for name in BACKENDS
        if name < keras.backend.backend()
    ],
)
def test_another_backend_predicts_the_same_from_the_same_weights(
    backend, localizers, shapes, tmp_path
):
    given, received = tmp_path / "given.pkl", tmp_path / "received.pkl"
    given.write_bytes(pickle.dumps((localizers, shapes[0])))
    subprocess.run(
        [sys.executable, "-c", PREDICT, str(given), str(received)],
        env=os.environ | {"KERAS_BACKEND": backend},
        check=True,
    )
    used, predicted = pickle.loads(received.read_bytes())
    assert used == backend
    for name, localizer in localizers.items():
        table, probabilities = predicted[name]
        columns = [*COORDINATES, "class_confidence"] + ["box_confidence"] * (name == "spatial")
        pd.testing.assert_frame_equal(
            table[columns], localizer.predict(shapes[0])[columns], rtol=0, atol=1e-4
        )
        assert np.allclose(probabilities, localizer.predict_proba(shapes[0]), rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("is_frozen", [False, True])
def test_threads_with_one_estimator_predict_what_one_thread_does(
    shapes, frozen_backbone, is_frozen
):
    changes = {"backbone": frozen_backbone, "weights": "imagenet"} if is_frozen else {}
    localizer = small_localizer(**changes, epochs=1).fit(*shapes)
    expected = localizer.predict(shapes[0])

    def predict(_):
        forget_features()
        return localizer.predict(shapes[0])

    with ThreadPoolExecutor(4) as threads:
        for predicted in threads.map(predict, range(12)):
            pd.testing.assert_frame_equal(predicted, expected, atol=1e-6)


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX compiles for each size")
@pytest.mark.parametrize("fine_tune_epochs", [0, 1])
def test_jax_compiles_a_stage_once_for_folds_of_several_sizes(
    shapes, frozen_backbone, fine_tune_epochs, caplog
):
    import jax

    X, y = shapes
    with jax.log_compiles():
        # The batch size is 16, so the last batches have 8 and 9 images.
        for n in (40, 41):
            small_localizer(
                backbone=frozen_backbone,
                weights="imagenet",
                fine_tune_epochs=fine_tune_epochs,
                # No other test compiles this network.
                dropout=0.25 + fine_tune_epochs / 8,
            ).fit(X[:n], y[:n])
    assert caplog.text.count("Finished XLA compilation of jit(train_step)") == 1 + fine_tune_epochs


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="only JAX pads the last batch")
def test_an_epoch_of_at_most_one_batch_is_not_padded_on_jax():
    assert choose_last_batch(16, batch_size=16) == "keep"
    assert choose_last_batch(17, batch_size=16) == "pad"


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="only PyTorch records gradients")
@pytest.mark.parametrize("n_images", [3, 48])
def test_torch_predicts_without_gradients(fitted, shapes, n_images, monkeypatch):
    import torch

    original, enabled = keras.layers.Activation.call, []

    def call(self, inputs):
        enabled.append(torch.is_grad_enabled())
        return original(self, inputs)

    monkeypatch.setattr(keras.layers.Activation, "call", call)
    fitted.predict(shapes[0][:n_images])
    assert enabled
    assert not any(enabled)
    assert torch.is_grad_enabled()
