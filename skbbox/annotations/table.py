"""A table of boxes as arrays by row position, for checking and cleaning."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, PIXELS_FROM, as_boxes
from ..files import names_to_series
from .record import check_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import FloatArray

__all__ = ["BoxTable", "Problem", "format_box", "group_spellings", "is_blank", "make_columns"]


class BoxTable:
    """A table of boxes as arrays.

    Attributes
    ----------
    images, classes : list
        Paths of the images and names of the classes, None if missing.
    folders : list or None
        The column ``folder``, if there is one.
    values : ndarray of shape (n_boxes, 4)
    is_empty : ndarray of bool
        Rows of images without an object.
    is_complete : ndarray of bool
        Rows whose coordinates are all finite.
    is_valid : ndarray of bool
        Complete rows that are neither inverted nor empty.
    in_pixels : ndarray of bool
        Complete rows with a coordinate that is too large to be normalised.
    """

    def __init__(self, boxes: pd.DataFrame) -> None:
        check_columns(boxes)
        self.images: list[str] = [os.fspath(image) for image in boxes["image"]]
        self.values: FloatArray = as_boxes(boxes)
        self.classes: list[Any] = [None if pd.isna(name) else name for name in boxes["class_name"]]
        self.folders: list[Any] | None = list(boxes["folder"]) if "folder" in boxes else None
        no_class = np.array([name is None for name in self.classes], dtype=bool)
        self.is_empty: NDArray[np.bool_] = np.all(np.isnan(self.values), axis=1) & no_class
        self.is_complete: NDArray[np.bool_] = np.all(np.isfinite(self.values), axis=1)
        self.is_valid: NDArray[np.bool_] = (
            self.is_complete
            & (self.values[:, 1] > self.values[:, 0])
            & (self.values[:, 3] > self.values[:, 2])
        )
        self.in_pixels: NDArray[np.bool_] = self.is_complete & np.any(
            np.abs(self.values) >= PIXELS_FROM, axis=1
        )

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


def format_box(box: FloatArray) -> str:
    """A box as text, such as ``x_min=0.1, x_max=0.5, y_min=0.1, y_max=0.5``."""
    return ", ".join(f"{side}={value:g}" for side, value in zip(COORDINATES, box, strict=True))


def make_columns(rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> dict[str, pd.Series]:
    """Columns of a DataFrame with these rows; file names need not be UTF-8."""
    return {name: names_to_series([row[i] for row in rows]) for i, name in enumerate(columns)}
