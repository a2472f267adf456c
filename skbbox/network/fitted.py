"""Networks of a fitted estimator, which know whether their weights have changed."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from .box_heads import EDGES, IOU_ESTIMATE, get_explainer
from .graph import (
    add_outputs,
    describe_architecture,
    digest_weights,
    get_embedder,
    get_feature_extractor,
    get_heads,
    without_compile_config,
)
from .pool import get_key

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

__all__ = ["FittedNetworks", "ModelState", "WatchedModel"]


class FittedNetworks:
    """The networks that predict, made of the layers of a fitted model.

    Parameters
    ----------
    model : keras.Model
    outputs : sequence of str
        Names of the layers whose outputs are added to those of the model, if it has them.

    Attributes
    ----------
    network : WatchedModel
        From pixels in 0..255 to all outputs of ``predict``.
    """

    def __init__(self, model: keras.Model, outputs: Sequence[str] = (IOU_ESTIMATE,)) -> None:
        self._model = model
        self.network = WatchedModel(add_outputs(model, outputs))

    # Each of the others takes a tenth of a second, and not every process needs it.

    @functools.cached_property
    def heads(self) -> WatchedModel:
        """From features to the outputs of ``predict``."""
        return WatchedModel(get_heads(self.network.model))

    @functools.cached_property
    def extractor(self) -> WatchedModel:
        """From pixels to features."""
        return WatchedModel(get_feature_extractor(self._model))

    @functools.cached_property
    def with_edges(self) -> FittedNetworks:
        """The same networks, which also return the distributions of the edges."""
        return FittedNetworks(self._model, (IOU_ESTIMATE, *EDGES))

    @functools.cached_property
    def embedder(self) -> WatchedModel:
        """From pixels to the mean of the last feature map over its positions."""
        return WatchedModel(get_embedder(self._model))

    @functools.cached_property
    def explainer(self) -> WatchedModel | None:
        """From pixels to the box and what it is read from; None if no distributions are read."""
        explainer = get_explainer(self._model)
        return None if explainer is None else WatchedModel(explainer)


class WatchedModel:
    """A model whose layers stay the same, and whose weights anyone may change at any time.

    Describing the layers and computing a digest of the weights takes ten times as long as
    predicting an image. So each is done once, and again only if the weights have changed.

    Parameters
    ----------
    model : keras.Model

    Attributes
    ----------
    is_loaded : bool
        Whether it comes from a file: the process may only predict, and need no other network.
    """

    def __init__(self, model: keras.Model) -> None:
        self.model, self.is_loaded = model, False
        self._lock = threading.Lock()
        self._state: ModelState | None = None

    @property
    def state(self) -> ModelState:
        """The model with its present weights; the same object as long as these do not change."""
        with self._lock:
            weights = self._read_weights()
            if self._state is None or not all(map(_is_equal, self._state.weights, weights)):
                self._state = ModelState(self, weights)
            self._state.weights = weights
            return self._state

    @functools.cached_property
    def key(self) -> Hashable | None:
        """What models that can share a compiled network have in common, or None."""
        return get_key(self.model)

    @functools.cached_property
    def architecture(self) -> str:
        """The layers as text, see :func:`describe_architecture`."""
        return describe_architecture(self.model)

    def _read_weights(self) -> list[NDArray[Any]]:
        if self._handles is None:
            # PyTorch's arrays share the memory of the weights.
            return [np.array(keras.ops.convert_to_numpy(x)) for x in self.model.weights]
        import tensorflow as tf

        read = tf.raw_ops.ReadVariableOp
        return [np.asarray(read(resource=handle, dtype=dtype)) for handle, dtype in self._handles]

    @functools.cached_property
    def _handles(self) -> list[tuple[Any, Any]] | None:
        """What reads the weights on TensorFlow without copying them, or None.

        TensorFlow never changes memory that someone else holds: it gives a variable new memory. So
        weights in the same memory are unchanged, as long as the array that was read last is kept.
        """
        if keras.backend.backend() != "tensorflow":
            return None
        variables = [weight.value for weight in self.model.weights]
        # Others are distributed to several devices.
        if not all(type(variable).__name__ == "ResourceVariable" for variable in variables):
            return None
        return [(variable.handle, variable.dtype) for variable in variables]


class ModelState:
    """A model with the weights that it had at some time.

    Attributes
    ----------
    watched : WatchedModel
    weights : list of ndarray
    version : object
        Differs between states.
    """

    def __init__(self, watched: WatchedModel, weights: list[NDArray[Any]]) -> None:
        self.version, self.weights, self.watched = object(), weights, watched
        self._lock = threading.Lock()
        self._compiled: keras.Model | None = None

    @property
    def model(self) -> keras.Model:
        """The model itself."""
        return self.watched.model

    @property
    def key(self) -> Hashable | None:
        """What models that can share a compiled network have in common, or None."""
        return self.watched.key

    @functools.cached_property
    def identity(self) -> bytes:
        """Digest of architecture and weights."""
        return digest_weights(self.watched.architecture, self.weights)

    def compile_own(self) -> keras.Model:
        """A model of the same layers that predicts.

        Those that cannot be shared may depend on values that are no variables, so each state has
        its own.
        """
        with self._lock:
            if self._compiled is None:
                self._compiled = without_compile_config(self.model)
                self._compiled.make_predict_function()
            return self._compiled


def _is_equal(old: NDArray[Any], new: NDArray[Any]) -> bool:
    first, second = (array.__array_interface__["data"][0] for array in (old, new))
    return first == second or np.array_equal(old, new)
