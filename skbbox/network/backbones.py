"""Backbones: built by name or by a function, or copied from a model."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING

import keras
from keras import layers

from .applications import (
    build_application,
    check_minimum_size,
    find_application,
    is_application,
    load_weights,
)
from .graph import LAST_STAGE, copy_model, flatten_model, reinitialise, unfreeze
from .preprocessing import infer_preprocessing

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from ..typing import PathLikeStr, Tensor
    from .preprocessing import Preprocess

__all__ = ["add_finer_maps", "build_backbone", "small_convnet", "split_last_stage"]

#: No feature map with a smaller stride is added: one position per 8 x 8 pixels is fine enough.
FINEST_STRIDE = 8


def small_convnet(input_shape: tuple[int, int, int]) -> keras.Model:
    """Build a small backbone to train from scratch: five 3x3 convolutions, stride 8.

    Use it for images of up to about 100 pixels, or if no ImageNet weights are
    available: ``SingleBoxLocalizer(backbone=small_convnet, weights=None)``.

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


def build_backbone(
    backbone: str | keras.Model | Callable[..., keras.Model],
    weights: PathLikeStr | None,
    alpha: float,
    image_size: tuple[int, int],
    rng: np.random.Generator,
) -> tuple[keras.Model, Preprocess]:
    """Build or copy a backbone; returns it with its preprocessing."""
    if isinstance(backbone, str):
        backbone = find_application(backbone)
    if isinstance(backbone, keras.Model):
        model, preprocess = backbone, infer_preprocessing(backbone)
    elif not callable(backbone):
        raise ValueError(
            "backbone must be a name of keras.applications, a keras.Model or a callable that "
            f"builds one. Received: {backbone!r}."
        )
    elif is_application(backbone):
        check_minimum_size(backbone.__name__, image_size)
        model = build_application(backbone, weights, alpha, image_size)
        preprocess = sys.modules[backbone.__module__].preprocess_input
    else:
        model = _call_builder(backbone, image_size)
        preprocess = infer_preprocessing(model)
    _check_input_size(model, image_size)
    if weights is None:
        return reinitialise(model, rng), preprocess
    if model is backbone:
        # Fitting must not change the user's model.
        model = copy_model(backbone)
    if weights != "imagenet" and not is_application(backbone):
        load_weights(model, weights)
    return model, preprocess


def add_finer_maps(backbone: keras.Model, image_size: tuple[int, int]) -> keras.Model:
    """Add up to two earlier feature maps, about four times and twice the size, before the last.

    Feature pyramid: T.-Y. Lin et al., CVPR 2017, arXiv:1612.03144. No added map has a stride
    below FINEST_STRIDE. A subclassed model, whose layers are not known, is returned unchanged.
    """
    if getattr(backbone, "outputs", None) is None:
        return backbone
    flat = flatten_model(backbone)
    candidates = _list_maps(flat, image_size)
    height = flat.compute_output_shape((None, *image_size, 3))[1]
    maps = [flat.output]
    while len(maps) <= 2 and image_size[0] / height > FINEST_STRIDE:
        # The first added map may be only slightly larger than the last one: sizes may be odd.
        minimum = height + 1 if len(maps) == 1 else 1.5 * height
        finer = [
            (output, size)
            for output, size in candidates
            # Sizes are rounded: 100 pixels make 13 of stride 8.
            if size >= minimum and image_size[0] / size > 0.75 * FINEST_STRIDE
        ]
        if not finer:
            break
        output, height = finer[-1]
        maps.insert(0, output)
    return keras.Model(flat.input, maps, name=backbone.name) if len(maps) > 1 else backbone


def split_last_stage(
    backbone: keras.Model, image_size: tuple[int, int]
) -> tuple[keras.Model, keras.Model]:
    """Split a backbone before its last stage, at a map of the next finer stride.

    Parameters
    ----------
    backbone : keras.Model
        Its last output is the coarsest map; others, as of :func:`add_finer_maps`, are finer.
    image_size : (int, int)

    Returns
    -------
    early : keras.Model
        The frozen layers up to that map, which is the last output and replaces the second last
        one of `backbone`.
    last_stage : keras.Model
        The layers from that map to the coarsest one, with weights to train.

    Raises
    ------
    ValueError
        If there is no such map from which all of the coarsest one is computed.
    """
    advice = "Pass frozen='all'."
    if getattr(backbone, "outputs", None) is None:
        raise ValueError(
            f"frozen='early' needs the layers of the backbone, but {backbone.name} is a subclassed "
            f"model of unknown layers. {advice}"
        )
    flat = flatten_model(backbone)
    *finer, output = flat.outputs
    coarsest = keras.Model(flat.input, output).compute_output_shape((None, *image_size, 3))
    larger = [pair for pair in _list_maps(flat, image_size) if pair[1] > coarsest[1]]
    cuts = [cut for cut, size in larger if size == larger[-1][1]]
    for cut in reversed(cuts):
        try:
            last_stage = keras.Model(cut, output, name=LAST_STAGE)
        except ValueError:  # It is also computed from other maps.
            continue
        maps = [*finer[:-1], cut]
        early = keras.Model(flat.input, maps if len(maps) > 1 else cut, name=backbone.name)
        early.trainable = False
        unfreeze(last_stage)
        # A layer that is called before and after the map cannot be frozen and trained.
        is_shared = not {*map(id, early.weights)}.isdisjoint(map(id, last_stage.weights))
        if last_stage.trainable_weights and not is_shared:
            return early, last_stage
    names = [cut._keras_history.operation.name for cut in cuts] or ["none"]
    raise ValueError(
        f"frozen='early' needs a feature map of the backbone {backbone.name} from which alone its "
        "last one is computed, by layers with weights. There is none of the next larger size, at "
        f"the layers {names[0]} to {names[-1]}. {advice}"
    )


def _list_maps(model: keras.Model, image_size: tuple[int, int]) -> list[tuple[Tensor, int]]:
    """The outputs of layers that are feature maps, and their heights."""
    # Zero padding makes a map a pixel larger than the image area that it covers.
    excluded = (layers.InputLayer, layers.ZeroPadding2D)
    outputs = [layer.output for layer in model.layers if not isinstance(layer, excluded)]
    shapes = keras.Model(model.input, outputs).compute_output_shape((None, *image_size, 3))
    return [
        (output, shape[1]) for output, shape in zip(outputs, shapes, strict=True) if len(shape) == 4
    ]


def _call_builder(function: Callable[..., keras.Model], image_size: tuple[int, int]) -> keras.Model:
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


def _check_input_size(model: keras.Model, image_size: tuple[int, int]) -> None:
    expected = tuple(model.input_shape[1:3])
    if any(e not in (None, s) for e, s in zip(expected, image_size, strict=True)):
        raise ValueError(
            f"The backbone {model.name} takes images of {expected}; pass image_size={expected}. "
            f"Received: image_size={image_size}."
        )
