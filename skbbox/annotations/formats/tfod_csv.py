"""The CSV that tutorials convert to TF Object Detection's records: pixels, one row per box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..nodes import make_size, parse_numbers
from ..record import BoxRecord

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "CSV"
COORDINATES = "pixels, edges"
SIZE = "columns"
EMPTY = "no row"

SIDES = ("xmin", "xmax", "ymin", "ymax")
COLUMNS = ("filename", "class", "width", "height", *SIDES)


def recognises(document: Document) -> bool:
    """Whether `document` is CSV with these columns."""
    return document.kind == "csv" and set(COLUMNS) <= set(document.parse_header())


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of the CSV."""
    if document.kind != "csv":
        document.fail("expected CSV, this format's kind of file.")
    for line, (image, class_name, *values) in document.iter_table(COLUMNS):
        width, height, x_min, x_max, y_min, y_max = parse_numbers(values, line, COLUMNS[2:])
        box = x_min, x_max, y_min, y_max
        yield BoxRecord(line, image, class_name, box, make_size(width, height))
