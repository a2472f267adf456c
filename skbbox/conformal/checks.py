"""Check the parameters of ``ConformalLocalizer``, and that there are enough images."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import pandas as pd
from sklearn.utils import get_tags

from .scores import count_needed

if TYPE_CHECKING:
    from ..inputs import Targets

__all__ = [
    "check_class_numbers",
    "check_coverage",
    "check_localizer",
    "check_number",
    "check_parameters",
]

CHOICES = {
    "method": ("plus", "base"),
    "margin": ("auto", "spread", "size", "constant"),
    "class_score": ("lac", "aps"),
}


def check_parameters(conformal: Any) -> None:
    """Raise a ValueError if a parameter of a ConformalLocalizer is out of its range."""
    check_coverage(conformal.coverage)
    for name, choices in CHOICES.items():
        value = getattr(conformal, name)
        if not (isinstance(value, str) and value in choices):
            raise ValueError(f"{name} must be one of {list(choices)}. Received: {value!r}.")
    for name in ("mondrian", "calibrate"):
        if not isinstance(getattr(conformal, name), (bool, int)):
            raise ValueError(
                f"{name} must be True or False. Received: {getattr(conformal, name)!r}."
            )
    if not _is_share(conformal.test_size):
        raise ValueError(
            f"test_size must be a number above 0 and below 1. Received: {conformal.test_size!r}."
        )
    cv = conformal.cv
    if isinstance(cv, str) and cv not in ("split", "prefit"):
        raise ValueError(
            f"cv must be a number of folds, a splitter, 'split' or 'prefit'. Received: {cv!r}."
        )
    if isinstance(cv, bool) or (isinstance(cv, Integral) and cv < 2):
        raise ValueError(f"cv must be at least 2 folds, or 'split' for one fit. Received: {cv!r}.")


def check_coverage(coverage: Any) -> None:
    """Raise a ValueError unless the coverage is above 0 and below 1."""
    if not _is_share(coverage):
        raise ValueError(
            f"coverage must be a number above 0 and below 1, such as 0.9. Received: {coverage!r}."
        )


def check_localizer(estimator: Any) -> None:
    """Raise a ValueError unless an estimator may be a localizer."""
    is_estimator = all(hasattr(estimator, name) for name in ("fit", "predict", "get_params"))
    is_other = isinstance(estimator, type) or not is_estimator
    if not is_other and not hasattr(estimator, "steps"):
        is_other = get_tags(estimator).estimator_type is not None
    if is_other:
        raise ValueError(
            "estimator must be a localizer, whose predict returns a table of boxes, such as "
            f"SingleBoxLocalizer(). Received: {estimator!r}."
        )


def check_number(n: int, coverage: float, label: str, name: str | None = None) -> None:
    """Raise a ValueError if there are too few calibration images for a coverage.

    Parameters
    ----------
    n : int
    coverage : float
    label : str
        What these images have.
    name : str, default=None
        The class to which they belong, with ``mondrian=True``.
    """
    check_coverage(coverage)
    needed = count_needed(coverage)
    if n < needed:
        of_class = "" if name is None else f" of the class {name} (mondrian=True)"
        raise ValueError(
            f"coverage={coverage:g} needs at least {needed} calibration images {label}{of_class}. "
            f"Received: {n}. Add images, or pass a lower coverage."
        )


def check_class_numbers(targets: Targets, coverage: float) -> None:
    """Raise a ValueError if ``mondrian=True`` has one class, or too few images of a class."""
    names: Any = [] if targets.class_names is None else targets.class_names[targets.has_class]
    counts = pd.Series(names, dtype=object).value_counts()
    if len(counts) < 2:
        raise ValueError(
            "mondrian=True needs at least two classes in y, each of which gets a coverage of its "
            f"own. Received: {len(counts)}. Pass mondrian=False."
        )
    check_number(int(counts.iloc[-1]), coverage, "with a class", repr(counts.index[-1]))


def _is_share(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < 1
