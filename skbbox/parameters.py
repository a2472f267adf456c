"""Ranges and choices of the parameters of ``SingleBoxLocalizer``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from .augmentation import get_augmentation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "TUTORIAL_PARAMS",
    "check_batch_sizes",
    "check_parameters",
    "check_ranges",
    "get_height_and_width",
    "get_neck",
    "is_usable_weight",
]

#: Channels of the neck with ``neck="auto"``.
AUTO_NECK = 256

#: The chapter's model and training, as parameters of SingleBoxLocalizer.
TUTORIAL_PARAMS = {
    "backbone": "mobilenet",
    "alpha": 0.75,
    "weights": "imagenet",
    "image_size": 224,
    "neck": 0,
    "box_head": "pooled",
    "n_looks": 1,
    "class_loss_weight": 1.0,
    "box_loss_weight": 10.0,
    "box_loss": "mse",
    "dropout": 0.7,
    "l2": 0.01,
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "learning_rate_schedule": "constant",
    "epochs": 5,
    "batch_size": 32,
    "augment": None,
    "early_stopping": False,
}


@dataclass(frozen=True)
class Number:
    """A number of at least `low`, and below `high` where that is given."""

    kind: type[Integral] | type[Real]
    low: float
    high: float | None = None

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, self.kind) or isinstance(value, bool):
            return False
        number: Any = value
        return bool(self.low <= number and (self.high is None or number < self.high))

    def __str__(self) -> str:
        kind = "an integer" if self.kind is Integral else "a number"
        return f"{kind} of at least {self.low}" + (
            "" if self.high is None else f" and below {self.high}"
        )


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[Any, ...]

    def accepts(self, value: Any) -> bool:
        # Comparing an array would give an array.
        is_scalar = value is None or isinstance(value, (str, int, np.generic))
        return is_scalar and value in self.values

    def __str__(self) -> str:
        if len(self.values) == 1:
            return repr(self.values[0])
        return f"one of {list(self.values)}"


class RandomState:
    """An instance of NumPy's RandomState, or the module ``numpy.random``."""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, np.random.RandomState) or value is np.random

    def __str__(self) -> str:
        return "a numpy.random.RandomState"


class ImageSize:
    """A side in pixels, or height and width."""

    def accepts(self, value: Any) -> bool:
        sides = value if isinstance(value, (tuple, list)) else (value, value)
        return len(sides) == 2 and all(map(Number(Integral, 1).accepts, sides))

    def __str__(self) -> str:
        return "a positive integer or (height, width)"


#: The constraints of each parameter; a value must satisfy one of them. Functions that look up a
#: name check the others: engines, losses, augmentations, backbones and heads.
CONSTRAINTS: dict[str, tuple[Number | Choice | ImageSize | RandomState, ...]] = {
    "frozen": (Choice(("all", "early", "none")),),
    "image_size": (ImageSize(),),
    "class_loss_weight": (Number(Real, 0),),
    "box_loss_weight": (Number(Real, 0),),
    "presence_loss_weight": (Number(Real, 0),),
    "presence_threshold": (Number(Real, 0, 1),),
    "neck": (Number(Integral, 0), Choice(("auto",))),
    "n_looks": (Choice((1, 2)),),
    "dropout": (Number(Real, 0, 1),),
    "l2": (Number(Real, 0),),
    "learning_rate": (Number(Real, 0), Choice((None,))),
    "learning_rate_schedule": (Choice(("cosine", "constant")),),
    "backbone_learning_rate": (Number(Real, 0),),
    "epochs": (Number(Integral, 0), Choice(("auto",))),
    "batch_size": (Number(Integral, 1),),
    "fine_tune_epochs": (Number(Integral, 0),),
    "fine_tune_learning_rate": (Number(Real, 0),),
    "validation_fraction": (Number(Real, 0, 1), Choice((None,))),
    "early_stopping": (Choice(("auto", True, False)),),
    "patience": (Number(Integral, 1),),
    "on_bad_image": (Choice(("raise", "warn", "skip")),),
    "verbose": (Choice((True, False)), Number(Integral, 0, 2)),
    "random_state": (Number(Integral, 0, 2**32), RandomState(), Choice((None,))),
}


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise ValueError if a parameter of SingleBoxLocalizer is out of its range.

    Parameters
    ----------
    parameters : dict of str to object
        All parameters by name.
    """
    from .engines.registry import get_engine
    from .losses import get_box_loss

    check_ranges(parameters)
    has_classifier = parameters["classifier"] is not None
    if not (parameters["epochs"] or parameters["fine_tune_epochs"] or has_classifier):
        raise ValueError("epochs and fine_tune_epochs are both 0; there is nothing to train.")
    if parameters["early_stopping"] is True and parameters["validation_fraction"] == 0:
        raise ValueError("early_stopping needs a validation_fraction above 0. Received: 0.")
    if has_classifier and parameters["weights"] != "imagenet":
        raise ValueError(
            "A classifier brings its own weights, so weights must keep its default 'imagenet'. "
            f"Received: {parameters['weights']!r}."
        )
    if has_classifier and parameters["neck"] not in ("auto", 0):
        raise ValueError(
            "The last layer of a classifier reads the features of its backbone, so neck must be "
            f"'auto' or 0. Received: {parameters['neck']!r}."
        )
    _check_callbacks(parameters["callbacks"])
    _check_class_weight(parameters["class_weight"])
    get_engine(parameters["engine"])
    get_augmentation(parameters["augment"])
    get_box_loss(parameters["box_loss"])


def check_ranges(parameters: Mapping[str, Any]) -> None:
    """Raise ValueError if one of the given parameters is out of its own range."""
    for name, constraints in CONSTRAINTS.items():
        if name not in parameters:
            continue
        value = parameters[name]
        if not any(constraint.accepts(value) for constraint in constraints):
            expected = " or ".join(map(str, constraints))
            raise ValueError(f"{name} must be {expected}. Received: {value!r}.")


def _check_callbacks(callbacks: Any) -> None:
    import keras

    expected = "Keras callbacks, or functions that build one"
    if callbacks is not None and not isinstance(callbacks, (list, tuple)):
        raise ValueError(f"callbacks must be a list of {expected}. Received: {callbacks!r}.")
    for number, callback in enumerate(callbacks or []):
        if not (isinstance(callback, keras.callbacks.Callback) or callable(callback)):
            raise ValueError(
                f"callbacks must be a list of {expected}. Received as callbacks[{number}]: "
                f"{callback!r}."
            )


def _check_class_weight(class_weight: Any) -> None:
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            "class_weight must be 'balanced', None, or a dict of class names to weights. "
            f"Received: {class_weight!r}."
        )
    for name, weight in class_weight.items():
        is_number = isinstance(weight, Real) and not isinstance(weight, bool)
        if not (is_number and is_usable_weight(np.array([weight], float))[0]):
            raise ValueError(
                "class_weight must hold numbers that are finite, not negative, and not rounded to "
                f"0 or infinity in float32. Received for {name!r}: {weight!r}."
            )


def is_usable_weight(weights: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which weights are not negative, and neither NaN, infinite nor rounded to 0 in float32."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        rounded = weights.astype(np.float32)
    return (weights >= 0) & np.isfinite(rounded) & ((rounded > 0) == (weights > 0))


def get_neck(parameters: Mapping[str, Any]) -> int:
    """Number of channels of the neck; 0 is no neck."""
    if parameters["neck"] == "auto":
        return 0 if parameters["classifier"] is not None else AUTO_NECK
    return int(parameters["neck"])


def check_batch_sizes(batch_sizes: Sequence[int]) -> list[int]:
    """Numbers of images; raises a ValueError if one is not an integer of at least 1."""
    number = Number(Integral, 1)
    is_list = isinstance(batch_sizes, (list, tuple, range, np.ndarray))
    if not is_list or not all(map(number.accepts, batch_sizes)):
        raise ValueError(
            f"batch_sizes must be a list of numbers of images, each {number}, such as (1,). "
            f"Received: {batch_sizes!r}."
        )
    return [int(n_images) for n_images in batch_sizes]


def get_height_and_width(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width in pixels of a valid ``image_size``."""
    if isinstance(image_size, (tuple, list)):
        height, width = image_size
        return int(height), int(width)
    return int(image_size), int(image_size)
