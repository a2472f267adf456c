"""YOLO: a text file for each image, with normalised centres; classes are in a file beside it."""

import re
from pathlib import PurePosixPath

from ...exceptions import AnnotationError
from ..class_names import find_class_names
from ..documents import Node, parse_numbers
from ..image_files import ENDINGS
from ..record import AnyEnding, BoxRecord

__all__ = ["holds_boxes", "is_side_file", "read", "recognises", "write"]

FILES = "txt for each image; `classes.txt`, `obj.names` or YAML"
COORDINATES = "normalised, the centre"
SIZE = "not needed"
EMPTY = "empty or missing txt"
NEEDS_SIZES = False

#: Files beside those with boxes, which hold names or lists.
SIDE_FILES = (
    *("classes.txt", "train.txt", "val.txt", "valid.txt", "validation.txt", "test.txt"),
    *("trainval.txt", "default.txt", "labels.txt", "labelmap.txt", "notes.txt"),
)
_ROW = re.compile(r"\s*\d+(\s+[-+.\deE]+){4,}\s*$")


def recognises(document):
    """Whether `document` is text with a class and four numbers or more, or an empty txt."""
    if document.path.suffix.lower() != ".txt":
        return False
    return (document.is_empty and not is_side_file(document.path)) or holds_boxes(document)


def holds_boxes(document):
    """Whether the first line of `document` has a class and four numbers or more."""
    return document.kind == "text" and bool(_ROW.match(document.first_line))


def is_side_file(path):
    """Whether a file is named like those with names of classes or of files."""
    return path.name.lower() in SIDE_FILES


def read(document, options):
    """Records of the boxes of one image."""
    if document.kind != "text":
        document.fail("this is not text with one box in a line, which is the form of YOLO.")
    image = AnyEnding(document.path.stem, beside=document.path)
    folder = document.path.absolute().parent
    if folder not in options.names_beside:
        options.names_beside[folder] = find_class_names(folder)
    names = options.names_beside[folder]
    empty = True
    for line, text in document.lines():
        fields = text.split()
        box = _box(fields, line, options)
        if box is not None:
            empty = False
            yield BoxRecord(line, image, _class_name(fields[0], line, options, names), box)
    if empty:
        yield BoxRecord(Node(None, document.path), image)


def write(images):
    """Text of each file by its name; ``classes.txt`` has the names of the classes."""
    names = sorted({class_name for image in images for class_name, _, _ in image.boxes})
    for name in names:
        if not name.strip() or len(name.splitlines()) > 1 or name != name.strip():
            raise AnnotationError(
                "YOLO has the name of each class in a line of its own, without space around it. "
                f"Received the class {name!r}."
            )
    files = {"classes.txt": "".join(f"{name}\n" for name in names)}
    for image in images:
        if PurePosixPath(image.name).suffix.lower() not in ENDINGS:
            raise AnnotationError(
                "YOLO does not say the end of an image's name, and is read with one of "
                f"{', '.join(ENDINGS)}. Rename {image.name}."
            )
        file = str(PurePosixPath(image.name).with_suffix(".txt"))
        if file in files or is_side_file(PurePosixPath(file)):
            raise AnnotationError(
                f"YOLO names a text like its image, and {file} is taken. Rename {image.name}."
            )
        files[file] = "".join(
            f"{names.index(class_name)} {(x_min + x_max) / 2:.6f} {(y_min + y_max) / 2:.6f} "
            f"{x_max - x_min:.6f} {y_max - y_min:.6f}\n"
            for class_name, (x_min, x_max, y_min, y_max), _ in image.boxes
        )
    return files


def _class_name(text, place, options, names):
    if not (text.isascii() and text.isdigit()):
        place.fail(f"the class is not a whole number. Received: {text!r}.")
    return options.class_name(text, place, names)


def _box(fields, place, options):
    numbers = parse_numbers(fields[1:], place, [f"field {i}" for i in range(2, len(fields) + 1)])
    if len(numbers) == 4 or len(numbers) % 2 or _has_keypoints(numbers):
        if len(numbers) < 4:
            place.fail(f"a class and four numbers are wanted. Received {len(fields)} fields.")
        x, y, width, height = numbers[:4]
        return x - width / 2, x + width / 2, y - height / 2, y + height / 2
    if len(numbers) < 6:
        place.fail(f"a class and four numbers are wanted. Received {len(fields)} fields.")
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    return options.around(place, "polygon", points)


def _has_keypoints(numbers):
    """Whether a box is followed by keypoints, each with a number that says if it is seen."""
    return len(numbers) > 4 and (len(numbers) - 4) % 3 == 0 and {*numbers[6::3]} <= {0, 1, 2}
