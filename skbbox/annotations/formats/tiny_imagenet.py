"""Tiny ImageNet: text with a row per image of 64 x 64 pixels.

References
----------
.. [1] Stanford CS231n, "Tiny ImageNet Visual Recognition Challenge": ``val_annotations.txt`` with
   ``image class x_min y_min x_max y_max``, and ``train/CLASS/CLASS_boxes.txt`` without the class.
   The last pixel of a row has the number 63: corners are numbers of pixels from 0, inclusive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..nodes import parse_numbers
from ..record import BoxRecord

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "`val_annotations.txt` and `CLASS_boxes.txt`"
COORDINATES = "pixels, 0-based inclusive"
SIZE = "always 64 x 64"
EMPTY = "no row"

SIZE_IN_PIXELS = (64.0, 64.0)
SIDES = ("x_min", "y_min", "x_max", "y_max")
_ROW = re.compile(r"[^\t]+\.JPEG(\tn[0-9]{8})?(\t[0-9]+){4}\s*")


def recognises(document: Document) -> bool:
    """Whether the first line of `document` is a row of the data set."""
    return document.kind == "text" and _ROW.fullmatch(document.first_line) is not None


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a file; images are in ``images/`` next to it."""
    if document.kind != "text":
        document.fail("expected text, Tiny ImageNet's kind of file.")
    own = document.path.name.removesuffix("_boxes.txt")
    for line, text in document.iter_lines():
        fields = text.split("\t")
        if len(fields) not in (5, 6):
            line.fail(
                "expected an image, a class unless the name of the file has it, and four numbers, "
                f"separated by tabs. Received {len(fields)} fields."
            )
        key = fields[1] if len(fields) == 6 else own
        x_min, y_min, x_max, y_max = parse_numbers(fields[-4:], line, SIDES)
        box = x_min, x_max, y_min, y_max
        if options.corners is None:
            # Half-open edges: the last pixel is inside the box.
            box = x_min, x_max + 1, y_min, y_max + 1
        box = options.convert_corners(box)
        class_name = options.get_class_name(key, line)
        yield BoxRecord(line, f"images/{fields[0]}", class_name, box, SIZE_IN_PIXELS)
