"""Writers of a network for each runtime."""

from __future__ import annotations

import math
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from ..engines.conversion import convert_to_openvino, export_network, read_openvino

__all__ = [
    "WRITERS",
    "append_labels",
    "convert_to_tflite",
    "make_smaller_onnx",
    "write_float16_openvino",
]

#: Name of the file of class names, one per line.
LABELS = "labels.txt"

#: From this number on, weights of ONNX are stored in half precision; constants of the code, such
#: as sizes, are fewer.
MANY_WEIGHTS = 256


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
    (image,) = written.graph.input
    for dimension, name in zip(
        image.type.tensor_type.shape.dim[1:3], ("height", "width"), strict=True
    ):
        if dimension.dim_value <= 0:
            dimension.dim_param = name
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
    converted.reshape([-1, *(length or -1 for length in network.input_shape[1:])])
    ports = (converted.input(), *converted.outputs)
    for port, name in zip(ports, ("image", *names), strict=True):
        port.get_tensor().set_names({name})
    if labels is not None:
        converted.set_rt_info(labels, "labels")
    openvino.save_model(converted, path, compress_to_fp16=False)


def _write_tflite(network: keras.Model, path: Path, labels: str | None) -> None:
    path.write_bytes(convert_to_tflite(network))
    append_labels(path, labels)


def convert_to_tflite(network: keras.Model, quantize: str | None = None) -> bytes:
    """The content of a TFLite file without class names.

    Parameters
    ----------
    network : keras.Model
    quantize : {"int8", "float16"}, default=None
        How to store weights. With ``"int8"``, values are quantised while the network runs: with
        ranges that are fixed before, the converter would also quantise the edges of boxes.
    """
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        # Accelerators of phones only support static shapes.
        export_network(network, folder, "tf_saved_model", n_images=1)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if quantize is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        content: bytes = converter.convert()
    return content


def append_labels(path: Path, labels: str | None) -> None:
    """Add class names to a TFLite file: after the network, where only zip readers look."""
    if labels is not None:
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(zipfile.ZipInfo(LABELS), labels)


def make_smaller_onnx(source: Path, path: Path) -> None:
    """Store the weights of an ONNX file in half precision; runtimes convert them once."""
    import onnx

    model = onnx.load(source)
    casts = []
    for weights in model.graph.initializer:
        if weights.data_type != onnx.TensorProto.FLOAT or math.prod(weights.dims) < MANY_WEIGHTS:
            continue
        values = onnx.numpy_helper.to_array(weights).astype(np.float16)
        name = f"{weights.name}_float16"
        casts.append(
            onnx.helper.make_node("Cast", [name], [weights.name], to=onnx.TensorProto.FLOAT)
        )
        weights.CopyFrom(onnx.numpy_helper.from_array(values, name))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_float16_openvino(source: Path, path: Path) -> None:
    """Store the weights of an OpenVINO model in half precision."""
    import openvino

    openvino.save_model(read_openvino(source), path, compress_to_fp16=True)


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
