"""Writers of a network for each runtime."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import keras

from ..engines.conversion import convert_to_openvino, export_network

__all__ = ["WRITERS"]

#: Name of the file of class names, one per line.
LABELS = "labels.txt"


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
