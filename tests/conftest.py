"""Fixtures that several test modules use."""

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from helpers import small_localizer


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
    if importlib.util.find_spec("openvino"):
        monkeypatch.setattr("openvino.Core.read_model", stops)


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def browser():
    """A real browser without a window."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = [os.environ.get("SKBBOX_CHROMIUM", ""), *BROWSERS]
    path = next(filter(None, map(shutil.which, filter(None, names))), None)
    if path is None:
        pytest.skip("no Chromium was found; SKBBOX_CHROMIUM may name its program")
    options = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=path, args=[*options, "--disable-component-update", "--disable-sync"]
        )
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Opens a file as a page, which may neither complain nor ask for anything from elsewhere."""
    contexts, complaints = [], []

    def open_page(path, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                complaints.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:", "blob:"))
                else complaints.append(f"asks for {request.url}")
            ),
        )
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def screenshot(tmp_path):
    """Keeps a picture of a page as an output of the tests."""
    folder = Path(os.environ.get("SKBBOX_SCREENSHOTS", tmp_path))

    def keep(page, name):
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return keep
