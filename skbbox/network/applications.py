"""Backbones of ``keras.applications`` and their weights."""

from __future__ import annotations

import difflib
import functools
import inspect
import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from ..exceptions import WeightsError
from ..files import as_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..typing import PathLikeStr

__all__ = [
    "KERAS_MODELS",
    "build_application",
    "check_minimum_size",
    "find_application",
    "is_application",
    "list_applications",
    "load_weights",
]


def _get_keras_home() -> Path:
    if "KERAS_HOME" in os.environ:
        return as_path(os.environ["KERAS_HOME"])
    # Without HOME and an entry in passwd, "~" stays as it is.
    home = os.path.expanduser("~")
    return Path(home if os.access(home, os.W_OK) else "/tmp", ".keras")


#: Where Keras looks for ImageNet weights; it reads KERAS_HOME when it is imported.
KERAS_MODELS = _get_keras_home() / "models"

#: Smallest side in pixels for which a backbone has a feature map; 32 for those not listed.
MINIMUM_SIZE = {"xception": 71, "inceptionv3": 75, "inceptionresnetv2": 75}

#: Backbones that are built for one size, because the padding of their layers depends on it.
FIXED_SIZE = ("nasnetmobile", "nasnetlarge")


@functools.cache
def list_applications() -> dict[str, Callable[..., keras.Model]]:
    """Functions of keras.applications by their name in lower case without underscores."""
    return {
        name.lower(): function
        for name, function in vars(keras.applications).items()
        if inspect.isfunction(function)
    }


def find_application(name: str) -> Callable[..., keras.Model]:
    """The function of keras.applications with a name in any of its spellings."""
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


def is_application(backbone: object) -> bool:
    """Whether a backbone is a function of keras.applications."""
    return not isinstance(backbone, keras.Model) and backbone in list_applications().values()


def check_minimum_size(name: str, image_size: tuple[int, int]) -> None:
    """Raise ValueError if images are too small for the backbone of a name."""
    minimum = MINIMUM_SIZE.get(name.lower(), 32)
    if min(image_size) < minimum:
        raise ValueError(
            f"image_size must be at least {minimum} for the backbone {name}. "
            f"Received: {image_size}."
        )


def build_application(
    function: Callable[..., keras.Model],
    weights: PathLikeStr | None,
    alpha: float,
    image_size: tuple[int, int],
) -> keras.Model:
    """Build a backbone of keras.applications; WeightsError if its weights cannot be loaded."""
    is_fixed = function.__name__.lower() in FIXED_SIZE
    arguments: dict[str, Any] = {
        "include_top": False,
        "weights": weights,
        "input_shape": (*(image_size if is_fixed else (None, None)), 3),
    }
    if "alpha" in inspect.signature(function).parameters:
        arguments["alpha"] = alpha
    if weights not in (None, "imagenet"):
        arguments["weights"] = _find_weights(weights)
    try:
        with warnings.catch_warnings():
            # With an open input shape, Keras warns that it loads the weights of 224 pixels.
            warnings.filterwarnings("ignore", message="`input_shape` is undefined")
            return function(**arguments)
    except Exception as error:
        if weights is None:
            raise
        raise WeightsError(_explain_failure(error, function.__name__, weights)) from error


def load_weights(model: keras.Model, weights: PathLikeStr) -> None:
    """Load weights from a file; WeightsError if it does not contain weights of the model."""
    path = _find_weights(weights)
    try:
        model.load_weights(path)
    except Exception as error:
        raise WeightsError(
            f"{weights} does not contain weights of {model.name}: {error}"
        ) from error


def _find_weights(weights: PathLikeStr | None) -> str:
    if not isinstance(weights, (str, os.PathLike)) or not as_path(weights).is_file():
        raise WeightsError(
            "weights must be 'imagenet', None or the path of a file with weights. "
            f"Received: {weights!r}, which is not a file."
        )
    return os.fspath(as_path(weights))


def _explain_failure(error: Exception, name: str, weights: PathLikeStr) -> str:
    if weights != "imagenet":
        return f"{weights} does not contain weights of {name} without its top: {error}"
    if not (url := re.search(r"https?://\S*?/([^/\s]+\.h5)", str(error))):
        return f"The ImageNet weights of {name} could not be loaded or downloaded: {error}"
    return (
        f"The ImageNet weights of {name} are not in {KERAS_MODELS} (the folder models of "
        "KERAS_HOME as it was when Keras was imported) and could not be downloaded. Put the file "
        f"{url[1]} there, pass its path as weights=, or pass weights=None to train the backbone "
        f"from scratch. Error of Keras: {error}"
    )
