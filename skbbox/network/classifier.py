"""A trained Keras classifier, taken apart: its feature extractor and its last Dense layer."""

import os
from pathlib import Path

import keras
import numpy as np
from keras import layers

from ..exceptions import WeightsError
from .graph import flatten_model, synchronized
from .seeds import preserve_random_state

__all__ = ["split_classifier"]

FORM = "A classifier has a backbone, GlobalAveragePooling2D, perhaps Dropout, Dense and a softmax. "

#: Layers that do nothing once a classifier is trained.
NOTHING_IN_PREDICTION = (layers.Dropout, layers.GaussianDropout, layers.GaussianNoise)


@synchronized
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
    with preserve_random_state():
        whole = _loaded(classifier)
        _check_built(whole)
        model = flatten_model(whole)
    # Its preprocessing is known by the name of a backbone of keras.applications.
    inner = [layer for layer in whole.layers if isinstance(layer, keras.Model)]
    largest = max(inner, key=lambda layer: layer.count_params(), default=model)
    if len(model.outputs) != 1:
        raise ValueError(f"{FORM}Received: {model.name} with {len(model.outputs)} outputs.")
    dense = _last_dense(model.outputs[0])
    tensor = dense.input
    while isinstance(_made_by(tensor), NOTHING_IN_PREDICTION):
        tensor = _made_by(tensor).input
    pooling = _made_by(tensor)
    if not isinstance(pooling, layers.GlobalAveragePooling2D) or pooling.keepdims:
        raise ValueError(f"{FORM}Received: {_named(pooling)} in the place of the pooling.")
    extractor = keras.Model(model.input, pooling.input, name=largest.name)
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


def _check_built(model):
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"The classifier {model.name} does not know the shape of its images: it was never "
            "built, or is a class of its own. Give it a keras.Input, or call it on an image once."
        )


def _made_by(tensor):
    return tensor._keras_history.operation


def _named(layer):
    return f"the layer {layer.name} ({type(layer).__name__})"


def _last_dense(tensor):
    """The Dense layer that a tensor comes from, with one softmax behind it or none."""
    behind = []
    while not isinstance(_made_by(tensor), layers.Dense):
        behind.append(_activation(_made_by(tensor)))
        tensor = _made_by(tensor).input
    dense = _made_by(tensor)
    names = [name for name in (dense.activation.__name__, *reversed(behind)) if name != "linear"]
    if names not in ([], ["softmax"]):
        raise ValueError(f"{FORM}Received: {_named(dense)} with {' and '.join(names)} behind it.")
    if dense.units == 1:
        raise ValueError(f"{FORM}Received: {_named(dense)} with one unit, which has no softmax.")
    return dense


def _activation(layer):
    # keras.ops.softmax is an operation of the same name as the layer, and has no public class.
    if type(layer).__name__ == "Softmax":
        return "softmax"
    if not isinstance(layer, layers.Activation):
        raise ValueError(f"{FORM}Received: {_named(layer)} in the place of Dense.")
    return layer.activation.__name__
