"""The rows of a table of boxes, by columns: paths of images, classes, normalised boxes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..boxes import COORDINATES
from ..files import names_to_series
from .box_readings import to_edges
from .nodes import shorten_repr
from .record import BoxRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..typing import FloatArray
    from .cells import Cells, Column
    from .image_files import ImageFiles
    from .nodes import Place
    from .options import Options
    from .stated_sizes import StatedSizes

__all__ = ["RowTable"]

#: Name of the class of all objects of a table without classes.
ONE_CLASS = "object"


class RowTable:
    """A table with a row per box.

    Parameters
    ----------
    cells : Cells
    images : ImageFiles

    Attributes
    ----------
    values : ndarray of shape (n_boxes, 4)
        Of rows with a box, the four numbers as stored.
    """

    def __init__(self, cells: Cells, images: ImageFiles) -> None:
        self.cells, self.images = cells, images
        missing = np.isnan(cells.box)
        self._rows = np.flatnonzero(~missing.all(axis=1))
        partial = missing[self._rows].any(axis=1)
        if partial.any():
            row = int(self._rows[partial.argmax()])
            names = [name for name, gap in zip(cells.layout.box, missing[row], strict=False) if gap]
            cells.place(row).fail(f"a number of the box is missing: {', '.join(names)}.")
        self.values = cells.box[self._rows]
        self._image_codes, names = self._encode(cells.columns.get(cells.layout.image, []))
        # The first row of each image, for messages.
        self._first = np.unique(self._image_codes, return_index=True)[1]
        self._names = names
        file = cells.document.path
        self._paths = [images.find_path(self._find_record(i), file) for i in range(len(names))]
        self._sizes: FloatArray | None = None

    def _find_record(self, code: int) -> BoxRecord:
        """The first record of an image."""
        place, text = self.cells.place(int(self._first[code])), _to_text(self._names[code])
        if text is None:
            place.fail(
                f"{self.cells.layout.image} must be the name of an image. "
                f"Received: {shorten_repr(self._names[code])}."
            )
        return BoxRecord(place, text)

    def find_place(self, number: int) -> Place:
        """The position of a box in the file."""
        return self.cells.place(int(self._rows[number]))

    def get_sizes(self, formats: Sequence[str]) -> FloatArray:
        """Width and height of the image of each box; `formats` are those that are possible."""
        if self._sizes is None:
            sizes = np.zeros((len(self.values), 2))
            if self.cells.size is not None and not self._is_box_size(formats):
                sizes = np.nan_to_num(self.cells.size[self._rows])
            codes = self._image_codes[self._rows]
            unknown = (sizes <= 0).any(axis=1)
            file = self.cells.document.path
            by_code = np.zeros((len(self._paths), 2))
            for code in np.unique(codes[unknown]).tolist():
                record = self._find_record(code)
                by_code[code] = self.images.find_size(record, self._paths[code], file)
            sizes[unknown] = by_code[codes[unknown]]
            self._sizes = sizes
        return self._sizes

    def to_frame(
        self, box_format: str, units: str, options: Options, stated: StatedSizes
    ) -> pd.DataFrame:
        """The table in the form of ``read_annotations``."""
        cells, layout = self.cells, self.cells.layout
        boxes = to_edges(self.values, box_format)
        sides: Any = 100.0 if units == "percent" else 1.0
        if units == "pixels":
            if options.corners == "voc":
                boxes = boxes - (1, 0, 1, 0)
            sides = self.get_sizes((box_format,))[:, [0, 0, 1, 1]]
        boxes = boxes / sides
        if options.y_origin == "bottom":
            boxes[:, 2:] = 1 - boxes[:, :1:-1]
        edges = np.full((len(cells.box), 4), np.nan)
        edges[self._rows] = boxes
        columns: dict[str, Any] = {
            "image": _take(self._paths, self._image_codes),
            "class_name": self._read_classes(options),
            **dict(zip(COORDINATES, edges.T.copy(), strict=True)),
        }
        if layout.split is not None:
            columns["split"] = cells.columns[layout.split]
        known = {layout.image, layout.class_name, layout.split}
        for name, column in cells.columns.items():
            if name not in known and name not in columns and _is_plain(column):
                columns[name] = column
        if units == "pixels" and cells.size is not None:
            texts = self._find_transposed(stated)
            if any(texts):
                columns["transposed_size"] = _take(texts, self._image_codes)
        return pd.DataFrame({name: names_to_series(column) for name, column in columns.items()})

    def _encode(self, values: Column) -> tuple[NDArray[np.int_], list[Any]]:
        """Code of each value, and the values by code."""
        if isinstance(values, pd.Series):
            codes, index = pd.factorize(values)
            return codes, list(index)
        if all(isinstance(value, str) for value in values):
            column = np.empty(len(values), dtype=object)
            column[:] = values
            codes, names = pd.factorize(column)
            return codes, list(names)
        numbers: dict[str, int] = {}
        found: list[Any] = []
        codes = np.empty(len(values), dtype=np.int64)
        for row, value in enumerate(values):
            codes[row] = numbers.setdefault(f"{type(value).__name__} {value!r}", len(found))
            if codes[row] == len(found):
                found.append(value)
        return codes, found

    def _is_box_size(self, formats: Sequence[str]) -> bool:
        """Whether columns such as width and height are those of the box, not of the image."""
        cells = self.cells
        if not cells.layout.may_be_box_size or cells.size is None or not len(self.values):
            return False
        sizes = cells.size[self._rows]
        is_box, is_image = False, False
        for box_format in formats:
            x_min, x_max, y_min, y_max = to_edges(self.values, box_format).T
            sides, high = np.stack([x_max - x_min, y_max - y_min], 1), np.stack([x_max, y_max], 1)
            is_box |= bool((abs(sides - sizes) <= 1).all())
            is_image |= bool((high <= sizes).all())
        if is_box and is_image:
            names = cells.layout.size
            self.find_place(0).fail(
                f"{names[0]} and {names[1]} can be the size of the box or of the image; pass "
                f"columns={{'image_size': {names!r}}} for the image, or rename them."
            )
        return is_box

    def _read_classes(self, options: Options) -> list[Any] | NDArray[np.object_]:
        has_box = np.zeros(len(self.cells.box), dtype=bool)
        has_box[self._rows] = True
        if self.cells.layout.class_name is None:
            return [ONE_CLASS if box else None for box in has_box.tolist()]
        codes, values = self._encode(self.cells.columns.get(self.cells.layout.class_name, []))
        names: list[Any] = []
        for row, value in zip(np.unique(codes, return_index=True)[1].tolist(), values, strict=True):
            text, place = _to_text(value), self.cells.place(row)
            if text is None and not _is_missing(value):
                place.fail(f"expected the name of a class. Received: {shorten_repr(value)}.")
            names.append(text and options.get_class_name(text, place))
        return _take(names, codes)

    def _find_transposed(self, stated: StatedSizes) -> list[str | None]:
        """Both sizes as text for images whose size in the table is transposed."""
        sizes = np.nan_to_num(self.get_sizes(()))
        numbers = np.full(len(self._paths), -1)
        numbers[self._image_codes[self._rows][::-1]] = np.arange(len(self._rows))[::-1]
        found: list[str | None] = [None] * len(self._paths)
        for code, number in enumerate(numbers.tolist()):
            if number >= 0 and stated.is_active:
                width, height = sizes[number].tolist()
                found[code] = stated.find(self._paths[code], (width, height))
        return found


def _take(values: list[Any], codes: NDArray[np.int_]) -> NDArray[np.object_]:
    column = np.empty(len(values), dtype=object)
    column[:] = values
    return column[codes]


def _is_missing(value: object) -> bool:
    if isinstance(value, float):
        return np.isnan(value)
    return value is None or value is pd.NA or (isinstance(value, str) and not value)


def _to_text(value: object) -> str | None:
    """Text and whole numbers as text; None for anything else."""
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value) or None
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return str(value)
    # Whole numbers are floats beside missing values.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else None


def _is_plain(column: Column) -> bool:
    if isinstance(column, (np.ndarray, pd.Series)):
        return True
    if all(value is None for value in column):
        return False
    return all(value is None or isinstance(value, (str, int, float)) for value in column)
