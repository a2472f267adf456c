"""Roboflow: text with one line per image (YOLO Keras, YOLOv4 PyTorch), and oriented boxes.

References
----------
.. [1] Roboflow, "YOLO Keras TXT", https://roboflow.com/formats/yolo-keras-txt.
.. [2] Roboflow, "YOLOv5 Oriented Bounding Boxes",
   https://roboflow.com/formats/yolov5-oriented-bounding-boxes; the lines are those of DOTA,
   https://captain-whu.github.io/DOTA/dataset.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..class_names import read_class_names
from ..image_files import ENDINGS
from ..nodes import Line, Node, parse_numbers
from ..record import BoxRecord, ImageStem, PlacedImage, make_records
from ..shapes import bound_points

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options
    from ..record import FoundBox, ImageName

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "`_annotations.txt` of all images; one txt per image with oriented boxes"
COORDINATES = "pixels, edges"
SIZE = "from the image"
EMPTY = "line with only the image; empty txt"

#: File with the class names of ``_annotations.txt``.
NAMES = "_classes.txt"
#: A line of ``_annotations.txt``: an image, and corners and class of each box.
_IMAGE_LINE = re.compile(
    rf"(.*?({'|'.join(map(re.escape, ENDINGS))}))((?:\s+-?\d+,-?\d+,-?\d+,-?\d+,\d+)*)\s*",
    re.IGNORECASE,
)
#: Names of the corners of an oriented box, whose line ends in its class and a difficulty.
CORNERS = tuple(f"{axis}{number}" for number in range(1, 5) for axis in "xy")
DIFFICULTIES = ("0", "1", "2")
#: Lines at the start of DOTA's files that describe the image.
_ABOUT = re.compile(r"(imagesource|gsd)\s*:", re.IGNORECASE)


def recognises(document: Document) -> bool:
    """Whether the first lines of `document` are those of one of the two kinds of text."""
    if document.kind not in ("csv", "text") or document.path.suffix.lower() != ".txt":
        return False
    match = _IMAGE_LINE.fullmatch(document.first_line)
    if match is not None:
        return bool(match[3]) or document.path.name == "_annotations.txt"
    return _ABOUT.match(document.first_line) is not None or _is_oriented(document.first_line)


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a text file that Roboflow exported."""
    if document.kind not in ("csv", "text"):
        document.fail("expected text, Roboflow's kind of file.")
    if "," in document.first_line or _IMAGE_LINE.fullmatch(document.first_line):
        return _read_images(document, options)
    return _read_oriented(document, options)


def _is_oriented(text: str) -> bool:
    """Whether a line has eight numbers, a class that is no number, and a difficulty of 0 to 2."""
    fields = text.split()
    if len(fields) < 10 or fields[-1] not in DIFFICULTIES:
        return False
    return all(map(_is_number, fields[:8])) and not _is_number(fields[8])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_images(document: Document, options: Options) -> Iterator[BoxRecord]:
    path = document.path.with_name(NAMES)
    names = read_class_names(path) if options.class_names is None and path.is_file() else None
    for line, text in document.iter_lines():
        match = _IMAGE_LINE.fullmatch(text)
        if match is None:
            line.fail(
                "expected the name of an image and, for each box, x_min,y_min,x_max,y_max,class "
                f"as integers. Received: {text[:80]!r}."
            )
        found: list[FoundBox] = []
        for box in match[3].split():
            *corners, key = box.split(",")
            x_min, y_min, x_max, y_max = parse_numbers(corners, line, CORNERS)
            class_name = options.get_class_name(key, line, names)
            found.append((line, class_name, (x_min, x_max, y_min, y_max), {}))
        yield from make_records(line, match[1], found, None)


def _read_oriented(document: Document, options: Options) -> Iterator[BoxRecord]:
    image: ImageName = ImageStem(document.path.stem, annotation_file=document.path)
    if document.path.parent.name == "labelTxt":
        image = PlacedImage(document.path.stem, document.path.parent.with_name("images"))
    lines = [pair for pair in document.iter_lines() if not _ABOUT.match(pair[1])]
    found = (_read_box(line, text.split(), options) for line, text in lines)
    return make_records(Node(None, document.path), image, found, None)


def _read_box(line: Line, fields: list[str], options: Options) -> FoundBox:
    if len(fields) < 10:
        line.fail(
            "expected eight numbers, the corners of an oriented box, a class and a difficulty. "
            f"Received {len(fields)} fields."
        )
    if fields[-1] not in DIFFICULTIES:
        line.fail(f"the difficulty must be one of {DIFFICULTIES}. Received: {fields[-1]!r}.")
    numbers = parse_numbers(fields[:8], line, CORNERS)
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    x, y = ({point[axis] for point in points} for axis in (0, 1))
    box = bound_points(points)
    if len(x) != 2 or len(y) != 2:
        box = options.bound_shape(line, "rotated box", points)
    # Names of classes may contain spaces.
    return line, " ".join(fields[8:-1]), box, {"difficult": int(fields[-1])}
