"""Backbones: built by name or by a function, or copied from a model."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from .applications import (
    build_application,
    check_minimum_size,
    find_application,
    is_application,
    load_weights,
)
from .graph import copy_model, flatten_model, reinitialise
from .preprocessing import infer_preprocessing

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from ..typing import PathLikeStr
    from .preprocessing import Preprocess

__all__ = ["add_finer_maps", "build_backbone", "small_convnet"]

#: No feature map with a smaller stride is added: one position per 8 x 8 pixels is fine enough.
FINEST_STRIDE = 8


def small_convnet(input_shape: tuple[int, int, int]) -> keras.Model:
    """A small backbone to train from scratch: five 3x3 convolutions, stride 8.

    For images of up to about 100 pixels, and where no ImageNet weights are at
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
        model = build_application(backbone, weights, alpha)
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
    inner = [layer for layer in flat.layers if not isinstance(layer, layers.InputLayer)]
    probe = keras.Model(flat.input, [layer.output for layer in inner])
    shapes = probe.compute_output_shape((None, *image_size, 3))
    height = flat.compute_output_shape((None, *image_size, 3))[1]
    maps = [flat.output]
    while len(maps) <= 2 and image_size[0] / height > FINEST_STRIDE:
        # The first added map may be only slightly larger than the last one: sizes may be odd.
        minimum = height + 1 if len(maps) == 1 else 1.5 * height
        finer: list[tuple[Any, int]] = [
            (layer.output, shape[1])
            for layer, shape in zip(inner, shapes, strict=True)
            # Zero padding makes a map a pixel larger than the image area that it covers.
            if not isinstance(layer, layers.ZeroPadding2D) and len(shape) == 4
            if shape[1] >= minimum
            # Sizes are rounded: 100 pixels make 13 of stride 8.
            if image_size[0] / shape[1] > 0.75 * FINEST_STRIDE
        ]
        if not finer:
            break
        output, height = finer[-1]
        maps.insert(0, output)
    return keras.Model(flat.input, maps, name=backbone.name) if len(maps) > 1 else backbone


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
