"""The network: a feature extractor, and two heads with the chapter's layer names on it."""

import difflib
import functools
import hashlib
import inspect
import math
import os
import re
import sys
import threading
import warnings
from pathlib import Path

import keras
import numpy as np
from keras import layers

from .box_heads import BOX_HEADS, PROFILES
from .exceptions import WeightsError
from .seeds import draw_seed, get_full_precision_dtype, make_initializer, preserve_random_state

__all__ = [
    "describe_architecture",
    "without_compile_config",
    "build_network",
    "copy_model",
    "get_feature_extractor",
    "flatten_model",
    "get_heads",
    "digest_model",
    "synchronized",
    "set_weights",
    "concatenate_outputs",
    "small_convnet",
    "unfreeze",
    "add_outputs",
]

#: Where Keras looks for ImageNet weights; it reads KERAS_HOME when it is imported.
KERAS_MODELS = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"

#: A feature map with a pixel for so many of the image is fine enough by itself.
FINEST_STRIDE = 8

#: Operations of keras.ops that preprocessing is made of; they have no public classes.
ARITHMETIC = ("Add", "Divide", "Multiply", "Subtract", "TrueDivide")

#: Sides in pixels below which a backbone of keras.applications has no feature map left.
MINIMUM_SIZE = {"xception": 71, "inceptionv3": 75, "inceptionresnetv2": 75}

_walking = threading.RLock()


def synchronized(function):
    """Threads take turns in what walks a graph: Keras changes it while it writes it as text."""

    @functools.wraps(function)
    def call(*values, **options):
        with _walking:
            return function(*values, **options)

    return call


def build_network(
    *,
    backbone,
    weights,
    alpha,
    preprocessing,
    image_size,
    box_head,
    n_classes,
    dropout,
    l2,
    rng,
):
    """Build the two-head model.

    Parameters
    ----------
    backbone, weights, alpha, preprocessing, image_size, box_head, dropout, l2
        As for :class:`SingleBoxLocalizer`; `image_size` as (height, width).
    n_classes : int or None
        None leaves out the class head.
    rng : numpy Generator
        Source of every layer's seed.

    Returns
    -------
    keras.Model
        From pixels in 0..255 to ``[class_prediction, bbox_prediction]``. Its
        backbone is frozen unless `weights` is None.
    """
    if box_head not in BOX_HEADS:
        raise ValueError(f"box_head must be one of {list(BOX_HEADS)}. Received: {box_head!r}.")
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "Images are (height, width, channels) here, but Keras is set to build networks for "
            "(channels, height, width); call keras.config.set_image_data_format('channels_last') "
            f"before fit. Received: {keras.config.image_data_format()!r}."
        )
    with preserve_random_state():
        extractor, preprocess = _build_backbone(backbone, weights, alpha, image_size, rng)
        _check_feature_map(extractor, image_size)
        if box_head == "spatial":
            extractor = _with_finer_maps(extractor, image_size)
        pixels = keras.Input((*image_size, 3), name="image")
        if preprocessing != "auto":
            preprocess = _preprocessing(preprocessing)
        prepared = _as_layer(preprocess, image_size)(pixels)
        extractor.trainable = weights is None
        # A frozen backbone must not update its BatchNorm statistics (keras#9965).
        maps = extractor(prepared) if weights is None else extractor(prepared, training=False)
        maps = _named(maps if isinstance(maps, list) else [maps])
        outputs = []
        if n_classes is not None:
            outputs.append(_class_head(maps[-1], n_classes, dropout, l2, rng))
        outputs.append(BOX_HEADS[box_head](maps, rng))
        return keras.Model(pixels, outputs, name="single_box_localizer")


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


def _named(maps):
    """The feature maps, the last two named as features; of one before them the profiles are."""
    names = ("features_fine", "features")[-len(maps) :]
    named = zip(names, maps[-2:], strict=True)
    return maps[:-2] + [layers.Identity(name=name)(x) for name, x in named]


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


def small_convnet(input_shape):
    """A small backbone to train from the start: five 3x3 convolutions, stride 8.

    For pictures of up to about 100 pixels and where no ImageNet weights are at
    hand: ``SingleBoxLocalizer(backbone=small_convnet, weights=None)``.

    Parameters
    ----------
    input_shape : (int, int, 3)
        Height, width and channels.

    Returns
    -------
    keras.Model
        From pixels in 0..255 to a feature map of shape (height / 8, width / 8, 96).
    """
    pixels = keras.Input(input_shape)
    x = layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(pixels)
    for number, (filters, strides) in enumerate(
        [(16, 2), (32, 2), (64, 2), (96, 1), (96, 1)], start=1
    ):
        x = layers.Conv2D(
            filters, 3, strides, padding="same", use_bias=False, name=f"conv{number}"
        )(x)
        # The default momentum of 0.99 needs more steps to settle than small data give.
        x = layers.BatchNormalization(momentum=0.9, name=f"bn{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    return keras.Model(pixels, x, name="small_convnet")


def _class_head(features, n_classes, dropout, l2, rng):
    x = layers.GlobalAveragePooling2D(name="class_pool")(features)
    x = layers.Dropout(dropout, seed=draw_seed(rng), name="class_dropout")(x)
    x = layers.Dense(
        n_classes,
        kernel_initializer=make_initializer(rng),
        kernel_regularizer=keras.regularizers.L2(l2),
        dtype=get_full_precision_dtype(),
        name="dense_class",
    )(x)
    return layers.Activation("softmax", dtype=get_full_precision_dtype(), name="class_prediction")(
        x
    )


def _build_backbone(backbone, weights, alpha, image_size, rng):
    """The backbone and the preprocessing that belongs to it."""
    if isinstance(backbone, str):
        backbone = _application(backbone)
    if isinstance(backbone, keras.Model):
        model, preprocess = backbone, _preprocessing_of_model(backbone)
    elif not callable(backbone):
        raise ValueError(
            "backbone must be a name of keras.applications, a keras.Model or a callable that "
            f"builds one. Received: {backbone!r}."
        )
    elif _is_application(backbone):
        _check_minimum_size(backbone.__name__, image_size)
        model = _built_application(backbone, weights, alpha)
        preprocess = sys.modules[backbone.__module__].preprocess_input
    else:
        model = _called(backbone, image_size)
        preprocess = _preprocessing_of_model(model)
    _check_takes(model, image_size)
    if weights is None:
        return _reinitialised(model, rng), preprocess
    if model is backbone:
        # A copy, so that fitting leaves the user's model as it is.
        model = copy_model(backbone)
    if weights != "imagenet" and not _is_application(backbone):
        _load(model, weights)
    return model, preprocess


@functools.cache
def _applications():
    """Functions of keras.applications by their name in lower case without underscores."""
    return {
        name.lower(): function
        for name, function in vars(keras.applications).items()
        if inspect.isfunction(function)
    }


def _application(name):
    key = name.lower().replace("_", "").replace("-", "")
    if key not in _applications():
        known = sorted(_applications())
        near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
        raise ValueError(
            f"backbone {name!r} is not in keras.applications. "
            + (f"Did you mean {' or '.join(map(repr, near))}? " if near else "")
            + f"Known: {', '.join(known)}."
        )
    return _applications()[key]


def _is_application(backbone):
    return not isinstance(backbone, keras.Model) and backbone in _applications().values()


def _built_application(function, weights, alpha):
    arguments = {"include_top": False, "weights": weights, "input_shape": (None, None, 3)}
    if "alpha" in inspect.signature(function).parameters:
        arguments["alpha"] = alpha
    if weights not in (None, "imagenet"):
        _check_exists(weights)
        arguments["weights"] = os.fspath(weights)
    try:
        with warnings.catch_warnings():
            # With an open input shape Keras says that it takes the weights of 224 pixels.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined")
            return function(**arguments)
    except Exception as error:
        if weights is None:
            raise
        raise WeightsError(_what_to_do(error, function.__name__, weights)) from error


def _what_to_do(error, name, weights):
    if weights != "imagenet":
        return f"{weights} does not hold weights of {name} without its top: {error}"
    if not (url := re.search(r"https?://\S*?/([^/\s]+\.h5)", str(error))):
        return f"The ImageNet weights of {name} cannot be had: {error}"
    return (
        f"The ImageNet weights of {name} are neither in {KERAS_MODELS} (the folder models of "
        "KERAS_HOME as it was when Keras was imported) nor can they be downloaded. Put the file "
        f"{url[1]} there, pass its path as weights=, or pass weights=None to train the backbone "
        f"from the start. Keras said: {error}"
    )


def _check_exists(weights):
    if not isinstance(weights, (str, os.PathLike)) or not Path(weights).is_file():
        raise WeightsError(
            "weights must be 'imagenet', None or the path of a file with weights. "
            f"Received: {weights!r}, which is no file."
        )


def _load(model, weights):
    _check_exists(weights)
    try:
        model.load_weights(os.fspath(weights))
    except Exception as error:
        raise WeightsError(f"{weights} does not hold weights of {model.name}: {error}") from error


def _check_minimum_size(name, image_size):
    minimum = MINIMUM_SIZE.get(name.lower(), 32)
    if min(image_size) < minimum:
        raise ValueError(
            f"image_size must be at least {minimum} for the backbone {name}. "
            f"Received: {image_size}."
        )


def _called(function, image_size):
    parameters = inspect.signature(function).parameters
    shape = (*image_size, 3)
    if "input_shape" in parameters:
        model = function(input_shape=shape)
    elif any(p.default is p.empty and p.kind < p.VAR_POSITIONAL for p in parameters.values()):
        model = function(shape)
    else:
        model = function()
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"The backbone {function!r} must return a keras.Model. Received: {model!r}."
        )
    return model


def _check_takes(model, image_size):
    expected = tuple(model.input_shape[1:3])
    if any(e not in (None, s) for e, s in zip(expected, image_size, strict=True)):
        raise ValueError(
            f"The backbone {model.name} takes images of {expected}; pass image_size={expected}. "
            f"Received: image_size={image_size}."
        )


def _check_feature_map(backbone, image_size):
    shape = backbone.compute_output_shape((None, *image_size, 3))
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ValueError(
            f"The backbone {backbone.name} must give one feature map of shape (n, height, width, "
            f"channels): leave out its pooling and top. Received: {shape}."
        )
    if 0 in shape[1:3]:
        raise ValueError(
            f"image_size={image_size} leaves no feature map of the backbone {backbone.name}; "
            "pass a larger one."
        )


def _with_finer_maps(backbone, image_size):
    """The backbone with its last maps of about four times and twice the size before its own.

    Feature pyramid: T.-Y. Lin et al., CVPR 2017, arXiv:1612.03144. No map is finer than
    FINEST_STRIDE; a backbone whose layers do not show stays as it is.
    """
    if getattr(backbone, "outputs", None) is None:
        return backbone
    flat = flatten_model(backbone)
    inner = [layer for layer in flat.layers if not isinstance(layer, layers.InputLayer)]
    probe = keras.Model(flat.input, [layer.output for layer in inner])
    shapes = probe.compute_output_shape((None, *image_size, 3))
    height = flat.compute_output_shape((None, *image_size, 3))[1]
    maps = [flat.output]
    while len(maps) <= 2 and image_size[0] / height > FINEST_STRIDE:
        # The first finer map may have any size above the last one's, as those of odd sizes do.
        least = height + 1 if len(maps) == 1 else 1.5 * height
        finer = [
            (layer.output, shape[1])
            for layer, shape in zip(inner, shapes, strict=True)
            # What a layer of zeros was added to is a pixel larger than the picture it shows.
            if not isinstance(layer, layers.ZeroPadding2D) and len(shape) == 4
            if shape[1] >= least
            # Sizes are rounded: 100 pixels make 13 of stride 8.
            if image_size[0] / shape[1] > 0.75 * FINEST_STRIDE
        ]
        if not finer:
            break
        output, height = finer[-1]
        maps.insert(0, output)
    return keras.Model(flat.input, maps, name=backbone.name) if len(maps) > 1 else backbone


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


def _preprocessing_of_model(model):
    """Preprocessing of a model that was not built here, from what it shows of itself."""
    if _prepares_itself(model):
        return _preprocessing(None)
    name = re.sub("[_-]", "", model.name.lower())
    known = [key for key in _applications() if name.startswith(key)]
    if known:
        return sys.modules[_applications()[max(known, key=len)].__module__].preprocess_input
    return _preprocessing("tf")


def _prepares_itself(model):
    """Whether a model changes pixels before its first layer with weights that are trained."""
    for operation in getattr(model, "operations", model.layers):
        if isinstance(operation, keras.Model) and _prepares_itself(operation):
            return True
        if isinstance(operation, (layers.Rescaling, layers.Normalization)):
            return True
        if type(operation).__name__ in ARITHMETIC:
            return True
        if getattr(operation, "weights", None):
            return False
    return False


def _preprocessing(preprocessing):
    if preprocessing is None:
        return lambda pixels: pixels
    if callable(preprocessing):
        return preprocessing
    if preprocessing not in ("tf", "torch", "caffe"):
        raise ValueError(
            "preprocessing must be 'auto', 'tf', 'torch', 'caffe', None or a callable. "
            f"Received: {preprocessing!r}."
        )
    return functools.partial(keras.applications.imagenet_utils.preprocess_input, mode=preprocessing)


def _as_layer(preprocess, image_size):
    pixels = keras.Input((*image_size, 3), name="pixels")
    prepared = preprocess(pixels)
    return keras.Model(pixels, prepared, name="preprocessing")


@synchronized
def _reinitialised(model, rng):
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
