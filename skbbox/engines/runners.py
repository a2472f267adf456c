"""Runners: trained networks, ready to run on an engine."""

from __future__ import annotations

import tempfile
import threading
import warnings
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import joblib
import keras
import numpy as np
import numpy.typing as npt

from ..exceptions import EngineError, SkbboxWarning
from ..network.graph import concatenate_outputs
from ..typing import Pixels
from .buffers import BufferPool
from .conversion import convert_to_openvino, export_network
from .folding import fold_batch_norm
from .registry import get_engine, has_accelerator

if TYPE_CHECKING:
    from ..network.fitted import ModelState

__all__ = [
    "KerasRunner",
    "Runner",
    "get_graph_size",
    "get_runner",
    "has_runner",
    "predict_padded",
]

#: One array of shape (n, ...) for each output of a network.
Outputs: TypeAlias = list[npt.NDArray[Any]]

#: Computes the outputs of a list of images, a given number at a time.
Runner: TypeAlias = Callable[[list[Pixels], int], Outputs]

#: Writes the outputs of images to arrays.
Compute: TypeAlias = Callable[[Sequence[Pixels], Outputs], None]

#: Number of runners that are kept, by the identity of their network.
N_RUNNERS = 4
_runners: OrderedDict[Hashable, Runner] = OrderedDict()
_lock = threading.Lock()

#: On JAX, Keras moves the weights out of a model during prediction, so threads take turns.
_jax_lock = threading.Lock()


def get_runner(
    model: keras.Model, identity: Hashable, engine: str, joined: str | None = None
) -> Runner:
    """A runner of a network whose weights no longer change; the last ``N_RUNNERS`` are kept.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255 of shape (n, height, width, 3).
    identity : hashable
        Equal for models with equal architecture and weights.
    engine : {"auto", "keras", "onnxruntime", "openvino"}
    joined : {"float16", "float32"}, default=None
        Concatenates all outputs of an image to one of this dtype.

    Returns
    -------
    callable
        Takes a list of n images, uint8 of shape (height, width, 3), and the number of them to
        compute at a time; returns a list of arrays of shape (n, ...). The outputs of an image
        do not depend on the other images.

    Raises
    ------
    EngineError
        If the engine cannot run the network; ``"auto"`` warns, and Keras runs it.
    """
    key = identity, engine, joined
    with _lock:
        if key not in _runners:
            network = concatenate_outputs(model, joined) if joined else model
            _runners[key] = _make_runner(fold_batch_norm(network), engine)
            while len(_runners) > N_RUNNERS:
                _runners.popitem(last=False)
        _runners.move_to_end(key)
        return _runners[key]


def has_runner(state: ModelState, engine: str, joined: str | None = None) -> bool:
    """Whether :func:`get_runner` has a runner of a model already, and so returns at once."""
    # Without any, nobody needs to wait for the digest of the first model.
    if not _runners:
        return False
    try:
        return (state.identity, engine, joined) in _runners
    except NotImplementedError:  # A layer without a config, which no runner can have.
        return False


def _make_runner(network: keras.Model, engine: str) -> Runner:
    name = get_engine(engine)
    if name == "keras":
        return KerasRunner(network)
    try:
        return _OpenVINORunner(network) if name == "openvino" else _OnnxRuntimeRunner(network)
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
    """Runs a network with Keras."""

    def __init__(self, network: keras.Model) -> None:
        self.network = network

    def __call__(self, images: list[Pixels], size: int) -> Outputs:
        return predict_padded(self.network, np.stack(images), size)


def predict_padded(model: keras.Model, batch: Any, size: int) -> Outputs:
    """Outputs of a batch, padded to a fixed size so that one compiled graph serves all batches."""
    n = len(keras.tree.flatten(batch)[0])
    if n < size:
        batch = keras.tree.map_structure(lambda x: np.resize(x, (size, *x.shape[1:])), batch)
    with _jax_lock if keras.backend.backend() == "jax" else nullcontext():
        outputs = model.predict_on_batch(batch)
    return [part[:n] for part in keras.tree.flatten(outputs)]


def get_graph_size(batch_size: int, n_images: int) -> int:
    """The number of images to which batches are filled up, so that one graph serves them all.

    JAX compiles for each number of images: on a CPU, batches are filled up to powers of two; on a
    GPU, where compiling takes ten seconds and a full batch hardly any time, to the batch size.
    """
    if keras.backend.backend() == "jax":
        if has_accelerator():
            return batch_size
        n_images = 1 << (n_images - 1).bit_length()
    return min(batch_size, n_images)


class _ImageRunner(ABC):
    """Runs each image alone, several in parallel, which keeps intermediate values in the cache.

    Outputs are written directly to reused memory: copying them to new memory would take as long
    as a third of MobileNet, whose feature maps they are.
    """

    #: Images that a thread computes at a time.
    n_together = 1

    def __init__(self, network: keras.Model, n_threads: int) -> None:
        self.outputs = [(output.shape[1:], output.dtype) for output in network.outputs]
        self.memory, self.n_threads = BufferPool(), n_threads
        self._idle: list[Compute] = []

    def __call__(self, images: list[Pixels], size: int) -> Outputs:
        outputs = [self.memory.empty((len(images), *shape), dtype) for shape, dtype in self.outputs]

        def run(first: int) -> None:
            rows = slice(first, first + self.n_together)
            try:
                compute = self._idle.pop()
            except IndexError:
                compute = self._make_compute()
            compute(images[rows], [output[rows] for output in outputs])
            self._idle.append(compute)

        firsts = range(0, len(images), self.n_together)
        if len(firsts) == 1:
            run(0)
        else:
            with ThreadPoolExecutor(self.n_threads) as pool:
                list(pool.map(run, firsts))
        return outputs

    @abstractmethod
    def _make_compute(self) -> Compute:
        """A function that one thread at a time may call."""


class _OpenVINORunner(_ImageRunner):
    """In float32 precision: plain bfloat16 changes the class of one image in fifty."""

    def __init__(self, network: keras.Model) -> None:
        from .openvino_amx import SECOND_STAGE_IMAGES, compile_stages

        self.stages = compile_stages(convert_to_openvino(network), network.input_shape[1:])
        super().__init__(network, self.stages[0].get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        if len(self.stages) == 2:
            self.n_together = SECOND_STAGE_IMAGES

    def _make_compute(self) -> Compute:
        import openvino

        def compute_first(pixels: Pixels, outputs: Outputs) -> None:
            for number, output in enumerate(outputs):
                first.set_output_tensor(number, openvino.Tensor(output, shared_memory=True))
            first.infer({0: pixels[None]}, share_inputs=True, share_outputs=True)

        def compute(images: Sequence[Pixels], outputs: Outputs) -> None:
            if not second:
                compute_first(images[0], outputs)
                return
            (rest,) = second
            for row, pixels in enumerate(images):
                compute_first(pixels, [tensor.data[row : row + 1] for tensor in rest.input_tensors])
            rest.infer(share_outputs=True)
            for output, tensor in zip(outputs, rest.output_tensors, strict=True):
                output[:] = tensor.data[: len(images)]

        # Requests must not be shared between threads, nor between simultaneous calls.
        first, *second = [stage.create_infer_request() for stage in self.stages]
        return compute


class _OnnxRuntimeRunner(_ImageRunner):
    """One image per core at a time."""

    def __init__(self, network: keras.Model) -> None:
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

    def _make_compute(self) -> Compute:
        def compute(images: Sequence[Pixels], outputs: Outputs) -> None:
            binding = self.session.io_binding()
            binding.bind_cpu_input(self.input_name, images[0][None])
            for name, output in zip(self.names, outputs, strict=True):
                dtype, address = output.dtype.type, output.ctypes.data
                binding.bind_output(name, "cpu", 0, dtype, output.shape, address)
            self.session.run_with_iobinding(binding)

        return compute
