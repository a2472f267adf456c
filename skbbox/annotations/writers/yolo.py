"""YOLO: one text file per image, and ``classes.txt``."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ...exceptions import AnnotationError
from ..formats.yolo import is_side_file
from ..image_files import ENDINGS

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["IN_FOLDER", "NEEDS_SIZES", "check_name", "format_rows", "write"]

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
        file = PurePosixPath(image.name).with_suffix(".txt")
        check_name("YOLO", image.name, file, files)
        files[str(file)] = format_rows(image, names)
    return files


def check_name(tool: str, name: str, file: PurePosixPath, files: dict[str, str]) -> None:
    """Raise if an image cannot be found by the name of its file, or the file exists already.

    Parameters
    ----------
    tool : str
        For messages.
    name : str
        Name of the image.
    file : PurePosixPath
    files : dict
        The other files by name.
    """
    if PurePosixPath(name).suffix.lower() not in ENDINGS:
        raise AnnotationError(
            f"{tool} does not store the file extension of an image, so it must be one of "
            f"{', '.join(ENDINGS)}. Rename {name}."
        )
    if str(file) in files or is_side_file(file):
        raise AnnotationError(
            f"{tool} names each file after its image, and {file} is already used. Rename {name}."
        )


def format_rows(image: ImageWithBoxes, names: list[str]) -> str:
    """A line per box: the number of the class, the centre, width and height, normalised."""
    return "".join(
        f"{names.index(class_name)} {(x_min + x_max) / 2:.6f} {(y_min + y_max) / 2:.6f} "
        f"{x_max - x_min:.6f} {y_max - y_min:.6f}\n"
        for class_name, (x_min, x_max, y_min, y_max), _ in image.boxes
    )
