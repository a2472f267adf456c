"""The CSV of the chapter's snacks: normalised boxes, images at ``folder/image_id.jpg``.

A variant with a column ``image`` instead of ``image_id`` and ``folder`` stores tables that do not
fit this layout: other folders, other file extensions, or images without an object.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...boxes import COORDINATES as SIDES
from ..nodes import Line, parse_number, parse_numbers
from ..record import CONFIDENCES, BoxRecord

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = (
    "CSV `image_id, x_min, x_max, y_min, y_max, class_name, folder`, or `image` for both; "
    "optionally `split`, `group`"
)
COORDINATES = "normalised, edges"
SIZE = "not needed"
EMPTY = "no row; with `image`, a row without class and box"

COLUMNS = ("image_id", "class_name", "folder", *SIDES)
COLUMNS_BY_IMAGE = ("image", "class_name", *SIDES)
#: Columns of text that are read if they exist: the part of the split, and images that belong
#: together.
PARTS = ("split", "group")


def recognises(document: Document) -> bool:
    """Whether `document` is CSV with the chapter's columns."""
    if document.kind != "csv":
        return False
    header = set(document.parse_header())
    return set(COLUMNS) <= header or set(COLUMNS_BY_IMAGE) <= header


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of the CSV; the folder of an image may differ from its class."""
    if document.kind != "csv":
        document.fail("expected CSV, this format's kind of file.")
    header = document.parse_header()
    confidences = [name for name in CONFIDENCES if name in header]
    parts = [name for name in PARTS if name in header]
    if set(COLUMNS_BY_IMAGE) <= set(header) and not set(COLUMNS) <= set(header):
        columns = [*COLUMNS_BY_IMAGE, *confidences, *parts]
        for line, (image, class_name, *values) in document.iter_table(columns):
            values, extra = _split_off(values, parts)
            if not any((class_name, *values)):
                yield BoxRecord(line, image, extra=extra)
            else:
                yield _make_record(line, image, class_name, values, confidences, extra)
        return
    columns = [*COLUMNS, *confidences, *parts]
    for line, (image_id, class_name, folder, *values) in document.iter_table(columns):
        image = os.path.join(folder, f"{image_id}.jpg")
        extra = {"image_id": image_id, "folder": folder}
        if parts:  # A table may have a million rows.
            values, others = _split_off(values, parts)
            extra |= others
        yield _make_record(line, image, class_name, values, confidences, extra)


def _split_off(values: list[str], parts: list[str]) -> tuple[list[str], dict[str, Any]]:
    """The values before those of the last columns, and these by name."""
    n_before = len(values) - len(parts)
    texts = zip(parts, values[n_before:], strict=True)
    return values[:n_before], {name: text or None for name, text in texts}


def _make_record(
    line: Line,
    image: str,
    class_name: str,
    values: list[str],
    confidences: list[str],
    extra: dict[str, Any],
) -> BoxRecord:
    x_min, x_max, y_min, y_max = parse_numbers(values[:4], line, SIDES)
    for name, text in zip(confidences, values[4:], strict=True):
        extra[name] = parse_number(text, line, name) if text else None
    return BoxRecord(line, image, class_name, (x_min, x_max, y_min, y_max), extra=extra)
