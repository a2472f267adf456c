"""A pool of compiled networks, each of which serves all networks of its architecture.

Compiling a network takes seconds, and tens of megabytes that TensorFlow never frees
(tensorflow#61791).
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import keras
from keras import layers

from .graph import copy_model, describe_architecture, without_compile_config

__all__ = ["borrow_model", "copy_state", "get_variables"]

#: A network, and what `prepare` returned for it.
Entry: TypeAlias = tuple[keras.Model, Any]

#: Number of idle networks that are kept.
N_IDLE = 8
_idle: OrderedDict[Hashable, list[Entry]] = OrderedDict()
_lock = threading.Lock()

#: Layers with state that is not in their variables: a function, or values measured on data.
OPAQUE = ("Lambda", "Normalization")


@contextmanager
def borrow_model(
    network: keras.Model,
    settings: Hashable,
    prepare: Callable[[keras.Model], Any] | None = None,
    shared: bool = True,
) -> Iterator[Entry]:
    """Borrow a network in the state of another; it may have served an equal one before.

    Within the context, no other thread uses it.

    Parameters
    ----------
    network : keras.Model
    settings : hashable
        What the network is used for; networks are shared only for equal settings.
    prepare : callable, default=None
        Called once with the keras.Model, before its first use; its result is yielded each time.
    shared : bool, default=True
        False lends the layers of the network itself.

    Yields
    ------
    model : keras.Model
        With the weights and seeds of the network; it may consist of the network's own layers.
    prepared : object or None
    """
    text = _describe_if_shareable(network) if shared and not _is_distributed() else None
    if text is None:
        yield _prepare(without_compile_config(network), prepare)
        return
    key = text, tuple(network.output_names), settings
    with _lock:
        idle = _idle.pop(key, [])
        lent = idle.pop() if idle else None
        if idle:
            _idle[key] = idle
    if lent is None:
        lent = _prepare(copy_model(network), prepare)
    copy_state(network, lent[0])
    yield lent
    # After an error its state is unknown, so it does not return to the pool.
    with _lock:
        _idle.setdefault(key, []).append(lent)
        _idle.move_to_end(key)
        while sum(map(len, _idle.values())) > N_IDLE:
            oldest = next(iter(_idle))
            _idle[oldest].pop(0)
            if not _idle[oldest]:
                del _idle[oldest]


def copy_state(source: keras.Model, target: keras.Model) -> None:
    """Copy all variables, including seeds, to a model with equal layers."""
    for ours, theirs in zip(get_variables(target), get_variables(source), strict=True):
        # On JAX, `assign` makes no copy, and training deletes the arrays that it uses.
        ours.assign(keras.ops.copy(theirs))


def get_variables(model: keras.Model) -> list[keras.Variable]:
    """All variables of a model's layers, including seeds."""
    return [variable for layer in model.layers for variable in layer.variables]


def _prepare(model: keras.Model, prepare: Callable[[keras.Model], Any] | None) -> Entry:
    return model, None if prepare is None else prepare(model)


def _describe_if_shareable(network: keras.Model) -> str | None:
    """The architecture of a network, or None if it contains custom code or opaque layers.

    Custom layers and activations may behave differently in the next fit.
    """
    if not all(_is_known(type(layer).__module__) for layer in _iterate_layers(network)):
        return None
    text = describe_architecture(network)
    modules = re.findall(r'"module": (?:"([^"]*)"|null)', text)
    opaque = any(f'"class_name": "{name}"' in text for name in OPAQUE)
    return text if all(map(_is_known, modules)) and not opaque else None


def _is_known(module: str) -> bool:
    return module.split(".")[0] in ("keras", "skbbox")


def _iterate_layers(model: keras.Model) -> Iterator[layers.Layer]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _iterate_layers(layer)


def _is_distributed() -> bool:
    """Whether variables are made for several devices, by a strategy that ends with its scope."""
    if keras.backend.backend() != "tensorflow":
        return keras.distribution.distribution() is not None
    import tensorflow as tf

    return tf.distribute.has_strategy()
