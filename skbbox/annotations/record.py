"""The records that readers produce and writers consume, and the table made of them."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, TARGET_COLUMNS
from ..boxes.tables import describe_type, suggest_conversion
from ..exceptions import AnnotationError
from ..files import names_to_series

if TYPE_CHECKING:
    from .nodes import Place

__all__ = [
    "CONFIDENCES",
    "UNWRITABLE",
    "BoxRecord",
    "FoundBox",
    "ImageName",
    "ImageStem",
    "ImageWithBoxes",
    "PlacedImage",
    "ServedImage",
    "check_columns",
    "choose_confidence",
    "make_records",
    "to_frame",
]

#: Control characters, and code points that are not characters in XML or UTF-8.
UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")

#: Columns of confidences: those of ``predict``, and of other tables. A format that has room for one
#: takes the first that is known.
CONFIDENCES = ("box_confidence", "class_confidence", "confidence")

#: Known confidences of a box, by column.
Confidences: TypeAlias = dict[str, float]
#: ``x, y``.
Point: TypeAlias = tuple[float, float]
#: ``x_min, x_max, y_min, y_max``.
Box: TypeAlias = tuple[float, float, float, float]
#: Image, class, box and further columns.
Row: TypeAlias = tuple[str, str | None, Box | None, dict[str, Any]]
#: Place, class, box (None to leave it out) and further columns.
FoundBox: TypeAlias = "tuple[Place, str, Box | None, dict[str, Any]]"


class ImageStem(NamedTuple):
    """Name of an image whose file extension is unknown.

    Attributes
    ----------
    stem : str
        The name without its extension.
    default_extension : str
        The extension if no such image exists.
    annotation_file : Path or None
        The file that names the image. If several images have this stem, the one whose folders
        have the same names as those of this file is chosen.
    """

    stem: str
    default_extension: str = ".jpg"
    annotation_file: Path | None = None


class ServedImage(NamedTuple):
    """Image on the server of a tool, which may be stored here under either of two names.

    Attributes
    ----------
    path : str
        Its path on the server, the longest end of which that exists here is the image.
    name : str
        The last part of the path as it was before the upload; the name if no image exists.
    """

    path: str
    name: str


class PlacedImage(NamedTuple):
    """Image in a folder that the layout of a format determines, such as ``img`` for ``ann``.

    Attributes
    ----------
    name : str
        Relative to `folder`, or to ``images_dir`` if that is given.
    folder : Path
    """

    name: str
    folder: Path


#: How a record names its image; a text is relative to the folder of images.
ImageName: TypeAlias = str | ImageStem | ServedImage | PlacedImage


class BoxRecord(NamedTuple):
    """One box of one image, or an image without an object, as stored in a file.

    Attributes
    ----------
    place : Line, Node or Element
        Position in the file, for messages.
    image : str, ImageStem, ServedImage or PlacedImage
        Name of the image; a text is relative to the folder of images.
    class_name : str or None
        None for an image without an object.
    box : tuple of 4 floats, or None
        ``x_min, x_max, y_min, y_max``; None for an image without an object.
    size : (float, float) or None
        Width and height that the box is divided by: (1, 1) for a normalised box, the size of the
        image for a box in pixels, None if the file does not contain it.
    extra : dict
        Further columns of the format, by name.
    """

    place: Place
    image: ImageName
    class_name: str | None = None
    box: Box | None = None
    size: tuple[float, float] | None = (1.0, 1.0)
    extra: dict[str, Any] = {}


class ImageWithBoxes(NamedTuple):
    """An image and its boxes, ready to be written.

    Attributes
    ----------
    name : str
        Relative to the folder of images.
    size : (float, float) or None
        Width and height in pixels, if the format needs them.
    boxes : list of (str, tuple of 4 floats, dict of str to float)
        Class, box (``x_min, x_max, y_min, y_max``, normalised) and confidences by column.
    path : str
        Relative to the folder that is written to.
    splits : list of str
        The values of the column ``split`` in the rows of the image.
    """

    name: str
    size: tuple[float, float] | None
    boxes: list[tuple[str, Box, Confidences]]
    path: str
    splits: list[str]

    def get_size(self) -> tuple[float, float]:
        """Width and height in pixels."""
        assert self.size is not None
        return self.size

    def iter_pixel_boxes(self) -> Iterator[tuple[str, Box, Confidences]]:
        """Yield class, box in pixels and confidences of each box."""
        width, height = self.get_size()
        for class_name, (x_min, x_max, y_min, y_max), confidences in self.boxes:
            box = x_min * width, x_max * width, y_min * height, y_max * height
            yield class_name, box, confidences


def choose_confidence(confidences: Confidences) -> float | None:
    """The confidence for a format that has room for one: the first of ``CONFIDENCES``."""
    return next((confidences[name] for name in CONFIDENCES if name in confidences), None)


def make_records(
    place: Place,
    image: ImageName,
    found: Iterable[FoundBox],
    size: tuple[float, float] | None,
    extra: dict[str, Any] | None = None,
) -> Iterator[BoxRecord]:
    """Yield the records of one image.

    Parameters
    ----------
    place, image, size
        See :class:`BoxRecord`.
    found : iterable of (place, class_name, box or None, dict)
        Objects; those without a box are left out.
    extra : dict, default=None
        Further columns of the image.

    Yields
    ------
    BoxRecord
        One per object, or a single one for an image without an object.
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
    """Raise an AnnotationError if ``image`` or one of ``TARGET_COLUMNS`` is missing or twice."""
    needed = ["image", *TARGET_COLUMNS]
    if not isinstance(boxes, pd.DataFrame):
        raise AnnotationError(
            f"boxes must be a table with the columns {needed}. Received: {describe_type(boxes)}."
            f"{suggest_conversion('boxes', boxes)}"
        )
    twice = [name for name in needed if (boxes.columns == name).sum() > 1]
    if twice:
        raise AnnotationError(
            f"boxes has the column {twice[0]} more than once. Keep one of them, for example the "
            "first: boxes.loc[:, ~boxes.columns.duplicated()]."
        )
    missing = [name for name in needed if name not in boxes.columns]
    if missing:
        raise AnnotationError(
            f"boxes needs the columns {needed}; missing: {missing}. "
            f"Received: {list(boxes.columns)}."
        )


def to_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Make a table of rows ``(image, class_name, box, extra)``."""
    columns: dict[str, Any] = {"image": [], "class_name": []}
    # An array of doubles needs far less memory than tuples, and files may have a million boxes.
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
