"""A table of boxes as arrays by row position, for checking and cleaning."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, PIXELS_FROM, as_boxes
from ..boxes.tables import as_pandas
from ..files import names_to_series
from .record import check_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import FloatArray

__all__ = [
    "BoxTable",
    "Problem",
    "find_lookalikes",
    "format_box",
    "group_spellings",
    "is_blank",
    "make_columns",
]

#: A class name that looks like another has at least this many letters, and the other one is this
#: many times as frequent.
MIN_LETTERS, RARER = 4, 10


class BoxTable:
    """A table of boxes as arrays.

    Attributes
    ----------
    images, classes : list
        Paths of the images and names of the classes, None if missing.
    folders, transposed_sizes : list or None
        The columns ``folder`` and ``transposed_size``, if there are any.
    values : ndarray of shape (n_boxes, 4)
    has_box : ndarray of bool
        Rows with a box or a part of one.
    is_empty : ndarray of bool
        Rows of images without an object, that is with neither class nor box.
    is_complete : ndarray of bool
        Rows whose coordinates are all finite.
    is_valid : ndarray of bool
        Complete rows that are neither inverted nor empty.
    in_pixels : ndarray of bool
        Complete rows with a coordinate that is too large to be normalised.
    """

    def __init__(self, boxes: pd.DataFrame) -> None:
        boxes = as_pandas(boxes)
        check_columns(boxes)
        self.images: list[str] = [os.fspath(image) for image in boxes["image"]]
        self.values: FloatArray = as_boxes(boxes)
        self.classes: list[Any] = [None if pd.isna(name) else name for name in boxes["class_name"]]
        self.folders, self.transposed_sizes = (
            list(boxes[name]) if name in boxes else None for name in ("folder", "transposed_size")
        )
        no_class = np.array([name is None for name in self.classes], dtype=bool)
        self.has_box: NDArray[np.bool_] = ~np.all(np.isnan(self.values), axis=1)
        self.is_empty: NDArray[np.bool_] = ~self.has_box & no_class
        self.is_complete: NDArray[np.bool_] = np.all(np.isfinite(self.values), axis=1)
        self.is_valid: NDArray[np.bool_] = (
            self.is_complete
            & (self.values[:, 1] > self.values[:, 0])
            & (self.values[:, 3] > self.values[:, 2])
        )
        self.in_pixels: NDArray[np.bool_] = self.is_complete & np.any(
            np.abs(self.values) >= PIXELS_FROM, axis=1
        )

    def count_kinds(self) -> dict[str, int]:
        """Number of rows of each kind, without those that have only a part of a box."""
        has_class = np.array([name is not None for name in self.classes], dtype=bool)
        return {
            "class and box": int((has_class & self.is_complete).sum()),
            "class only": int((has_class & ~self.has_box).sum()),
            "box only": int((~has_class & self.is_complete).sum()),
            "no object": int(self.is_empty.sum()),
        }

    def find_contradictions(self) -> list[int]:
        """Rows without class and box of images that have an object in another row."""
        with_object = {self.images[row] for row in np.flatnonzero(~self.is_empty)}
        return [
            int(row) for row in np.flatnonzero(self.is_empty) if self.images[row] in with_object
        ]

    def group_by_image(self, rows: Iterable[int]) -> dict[str, list[int]]:
        """Rows of each image, in order."""
        groups: dict[str, list[int]] = {}
        for row in rows:
            groups.setdefault(self.images[row], []).append(int(row))
        return groups

    def group_by_class(self) -> dict[Any, list[int]]:
        """Rows of each class, in order."""
        groups: dict[Any, list[int]] = {}
        for row, name in enumerate(self.classes):
            if name is not None:
                groups.setdefault(name, []).append(row)
        return groups


class Problem(NamedTuple):
    """A problem of a row: its kind, a key of ``checking.KINDS``, and the details."""

    row: int
    kind: str
    detail: str


def is_blank(name: object) -> bool:
    """Whether a class name is missing or only white space."""
    return name is None or (isinstance(name, str) and not name.strip())


def group_spellings(rows: dict[Any, list[int]]) -> list[list[str]]:
    """Groups of class names that differ only by case or white space, most frequent first."""
    groups: dict[str, list[str]] = {}
    texts = [name for name in rows if isinstance(name, str)]
    for name in sorted(texts, key=lambda name: -len(rows[name])):
        groups.setdefault(" ".join(name.split()).casefold(), []).append(name)
    return list(groups.values())


def find_lookalikes(rows: dict[Any, list[int]]) -> list[tuple[str, str]]:
    """Rare class names that differ by one letter from a frequent one, which is second."""
    texts = [name for name in rows if isinstance(name, str) and len(name) >= MIN_LETTERS]
    # Names that differ by one letter are the same after the removal of at most one letter of each.
    by_rest: dict[str, list[str]] = {}
    for name in texts:
        for rest in _remove_letters(name):
            by_rest.setdefault(rest, []).append(name)
    found = {}
    for names in by_rest.values():
        usual = max(names, key=lambda name: len(rows[name]))
        for name in names:
            if len(rows[name]) * RARER <= len(rows[usual]) and _differ_by_a_letter(name, usual):
                found[name] = usual
    return list(found.items())


def _remove_letters(name: str) -> set[str]:
    text = name.casefold()
    return {text, *(text[:i] + text[i + 1 :] for i in range(len(text)))}


def _differ_by_a_letter(name: str, other: str) -> bool:
    """Whether one letter is added, missing, replaced or exchanged with the next."""
    name, other = name.casefold(), other.casefold()
    while name and other and name[0] == other[0]:
        name, other = name[1:], other[1:]
    while name and other and name[-1] == other[-1]:
        name, other = name[:-1], other[:-1]
    # Digits are numbers of classes, such as in class 1 and class 2.
    is_short = max(len(name), len(other)) == 1 or (len(name) == 2 and name == other[::-1])
    return is_short and f"{name}{other}".isalpha()


def format_box(box: FloatArray) -> str:
    """A box as text, such as ``x_min=0.1, x_max=0.5, y_min=0.1, y_max=0.5``."""
    return ", ".join(f"{side}={value:g}" for side, value in zip(COORDINATES, box, strict=True))


def make_columns(rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> dict[str, pd.Series]:
    """Columns of a DataFrame with these rows; file names need not be UTF-8."""
    return {name: names_to_series([row[i] for row in rows]) for i, name in enumerate(columns)}
