"""Keras models as graphs: parts, copies, identity and weights."""

import functools
import hashlib
import math
import re
import threading

import keras
import numpy as np
from keras import layers

from .box_heads import PROFILES
from .seeds import draw_seed

__all__ = [
    "add_outputs",
    "concatenate_outputs",
    "copy_model",
    "describe_architecture",
    "digest_model",
    "flatten_model",
    "get_feature_extractor",
    "get_heads",
    "set_weights",
    "synchronized",
    "unfreeze",
    "without_compile_config",
]

_walking = threading.RLock()


def synchronized(function):
    """Threads take turns in what walks a graph: Keras changes it while it writes it as text."""

    @functools.wraps(function)
    def call(*values, **options):
        with _walking:
            return function(*values, **options)

    return call


@synchronized
def get_feature_extractor(model):
    """The part of a model from pixels to its features, the coarsest map last."""
    return keras.Model(model.input, _features(model), name="feature_extractor")


def concatenate_outputs(model, dtype):
    """A model that gives all outputs of another in one, of shape (n, n_values)."""
    image = keras.Input(model.input_shape[1:], dtype=model.input.dtype)
    outputs = keras.tree.flatten(model(image, training=False))
    parts = [keras.ops.reshape(part, (-1, math.prod(part.shape[1:]))) for part in outputs]
    values = keras.ops.concatenate(parts, axis=1)
    return keras.Model(image, keras.ops.cast(values, dtype), name=model.name)


@synchronized
def get_heads(model):
    """The part of a model from the features to the outputs, with the same weights."""
    return keras.Model(_features(model), model.outputs, name="heads")


@synchronized
def add_outputs(model, names):
    """The same model with outputs more, of those layers of these names that it has."""
    known = {layer.name for layer in model.layers}
    more = [model.get_layer(name).output for name in names if name in known]
    return keras.Model(model.input, [*model.outputs, *more], name=model.name) if more else model


#: Names of the layers that give a model's features, from fine to coarse. What lies before
#: them belongs to the backbone, what lies behind them to the heads.
FEATURES = (*PROFILES, "features_fine", "features")


def _features(model):
    names = {layer.name for layer in model.layers}
    features = tuple(model.get_layer(name).output for name in FEATURES if name in names)
    return features if len(features) > 1 else features[0]


def unfreeze(model):
    """Let the backbone of a model be trained, but for its BatchNorm statistics and scales."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            layer.trainable = True
            unfreeze(layer)
        elif isinstance(layer, layers.BatchNormalization) and not layer.name.startswith("bbox_"):
            layer.trainable = False


def flatten_model(model):
    """A copy of a model in which the layers of models inside it are layers of its own."""
    if not any(isinstance(layer, keras.Model) for layer in model.layers):
        return model

    def call(layer, *args, **kwargs):
        # Calling a model makes it one node of the graph; its `call` runs its layers one by one.
        return layer.call(*args) if isinstance(layer, keras.Model) else layer(*args, **kwargs)

    flat = keras.models.clone_model(
        _with_unique_names(model), clone_function=lambda layer: layer, call_function=call
    )
    return flatten_model(copy_model(flat))


def _with_unique_names(model):
    """A copy in which no layer has the name of another, those of models inside it included."""
    taken = set()

    def cloned(layer):
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(without_compile_config(layer), clone_function=cloned)
        config = layer.get_config()
        while config["name"] in taken:
            config["name"] += "_"
        taken.add(config["name"])
        return type(layer).from_config(config)

    return copy_model(model, cloned)


@synchronized
def copy_model(model, clone_function=None):
    """A copy with layers of its own and equal weights."""
    copy = keras.models.clone_model(without_compile_config(model), clone_function=clone_function)
    set_weights(copy, model.get_weights())
    return copy


@synchronized
def without_compile_config(model):
    """The graph of a model without what it was compiled with, which may have no name to copy."""
    if getattr(model, "inputs", None) is None:
        return model
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return keras.Model(model.input, model.output, name=model.name)


@synchronized
def describe_architecture(model):
    """The layers of a model as text, whatever their weights, names and seeds are.

    Keras numbers the layers of a process; here they are numbered as they come.
    """
    text = without_compile_config(model).to_json()
    names = [model.name, *re.findall(r'"name": "([^"]*)", "inbound_nodes"', text)]
    number = {name: f"#{i}" for i, name in enumerate(dict.fromkeys(names))}
    # A function may be called as a layer is, so only where a layer is named or referred to.
    text = re.sub(
        r'("name": |\[)"([^"]*)"(?=, [\d"]|})',
        lambda found: f'{found[1]}"{number.get(found[2], found[2])}"',
        text,
    )
    return re.sub(r'"seed": \d+', '"seed": 0', text)


def digest_model(model):
    """Digest of a model's architecture and weights."""
    digest = hashlib.blake2b(describe_architecture(model).encode(), digest_size=16)
    for weights in model.get_weights():
        digest.update(np.ascontiguousarray(weights).tobytes())
    return digest.digest()


def set_weights(model, weights):
    """Set the weights of a model or layer, and what a Normalization works out from its own."""
    model.set_weights(weights)
    for layer in _normalizations(model):
        layer.finalize_state()


def _normalizations(model):
    found = []
    for layer in getattr(model, "layers", [model]):
        if isinstance(layer, keras.Model):
            found += _normalizations(layer)
        elif isinstance(layer, layers.Normalization):
            found.append(layer)
    return found


@synchronized
def reinitialise(model, rng):
    """A copy of a model with new weights, drawn from `rng` alone."""
    copy = keras.models.clone_model(
        without_compile_config(model),
        clone_function=lambda layer: type(layer).from_config(_seeded(layer.get_config(), rng)),
    )
    # What was measured on data is not drawn.
    for old, new in zip(_normalizations(model), _normalizations(copy), strict=True):
        set_weights(new, old.get_weights())
    return copy


def _seeded(config, rng):
    """A layer's config with a seed wherever one is left open."""
    if isinstance(config, dict):
        return {
            key: draw_seed(rng) if key == "seed" and value is None else _seeded(value, rng)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_seeded(value, rng) for value in config)
    return config
