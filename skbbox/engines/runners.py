"""Runners: trained networks, ready to run on an engine."""

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

from ..exceptions import EngineError, SkbboxWarning
from ..network.graph import concatenate_outputs
from .buffers import BufferPool
from .conversion import convert_to_openvino, export_network
from .folding import fold_batch_norm
from .registry import get_engine

__all__ = ["KerasRunner", "get_runner", "predict_padded"]

#: Networks that are ready to run, by the identity of what they were made from.
N_PREPARED = 4


_prepared = OrderedDict()


_lock = threading.Lock()


#: On JAX Keras takes the weights from a model while it predicts; another thread finds none.
_jax_lock = threading.Lock()


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
        from .openvino_amx import TOGETHER, compile_stages

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
