"""What every reader produces: one record per box."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, TARGET_COLUMNS
from ..exceptions import AnnotationError
from ..files import names_to_series

__all__ = [
    "UNWRITABLE",
    "AnyEnding",
    "BoxRecord",
    "ImageWithBoxes",
    "check_columns",
    "of_image",
    "to_frame",
]

#: Control characters, and what is no character in XML or UTF-8.
UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

#: ``x_min, x_max, y_min, y_max``.
Box = tuple[float, float, float, float]
#: Image, class, box and further columns.
Row = tuple[str, str | None, Box | None, dict[str, Any]]


class AnyEnding(NamedTuple):
    """Name of an image of which a file does not know the end.

    Attributes
    ----------
    stem : str
        The name without an end.
    otherwise : str
        The end where there is no such image.
    beside : Path or None
        The file that names it: of several such images, the one whose folders are called like
        those of the file.
    """

    stem: str
    otherwise: str = ".jpg"
    beside: Path | None = None


class BoxRecord(NamedTuple):
    """One box of one image, or an image without an object, as a file has it.

    Attributes
    ----------
    place : Node or Element
        Where in the file, for messages.
    image : str or AnyEnding
        Name of the image, relative to the folder of images.
    class_name : str or None
        None for an image without an object.
    box : tuple of 4 floats, or None
        ``x_min, x_max, y_min, y_max``; None for an image without an object.
    size : (float, float) or None
        Width and height that the box is divided by: (1, 1) where it is normalised, those of the
        image where it is in pixels, None where the file does not say them.
    extra : dict
        What the format says beyond that, by column name.
    """

    place: Any
    image: str | AnyEnding
    class_name: str | None = None
    box: Box | None = None
    size: tuple[float, float] | None = (1.0, 1.0)
    extra: dict[str, Any] = {}


class ImageWithBoxes(NamedTuple):
    """An image as it is written.

    Attributes
    ----------
    name : str
        Relative to the folder of images.
    size : (float, float) or None
        Width and height in pixels, where the format needs them.
    boxes : list of (str, tuple of 4 floats, float or None)
        Class, box (``x_min, x_max, y_min, y_max``, normalised) and confidence.
    """

    name: str
    size: tuple[float, float] | None
    boxes: list[tuple[str, Box, float | None]]

    def in_pixels(self) -> Iterator[tuple[str, Box, float | None]]:
        """Class, box in pixels and confidence of each box."""
        assert self.size is not None
        width, height = self.size
        for class_name, (x_min, x_max, y_min, y_max), confidence in self.boxes:
            box = x_min * width, x_max * width, y_min * height, y_max * height
            yield class_name, box, confidence


def of_image(
    place: Any,
    image: str | AnyEnding,
    found: Iterable[tuple[Any, str, Box | None, dict[str, Any]]],
    size: tuple[float, float] | None = (1.0, 1.0),
    extra: dict[str, Any] | None = None,
) -> Iterator[BoxRecord]:
    """Records of one image.

    Parameters
    ----------
    place, image, size
        As of a :class:`BoxRecord`.
    found : iterable of (place, class_name, box or None, dict)
        Objects; those without a box are left out.
    extra : dict, default=None
        What is said of the image.

    Yields
    ------
    BoxRecord
        One for each object, or one without an object.
    """
    extra = extra or {}
    empty = True
    for place_of_box, class_name, box, more in found:
        if box is not None:
            empty = False
            yield BoxRecord(place_of_box, image, class_name, box, size, extra | more)
    if empty:
        yield BoxRecord(place, image, extra=extra)


def check_columns(boxes: pd.DataFrame) -> None:
    """Refuse a table that lacks ``image`` or one of ``TARGET_COLUMNS``."""
    needed = ["image", *TARGET_COLUMNS]
    missing = [name for name in needed if name not in boxes.columns]
    if missing:
        raise AnnotationError(
            f"boxes needs the columns {needed}; missing: {missing}. "
            f"Received: {list(boxes.columns)}."
        )


def to_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Table of rows ``(image, class_name, box, extra)``, which are taken one after another."""
    columns: dict[str, Any] = {"image": [], "class_name": []}
    coordinates = array("d")
    nothing = (np.nan,) * len(COORDINATES)
    extra_columns: dict[str, list[Any]] = {}
    for number, (image, class_name, box, extra) in enumerate(rows):
        columns["image"].append(image)
        columns["class_name"].append(class_name)
        coordinates.extend(nothing if box is None else box)
        for name, value in extra.items():
            column = extra_columns.setdefault(name, [])
            column.extend([None] * (number - len(column)))
            column.append(value)
    n = len(columns["image"])
    boxes = np.frombuffer(coordinates).reshape(n, len(COORDINATES)) if n else np.empty((0, 4))
    columns |= dict(zip(COORDINATES, boxes.T.copy(), strict=True))
    for name, column in extra_columns.items():
        columns[name] = column + [None] * (n - len(column))
    return pd.DataFrame({name: names_to_series(column) for name, column in columns.items()})
