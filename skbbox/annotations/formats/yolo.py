"""YOLO: one text file per image with normalised centres; class names are in a file of their own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath, PurePosixPath
from typing import TYPE_CHECKING

from ...exceptions import AnnotationError
from ..class_names import find_class_names
from ..image_files import ENDINGS
from ..nodes import Line, Node, parse_numbers
from ..record import BoxRecord, ImageStem

if TYPE_CHECKING:
    from ..class_names import ClassNames
    from ..documents import Document
    from ..options import Options
    from ..record import Box, ImageWithBoxes

__all__ = [
    "COORDINATES",
    "EMPTY",
    "FILES",
    "NEEDS_SIZES",
    "SIZE",
    "holds_boxes",
    "is_side_file",
    "read",
    "recognises",
    "write",
]

FILES = "one txt per image; `classes.txt`, `obj.names` or YAML"
COORDINATES = "normalised, centre"
SIZE = "not needed"
EMPTY = "empty or missing txt"
NEEDS_SIZES = False

#: Names of files next to the annotation files that hold class names or lists of images.
SIDE_FILES = (
    *("classes.txt", "train.txt", "val.txt", "valid.txt", "validation.txt", "test.txt"),
    *("trainval.txt", "default.txt", "labels.txt", "labelmap.txt", "notes.txt"),
)
_ROW = re.compile(r"\s*\d+(\s+[-+.\deE]+){4,}\s*$")


def recognises(document: Document) -> bool:
    """Whether `document` is text with a class and at least four numbers, or an empty txt."""
    if document.path.suffix.lower() != ".txt":
        return False
    return (document.is_empty and not is_side_file(document.path)) or holds_boxes(document)


def holds_boxes(document: Document) -> bool:
    """Whether the first line of `document` has a class and at least four numbers."""
    return document.kind == "text" and bool(_ROW.match(document.first_line))


def is_side_file(path: PurePath) -> bool:
    """Whether the name of a file is usual for class names or lists of images."""
    return path.name.lower() in SIDE_FILES


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of one image."""
    if document.kind != "text":
        document.fail("expected text with one box per line, YOLO's kind of file.")
    image = ImageStem(document.path.stem, annotation_file=document.path)
    folder = document.path.absolute().parent
    if folder not in options.names_by_folder:
        options.names_by_folder[folder] = find_class_names(folder)
    names = options.names_by_folder[folder]
    empty = True
    for line, text in document.iter_lines():
        fields = text.split()
        box = _read_box(fields, line, options)
        if box is not None:
            empty = False
            yield BoxRecord(line, image, _read_class_name(fields[0], line, options, names), box)
    if empty:
        yield BoxRecord(Node(None, document.path), image)


def write(images: list[ImageWithBoxes]) -> dict[str, str]:
    """Text of each file by its name; ``classes.txt`` holds the class names."""
    names = sorted({class_name for image in images for class_name, _, _ in image.boxes})
    for name in names:
        if not name.strip() or len(name.splitlines()) > 1 or name != name.strip():
            raise AnnotationError(
                "YOLO stores one class name per line, which must not be empty or begin or end "
                f"with space. Received the class {name!r}."
            )
    files = {"classes.txt": "".join(f"{name}\n" for name in names)}
    for image in images:
        if PurePosixPath(image.name).suffix.lower() not in ENDINGS:
            raise AnnotationError(
                "YOLO does not store the file extension of an image, so it must be one of "
                f"{', '.join(ENDINGS)}. Rename {image.name}."
            )
        file = str(PurePosixPath(image.name).with_suffix(".txt"))
        if file in files or is_side_file(PurePosixPath(file)):
            raise AnnotationError(
                f"YOLO names each file after its image, and {file} is already used. "
                f"Rename {image.name}."
            )
        files[file] = "".join(
            f"{names.index(class_name)} {(x_min + x_max) / 2:.6f} {(y_min + y_max) / 2:.6f} "
            f"{x_max - x_min:.6f} {y_max - y_min:.6f}\n"
            for class_name, (x_min, x_max, y_min, y_max), _ in image.boxes
        )
    return files


def _read_class_name(text: str, place: Line, options: Options, names: ClassNames | None) -> str:
    if not (text.isascii() and text.isdigit()):
        place.fail(f"the class must be an integer. Received: {text!r}.")
    return options.get_class_name(text, place, names)


def _read_box(fields: list[str], place: Line, options: Options) -> Box | None:
    numbers = parse_numbers(fields[1:], place, [f"field {i}" for i in range(2, len(fields) + 1)])
    is_box = len(numbers) == 4 or len(numbers) % 2 or _has_keypoints(numbers)
    if len(numbers) < (4 if is_box else 6):
        place.fail(f"expected a class and four numbers. Received {len(fields)} fields.")
    if is_box:
        x, y, width, height = numbers[:4]
        return x - width / 2, x + width / 2, y - height / 2, y + height / 2
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    return options.bound_shape(place, "polygon", points)


def _has_keypoints(numbers: tuple[float, ...]) -> bool:
    """Whether a box is followed by keypoints: x, y and a visibility of 0, 1 or 2."""
    return len(numbers) > 4 and (len(numbers) - 4) % 3 == 0 and {*numbers[6::3]} <= {0, 1, 2}
