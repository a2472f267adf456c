"""The preprocessing that a backbone expects."""

import functools
import re
import sys

import keras
from keras import layers

from .applications import list_applications

__all__ = []

#: Operations of keras.ops that preprocessing is made of; they have no public classes.
ARITHMETIC = ("Add", "Divide", "Multiply", "Subtract", "TrueDivide")


def infer_preprocessing(model):
    """Preprocessing of a model that was not built here, from what it shows of itself."""
    if _prepares_itself(model):
        return get_preprocessing(None)
    name = re.sub("[_-]", "", model.name.lower())
    known = [key for key in list_applications() if name.startswith(key)]
    if known:
        return sys.modules[list_applications()[max(known, key=len)].__module__].preprocess_input
    return get_preprocessing("tf")


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


def get_preprocessing(preprocessing):
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


def make_preprocessing_layer(preprocess, image_size):
    pixels = keras.Input((*image_size, 3), name="pixels")
    prepared = preprocess(pixels)
    return keras.Model(pixels, prepared, name="preprocessing")
