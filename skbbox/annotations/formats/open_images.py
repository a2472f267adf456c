"""Open Images: CSV with normalised edges, and codes such as /m/031n1 for the classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..nodes import parse_numbers
from ..record import BoxRecord

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "CSV"
COORDINATES = "normalised, edges"
SIZE = "not needed"
EMPTY = "no row"

SIDES = ("XMin", "XMax", "YMin", "YMax")
#: Columns with attributes of a box and their names in the result; -1 means unknown.
FLAGS = {
    "IsOccluded": "occluded",
    "IsTruncated": "truncated",
    "IsGroupOf": "group_of",
    "IsDepiction": "depiction",
    "IsInside": "inside",
}

#: Values of the flags; programs that write the files again may make them floats or bools.
VALUES = {"0": 0, "1": 1, "-1": None, "0.0": 0, "1.0": 1, "-1.0": None, "False": 0, "True": 1}


def recognises(document: Document) -> bool:
    """Whether `document` is CSV with the columns of Open Images."""
    return document.kind == "csv" and {"ImageID", "LabelName", *SIDES} <= set(
        document.parse_header()
    )


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of the CSV; ``class_names`` may be the file of class descriptions."""
    if document.kind != "csv":
        document.fail("expected CSV, Open Images' kind of file.")
    flags = [name for name in FLAGS if name in document.parse_header()]
    columns = ["ImageID", "LabelName", *SIDES, *flags]
    for line, (image, label, *values) in document.iter_table(columns):
        x_min, x_max, y_min, y_max = parse_numbers(values[:4], line, SIDES)
        extra: dict[str, Any] = {"image_id": image}
        for name, text in zip(flags, values[4:], strict=True):
            if text not in VALUES:
                line.fail(f"{name} must be 0, 1 or -1. Received: {text[:80]!r}.")
            extra[FLAGS[name]] = VALUES[text]
        class_name = options.get_class_name(label, line)
        box = x_min, x_max, y_min, y_max
        yield BoxRecord(line, f"{image}.jpg", class_name, box, extra=extra)
