"""Convert a Keras network for another runtime."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    import openvino

    from ..typing import PathLikeStr

__all__ = ["convert_to_openvino", "export_network", "read_openvino"]


def convert_to_openvino(network: keras.Model) -> openvino.Model:
    """A network for OpenVINO.

    Parameters
    ----------
    network : keras.Model
        From pixels in 0..255 of shape (n, height, width, 3) to one output or a list of them.

    Returns
    -------
    openvino.Model
        From pixels as uint8 to the same outputs in the same order.
    """
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        if keras.backend.backend() != "tensorflow":
            path = Path(folder) / "network.xml"
            export_network(network, path, "openvino")
            return read_openvino(path)
        # This takes a third of the time of Keras's own export to OpenVINO.
        frozen, _ = _freeze(_accept_uint8(network))
        path = Path(folder) / "network.pb"
        path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
        read = read_openvino(path)
    # OpenVINO makes every unused tensor an output, too.
    outputs = [read.output(tensor.name) for tensor in frozen.outputs]
    return openvino.Model(outputs, read.get_parameters())


def read_openvino(path: PathLikeStr) -> openvino.Model:
    """The openvino.Model of a file, which may be deleted while the model is in use."""
    import openvino

    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})
    return core.read_model(path)


def export_network(
    network: keras.Model, path: PathLikeStr, format: str, n_images: int | None = None
) -> None:
    """Write a network for another runtime, with an input ``image`` of pixels as uint8.

    Parameters
    ----------
    network : keras.Model
        Takes pixels in 0..255 of shape (n, height, width, 3); height and width may be open.
    path : str or Path
        The file, or the folder of a SavedModel.
    format : {"onnx", "openvino", "tf_saved_model"}
        The first two keep the order of the outputs; the third keeps the names of a dict of
        outputs.
    n_images : int, default=None
        Batch size of the exported network; None allows any.
    """
    fixed, shape = _accept_uint8(network), network.input_shape[1:]
    with warnings.catch_warnings():
        # Keras and the converters warn about their own code.
        warnings.simplefilter("ignore")
        if format == "onnx" and keras.backend.backend() == "tensorflow":
            _export_onnx(fixed, path, n_images)
        else:
            signature = [keras.InputSpec(shape=(n_images, *shape), dtype="uint8", name="image")]
            # Keras can only export a model that was called before.
            fixed(np.zeros((1, *(length or 1 for length in shape)), np.uint8))
            fixed.export(str(path), format=format, verbose=False, input_signature=signature)


def _accept_uint8(network: keras.Model) -> keras.Model:
    """The network in prediction mode, from an input ``image`` of pixels as uint8."""
    pixels = keras.Input(network.input_shape[1:], name="image", dtype="uint8")
    # Without training=False, Keras would export active augmentation layers.
    cast = keras.ops.cast(pixels, network.input.dtype)
    return keras.Model(pixels, network(cast, training=False))


def _freeze(network: keras.Model, n_images: int | None = None) -> tuple[Any, list[Any]]:
    """The network as a TensorFlow function with constant weights, and its input signature."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = [tf.TensorSpec((n_images, *network.input_shape[1:]), tf.uint8, name="image")]
    function = tf.function(network).get_concrete_function(*signature)
    return convert_variables_to_constants_v2(function), signature


def _export_onnx(network: keras.Model, path: PathLikeStr, n_images: int | None) -> None:
    """Like Keras's own export, which would turn constants, such as channel means, into inputs."""
    import tensorflow as tf
    from tf2onnx import convert

    frozen, signature = _freeze(network, n_images)
    run = tf.function(lambda image: frozen(image), signature)
    convert.from_function(run, signature, output_path=str(path))
