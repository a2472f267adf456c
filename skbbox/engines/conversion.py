"""Convert a Keras network for another runtime."""

import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

__all__ = ["convert_to_openvino", "export_network", "read_openvino"]


def convert_to_openvino(network):
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
        # In a third of the time that Keras takes for a file of OpenVINO's own.
        frozen, _ = _freeze(_accept_uint8(network))
        path = Path(folder) / "network.pb"
        path.write_bytes(frozen.graph.as_graph_def().SerializeToString())
        read = read_openvino(path)
    # It takes whatever is not used for outputs too.
    outputs = [read.output(tensor.name) for tensor in frozen.outputs]
    return openvino.Model(outputs, read.get_parameters())


def read_openvino(path):
    """The openvino.Model of a file that may go before the model does."""
    import openvino

    core = openvino.Core()
    core.set_property({"ENABLE_MMAP": False})
    return core.read_model(path)


def export_network(network, path, form, n_images=None):
    """Write a network for another runtime, with an input ``image`` of pixels as uint8.

    Parameters
    ----------
    network : keras.Model
        Takes pixels in 0..255 of shape (n, height, width, 3).
    path : str or Path
        Of the file, or of the folder of a SavedModel.
    form : {"onnx", "openvino", "tf_saved_model"}
        Outputs are in order in the first two; those of a dict have its names in the third.
    n_images : int, default=None
        How many it takes at a time; None is any number.
    """
    fixed, shape = _accept_uint8(network), network.input_shape[1:]
    with warnings.catch_warnings():
        # Of Keras and the converters, about their own code.
        warnings.simplefilter("ignore")
        if form == "onnx" and keras.backend.backend() == "tensorflow":
            _export_onnx(fixed, path, n_images)
        else:
            signature = [keras.InputSpec(shape=(n_images, *shape), dtype="uint8", name="image")]
            # Keras exports what was called before.
            fixed(np.zeros((1, *shape), np.uint8))
            fixed.export(str(path), format=form, verbose=False, input_signature=signature)


def _accept_uint8(network):
    """The network as it predicts, from an input ``image`` of pixels as uint8."""
    pixels = keras.Input(network.input_shape[1:], name="image", dtype="uint8")
    # Layers that augment images do so in what Keras exports, unless they are told otherwise.
    return keras.Model(pixels, network(keras.ops.cast(pixels, "float32"), training=False))


def _freeze(network, n_images=None):
    """The network as a function of TensorFlow with its weights in it, and what that takes."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = [tf.TensorSpec((n_images, *network.input_shape[1:]), tf.uint8, name="image")]
    function = tf.function(network).get_concrete_function(*signature)
    return convert_variables_to_constants_v2(function), signature


def _export_onnx(network, path, n_images):
    """What Keras does, but it makes inputs of constants, such as the means of channels."""
    import tensorflow as tf
    from tf2onnx import convert

    frozen, signature = _freeze(network, n_images)
    run = tf.function(lambda image: frozen(image), signature)
    convert.from_function(run, signature, output_path=str(path))
