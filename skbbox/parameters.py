"""Ranges and choices of the parameters of ``SingleBoxLocalizer``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from .augmentation import get_augmentation

__all__ = ["TUTORIAL_PARAMS", "check_parameters", "get_height_and_width", "get_neck"]

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


class ImageSize:
    """A side in pixels, or height and width."""

    def accepts(self, value: Any) -> bool:
        sides = value if isinstance(value, (tuple, list)) else (value, value)
        return len(sides) == 2 and all(map(Number(Integral, 1).accepts, sides))

    def __str__(self) -> str:
        return "a positive integer or (height, width)"


#: The constraints of each parameter; a value must satisfy one of them. Functions that look up a
#: name check the others: engines, losses, augmentations, backbones and heads.
CONSTRAINTS: dict[str, tuple[Number | Choice | ImageSize, ...]] = {
    "frozen": (Choice(("all", "early", "none")),),
    "image_size": (ImageSize(),),
    "class_loss_weight": (Number(Real, 0),),
    "box_loss_weight": (Number(Real, 0),),
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

    for name, constraints in CONSTRAINTS.items():
        value = parameters[name]
        if not any(constraint.accepts(value) for constraint in constraints):
            expected = " or ".join(map(str, constraints))
            raise ValueError(f"{name} must be {expected}. Received: {value!r}.")
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
    get_engine(parameters["engine"])
    get_augmentation(parameters["augment"])
    get_box_loss(parameters["box_loss"])


def get_neck(parameters: Mapping[str, Any]) -> int:
    """Number of channels of the neck; 0 is no neck."""
    if parameters["neck"] == "auto":
        return 0 if parameters["classifier"] is not None else AUTO_NECK
    return int(parameters["neck"])


def get_height_and_width(image_size: int | tuple[int, int]) -> tuple[int, int]:
    """Height and width in pixels of a valid ``image_size``."""
    if isinstance(image_size, (tuple, list)):
        height, width = image_size
        return int(height), int(width)
    return int(image_size), int(image_size)
