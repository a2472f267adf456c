"""Keras models as graphs: parts, copies, digests and weights."""

from __future__ import annotations

import functools
import hashlib
import math
import re
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import keras
import numpy as np
from keras import layers

from .seeds import draw_seed

if TYPE_CHECKING:
    import numpy.typing as npt

    from ..typing import Tensor

__all__ = [
    "FEATURES",
    "LAST_STAGE",
    "add_outputs",
    "concatenate_outputs",
    "copy_model",
    "describe_architecture",
    "digest_model",
    "digest_weights",
    "flatten_model",
    "get_embedder",
    "get_feature_extractor",
    "get_heads",
    "reinitialise",
    "set_weights",
    "synchronized",
    "unfreeze",
    "without_compile_config",
]

#: Names of the layers whose outputs are a model's features, from fine to coarse. The layers
#: before them are the backbone, those after them the heads.
FEATURES = ("features_columns", "features_rows", "features_fine", "features")

#: Name of the backbone's last stage where it is trained with the heads, and so is no part of what
#: computes the features.
LAST_STAGE = "last_stage"

#: How the names of layers of the heads begin.
HEADS = ("neck", "bbox_")

P = ParamSpec("P")
R = TypeVar("R")

_graph_lock = threading.RLock()


def synchronized(function: Callable[P, R]) -> Callable[P, R]:
    """Let one thread at a time read graphs: Keras changes a graph while it serialises it."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with _graph_lock:
            return function(*args, **kwargs)

    return call


@synchronized
def get_feature_extractor(model: keras.Model) -> keras.Model:
    """The part of a model from pixels to its features, the coarsest map last.

    A last stage that is trained with the heads belongs to them.
    """
    return keras.Model(model.input, _get_features(model), name="feature_extractor")


@synchronized
def get_heads(model: keras.Model) -> keras.Model:
    """The part of a model from the features to the outputs, with the same weights."""
    return keras.Model(_get_features(model), model.outputs, name="heads")


@synchronized
def get_embedder(model: keras.Model) -> keras.Model:
    """The part of a model from pixels to the mean of its last feature map over its positions."""
    # Under one name, so that networks of equal layers share a compiled one.
    mean = layers.GlobalAveragePooling2D(name="embedding")(model.get_layer("features").output)
    return keras.Model(model.input, mean)


@synchronized
def add_outputs(model: keras.Model, names: Sequence[str]) -> keras.Model:
    """The same model with the outputs of more layers; names of layers that it lacks are ignored."""
    known = {layer.name for layer in model.layers}
    more = [model.get_layer(name).output for name in names if name in known]
    return keras.Model(model.input, [*model.outputs, *more], name=model.name) if more else model


def concatenate_outputs(model: keras.Model, dtype: str) -> keras.Model:
    """A model with all outputs of another concatenated to one of shape (n, n_values)."""
    image = keras.Input(model.input_shape[1:], dtype=model.input.dtype)
    outputs = keras.tree.flatten(model(image, training=False))
    parts = [keras.ops.reshape(part, (-1, math.prod(part.shape[1:]))) for part in outputs]
    values = keras.ops.concatenate(parts, axis=1)
    return keras.Model(image, keras.ops.cast(values, dtype), name=model.name)


def unfreeze(model: keras.Model) -> None:
    """Make a model trainable, except for the BatchNorm layers of its backbone."""
    model.trainable = True
    for layer in model.layers:
        is_batch_norm = isinstance(layer, layers.BatchNormalization)
        # On TensorFlow, a trainable model does not pass True on to its layers.
        layer.trainable = not is_batch_norm or layer.name.startswith(HEADS)
        if isinstance(layer, keras.Model):
            unfreeze(layer)


def flatten_model(model: keras.Model) -> keras.Model:
    """A copy of a model in which nested models are replaced by their layers.

    A model without nested models is returned unchanged.
    """
    if not any(isinstance(layer, keras.Model) for layer in model.layers):
        return model

    def call(layer: layers.Layer, *args: Any, **kwargs: Any) -> Tensor:
        # Calling a model adds one node to the graph; its `call` adds its layers one by one.
        return layer.call(*args) if isinstance(layer, keras.Model) else layer(*args, **kwargs)

    flat = keras.models.clone_model(
        _make_names_unique(model), clone_function=lambda layer: layer, call_function=call
    )
    return flatten_model(copy_model(flat))


@synchronized
def copy_model(
    model: keras.Model, clone_function: Callable[[layers.Layer], layers.Layer] | None = None
) -> keras.Model:
    """A copy with new layers of equal weights."""
    copy = keras.models.clone_model(without_compile_config(model), clone_function=clone_function)
    set_weights(copy, model.get_weights())
    return copy


@synchronized
def without_compile_config(model: keras.Model) -> keras.Model:
    """The same graph without the compile config, which may contain code that cannot be copied."""
    if getattr(model, "inputs", None) is None:
        return model
    if isinstance(model, keras.Sequential):
        return keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    return keras.Model(model.input, model.output, name=model.name)


@synchronized
def describe_architecture(model: keras.Model) -> str:
    """The layers of a model as text that does not depend on weights, layer names and seeds.

    Layers are numbered by their order in the model; the numbers in Keras's names count all layers
    of the process.
    """
    text = without_compile_config(model).to_json()
    names = [model.name, *re.findall(r'"name": "([^"]*)", "inbound_nodes"', text)]
    number = {name: f"#{i}" for i, name in enumerate(dict.fromkeys(names))}
    # A function may have the name of a layer, so replace only names of and references to layers.
    text = re.sub(
        r'("name": |\[)"([^"]*)"(?=, [\d"]|})',
        lambda match: f'{match[1]}"{number.get(match[2], match[2])}"',
        text,
    )
    return re.sub(r'"seed": \d+', '"seed": 0', text)


def digest_model(model: keras.Model) -> bytes:
    """Digest of a model's architecture and weights."""
    return digest_weights(describe_architecture(model), model.get_weights())


def digest_weights(architecture: str, weights: Sequence[npt.NDArray[Any]]) -> bytes:
    """Digest of a model of which the architecture and all weights are given."""
    digest = hashlib.blake2b(architecture.encode(), digest_size=16)
    for values in weights:
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.digest()


def set_weights(model: keras.Model | layers.Layer, weights: Sequence[npt.NDArray[Any]]) -> None:
    """Set the weights of a model or layer, and the values that Normalization derives from them."""
    model.set_weights(weights)
    for layer in _find_normalizations(model):
        layer.finalize_state()


@synchronized
def reinitialise(model: keras.Model, rng: np.random.Generator) -> keras.Model:
    """A copy of a model with new weights, drawn from `rng` alone."""
    copy = keras.models.clone_model(
        without_compile_config(model),
        clone_function=lambda layer: type(layer).from_config(_add_seeds(layer.get_config(), rng)),
    )
    # Normalization measured its weights on data.
    pairs = zip(_find_normalizations(model), _find_normalizations(copy), strict=True)
    for old, new in pairs:
        set_weights(new, old.get_weights())
    return copy


def _get_features(model: keras.Model) -> Tensor | tuple[Tensor, ...]:
    names = {layer.name for layer in model.layers}
    if LAST_STAGE in names:
        names.remove("features")
    features = tuple(model.get_layer(name).output for name in FEATURES if name in names)
    return features if len(features) > 1 else features[0]


def _make_names_unique(model: keras.Model) -> keras.Model:
    """A copy in which all layers have different names, including those of nested models."""
    taken = set()

    def clone(layer: layers.Layer) -> layers.Layer:
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(without_compile_config(layer), clone_function=clone)
        config = layer.get_config()
        while config["name"] in taken:
            config["name"] += "_"
        taken.add(config["name"])
        return type(layer).from_config(config)

    return copy_model(model, clone)


def _find_normalizations(model: keras.Model | layers.Layer) -> list[layers.Normalization]:
    found = []
    for layer in getattr(model, "layers", [model]):
        if isinstance(layer, keras.Model):
            found += _find_normalizations(layer)
        elif isinstance(layer, layers.Normalization):
            found.append(layer)
    return found


def _add_seeds(config: Any, rng: np.random.Generator) -> Any:
    """A layer's config in which every seed of None is drawn from `rng`."""
    if isinstance(config, dict):
        return {
            key: draw_seed(rng) if key == "seed" and value is None else _add_seeds(value, rng)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_add_seeds(value, rng) for value in config)
    return config
