"""A trained Keras classifier, taken apart: its feature extractor and its last Dense layer."""

import os
from pathlib import Path

import keras
import numpy as np
from keras import layers

from .exceptions import WeightsError
from .network import flattened
from .seeds import preserved_random_state

__all__ = ["split_classifier"]

FORM = "A classifier has a backbone, GlobalAveragePooling2D, perhaps Dropout, Dense and a softmax. "


def split_classifier(classifier):
    """The feature extractor of a classifier, and the weights of its last layer.

    Parameters
    ----------
    classifier : keras.Model, str or Path
        A backbone, ``GlobalAveragePooling2D``, perhaps ``Dropout``, ``Dense`` and a softmax,
        sequential or functional; or a ``.keras`` or ``.h5`` file that holds one.

    Returns
    -------
    extractor : keras.Model
        A copy of what lies before the pooling.
    kernel : ndarray of shape (n_channels, n_classes)
    bias : ndarray of shape (n_classes,)

    Raises
    ------
    WeightsError
        If the file cannot be read.
    ValueError
        If the model has another form.
    """
    with preserved_random_state():
        whole = _loaded(classifier)
        model = flattened(whole)
    # Its preprocessing is known by the name of a backbone of keras.applications.
    inner = [layer.name for layer in whole.layers if isinstance(layer, keras.Model)]
    if len(model.outputs) != 1:
        raise ValueError(f"{FORM}Received: {model.name} with {len(model.outputs)} outputs.")
    tensor = model.outputs[0]
    if isinstance(_made_by(tensor), (layers.Activation, layers.Softmax)):
        _check_softmax(_made_by(tensor))
        tensor = _made_by(tensor).input
    dense = _made_by(tensor)
    if not isinstance(dense, layers.Dense):
        raise ValueError(f"{FORM}Received: {_named(dense)} in the place of Dense.")
    _check_softmax(dense)
    if dense.units == 1:
        raise ValueError(f"{FORM}Received: {_named(dense)} with one unit, which has no softmax.")
    tensor = dense.input
    while isinstance(_made_by(tensor), layers.Dropout):
        tensor = _made_by(tensor).input
    pooling = _made_by(tensor)
    if not isinstance(pooling, layers.GlobalAveragePooling2D):
        raise ValueError(f"{FORM}Received: {_named(pooling)} in the place of the pooling.")
    extractor = keras.Model(model.input, pooling.input, name=[*inner, model.name][0])
    kernel, *bias = dense.get_weights()
    return extractor, kernel, bias[0] if bias else np.zeros(kernel.shape[1], kernel.dtype)


def _loaded(classifier):
    if isinstance(classifier, keras.Model):
        return classifier
    if not isinstance(classifier, (str, os.PathLike)) or not Path(classifier).is_file():
        raise WeightsError(
            "classifier must be a keras.Model or the path of a .keras or .h5 file. "
            f"Received: {classifier!r}, which is no file."
        )
    try:
        return keras.models.load_model(classifier, compile=False)
    except Exception as error:
        raise WeightsError(
            f"{classifier} cannot be read as a Keras model: {error}. Load it yourself, with the "
            "custom_objects that it needs, and pass the model."
        ) from error


def _made_by(tensor):
    return tensor._keras_history.operation


def _named(layer):
    return f"the layer {layer.name} ({type(layer).__name__})"


def _check_softmax(layer):
    activation = getattr(layer, "activation", keras.activations.softmax)
    if activation not in (keras.activations.softmax, keras.activations.linear):
        raise ValueError(f"{FORM}Received: {_named(layer)} with {activation.__name__}.")
