"""Fixtures that several test modules use."""

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import pytest


def pytest_configure(config):
    """Give Keras a copy of the real weights: it reads KERAS_HOME when it is imported."""
    if folder := os.environ.get("SKBBOX_SHARED"):
        config.keras_home = tempfile.TemporaryDirectory()
        shutil.copytree(
            Path(folder) / "keras-home" / "models", Path(config.keras_home.name) / "models"
        )
        os.environ["KERAS_HOME"] = config.keras_home.name


@pytest.fixture(scope="session")
def shared():
    folder = os.environ.get("SKBBOX_SHARED")
    if not folder:
        pytest.skip("SKBBOX_SHARED is not set; it names the folder with the real images and files")
    return Path(folder)


@pytest.fixture
def tensorflow_only():
    """Skips a test of what is TensorFlow's own on other backends of Keras."""
    import keras

    if keras.backend.backend() != "tensorflow":
        pytest.skip(f"tests what is TensorFlow's own; KERAS_BACKEND is {keras.backend.backend()}")


def small_localizer(**changes):
    """An estimator that fits in about two seconds: a small network, trained from the start."""
    from skbbox import SingleBoxLocalizer
    from skbbox.network import small_convnet

    parameters = {
        "backbone": small_convnet,
        "weights": None,
        "image_size": 32,
        "epochs": 2,
        "batch_size": 16,
        "random_state": 0,
    }
    return SingleBoxLocalizer(**(parameters | changes))


@pytest.fixture(scope="session")
def shapes():
    """48 pictures of 32 pixels in four classes, and their boxes; not to be changed."""
    from skbbox.datasets import make_shapes

    X, y = make_shapes(48, image_size=32, random_state=0)
    X.flags.writeable = False
    return X, y


@pytest.fixture(scope="session")
def fitted(shapes):
    """A fitted estimator; not to be fitted again."""
    return small_localizer().fit(*shapes)


@pytest.fixture(scope="session")
def frozen_backbone():
    """A backbone with weights of its own, so that the heads alone are trained."""
    from skbbox.network import small_convnet

    return small_convnet((32, 32, 3))


@pytest.fixture
def no_conversion(monkeypatch):
    """Whatever writes a network for another runtime stops half-way."""
    import keras

    def stops(*values, output_path=None, **options):
        path = Path(output_path or values[1])
        (path / "half" if path.is_dir() else path).write_text("half")
        raise NotImplementedError("no such layer")

    monkeypatch.setattr(keras.Model, "export", stops)
    if importlib.util.find_spec("tf2onnx"):
        monkeypatch.setattr("tf2onnx.convert.from_function", stops)
