"""Networks exported for other runtimes, each read back by its runtime."""

import copy
import importlib.util
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import warnings
import zipfile

import keras
import numpy as np
import pandas as pd
import pytest
from helpers import small_localizer
from sklearn.exceptions import NotFittedError

from skbbox import SingleBoxLocalizer, iou, one_box_per_image
from skbbox.boxes import COORDINATES
from skbbox.datasets import load_annotated_folder, make_shapes
from skbbox.exceptions import EngineError, MissingPackageError, ModelFileError
from skbbox.export.quantization import Calibration, check_loss, compare_outputs
from skbbox.images import load_image, load_parts
from skbbox.network.looks import Stretch

pytestmark = pytest.mark.usefixtures("tensorflow_only")

#: The name of a file or folder of each format in these tests.
NAMES = {
    "onnx": "model.onnx",
    "tflite": "model.tflite",
    "openvino": "model.xml",
    "saved_model": "model",
}
FORMATS = pytest.mark.parametrize("format", NAMES)

#: Tolerances for rounding of float32, and of features that predict stores in half precision.
ROUNDING, HALF_PRECISION = 1e-5, 2e-3

#: The same for the second look at a photograph. A first box that differs by 1e-4 moves its window
#: by a hundredth of a pixel, and Pillow rounds some pixels of the window to the next grey level.
ROUNDED_WINDOW = 1e-2


# ---------------------------------------------------------------- the runtimes


def run_onnx(path, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": images}), strict=True))


def run_tflite(path, images):
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner()
    outputs = [runner(image=image[None]) for image in images]
    return {name: np.concatenate([output[name] for output in outputs]) for name in outputs[0]}


def run_openvino(path, images):
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    outputs = openvino.Core().compile_model(path, "CPU", hint)({"image": images})
    return {output.any_name: values for output, values in outputs.items()}


def run_saved_model(path, images):
    import tensorflow as tf

    # Not in one expression: a signature does not keep its model alive.
    loaded = tf.saved_model.load(str(path))
    outputs = loaded.signatures["serving_default"](image=images)
    return {name: values.numpy() for name, values in outputs.items()}


RUN = {
    "onnx": run_onnx,
    "tflite": run_tflite,
    "openvino": run_openvino,
    "saved_model": run_saved_model,
}


# ---------------------------------------------------------------- outputs


#: Names for the four classes, in order; difficult for XML, text files and ASCII.
CLASSES = ['<a> & "b"', "chat noir", "été", "猫"]


@pytest.fixture(scope="module")
def localizers(shapes, frozen_backbone):
    X, y = shapes
    boxes = y.drop(columns="class_name")
    class_indices, _ = pd.factorize(y["class_name"], sort=True)
    y = y.assign(class_name=np.array(CLASSES)[class_indices])
    return {
        "spatial": small_localizer().fit(X, y),
        "pooled": small_localizer(box_head="pooled").fit(X, y),
        "boxes alone": small_localizer(box_head="pooled").fit(X, boxes),
        "boxes alone, spatial": small_localizer().fit(X, boxes),
        "frozen": small_localizer(backbone=frozen_backbone, weights="imagenet").fit(X, y),
    }


@pytest.fixture(scope="module")
def exported(localizers, tmp_path_factory):
    """A function from format to the path of the exported spatial model; read-only."""
    folder, paths = tmp_path_factory.mktemp("exported"), {}

    def path_of(format):
        if format not in paths:
            # Other formats are recognised by the ending.
            options = {"format": format} if format == "saved_model" else {}
            localizers["spatial"].export(folder / NAMES[format], **options)
            paths[format] = folder / NAMES[format]
        return paths[format]

    return path_of


def assert_equal(outputs, localizer, X, tolerance):
    """Compare the outputs of a runtime with the estimator's for the same images."""
    predicted = localizer.predict(X)
    expected = {"box": predicted[list(COORDINATES)].to_numpy()}
    if localizer.classes_ is not None:
        expected["probabilities"] = localizer.predict_proba(X)
    for name in ("class_confidence", "box_confidence"):
        if name in predicted:
            expected[name] = predicted[name].to_numpy()
    assert outputs.keys() == expected.keys()
    for name, values in expected.items():
        assert outputs[name].dtype == np.float32
        assert outputs[name].shape == values.shape
        np.testing.assert_allclose(outputs[name], values, rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.slow
@FORMATS
def test_a_runtime_gives_what_predict_gives_by_the_spatial_head(
    shapes, localizers, exported, format
):
    outputs = RUN[format](exported(format), shapes[0][:5])
    assert_equal(outputs, localizers["spatial"], shapes[0][:5], ROUNDING)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("frozen", "onnx"),
        ("frozen", "tflite"),
        ("frozen", "openvino"),
        ("frozen", "saved_model"),
        ("pooled", "onnx"),
        ("pooled", "tflite"),
        ("boxes alone", "openvino"),
        ("boxes alone", "saved_model"),
    ],
)
def test_a_runtime_gives_what_predict_gives(shapes, localizers, tmp_path, format, name):
    localizers[name].export(tmp_path / NAMES[format], format=format)
    outputs = RUN[format](tmp_path / NAMES[format], shapes[0][:5])
    tolerance = HALF_PRECISION if name == "frozen" else ROUNDING
    assert_equal(outputs, localizers[name], shapes[0][:5], tolerance)


@pytest.mark.slow
def test_boxes_alone_have_the_confidence_that_the_spatial_head_estimates(
    shapes, localizers, tmp_path
):
    localizers["boxes alone, spatial"].export(tmp_path / "m.onnx")
    outputs = run_onnx(tmp_path / "m.onnx", shapes[0][:5])
    assert list(outputs) == ["box", "box_confidence"]
    assert_equal(outputs, localizers["boxes alone, spatial"], shapes[0][:5], ROUNDING)


@pytest.mark.slow
def test_boxes_are_clipped_and_their_edges_put_in_order(shapes, localizers, tmp_path):
    localizer = copy.deepcopy(localizers["pooled"]).set_params(n_looks=1)
    layer = localizer.model_.get_layer("bbox_prediction")
    kernel, bias = layer.get_weights()
    # For every image, x from 0.75 to 0.25 and y from -1 to 2.
    layer.set_weights([np.zeros_like(kernel), np.array([0.75, 0.25, -1.0, 2.0], bias.dtype)])
    localizer.export(tmp_path / "m.onnx")
    outputs = run_onnx(tmp_path / "m.onnx", shapes[0][:2])
    assert outputs["box"].tolist() == [[0.25, 0.75, 0.0, 1.0]] * 2


@pytest.fixture(scope="module")
def on_photographs(shared):
    """A fitted estimator with a MobileNet, and paths of images that it was not trained on."""
    X, y = one_box_per_image(load_annotated_folder(shared / "datasets" / "fruit3"))
    rows = np.random.default_rng(0).permutation(len(X))[:200]
    X, y = X.iloc[rows], y.iloc[rows]
    localizer = SingleBoxLocalizer(image_size=(96, 128), epochs=4, random_state=0)
    return localizer.fit(X[:150], y[:150]), X[150:]


# ---------------------------------------------------------------- images of any size

#: Height and width: larger and smaller, upright and lying, one pixel, and sizes at which Pillow
#: begins with the rows.
SIZES = [(90, 70), (70, 90), (45, 200), (200, 45), (20, 25), (1, 40), (40, 1), (32, 32)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("window", [(0, 1, 0, 1), (0.25, 0.75, 0, 1), (0.11, 0.52, 0.37, 0.98)])
def test_windows_are_stretched_as_by_pillow(size, window):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = load_parts(image, (32, 48), [np.array(window, float)])[0]
    stretched = Stretch(32, 48)([image[None], np.array([window], np.float32)])[0]
    differences = np.abs(np.asarray(stretched) - expected)
    # Pillow computes with integers, and rounds some values that end in one half down.
    assert differences.max() <= 1
    assert (differences > 0).mean() < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "openvino", "saved_model"])
def test_images_of_any_size_are_resized_as_by_predict(localizers, exported, format):
    for size in [(90, 70), (45, 200), (20, 25)]:
        X, _ = make_shapes(2, image_size=max(size), random_state=1)
        X = X[:, : size[0], : size[1]]
        outputs = RUN[format](exported(format), X)
        box = localizers["spatial"].predict(X)[list(COORDINATES)]
        np.testing.assert_allclose(outputs["box"], box, atol=0.002, err_msg=str(size))


@pytest.mark.slow
def test_photographs_of_any_size_have_the_boxes_of_predict(on_photographs, tmp_path):
    localizer, X = on_photographs
    localizer.export(tmp_path / "m.onnx")
    rng = np.random.default_rng(0)
    images = [load_image(image, tuple(rng.integers(150, 600, 2))) for image in X[:10]]
    outputs = [run_onnx(tmp_path / "m.onnx", image[None]) for image in images]
    boxes = np.concatenate([output["box"] for output in outputs])
    predicted = localizer.predict(images)
    differences = np.abs(boxes - predicted[list(COORDINATES)])
    assert differences.max(axis=None) < ROUNDED_WINDOW
    assert differences.stack().median() < 5e-4
    indices = [output["probabilities"].argmax() for output in outputs]
    assert (localizer.classes_[indices] == predicted["class_name"]).all()


@pytest.mark.parametrize("format", ["tflite", "onnx"])
def test_format_of_fixed_size_refuses_others(fitted, tmp_path, format, monkeypatch):
    if format == "onnx":
        monkeypatch.setattr("keras.backend.backend", lambda: "torch")
    with pytest.raises(EngineError, match="fixed shapes: pass image_size='fixed'"):
        fitted.export(tmp_path / NAMES[format], image_size="any")


def test_unknown_image_size_is_refused(fitted, tmp_path):
    with pytest.raises(ValueError, match=r"must be 'any' or 'fixed'\. Received: 64"):
        fitted.export(tmp_path / "m.onnx", image_size=64)


# ---------------------------------------------------------------- quantisation


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "quantize"),
    [("onnx", "int8"), ("openvino", "int8"), ("tflite", "int8"), ("tflite", "float16")],
)
def test_quantised_network_is_smaller_and_has_nearly_the_same_boxes(
    shapes, localizers, exported, tmp_path, capsys, format, quantize
):
    if format == "openvino" and quantize == "int8":
        pytest.importorskip("nncf")
    X, _ = shapes
    path, before = tmp_path / NAMES[format], exported(format)
    options = {"quantize": quantize, "calibration": X[:12], "force": True, "verbose": 1}
    capsys.readouterr()
    localizers["spatial"].export(path, **options)
    assert re.search(
        rf"{quantize}: loss of mean IoU 0\.0\d+, of class acc", capsys.readouterr().out
    )
    size, size_before = (file.with_suffix(".bin") for file in (path, before))
    if format != "openvino":
        size, size_before = path, before
    assert (
        size.stat().st_size < (0.8 if quantize == "float16" else 0.95) * size_before.stat().st_size
    )
    outputs, exact = RUN[format](path, X[:5]), RUN[format](before, X[:5])
    assert list(outputs) == list(exact)
    assert iou(outputs["box"], exact["box"]).mean() > 0.9
    assert read_labels(path, format) == CLASSES


def test_loss_is_the_difference_of_the_means():
    boxes = np.array([[0.0, 0.5, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
    shifted = np.array([[0.0, 0.25, 0.0, 1.0], [0.0, 1.0, 0.0, 1.0]])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]])
    exact = {"box": boxes, "probabilities": probabilities}
    quantised = {"box": shifted, "probabilities": probabilities[:, ::-1]}
    # Against the exact boxes, IoUs of 0.5 and 1, and no class is right.
    assert compare_outputs(exact, quantised, Calibration([])) == (0.25, 1.0)
    # Against true boxes that equal the shifted ones, it gains as much.
    true = Calibration([], shifted, np.array([-1, 0]))
    assert compare_outputs(exact, quantised, true) == (-0.25, -1.0)


@pytest.mark.parametrize(("iou_loss", "accuracy_loss"), [(0.006, 0.0), (0.0, 0.02)])
def test_large_loss_is_refused(iou_loss, accuracy_loss):
    check_loss(0.004, 0.009, "int8")
    check_loss(0.004, None, "int8")
    with pytest.raises(EngineError, match=r"'int8' costs too much .*or force=True"):
        check_loss(iou_loss, accuracy_loss, "int8")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("m.onnx", {"quantize": "int4"}, r"None, 'int8' or 'float16'. Received: 'int4'"),
        ("m.onnx", {"quantize": "int8"}, r"needs calibration=: some 100 images"),
        ("m", {"quantize": "float16", "format": "saved_model"}, r"needs one of the formats"),
        ("m.onnx", {"calibration": ["a.jpg"]}, r"only used with quantize="),
        ("m.onnx", {"quantize": "int8", "calibration_y": [1]}, r"pass them as calibration="),
    ],
)
def test_invalid_quantisation_is_named(fitted, tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        fitted.export(tmp_path / name, **options)
    assert not any(tmp_path.iterdir())


def test_quantisation_without_nncf_names_the_extra(fitted, shapes, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nncf", None)
    with pytest.raises(MissingPackageError, match=r"needs nncf: .*skbbox\[quantization\]"):
        fitted.export(tmp_path / "m.xml", quantize="int8", calibration=shapes[0][:2])


# ---------------------------------------------------------------- files


def read_labels(path, format):
    """Class names, read without skbbox."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map["labels"]
    elif format == "openvino":
        import openvino

        text = openvino.Core().read_model(path).get_rt_info("labels").astype(str)
    elif format == "tflite":
        with zipfile.ZipFile(path) as archive:
            text = archive.read("labels.txt").decode()
    else:
        text = (path / "assets.extra" / "labels.txt").read_text(encoding="utf-8")
    return text.splitlines()


@pytest.mark.slow
@FORMATS
def test_class_names_are_in_the_file(exported, format):
    assert read_labels(exported(format), format) == CLASSES


def test_class_name_with_a_line_break_is_refused(fitted, tmp_path):
    localizer = copy.copy(fitted)
    localizer.classes_ = np.array(["a", "b\nc", "d", "e"])
    with pytest.raises(ValueError, match=r"one per line.*Received: 'b\\nc'"):
        localizer.export(tmp_path / "m.onnx")


@pytest.mark.slow
def test_boxes_alone_have_no_class_names(localizers, tmp_path):
    localizers["boxes alone"].export(tmp_path / "m.tflite")
    assert not zipfile.is_zipfile(tmp_path / "m.tflite")


@pytest.mark.slow
def test_onnx_declares_any_number_and_size_of_images(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported("onnx"), providers=["CPUExecutionProvider"])
    (image,) = session.get_inputs()
    assert (image.name, image.type) == ("image", "tensor(uint8)")
    assert image.shape == ["n", "height", "width", 3]
    assert {output.name: output.shape for output in session.get_outputs()} == {
        "box": ["n", 4],
        "probabilities": ["n", 4],
        "class_confidence": ["n"],
        "box_confidence": ["n"],
    }


@pytest.mark.slow
def test_fixed_size_is_that_of_the_fit(localizers, tmp_path):
    import onnxruntime

    localizers["boxes alone"].export(tmp_path / "m.onnx", image_size="fixed")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["n", 32, 32, 3]


@pytest.mark.slow
def test_tflite_takes_one_image_of_known_shape(exported):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(exported("tflite")))
    (image,) = interpreter.get_input_details()
    assert image["dtype"] == np.uint8
    # -1 would be a dimension that is not known before it runs.
    assert image["shape_signature"].tolist() == [1, 32, 32, 3]
    names = ["box", "box_confidence", "class_confidence", "probabilities"]
    assert interpreter.get_signature_list() == {
        "serving_default": {"inputs": ["image"], "outputs": names}
    }


# ---------------------------------------------------------------- paths


def test_path_may_begin_with_a_tilde(fitted, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "m.tflite").write_text("precious")
    with pytest.raises(FileExistsError, match=r"m\.tflite.* exists"):
        fitted.export("~/m.tflite")


@pytest.mark.slow
@pytest.mark.parametrize("format", ["tflite", "openvino", "saved_model"])
def test_existing_files_are_replaced_only_with_overwrite(
    shapes, localizers, exported, tmp_path, format
):
    path, folder = tmp_path / "models" / NAMES[format], tmp_path / "models"
    shutil.copytree(exported(format).parent, folder)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    with pytest.raises(FileExistsError, match=r"model.*exists.*overwrite=True"):
        localizers["boxes alone"].export(path, format=format)
    assert all(file.read_bytes() == content for file, content in before.items())
    names = sorted(part.name for part in folder.iterdir())
    localizers["boxes alone"].export(path, format=format, overwrite=True)
    assert list(RUN[format](path, shapes[0][:1])) == ["box"]
    assert sorted(part.name for part in folder.iterdir()) == names
    # A folder is replaced completely.
    assert not (path / "assets.extra").exists()


def test_weights_of_another_openvino_model_are_not_replaced(fitted, tmp_path):
    (tmp_path / "m.bin").write_text("precious")
    with pytest.raises(FileExistsError, match=r"m\.bin exists"):
        fitted.export(tmp_path / "m.xml")


def test_folder_of_other_files_is_never_replaced(fitted, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="is a folder without a SavedModel"):
        fitted.export(tmp_path, format="saved_model", overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


@pytest.mark.slow
def test_layer_that_onnx_does_not_support_leaves_no_file(shapes, frozen_backbone, tmp_path):
    # TensorFlow's complementary error function has no equivalent in ONNX.
    gelu = keras.Sequential([frozen_backbone, keras.layers.Activation("gelu")])
    localizer = small_localizer(backbone=gelu, weights="imagenet", box_head="pooled", epochs=1)
    localizer.fit(*shapes)
    with pytest.raises(EngineError, match="No Op registered for Erfc"):
        localizer.export(tmp_path / "m.onnx")
    assert not any(tmp_path.iterdir())


@FORMATS
def test_failure_leaves_existing_files(fitted, tmp_path, format, no_conversion):
    path = tmp_path / NAMES[format]
    if format == "saved_model":
        path.mkdir()
        (path / "saved_model.pb").write_text("precious")
    else:
        path.write_text("precious")
    with pytest.raises(
        EngineError, match=rf"cannot be written as format='{format}': no such layer"
    ):
        fitted.export(path, format=format, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]
    file = path / "saved_model.pb" if format == "saved_model" else path
    assert file.read_text() == "precious"


def test_missing_folder_is_named(fitted, tmp_path):
    with pytest.raises(ModelFileError, match=r"nowhere.m\.onnx cannot be written"):
        fitted.export(tmp_path / "nowhere" / "m.onnx")


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("path", "format", "message"),
    [
        ("model", None, r"so format must be one of \['onnx', 'tflite', 'openvino', 'saved_model'"),
        ("model.pt", None, r"Received: path='model\.pt', format=None"),
        ("model.onnx", "coreml", r"format must be one of .* Received: 'coreml'"),
        ("model", "openvino", r"path must end in '\.xml' .* Received: 'model'"),
    ],
)
def test_invalid_format_is_named(fitted, path, format, message):
    with pytest.raises(ValueError, match=message):
        fitted.export(path, format=format)


def test_unfitted_estimator_is_not_exported(tmp_path):
    with pytest.raises(NotFittedError):
        small_localizer().export(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    ("package", "name", "install"),
    [
        ("onnx", "m.onnx", r"skbbox\[onnx\]"),
        ("tf2onnx", "m.onnx", r"skbbox\[onnx\]"),
        ("openvino", "m.xml", r"skbbox\[openvino\]"),
    ],
)
def test_missing_package_is_named_with_the_command_that_installs_it(
    fitted, tmp_path, monkeypatch, package, name, install
):
    # Python does not find a package whose entry is None.
    monkeypatch.setitem(sys.modules, package, None)
    message = rf"needs {package}: pip install '{install}'"
    with pytest.raises(MissingPackageError, match=message) as caught:
        fitted.export(tmp_path / name)
    assert isinstance(caught.value, ImportError)
    assert not any(tmp_path.iterdir())


def test_backend_that_cannot_write_a_format_is_named_with_the_fix(
    fitted, tmp_path, monkeypatch, no_conversion
):
    monkeypatch.setattr("keras.backend.backend", lambda: "torch")
    with pytest.raises(EngineError, match=r"Keras runs on torch.*KERAS_BACKEND=tensorflow, load"):
        fitted.export(tmp_path / "m.onnx")


#: Exports to each format, and stores the predictions and the messages of errors.
EXPORT = """
import pickle, sys
from skbbox.exceptions import EngineError
with open(sys.argv[1], "rb") as file:
    localizer, images, paths = pickle.load(file)
messages = {}
for format, path in paths.items():
    try:
        localizer.export(path, format=format)
    except EngineError as error:
        messages[format] = str(error)
with open(sys.argv[1], "wb") as file:
    pickle.dump((localizer.predict(images), messages), file)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(
            backend,
            # Unlike a skip in the test, this is before the fixtures fit.
            marks=pytest.mark.skipif(
                importlib.util.find_spec(backend) is None, reason=f"{backend} is not installed"
            ),
        )
        for backend in ("jax", "torch")
    ],
)
@pytest.mark.parametrize("name", ["spatial", "pooled"])
def test_another_backend_exports_the_same_outputs_or_names_the_fix(
    shapes, localizers, tmp_path, backend, name
):
    paths = {format: tmp_path / file for format, file in NAMES.items()}
    given = tmp_path / "given.pkl"
    given.write_bytes(pickle.dumps((localizers[name], shapes[0][:3], paths)))
    environment = os.environ | {"KERAS_BACKEND": backend}
    subprocess.run([sys.executable, "-c", EXPORT, str(given)], env=environment, check=True)
    predicted, messages = pickle.loads(given.read_bytes())
    for format, path in paths.items():
        if format in messages:
            assert f"Keras runs on {backend}" in messages[format]
            assert not path.exists()
        else:
            box = RUN[format](path, shapes[0][:3])["box"]
            np.testing.assert_allclose(box, predicted[list(COORDINATES)], atol=ROUNDING)


# ---------------------------------------------------------------- side effects


@pytest.mark.slow
def test_export_has_no_side_effects(fitted, shapes, tmp_path, capfd):
    expected = fitted.predict(shapes[0])
    before = random.getstate(), np.random.get_state()[1].tolist(), vars(fitted).copy()
    capfd.readouterr()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for format, name in NAMES.items():
            fitted.export(tmp_path / name, format=format)
    assert capfd.readouterr().out == ""
    assert caught == []
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), vars(fitted))
    assert fitted.predict(shapes[0]).equals(expected)
