"""Backbones of ``keras.applications`` and files of weights."""

import difflib
import functools
import inspect
import os
import re
import warnings
from pathlib import Path

import keras

from ..exceptions import WeightsError

__all__ = []

#: Where Keras looks for ImageNet weights; it reads KERAS_HOME when it is imported.
KERAS_MODELS = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "models"


#: Sides in pixels below which a backbone of keras.applications has no feature map left.
MINIMUM_SIZE = {"xception": 71, "inceptionv3": 75, "inceptionresnetv2": 75}


@functools.cache
def list_applications():
    """Functions of keras.applications by their name in lower case without underscores."""
    return {
        name.lower(): function
        for name, function in vars(keras.applications).items()
        if inspect.isfunction(function)
    }


def find_application(name):
    key = name.lower().replace("_", "").replace("-", "")
    if key not in list_applications():
        known = sorted(list_applications())
        near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
        raise ValueError(
            f"backbone {name!r} is not in keras.applications. "
            + (f"Did you mean {' or '.join(map(repr, near))}? " if near else "")
            + f"Known: {', '.join(known)}."
        )
    return list_applications()[key]


def is_application(backbone):
    return not isinstance(backbone, keras.Model) and backbone in list_applications().values()


def build_application(function, weights, alpha):
    arguments = {"include_top": False, "weights": weights, "input_shape": (None, None, 3)}
    if "alpha" in inspect.signature(function).parameters:
        arguments["alpha"] = alpha
    if weights not in (None, "imagenet"):
        check_weights_exist(weights)
        arguments["weights"] = os.fspath(weights)
    try:
        with warnings.catch_warnings():
            # With an open input shape Keras says that it takes the weights of 224 pixels.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined")
            return function(**arguments)
    except Exception as error:
        if weights is None:
            raise
        raise WeightsError(_explain_failure(error, function.__name__, weights)) from error


def _explain_failure(error, name, weights):
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


def check_weights_exist(weights):
    if not isinstance(weights, (str, os.PathLike)) or not Path(weights).is_file():
        raise WeightsError(
            "weights must be 'imagenet', None or the path of a file with weights. "
            f"Received: {weights!r}, which is no file."
        )


def load_weights(model, weights):
    check_weights_exist(weights)
    try:
        model.load_weights(os.fspath(weights))
    except Exception as error:
        raise WeightsError(f"{weights} does not hold weights of {model.name}: {error}") from error


def check_minimum_size(name, image_size):
    minimum = MINIMUM_SIZE.get(name.lower(), 32)
    if min(image_size) < minimum:
        raise ValueError(
            f"image_size must be at least {minimum} for the backbone {name}. "
            f"Received: {image_size}."
        )
