"""YOLO: one text file per image with normalised centres; class names are in a file of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

from ..class_names import NAME_FILES
from ..image_files import has_image_ending
from ..nodes import Line, Node
from ..record import BoxRecord, ImageStem
from . import ultralytics_ndjson
from .yolo_boxes import find_names, read_box

if TYPE_CHECKING:
    from ..class_names import ClassNames
    from ..documents import Document
    from ..options import Options

__all__ = [
    "COORDINATES",
    "EMPTY",
    "FILES",
    "SIZE",
    "holds_boxes",
    "is_side_file",
    "read",
    "recognises",
]

FILES = "one txt per image; `classes.txt`, `obj.names` or YAML; Ultralytics' NDJSON"
COORDINATES = "normalised, centre"
SIZE = "not needed"
EMPTY = "empty or missing txt"

#: Names of files next to the annotation files that hold class names or lists of images.
SIDE_FILES = (
    *NAME_FILES,
    *("train.txt", "val.txt", "valid.txt", "validation.txt", "test.txt"),
    *("trainval.txt", "default.txt", "labels.txt", "labelmap.txt", "notes.txt"),
)
#: Range of the first numbers of a row, which are normalised.
RANGE = (-0.1, 1.1)


def recognises(document: Document) -> bool:
    """Whether `document` is text with a class and four numbers or more, empty, or NDJSON."""
    if ultralytics_ndjson.is_ndjson(document):
        return True
    if document.path.suffix.lower() != ".txt":
        return False
    return (document.is_empty and not is_side_file(document.path)) or holds_boxes(document)


def holds_boxes(document: Document) -> bool:
    """Whether the first line of `document` has a class and at least four normalised numbers."""
    numbers = _parse_first_line(document)[:4]
    return bool(numbers) and RANGE[0] <= min(numbers) and max(numbers) <= RANGE[1]


def holds_other_numbers(document: Document) -> bool:
    """Whether the first line of `document` is like a row, but its numbers are not normalised."""
    return bool(_parse_first_line(document)) and not holds_boxes(document)


def lists_images(document: Document) -> bool:
    """Whether the first line of `document` is the name of an image, as in lists of a split."""
    return document.kind == "text" and has_image_ending(document.first_line.strip())


def _parse_first_line(document: Document) -> list[float]:
    """Numbers after the class in the first line; empty if it is no row of a class and numbers."""
    fields = document.first_line.split()
    if document.kind != "text" or len(fields) < 5 or _parse_class(fields[0]) is None:
        return []
    try:
        numbers = list(map(float, fields[1:]))
    except ValueError:
        return []
    return numbers if math.isfinite(sum(numbers)) else []


def is_side_file(path: PurePath) -> bool:
    """Whether the name of a file is usual for class names or lists of images."""
    return path.name.lower() in SIDE_FILES


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of one image, or of the images of an NDJSON file."""
    if ultralytics_ndjson.is_ndjson(document):
        yield from ultralytics_ndjson.read(document, options)
        return
    if document.kind != "text":
        document.fail("expected text with one box per line, YOLO's kind of file.")
    image = ImageStem(document.path.stem, annotation_file=document.path)
    names, kpt_shape, _ = find_names(document, options)
    empty = True
    for line, text in document.iter_lines():
        fields = text.split()
        box = read_box(fields, line, document, options, kpt_shape)
        if box is not None:
            empty = False
            yield BoxRecord(line, image, _read_class_name(fields[0], line, options, names), box)
    if empty:
        yield BoxRecord(Node(None, document.path), image)


def _parse_class(text: str) -> str | None:
    """The number of a class as digits; programs that write all numbers alike make it a float."""
    if text.isascii() and text.isdigit():
        return text
    try:
        number = float(text)
    except ValueError:
        return None
    is_class = number.is_integer() and 0 <= number < 1e9 and "_" not in text and text.isascii()
    return str(int(number)) if is_class else None


def _read_class_name(text: str, place: Line, options: Options, names: ClassNames | None) -> str:
    number = _parse_class(text)
    if number is None:
        place.fail(f"the class must be an integer. Received: {text!r}.")
    return options.get_class_name(number, place, names)
