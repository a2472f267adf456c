"""What runs a network that is not trained: Keras, ONNX Runtime or OpenVINO."""

import importlib.util
import tempfile
import threading
import warnings
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

import joblib
import keras
import numpy as np
from keras import layers

from .exceptions import EngineError, SkbboxWarning
from .network import concatenate_outputs, set_weights, synchronized, without_compile_config
from .reused import BufferPool
from .seeds import preserve_random_state

__all__ = [
    "ENGINES",
    "KerasRunner",
    "export_network",
    "fold_batch_norm",
    "get_engine",
    "has_accelerator",
    "predict_padded",
    "missing_packages",
    "convert_to_openvino",
    "get_runner",
    "read_openvino",
]

#: Engines, the fastest on a processor first, and the packages that each takes.
ENGINES = {
    "openvino": ("openvino",),
    "onnxruntime": ("onnxruntime", "onnx", "tf2onnx"),
    "keras": (),
}
EXTRAS = {"openvino": "skbbox[openvino]", "onnxruntime": "skbbox[onnx]"}

#: Networks that are ready to run, by the identity of what they were made from.
N_PREPARED = 4
_prepared = OrderedDict()
_lock = threading.Lock()

#: On JAX Keras takes the weights from a model while it predicts; another thread finds none.
_jax_lock = threading.Lock()


def get_engine(engine):
    """The name of an engine; for ``"auto"`` that of the fastest one installed.

    That is Keras where it has a graphics card, which the others leave alone, and on JAX, whose
    networks they cannot take.

    Raises
    ------
    EngineError
        If there is no such engine, or a package is missing that it takes.
    """
    if engine == "auto":
        if keras.backend.backend() == "jax" or has_accelerator():
            return "keras"
        return next(name for name, packages in ENGINES.items() if not missing_packages(packages))
    if engine not in ENGINES:
        raise EngineError(f"engine must be 'auto' or one of {list(ENGINES)}. Received: {engine!r}.")
    if absent := missing_packages(ENGINES[engine]):
        raise EngineError(
            f"engine={engine!r} needs {' and '.join(absent)}: pip install '{EXTRAS[engine]}', or "
            "pass engine='auto', which takes the fastest one installed."
        )
    return engine


def missing_packages(packages):
    """Those of the packages that are not installed."""
    return [name for name in packages if importlib.util.find_spec(name) is None]


def has_accelerator():
    """Whether Keras computes on a graphics card or the like."""
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    return not keras.distribution.list_devices()[0].startswith("cpu")


def get_runner(model, identity, engine, joined=None):
    """What runs a network whose weights do not change any more, made once in a process.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255 of shape (n, height, width, 3).
    identity : hashable
        Equal for models with equal architecture and weights.
    engine : {"auto", "keras", "onnxruntime", "openvino"}
    joined : {"float16", "float32"}, default=None
        Gives all outputs of an image side by side in one of this dtype.

    Returns
    -------
    callable
        Takes a list of n images, uint8 of shape (height, width, 3), and a number of them to
        compute at a time; returns a list of arrays of shape (n, ...). What it gives for an image
        does not depend on the others.

    Raises
    ------
    EngineError
        If the engine cannot run the network; ``"auto"`` warns, and Keras runs it.
    """
    key = identity, engine, joined
    with _lock:
        if key not in _prepared:
            network = concatenate_outputs(model, joined) if joined else model
            _prepared[key] = _make_runner(fold_batch_norm(network), engine)
            while len(_prepared) > N_PREPARED:
                _prepared.popitem(last=False)
        _prepared.move_to_end(key)
        return _prepared[key]


def _make_runner(network, engine):
    name = get_engine(engine)
    if name == "keras":
        return KerasRunner(network)
    try:
        return {"openvino": _OpenVINORunner, "onnxruntime": _OnnxRuntimeRunner}[name](network)
    except Exception as error:
        message = f"{name} cannot run this network: {error}"
        if engine != "auto":
            raise EngineError(f"{message}. Pass engine='keras' or another one.") from error
        warnings.warn(
            f"{message}. Keras runs it, more slowly; engine='keras' does so without a warning.",
            SkbboxWarning,
            stacklevel=2,
        )
        return KerasRunner(network)


class KerasRunner:
    """Runs a network as Keras does, what :func:`get_runner` returns where it is that."""

    def __init__(self, network):
        self.network = network

    def __call__(self, images, size):
        return predict_padded(self.network, np.stack(images), size)


def predict_padded(model, batch, size):
    """Outputs of a batch, which is filled up to a size so that one graph serves all batches."""
    n = len(keras.tree.flatten(batch)[0])
    if n < size:
        batch = keras.tree.map_structure(lambda x: np.resize(x, (size, *x.shape[1:])), batch)
    with _jax_lock if keras.backend.backend() == "jax" else nullcontext():
        outputs = model.predict_on_batch(batch)
    return [part[:n] for part in keras.tree.flatten(outputs)]


class _ImageRunner:
    """Runs each image by itself, several at a time: that keeps what it computes near.

    Outputs are written where they are to lie, in memory that served before: to copy them into new
    memory takes as long as a third of MobileNet, of which they are the maps.
    """

    #: Images that a thread takes at a time.
    n_together = 1

    def __init__(self, network, n_threads):
        self.outputs = [(output.shape[1:], output.dtype) for output in network.outputs]
        self.memory, self.n_threads = BufferPool(), n_threads

    def __call__(self, images, size):
        outputs = [self.memory.empty((len(images), *shape), dtype) for shape, dtype in self.outputs]
        own = threading.local()

        def begin():
            own.run = self._runner()

        def run(first):
            rows = slice(first, first + self.n_together)
            own.run(images[rows], [output[rows] for output in outputs])

        with ThreadPoolExecutor(self.n_threads, initializer=begin) as pool:
            list(pool.map(run, range(0, len(images), self.n_together)))
        return outputs


class _OpenVINORunner(_ImageRunner):
    """In the precision of float32, as bfloat16 alone changes the class of one image in fifty."""

    def __init__(self, network):
        from .bfloat16 import TOGETHER, compile_stages

        self.stages = compile_stages(convert_to_openvino(network), network.input_shape[1:])
        super().__init__(network, self.stages[0].get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        if len(self.stages) == 2:
            self.n_together = TOGETHER

    def _runner(self):
        import openvino

        def run_one(pixels, places):
            for number, place in enumerate(places):
                tensor = openvino.Tensor(place, shared_memory=True)
                first.set_output_tensor(number, tensor)
            first.infer({0: pixels[None]}, share_inputs=True, share_outputs=True)

        def run(images, places):
            if not second:
                run_one(*images, places)
                return
            (rest,) = second
            for row, pixels in enumerate(images):
                run_one(pixels, [tensor.data[row : row + 1] for tensor in rest.input_tensors])
            rest.infer(share_outputs=True)
            for place, tensor in zip(places, rest.output_tensors, strict=True):
                place[:] = tensor.data[: len(images)]

        # They belong to a thread of this call, as there may be others.
        first, *second = [stage.create_infer_request() for stage in self.stages]
        return run


class _OnnxRuntimeRunner(_ImageRunner):
    """Each on one core, and as many as there are cores."""

    def __init__(self, network):
        import onnxruntime

        super().__init__(network, joblib.cpu_count())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            export_network(network, path, "onnx")
            self.session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        self.input_name = self.session.get_inputs()[0].name
        self.names = [output.name for output in self.session.get_outputs()]

    def _runner(self):
        def run(images, places):
            bound = self.session.io_binding()
            bound.bind_cpu_input(self.input_name, images[0][None])
            for name, place in zip(self.names, places, strict=True):
                bound.bind_output(name, "cpu", 0, place.dtype.type, place.shape, place.ctypes.data)
            self.session.run_with_iobinding(bound)

        return run


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


@synchronized
def fold_batch_norm(model):
    """A copy for prediction alone, each BatchNorm a part of the convolution before it.

    BatchNorm in prediction is a product and a sum for each channel, which the weights of the
    convolution can hold: B. Jacob et al., "Quantization and Training of Neural Networks for
    Efficient Integer-Arithmetic-Only Inference", CVPR 2018, arXiv:1712.05877, section 3.2.

    Parameters
    ----------
    model : keras.Model

    Returns
    -------
    keras.Model
        Gives what the model gives, but for the rounding of float32. A model whose layers do
        not show is returned as it is.
    """
    if getattr(model, "inputs", None) is None:
        return model
    pairs = {}
    for norm in model.layers:
        convolution = _convolution_before(norm)
        if convolution is not None and not _shows(model, convolution):
            pairs[convolution.name] = convolution, norm
    norms = {norm.name for _, norm in pairs.values()}

    def changed(layer):
        if isinstance(layer, keras.Model):
            return fold_batch_norm(layer)
        # What is not Keras's own need not be made to be copied; it can be in both models.
        if isinstance(layer, layers.Lambda) or not type(layer).__module__.startswith("keras."):
            return layer
        config = layer.get_config()
        if layer.name in pairs:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def called(layer, x, *args, **kwargs):
        return x if layer.name in norms else layer(x, *args, **kwargs)

    with preserve_random_state():
        copy = keras.models.clone_model(
            without_compile_config(model), clone_function=changed, call_function=called
        )
    for layer in model.layers:
        if layer.name in pairs:
            copy.get_layer(layer.name).set_weights(_folded_weights(*pairs[layer.name]))
        elif layer.weights and layer.name not in norms and not isinstance(layer, keras.Model):
            set_weights(copy.get_layer(layer.name), layer.get_weights())
    return copy


def _convolution_before(norm):
    """The convolution whose output nothing but this BatchNorm takes, or None."""
    if not isinstance(norm, layers.BatchNormalization) or norm.axis not in (-1, 3):
        return None
    convolution = norm._inbound_nodes[0].input_tensors[0]._keras_history.operation
    if type(convolution) not in (layers.Conv2D, layers.DepthwiseConv2D):
        return None
    calls = (norm._inbound_nodes, convolution._inbound_nodes, convolution._outbound_nodes)
    alone = all(len(nodes) == 1 for nodes in calls)
    linear = convolution.activation is keras.activations.linear
    return convolution if alone and linear else None


def _shows(model, layer):
    return any(tensor._keras_history.operation is layer for tensor in model.outputs)


def _folded_weights(convolution, norm):
    """Kernel and bias of a convolution with a BatchNorm behind it."""
    kernel, *bias = convolution.get_weights()
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    factor = 1 / np.sqrt(variance + norm.epsilon)
    if norm.scale:
        factor = factor * np.asarray(norm.gamma)
    shift = (bias[0] if bias else 0) - mean
    bias = shift * factor + (np.asarray(norm.beta) if norm.center else 0)
    # The last axis of a kernel counts outputs; the last two of a depthwise one do.
    depthwise = isinstance(convolution, layers.DepthwiseConv2D)
    return [kernel * (factor.reshape(kernel.shape[2:]) if depthwise else factor), bias]
