"""CUB-200-2011: five text files together, of which one holds the boxes.

References
----------
.. [1] C. Wah et al., "The Caltech-UCSD Birds-200-2011 Dataset", 2011, and its README:
   ``bounding_boxes.txt`` with ``image_id x y width height`` in pixels, and ``images.txt``,
   ``image_class_labels.txt``, ``classes.txt`` and ``train_test_split.txt`` with an id and a value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..documents import Document
from ..nodes import parse_numbers
from ..record import BoxRecord

if TYPE_CHECKING:
    from pathlib import Path

    from ..options import Options

__all__ = ["COMPANIONS", "COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "`bounding_boxes.txt`, with the other four files next to it"
COORDINATES = "pixels, edges, x, y, width, height"
SIZE = "from the image"
EMPTY = "no row"

#: The files next to that of the boxes; the last one is not needed.
COMPANIONS = ("images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt")
SPLITS = {"0": "test", "1": "train"}
NAMES = ("x", "y", "width", "height")
_ROW = re.compile(r"[0-9]+( -?[0-9][0-9.]*){4}\s*")


def recognises(document: Document) -> bool:
    """Whether `document` is the file of the boxes, and the names of the images are next to it."""
    path = document.path
    if document.kind != "text" or path.name != "bounding_boxes.txt":
        return False
    return (path.parent / "images.txt").is_file() and bool(_ROW.fullmatch(document.first_line))


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of the boxes; images are in ``images/`` next to the file."""
    if document.kind != "text":
        document.fail("expected text, CUB's kind of file.")
    folder = document.path.parent
    missing = next((name for name in COMPANIONS[:3] if not (folder / name).is_file()), None)
    if missing is not None:
        document.fail(f"{missing}, which belongs next to this file, does not exist.")
    images, labels, classes = (_read_pairs(folder / name) for name in COMPANIONS[:3])
    has_split = (folder / COMPANIONS[3]).is_file()
    parts = _read_pairs(folder / COMPANIONS[3]) if has_split else {}
    for line, text in document.iter_lines():
        fields = text.split()
        if len(fields) != 5:
            line.fail(f"expected an id and four numbers. Received {len(fields)} fields.")
        key = fields[0]
        x, y, width, height = parse_numbers(fields[1:], line, NAMES)
        for name, pairs in zip(COMPANIONS, (images, labels), strict=False):
            if key not in pairs:
                line.fail(f"the id {key[:80]!r} is missing in {name}.")
        if labels[key] not in classes:
            line.fail(f"the class {labels[key][:80]!r} is missing in {COMPANIONS[2]}.")
        extra = {"image_id": key}
        if has_split:
            if parts.get(key) not in SPLITS:
                line.fail(f"{COMPANIONS[3]} must hold 0 or 1. Received: {parts.get(key)!r}.")
            extra["split"] = SPLITS[parts[key]]
        class_name = options.get_class_name(classes[labels[key]], line)
        box = x, x + width, y, y + height
        yield BoxRecord(line, f"images/{images[key]}", class_name, box, None, extra)


def _read_pairs(path: Path) -> dict[str, str]:
    """Values by id."""
    pairs: dict[str, str] = {}
    for line, text in Document(path).iter_lines():
        key, _, value = text.strip().partition(" ")
        if not value or key in pairs:
            line.fail(f"expected an id that appears once, and a value. Received: {text[:80]!r}.")
        pairs[key] = value
    return pairs
