"""YOLO: one text file per image, and ``classes.txt``."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ...exceptions import AnnotationError
from ..formats.yolo import is_side_file
from ..image_files import ENDINGS

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["IN_FOLDER", "NEEDS_SIZES", "write"]

IN_FOLDER = True
NEEDS_SIZES = False


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
