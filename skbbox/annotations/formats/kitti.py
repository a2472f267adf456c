"""KITTI's object labels: text with a row per object.

References
----------
.. [1] A. Geiger et al., "Are we ready for Autonomous Driving?", 2012, and ``readme.txt`` of the
   object development kit: 15 fields, and a score in results; fields 5 to 8 are left, top, right and
   bottom in pixels, counted from 0. ``DontCare`` marks regions without labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..nodes import Node, parse_numbers
from ..record import BoxRecord, ImageStem

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "one txt per image"
COORDINATES = "pixels, edges"
SIZE = "from the image"
EMPTY = "empty txt, or only `DontCare`"

NAMES = (
    *("truncated", "occluded", "alpha", "left", "top", "right", "bottom", "height", "width"),
    *("length", "x", "y", "z", "rotation_y", "score"),
)
_ROW = re.compile(r"[A-Za-z_]\w*( -?[0-9][0-9.e+-]*){14,15}\s*")


def recognises(document: Document) -> bool:
    """Whether the first line of `document` is a row of KITTI."""
    return document.kind == "text" and _ROW.fullmatch(document.first_line) is not None


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of one image, which is in ``image_2`` next to ``label_2``."""
    if document.kind != "text":
        document.fail("expected text, KITTI's kind of file.")
    image = ImageStem(document.path.stem, ".png", document.path)
    empty = True
    for line, text in document.iter_lines():
        fields = text.split()
        if len(fields) not in (15, 16):
            line.fail(f"expected a class and 14 or 15 numbers. Received {len(fields)} fields.")
        values = dict(zip(NAMES, parse_numbers(fields[1:], line, NAMES), strict=False))
        if fields[0] == "DontCare":
            continue
        empty = False
        extra: dict[str, Any] = {name: values[name] for name in ("truncated", "occluded")}
        if "score" in values:
            extra["confidence"] = values["score"]
        box = values["left"], values["right"], values["top"], values["bottom"]
        yield BoxRecord(line, image, fields[0], box, None, extra)
    if empty:
        yield BoxRecord(Node(None, document.path), image)
