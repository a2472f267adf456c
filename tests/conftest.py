"""Fixtures shared by several test modules; docs/contributing.md describes them."""

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from helpers import small_localizer


def pytest_configure(config):
    """Copy the real weights, and set KERAS_HOME, which Keras reads when it is imported."""
    if folder := os.environ.get("SKBBOX_SHARED"):
        config.keras_home = tempfile.TemporaryDirectory()
        shutil.copytree(
            Path(folder) / "keras-home" / "models", Path(config.keras_home.name) / "models"
        )
        os.environ["KERAS_HOME"] = config.keras_home.name


@pytest.fixture(scope="session")
def shared():
    """Path of the folder with real images and files; skips the test without it."""
    folder = os.environ.get("SKBBOX_SHARED")
    if not folder:
        pytest.skip("SKBBOX_SHARED is not set; it names the folder with the real images and files")
    return Path(folder)


@pytest.fixture
def tensorflow_only():
    """Skip the test on JAX and PyTorch."""
    import keras

    if keras.backend.backend() != "tensorflow":
        pytest.skip(f"tests TensorFlow only; KERAS_BACKEND is {keras.backend.backend()}")


@pytest.fixture(scope="session")
def shapes():
    """X and y: 48 drawn pictures of 32 pixels in four classes, and their boxes; do not change y."""
    from skbbox.datasets import make_shapes

    X, y = make_shapes(48, image_size=32, random_state=0)
    X.flags.writeable = False
    return X, y


@pytest.fixture(scope="session")
def fitted(shapes):
    """An estimator fitted to `shapes`; do not change it or fit it again."""
    return small_localizer().fit(*shapes)


@pytest.fixture(scope="session")
def frozen_backbone():
    """A backbone as a Keras model; with ``weights="imagenet"``, only the heads are trained."""
    from skbbox.network import small_convnet

    return small_convnet((32, 32, 3))


@pytest.fixture
def no_conversion(monkeypatch):
    """Let every conversion for another runtime fail after half of the file is written."""
    import keras

    def fail(*values, output_path=None, **options):
        path = Path(output_path or values[1])
        (path / "half" if path.is_dir() else path).write_text("half")
        raise NotImplementedError("no such layer")

    monkeypatch.setattr(keras.Model, "export", fail)
    if importlib.util.find_spec("tf2onnx"):
        monkeypatch.setattr("tf2onnx.convert.from_function", fail)
    if importlib.util.find_spec("openvino"):
        monkeypatch.setattr("openvino.Core.read_model", fail)


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture(scope="session")
def browser():
    """Chromium without a window; skips the test if there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = [os.environ.get("SKBBOX_CHROMIUM", ""), *BROWSERS]
    path = next(filter(None, map(shutil.which, filter(None, names))), None)
    if path is None:
        pytest.skip("no Chromium found; set SKBBOX_CHROMIUM to its program")
    options = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path, args=[*options, "--disable-component-update", "--disable-sync"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, tmp_path):
    """A function that opens an HTML file in a new page of the browser.

    The test fails if a page logs an error or a warning, or requests anything that is not a file.
    """
    contexts, problems = [], []

    def open_page(path, width=1280, **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: (
                problems.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith(("file:", "data:", "blob:"))
                else problems.append(f"requests {request.url}")
            ),
        )
        page.goto(path.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def screenshot(tmp_path):
    """A function that saves a picture of a page in the folder SKBBOX_SCREENSHOTS."""
    folder = Path(os.environ.get("SKBBOX_SCREENSHOTS", tmp_path))

    def save(page, name):
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return save
