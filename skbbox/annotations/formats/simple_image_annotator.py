"""Simple Image Annotator: CSV without quotation marks, in which names may contain commas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..image_files import ENDINGS
from ..nodes import parse_numbers
from ..record import BoxRecord

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "CSV, also without a header"
COORDINATES = "pixels, edges"
SIZE = "from the image"
EMPTY = "no row"

HEADER = "image,id,name,xMin,xMax,yMin,yMax"


def recognises(document: Document) -> bool:
    """Whether the first line of `document` is the header or a row of the tool."""
    if document.kind != "csv":
        return False
    line = document.first_line
    return line.strip() == HEADER or _is_row(line.split(","))


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of the CSV; with ``--out``, the tool appends and writes no header."""
    for place, text in document.iter_lines():
        if text.strip() == HEADER:
            continue
        fields = text.split(",")
        if len(fields) < 7:
            place.fail(f"expected at least 7 fields. Received {len(fields)}.")
        # Names of images and classes may contain commas; the id between them does not.
        id_field = _find_id_field(fields)
        if id_field is None:
            place.fail(f"the number of the box, {HEADER.split(',')[1]}, is missing.")
        image, name = ",".join(fields[:id_field]), ",".join(fields[id_field + 1 : -4])
        x_min, x_max, y_min, y_max = parse_numbers(fields[-4:], place, HEADER.split(",")[-4:])
        yield BoxRecord(place, image, name, (x_min, x_max, y_min, y_max), None)


def _find_id_field(fields: list[str]) -> int | None:
    """Index of the number of the box: the first number, preferably after an image name."""
    numbers = [i for i in range(1, len(fields) - 5) if fields[i].isdigit()]
    after_images = [i for i in numbers if fields[i - 1].lower().endswith(ENDINGS)]
    return next(iter(after_images or numbers), None)


def _is_row(fields: list[str]) -> bool:
    """Whether the fields are a row of the tool: the number of the box is followed by a name."""
    if len(fields) < 7 or not all(text.strip().lstrip("-").isdigit() for text in fields[-4:]):
        return False
    id_field = _find_id_field(fields)
    return id_field is not None and not fields[id_field + 1].isdigit()
