"""Write a fitted network to a file for another runtime, which needs neither skbbox nor Keras.

Unlike the files of ``persistence.py``, these cannot be loaded as estimators. They include
what ``predict`` does to an image of the right size.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
from keras import layers, ops

from .engines.conversion import convert_to_openvino, export_network
from .engines.folding import fold_batch_norm
from .engines.registry import missing_packages
from .exceptions import EngineError, MissingPackageError, ModelFileError
from .files import as_path, atomic_path, check_overwrite
from .network.box_heads import IOU_ESTIMATE
from .network.graph import add_outputs
from .network.looks import look
from .network.presence_head import PRESENCE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .typing import PathLikeStr

__all__ = ["export_model"]

#: Formats, the packages that write each, and what to install for them.
FORMATS = {
    "onnx": (("onnx", "tf2onnx"), "skbbox[onnx]"),
    "tflite": (("tensorflow",), "tensorflow"),
    "openvino": (("openvino",), "skbbox[openvino]"),
    "saved_model": (("tensorflow",), "tensorflow"),
}
ENDINGS = {".onnx": "onnx", ".tflite": "tflite", ".xml": "openvino"}

#: Name of the file of class names, one per line.
LABELS = "labels.txt"


def export_model(
    model: keras.Model,
    classes: Sequence[object] | NDArray[Any] | None,
    n_looks: int,
    path: PathLikeStr,
    format: str | None = None,
    overwrite: bool = False,
    *,
    has_boxes: bool = True,
) -> None:
    """Write a network with named inputs and outputs.

    Parameters
    ----------
    model : keras.Model
        As returned by :func:`build_network`.
    classes : sequence or None
        Class names in the order of its outputs.
    n_looks, path, format, overwrite
        As for :meth:`SingleBoxLocalizer.export`.
    has_boxes : bool, default=True
        Whether the network has learned boxes; otherwise it is written without them.
    """
    path = as_path(path)
    format = _choose_format(path, format)
    labels = _join_labels(classes)
    packages, install = FORMATS[format]
    if missing := missing_packages(packages):
        raise MissingPackageError(
            f"format={format!r} needs {' and '.join(missing)}: pip install '{install}', or pass "
            "another format."
        )
    _check_target(path, format, overwrite)
    network = _name_outputs(model, n_looks, has_boxes)
    try:
        with atomic_path(path) as unfinished:
            WRITERS[format](network, unfinished, labels)
    except OSError as error:
        raise ModelFileError(
            f"{path} cannot be written: {error}. Make room there, or pass another path."
        ) from error
    except Exception as error:  # Converters raise many kinds.
        raise EngineError(
            f"This network cannot be written as format={format!r}: {error}. {_suggest_fix()}"
        ) from error


def _choose_format(path: Path, format: str | None) -> str:
    if format is None:
        format = ENDINGS.get(path.suffix.lower())
        if format is None:
            raise ValueError(
                f"The ending of path is none of {list(ENDINGS)}, so format must be one of "
                f"{list(FORMATS)}. Received: path={str(path)!r}, format=None."
            )
    if format not in FORMATS:
        raise ValueError(f"format must be one of {list(FORMATS)}. Received: {format!r}.")
    if format == "openvino" and path.suffix != ".xml":
        raise ValueError(
            "path must end in '.xml' with format='openvino'; the weights are written to a file "
            f"next to it that ends in '.bin'. Received: {str(path)!r}."
        )
    return format


def _join_labels(classes: Sequence[object] | NDArray[Any] | None) -> str | None:
    """Class names, one per line; None without classes."""
    if classes is None:
        return None
    names = [str(name) for name in classes]
    for name in names:
        if name.splitlines() != [name]:
            raise ValueError(
                "Class names are written one per line, so they must not be empty or contain a "
                f"line break. Received: {name!r}."
            )
    return "".join(f"{name}\n" for name in names)


def _check_target(path: Path, format: str, overwrite: bool) -> None:
    check_overwrite([path, path.with_suffix(".bin")] if format == "openvino" else [path], overwrite)
    # Even with overwrite=True, the user cannot mean to delete a folder of other files.
    if path.is_dir() and any(path.iterdir()) and not (path / "saved_model.pb").is_file():
        raise FileExistsError(f"{path} is a folder without a SavedModel; pass another path.")


def _suggest_fix() -> str:
    if keras.backend.backend() == "tensorflow":
        return "Pass another format."
    return (
        f"Keras runs on {keras.backend.backend()}, which supports fewer formats than TensorFlow: "
        "save() the estimator, start Python with KERAS_BACKEND=tensorflow, load() the file and "
        "export there."
    )


def _name_outputs(model: keras.Model, n_looks: int, has_boxes: bool) -> keras.Model:
    """From pixels to a dict of the outputs, as ``predict`` and ``predict_proba`` return them."""
    network = fold_batch_norm(add_outputs(model, (IOU_ESTIMATE,)))
    pixels = keras.Input(network.input_shape[1:])
    found = look(network, pixels, n_looks)
    outputs = {}
    if has_boxes:
        outputs["box"] = layers.Identity(name="box")(found["bbox_prediction"])
    if "class_prediction" in found:
        outputs["probabilities"] = found["class_prediction"]
        outputs["class_confidence"] = ops.max(found["class_prediction"], axis=1)
    if has_boxes and IOU_ESTIMATE in found:
        outputs["box_confidence"] = found[IOU_ESTIMATE][:, 0]
    if PRESENCE in found:
        outputs["presence"] = found[PRESENCE][:, 0]
    return keras.Model(pixels, outputs)


def _list_outputs(network: keras.Model) -> tuple[keras.Model, list[str]]:
    """The network with a list of outputs, because not all backends keep names; and the names."""
    return keras.Model(network.input, list(network.output.values())), list(network.output)


def _write_onnx(network: keras.Model, path: Path, labels: str | None) -> None:
    import onnx

    network, names = _list_outputs(network)
    export_network(network, path, "onnx")
    written = onnx.load(path)
    new_names = dict(zip((value.name for value in written.graph.output), names, strict=True))
    for node in written.graph.node:
        for tensors in (node.input, node.output):
            tensors[:] = [new_names.get(name, name) for name in tensors]
    for value in written.graph.output:
        value.name = new_names[value.name]
    for value in (*written.graph.input, *written.graph.output):
        # The converter gives each tensor its own name for the number of images.
        value.type.tensor_type.shape.dim[0].dim_param = "n"
    if labels is not None:
        onnx.helper.set_model_props(written, {"labels": labels})
    # The converter does not stop at a layer for which it knows no operation.
    onnx.checker.check_model(written)
    onnx.save(written, path)


def _write_openvino(network: keras.Model, path: Path, labels: str | None) -> None:
    import openvino

    network, names = _list_outputs(network)
    converted = convert_to_openvino(network)
    # PyTorch leaves all dimensions open.
    converted.reshape([-1, *network.input_shape[1:]])
    ports = (converted.input(), *converted.outputs)
    for port, name in zip(ports, ("image", *names), strict=True):
        port.get_tensor().set_names({name})
    if labels is not None:
        converted.set_rt_info(labels, "labels")
    openvino.save_model(converted, path, compress_to_fp16=False)


def _write_tflite(network: keras.Model, path: Path, labels: str | None) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        # Accelerators of phones only support static shapes.
        export_network(network, folder, "tf_saved_model", n_images=1)
        path.write_bytes(tf.lite.TFLiteConverter.from_saved_model(folder).convert())
    if labels is not None:
        # After the network, where runtimes do not look but zip readers do.
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(zipfile.ZipInfo(LABELS), labels)


def _write_saved_model(network: keras.Model, path: Path, labels: str | None) -> None:
    export_network(network, path, "tf_saved_model")
    if labels is not None:
        # The folder of a SavedModel for files that TensorFlow itself does not read.
        extra = path / "assets.extra"
        extra.mkdir()
        (extra / LABELS).write_text(labels, encoding="utf-8", newline="\n")


WRITERS: dict[str, Callable[[keras.Model, Path, str | None], None]] = {
    "onnx": _write_onnx,
    "tflite": _write_tflite,
    "openvino": _write_openvino,
    "saved_model": _write_saved_model,
}
