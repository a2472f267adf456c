"""A fitted network as a file for another runtime.

Beside ``persistence.py``, whose files come back as estimators: these hold what ``predict`` does
to an image of the right size as well, and need neither skbbox nor Keras.
"""

import tempfile
import zipfile
from pathlib import Path

import keras
from keras import ops

from .engines.conversion import convert_to_openvino, export_network
from .engines.folding import fold_batch_norm
from .engines.registry import missing_packages
from .exceptions import EngineError, ModelFileError
from .files import atomic_path, check_overwrite
from .network.box_heads import IOU_ESTIMATE, OrderedBox
from .network.graph import add_outputs

__all__ = ["FORMATS", "export_model"]

#: Formats, the packages that write each, and what is installed for them.
FORMATS = {
    "onnx": (("onnx", "tf2onnx"), "skbbox[onnx]"),
    "tflite": (("tensorflow",), "tensorflow"),
    "openvino": (("openvino",), "skbbox[openvino]"),
    "saved_model": (("tensorflow",), "tensorflow"),
}
ENDINGS = {".onnx": "onnx", ".tflite": "tflite", ".xml": "openvino"}

#: Where class names are, one in a line.
LABELS = "labels.txt"


def export_model(model, classes, path, form=None, overwrite=False):
    """Write a network, with names for what goes in and comes out.

    Parameters
    ----------
    model : keras.Model
        What :func:`build_network` returns.
    classes : sequence or None
        Class names in the order of its outputs.
    path, form, overwrite
        As `path`, `format` and `overwrite` of :meth:`SingleBoxLocalizer.export`.
    """
    path = Path(path)
    form = _format(path, form)
    labels = _labels(classes)
    packages, install = FORMATS[form]
    if absent := missing_packages(packages):
        raise EngineError(
            f"format={form!r} needs {' and '.join(absent)}: pip install '{install}', or pass "
            "another format."
        )
    _check_place(path, form, overwrite)
    network = _named(model)
    try:
        with atomic_path(path) as unfinished:
            WRITERS[form](network, unfinished, labels)
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be written: {error}. Make room there, or give another path."
        ) from error
    except Exception as error:  # Converters raise many kinds.
        raise EngineError(
            f"This network cannot be written as format={form!r}: {error}. {_way_out()}"
        ) from error


def _format(path, form):
    if form is None:
        form = ENDINGS.get(path.suffix.lower())
        if form is None:
            raise ValueError(
                f"The ending of path is none of {list(ENDINGS)}, so format must be one of "
                f"{list(FORMATS)}. Received: path={str(path)!r}, format=None."
            )
    if form not in FORMATS:
        raise ValueError(f"format must be one of {list(FORMATS)}. Received: {form!r}.")
    if form == "openvino" and path.suffix != ".xml":
        raise ValueError(
            "path must end in '.xml' with format='openvino'; the weights lie beside it in a file "
            f"that ends in '.bin'. Received: {str(path)!r}."
        )
    return form


def _labels(classes):
    """Class names, one in a line; of boxes alone None."""
    if classes is None:
        return None
    names = [str(name) for name in classes]
    for name in names:
        if name.splitlines() != [name]:
            raise ValueError(
                "Class names are written one in a line, so one cannot be empty or hold a line "
                f"break. Received: {name!r}."
            )
    return "".join(f"{name}\n" for name in names)


def _check_place(path, form, overwrite):
    check_overwrite([path, path.with_suffix(".bin")] if form == "openvino" else [path], overwrite)
    # Nobody who writes a model means to lose a folder of other things.
    if path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").is_file():
        raise FileExistsError(f"{path} is a folder that holds no SavedModel; give another path.")


def _way_out():
    if keras.backend.backend() == "tensorflow":
        return "Pass another format."
    return (
        f"Keras runs on {keras.backend.backend()}, where it can write less than on TensorFlow: "
        "save() the estimator, start Python with KERAS_BACKEND=tensorflow, load() the file and "
        "export there."
    )


def _named(model):
    """From pixels to what ``predict`` makes of them, by name."""
    network = fold_batch_norm(add_outputs(model, (IOU_ESTIMATE,)))
    pixels = keras.Input(network.input_shape[1:])
    parts = keras.tree.flatten(network(pixels))
    found = dict(zip(network.output_names, parts, strict=True))
    box = ops.clip(found["bbox_prediction"], 0.0, 1.0)
    outputs = {"box": OrderedBox(name="box")([box])}
    if "class_prediction" in found:
        outputs["probabilities"] = found["class_prediction"]
        outputs["confidence"] = ops.max(found["class_prediction"], axis=1)
    if IOU_ESTIMATE in found:
        outputs["confidence"] = found[IOU_ESTIMATE][:, 0]
    return keras.Model(pixels, outputs)


def _in_order(network):
    """The network with its outputs in a list, as not all backends keep names; and the names."""
    return keras.Model(network.input, list(network.output.values())), list(network.output)


def _write_onnx(network, path, labels):
    import onnx

    network, names = _in_order(network)
    export_network(network, path, "onnx")
    written = onnx.load(path)
    new_names = dict(zip((value.name for value in written.graph.output), names, strict=True))
    for node in written.graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [new_names.get(name, name) for name in tensors]
    for value in written.graph.output:
        value.name = new_names[value.name]
    for value in (*written.graph.input, *written.graph.output):
        # The converter counts them, as if each had a number of its own.
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    if labels is not None:
        onnx.helper.set_model_props(written, {"labels": labels})
    # The converter goes on where it knows no operation for a layer.
    onnx.checker.check_model(written)
    onnx.save(written, path)


def _write_openvino(network, path, labels):
    import openvino

    network, names = _in_order(network)
    converted = convert_to_openvino(network)
    # PyTorch leaves all sides open.
    converted.reshape([-1, *network.input_shape[1:]])
    ports = (converted.input(), *converted.outputs)
    for port, name in zip(ports, ("image", *names), strict=True):
        port.get_tensor().set_names({name})
    if labels is not None:
        converted.set_rt_info(labels, "labels")
    openvino.save_model(converted, path, compress_to_fp16=False)


def _write_tflite(network, path, labels):
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        # Accelerators of phones take shapes that are known alone.
        export_network(network, folder, "tf_saved_model", n_images=1)
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
    if labels is not None:
        # Behind the network, where its runtimes do not look and archivers do.
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(zipfile.ZipInfo(LABELS), labels)


def _write_saved_model(network, path, labels):
    export_network(network, path, "tf_saved_model")
    if labels is not None:
        # The part of a SavedModel that is for what TensorFlow itself does not read.
        extra = path / "assets.extra"
        extra.mkdir()
        (extra / LABELS).write_text(labels, encoding="utf-8", newline="\n")


WRITERS = {
    "onnx": _write_onnx,
    "tflite": _write_tflite,
    "openvino": _write_openvino,
    "saved_model": _write_saved_model,
}
