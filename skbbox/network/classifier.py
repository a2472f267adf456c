"""Split a trained Keras classifier into its feature extractor and its last Dense layer."""

from __future__ import annotations

import json
import os
import zipfile
from typing import TYPE_CHECKING, Any

import h5py
import keras
import numpy as np
from keras import layers

from ..exceptions import WeightsError
from ..files import as_path
from .graph import flatten_model, synchronized
from .model_configs import check_config
from .seeds import preserve_random_state

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from ..typing import PathLikeStr, Tensor

__all__ = ["split_classifier"]

EXPECTED = (
    "A classifier has a backbone, GlobalAveragePooling2D, perhaps Dropout, Dense and a softmax. "
)

#: Members of a .keras file without assets, which belong to layers that read text.
KERAS_MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
LARGEST_CONFIG = 100_000_000

#: Layers that do nothing in prediction.
TRAINING_ONLY = (layers.Dropout, layers.GaussianDropout, layers.GaussianNoise)


@synchronized
def split_classifier(
    classifier: keras.Model | PathLikeStr,
) -> tuple[keras.Model, npt.NDArray[Any], npt.NDArray[Any]]:
    """The feature extractor of a classifier, and the weights of its last layer.

    Parameters
    ----------
    classifier : keras.Model, str or Path
        A backbone, ``GlobalAveragePooling2D``, perhaps ``Dropout``, ``Dense`` and a softmax,
        sequential or functional; or a ``.keras`` or ``.h5`` file that contains one.

    Returns
    -------
    extractor : keras.Model
        A copy of the layers before the pooling.
    kernel : ndarray of shape (n_channels, n_classes)
    bias : ndarray of shape (n_classes,)

    Raises
    ------
    WeightsError
        If the file cannot be read.
    ValueError
        If the model has other layers.
    """
    with preserve_random_state():
        original = _load_classifier(classifier)
        _check_is_built(original)
        model = flatten_model(original)
    # The extractor keeps the backbone's name, by which its preprocessing is found.
    inner = [layer for layer in original.layers if isinstance(layer, keras.Model)]
    largest = max(inner, key=lambda layer: layer.count_params(), default=model)
    if len(model.outputs) != 1:
        raise ValueError(f"{EXPECTED}Received: {model.name} with {len(model.outputs)} outputs.")
    dense = _find_last_dense(model.outputs[0])
    tensor = dense.input
    while isinstance(_get_source(tensor), TRAINING_ONLY):
        tensor = _get_source(tensor).input
    pooling = _get_source(tensor)
    if not isinstance(pooling, layers.GlobalAveragePooling2D) or pooling.keepdims:
        raise ValueError(f"{EXPECTED}Received: {_describe(pooling)} in place of the pooling.")
    extractor = keras.Model(model.input, pooling.input, name=largest.name)
    kernel, *bias = dense.get_weights()
    return extractor, kernel, bias[0] if bias else np.zeros(kernel.shape[1], kernel.dtype)


def _load_classifier(classifier: keras.Model | PathLikeStr) -> keras.Model:
    if isinstance(classifier, keras.Model):
        return classifier
    if not isinstance(classifier, (str, os.PathLike)) or not as_path(classifier).is_file():
        raise WeightsError(
            "classifier must be a keras.Model or the path of a .keras or .h5 file. "
            f"Received: {classifier!r}, which is not a file."
        )
    path = as_path(classifier)
    try:
        config, is_legacy = _read_config(path)
        check_config(config, is_legacy=is_legacy)
        return keras.models.load_model(path, compile=False)
    except Exception as error:
        raise WeightsError(
            f"{classifier} cannot be read as a Keras model: {error}. If you trust it, load it "
            "yourself, with the custom_objects that it needs, and pass the model."
        ) from error


def _read_config(path: Path) -> tuple[Any, bool]:
    """The config in a file of Keras, and whether it is of the earlier format.

    From the same place as Keras reads it, which goes by the ending of the name.
    """
    if path.name.endswith((".h5", ".hdf5")):
        with h5py.File(path) as file:
            return json.loads(file.attrs["model_config"]), True
    with zipfile.ZipFile(path) as archive:
        if other := sorted(set(archive.namelist()) - KERAS_MEMBERS):
            raise ValueError(f"it has the member {other[0]!r}, which no image classifier needs")
        if archive.getinfo("config.json").file_size > LARGEST_CONFIG:
            raise ValueError(f"its config is larger than {LARGEST_CONFIG} bytes")
        return json.loads(archive.read("config.json")), False


def _check_is_built(model: keras.Model) -> None:
    if not getattr(model, "inputs", None):
        raise ValueError(
            f"The classifier {model.name} does not know the shape of its images: it was never "
            "built, or is a subclassed model. Give it a keras.Input, or call it on an image once."
        )


def _find_last_dense(tensor: Tensor) -> layers.Dense:
    """The Dense layer before the output, followed by one softmax or none."""
    later = []
    while not isinstance(_get_source(tensor), layers.Dense):
        later.append(_get_activation_name(_get_source(tensor)))
        tensor = _get_source(tensor).input
    dense = _get_source(tensor)
    names = [name for name in (dense.activation.__name__, *reversed(later)) if name != "linear"]
    if names not in ([], ["softmax"]):
        raise ValueError(
            f"{EXPECTED}Received: {_describe(dense)} followed by {' and '.join(names)}."
        )
    if dense.units == 1:
        raise ValueError(
            f"{EXPECTED}Received: {_describe(dense)} with one unit, which has no softmax."
        )
    return dense


def _get_source(tensor: Tensor) -> layers.Layer:
    """The layer that outputs a tensor."""
    return tensor._keras_history.operation


def _get_activation_name(layer: layers.Layer) -> str:
    # keras.ops.softmax is an operation of the same name as the layer, and has no public class.
    if type(layer).__name__ == "Softmax":
        return "softmax"
    if not isinstance(layer, layers.Activation):
        raise ValueError(f"{EXPECTED}Received: {_describe(layer)} in place of Dense.")
    return layer.activation.__name__


def _describe(layer: layers.Layer) -> str:
    return f"the layer {layer.name} ({type(layer).__name__})"
