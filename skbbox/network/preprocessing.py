"""The preprocessing that a backbone expects."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable
from typing import TypeAlias

import keras
from keras import layers

from ..typing import Tensor
from .applications import list_applications

__all__ = ["Preprocess", "get_preprocessing", "infer_preprocessing", "make_preprocessing_layer"]

#: From pixels in 0..255 to the input of a backbone.
Preprocess: TypeAlias = Callable[[Tensor], Tensor]

#: Operations of keras.ops that preprocessing is made of; they have no public classes.
ARITHMETIC = ("Add", "Divide", "Multiply", "Subtract", "TrueDivide")


def infer_preprocessing(model: keras.Model) -> Preprocess:
    """The preprocessing of a custom backbone: none if it has its own, else by its name.

    A model without either gets that of ``"tf"``: pixels in -1..1.
    """
    if _preprocesses_pixels(model):
        return get_preprocessing(None)
    name = re.sub("[_-]", "", model.name.lower())
    known = [key for key in list_applications() if name.startswith(key)]
    if known:
        application = list_applications()[max(known, key=len)]
        return sys.modules[application.__module__].preprocess_input
    return get_preprocessing("tf")


def get_preprocessing(preprocessing: str | Preprocess | None) -> Preprocess:
    """The function for a value of ``SingleBoxLocalizer(preprocessing=...)`` except ``"auto"``."""
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


def make_preprocessing_layer(preprocess: Preprocess, image_size: tuple[int, int]) -> keras.Model:
    """A model named ``preprocessing`` that applies a function to pixels."""
    pixels = keras.Input((*image_size, 3), name="pixels")
    return keras.Model(pixels, preprocess(pixels), name="preprocessing")


def _preprocesses_pixels(model: keras.Model) -> bool:
    """Whether a model changes pixels before its first layer with trainable weights."""
    for operation in getattr(model, "operations", model.layers):
        if isinstance(operation, keras.Model) and _preprocesses_pixels(operation):
            return True
        if isinstance(operation, (layers.Rescaling, layers.Normalization)):
            return True
        if type(operation).__name__ in ARITHMETIC:
            return True
        if getattr(operation, "weights", None):
            return False
    return False
