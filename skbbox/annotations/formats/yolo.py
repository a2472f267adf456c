"""YOLO: one text file per image with normalised centres; class names are in a file of their own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from pathlib import PurePath
from typing import TYPE_CHECKING, NoReturn

from ..class_names import NAME_FILES, FoundNames, find_class_names
from ..image_files import has_image_ending
from ..nodes import Line, Node, parse_numbers
from ..record import BoxRecord, ImageStem
from ..yolo_rows import (
    choose_rows,
    count_scores,
    fits_keypoints,
    has_visibilities,
    is_outline,
    is_scored_outline,
)
from . import ultralytics_ndjson

if TYPE_CHECKING:
    from ..class_names import ClassNames
    from ..documents import Document
    from ..options import Options
    from ..record import Box

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
    names, kpt_shape, _ = _find_names(document, options)
    empty = True
    for line, text in document.iter_lines():
        fields = text.split()
        box = _read_box(fields, line, document, options, kpt_shape)
        if box is not None:
            empty = False
            yield BoxRecord(line, image, _read_class_name(fields[0], line, options, names), box)
    if empty:
        yield BoxRecord(Node(None, document.path), image)


def _find_names(document: Document, options: Options) -> FoundNames:
    if options.class_names is not None:
        return FoundNames(None, options.kpt_shape)
    folder = document.path.absolute().parent
    if folder not in options.names_by_folder:
        options.names_by_folder[folder] = find_class_names(folder, options.root)
    return options.names_by_folder[folder]


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


def _read_box(
    fields: list[str],
    place: Line,
    document: Document,
    options: Options,
    kpt_shape: tuple[int, int] | None,
) -> Box | None:
    numbers = parse_numbers(fields[1:], place, map("field {}".format, count(2)))
    if len(numbers) < 4:
        place.fail(f"expected a class and four numbers. Received {len(fields)} fields.")
    if len(numbers) < 6 or _begins_with_box(numbers, place, document, options, kpt_shape):
        x, y, width, height = numbers[:4]
        return x - width / 2, x + width / 2, y - height / 2, y + height / 2
    n_scores = 0
    if "scored_polygon" in (options.yolo_rows, options.decided_rows):
        n_scores = count_scores(numbers)
    end = len(numbers) - n_scores
    points = list(zip(numbers[:end:2], numbers[1:end:2], strict=True))
    return options.bound_shape(place, "polygon", points)


def _begins_with_box(
    numbers: tuple[float, ...],
    place: Line,
    document: Document,
    options: Options,
    kpt_shape: tuple[int, int] | None,
) -> bool:
    """Whether a row of six numbers or more begins with a box, and is not a polygon."""
    if options.yolo_rows is not None:
        if options.yolo_rows == "polygon" and len(numbers) % 2:
            place.fail(
                f"expected pairs of x and y, as yolo_rows='polygon' says. Received {len(numbers)} "
                "numbers."
            )
        return options.yolo_rows == "box" or (
            options.yolo_rows == "scored_polygon" and len(numbers) == 6
        )
    if fits_keypoints(numbers, kpt_shape):
        return True
    if options.decided_rows is None:
        options.decided_rows = choose_rows(_iter_open_rows(document, options))
    rows = options.decided_rows
    if rows is None:
        _refuse_row(place, "can be read in several ways")
    if rows == "box":
        return True
    if rows == "scored_polygon":
        return len(numbers) == 6
    # Some programs write polygons, and boxes with keypoints, into one file.
    if rows == "polygon" and (not has_visibilities(numbers) or is_outline(numbers)):
        if len(numbers) % 2:
            _refuse_row(place, "has an odd number of values, though other rows are polygons")
        return False
    if is_outline(numbers) and not has_visibilities(numbers) and not is_scored_outline(numbers):
        return False
    if not has_visibilities(numbers) or is_outline(numbers):
        _refuse_row(place, "does not show whether it is a box or a polygon")
    return True


def _refuse_row(place: Line, reason: str) -> NoReturn:
    place.fail(
        f"the row {reason}: pass yolo_rows='box' if rows begin with a box, whatever follows it "
        "(keypoints, a confidence, a track), 'polygon' if they are the points of polygons, or "
        "'scored_polygon' if a confidence or a track follows the points."
    )


def _iter_open_rows(document: Document, options: Options) -> Iterator[list[float]]:
    """Yield the numbers of the rows of all files, without those whose keypoints are declared."""
    for other in options.documents or [document]:
        if other.kind != "text" or other.path.suffix.lower() != ".txt":
            continue
        kpt_shape = _find_names(other, options).kpt_shape
        for _, text in other.iter_lines():
            try:
                numbers = [float(field) for field in text.split()[1:]]
            except ValueError:
                continue  # Reading the row raises an error that names it.
            if len(numbers) >= 4 and not fits_keypoints(numbers, kpt_shape):
                yield numbers
