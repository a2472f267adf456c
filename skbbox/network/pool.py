"""Networks that are ready to use, each of which serves all that have its architecture.

Compiling one takes seconds, and tens of megabytes that TensorFlow never gives back
(tensorflow#61791).
"""

import re
import threading
from collections import OrderedDict
from contextlib import contextmanager

import keras

from .graph import copy_model, describe_architecture, without_compile_config

__all__ = ["borrow_model", "copy_state", "get_variables"]

#: Networks that wait for their next use.
N_IDLE = 8
_idle = OrderedDict()
_lock = threading.Lock()

#: Layers that hold a function, or what they measured on data, and not as variables.
OPAQUE = ("Lambda", "Normalization")


@contextmanager
def borrow_model(network, settings, prepare=None, shared=True):
    """A network in the state of another, which may have served one of equal layers before.

    Nobody else uses it as long as the context lasts.

    Parameters
    ----------
    network : keras.Model
    settings : hashable
        What it is used for; equal for what does the same with it.
    prepare : callable, default=None
        Takes the keras.Model once, before its first use; what it returns is lent beside it.
    shared : bool, default=True
        False lends the layers of the network itself.

    Yields
    ------
    model : keras.Model
        It has the weights and seeds of the network, whose layers it may be made of.
    prepared : object or None
    """
    layers = _shown(network) if shared and not _is_distributed() else None
    if layers is None:
        yield _prepared(without_compile_config(network), prepare)
        return
    key = layers, tuple(network.output_names), settings
    with _lock:
        waiting = _idle.pop(key, [])
        lent = waiting.pop() if waiting else None
        if waiting:
            _idle[key] = waiting
    if lent is None:
        lent = _prepared(copy_model(network), prepare)
    copy_state(network, lent[0])
    yield lent
    # After an error its state is not known, and it is not lent again.
    with _lock:
        _idle.setdefault(key, []).append(lent)
        _idle.move_to_end(key)
        while sum(map(len, _idle.values())) > N_IDLE:
            oldest = next(iter(_idle))
            _idle[oldest].pop(0)
            if not _idle[oldest]:
                del _idle[oldest]


def _prepared(model, prepare):
    return model, None if prepare is None else prepare(model)


def copy_state(source, target):
    """Set all variables of a model's layers, seeds too, to those of one of equal layers."""
    for ours, theirs in zip(get_variables(target), get_variables(source), strict=True):
        # On JAX a variable takes an array as it is, and training deletes the arrays that it uses.
        ours.assign(keras.ops.copy(theirs))


def get_variables(model):
    """All variables of a model's layers, the seeds too."""
    return [variable for layer in model.layers for variable in layer.variables]


def _shown(network):
    """The architecture of a network if that is all there is to know; None with code of the user's.

    Such a layer, or an activation, can mean something else in the next fit.
    """
    if not all(_is_known(type(layer).__module__) for layer in _all_layers(network)):
        return None
    text = describe_architecture(network)
    modules = re.findall(r'"module": (?:"([^"]*)"|null)', text)
    opaque = any(f'"class_name": "{name}"' in text for name in OPAQUE)
    return text if all(map(_is_known, modules)) and not opaque else None


def _is_known(module):
    return module.split(".")[0] in ("keras", "skbbox")


def _all_layers(model):
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)


def _is_distributed():
    """Whether variables are made for several devices, by a strategy that ends with its scope."""
    if keras.backend.backend() != "tensorflow":
        return keras.distribution.distribution() is not None
    import tensorflow as tf

    return tf.distribute.has_strategy()
