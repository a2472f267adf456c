"""A pool of compiled networks, each of which serves all networks of its architecture.

Compiling a network takes seconds, and tens of megabytes that TensorFlow never frees
(tensorflow#61791).
"""

from __future__ import annotations

import re
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
from keras import layers

from ..exceptions import ImageError
from .graph import copy_model, describe_architecture, without_compile_config

if TYPE_CHECKING:
    from .fitted import ModelState, WatchedModel

__all__ = ["borrow_model", "copy_state", "get_key", "get_variables", "share_model"]

#: A network, and what `prepare` returned for it.
Entry: TypeAlias = tuple[keras.Model, Any]

#: Number of idle networks that are kept.
N_IDLE = 8
_idle: OrderedDict[Hashable, list[Entry]] = OrderedDict()
_lock = threading.Lock()

#: Networks in use by `share_model`, by what they are and the version of the weights.
_shared: dict[Hashable, _Shared] = {}

#: The first network of each kind that was loaded.
_first: dict[Hashable, weakref.ref[WatchedModel]] = {}

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
    key = get_key(network) if shared and not _is_distributed() else None
    if key is None:
        yield _prepare(without_compile_config(network), prepare)
        return
    key = key, settings
    with _lock:
        lent = _take(key)
    if lent is None:
        lent = _prepare(copy_model(network), prepare)
    copy_state(network, lent[0])
    yield lent
    # After an error its state is unknown, so it does not return to the pool.
    with _lock:
        _give_back(key, lent)


@dataclass
class _Shared:
    """A network that any number of threads use for prediction, which does not change its state."""

    entry: Entry | None = None
    n_users: int = 0
    is_intact: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def share_model(state: ModelState) -> Iterator[keras.Model]:
    """Borrow a network for prediction in a given state, together with other threads.

    One that was in the same state before needs no copy of it.

    Yields
    ------
    keras.Model
    """
    if state.key is None or _is_distributed() or _is_first(state):
        yield state.compile_own()
        return
    key, version = (state.key, "prediction"), state.version
    with _lock:
        shared = _shared.setdefault((key, version), _Shared())
        shared.n_users += 1
    try:
        with shared.lock:
            if shared.entry is None:
                shared.entry = _enter_state(key, state)
        yield shared.entry[0]
    except BaseException as error:
        shared.is_intact &= isinstance(error, ImageError)
        raise
    finally:
        with _lock:
            shared.n_users -= 1
            if not shared.n_users:
                del _shared[key, version]
                if shared.is_intact and shared.entry is not None:
                    _give_back(key, shared.entry)


def _is_first(state: ModelState) -> bool:
    """Whether a network is loaded, and is the first of its kind: copying it would take a second."""
    watched = state.watched
    return watched.is_loaded and _first.setdefault(state.key, weakref.ref(watched))() is watched


def _enter_state(key: Hashable, state: ModelState) -> Entry:
    """A network of the pool, or a new one, in a given state, and the version of this state."""
    with _lock:
        entry = _take(key, state.version)
    if entry is None:
        model = copy_model(state.model)
        # Otherwise each of several threads would make one, which TensorFlow would trace.
        model.make_predict_function()
    else:
        model, known = entry
        if known is state.version:
            return entry
        copy_state(state.model, model)
    return model, state.version


def _take(key: Hashable, prepared: object = None) -> Entry | None:
    """Take an idle network out of the pool; one with this result of `prepare` if there is one."""
    idle = _idle.pop(key, [])
    if not idle:
        return None
    rows = [row for row, entry in enumerate(idle) if entry[1] is prepared]
    taken = idle.pop(rows[-1] if rows else -1)
    if idle:
        _idle[key] = idle
    return taken


def _give_back(key: Hashable, entry: Entry) -> None:
    _idle.setdefault(key, []).append(entry)
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


def get_key(network: keras.Model) -> Hashable | None:
    """What networks that can share a compiled one have in common: layers and names of outputs.

    None if there is custom code or an opaque layer: custom layers and activations may behave
    differently in the next fit.
    """
    if not all(_is_known(type(layer).__module__) for layer in _iterate_layers(network)):
        return None
    text = describe_architecture(network)
    modules = re.findall(r'"module": (?:"([^"]*)"|null)', text)
    opaque = any(f'"class_name": "{name}"' in text for name in OPAQUE)
    is_shareable = all(map(_is_known, modules)) and not opaque
    return (text, tuple(network.output_names)) if is_shareable else None


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
