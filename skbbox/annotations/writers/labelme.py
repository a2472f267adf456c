"""labelme: one JSON file per image, which names the image by its path from the file.

References
----------
.. [1] labelme, ``labelme/_label_file.py``, https://github.com/wkentaro/labelme: ``imagePath`` is
   relative to the folder of the file. labelme looks for the file of an image next to it.
.. [2] X-AnyLabeling, https://github.com/CVHub520/X-AnyLabeling: ``score`` of a shape, which labelme
   keeps.
"""

from __future__ import annotations

import json
import posixpath
from pathlib import PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

from ...exceptions import AnnotationError
from ..record import UNWRITABLE, choose_confidence

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["IN_FOLDER", "NEEDS_SIZES", "write"]

IN_FOLDER = True
NEEDS_SIZES = True

#: A version of labelme that writes files with these keys.
VERSION = "5.5.0"


def write(images: list[ImageWithBoxes]) -> dict[str, str]:
    """Text of each file by its name, in folders like those of the images."""
    files: dict[str, str] = {}
    for image in images:
        file = str(PurePosixPath(image.name).with_suffix(".json"))
        if file in files:
            raise AnnotationError(
                f"labelme names each file after its image, and {file} is already used. "
                f"Rename {image.name}."
            )
        width, height = map(round, image.get_size())
        root: dict[str, Any] = {
            "version": VERSION,
            "flags": {},
            "shapes": _make_shapes(image),
            "imagePath": _make_path(image, posixpath.dirname(file)),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        files[file] = json.dumps(root, ensure_ascii=False, indent=2)
    return files


def _make_path(image: ImageWithBoxes, folder: str) -> str:
    """Path of an image from the folder of its file."""
    path = image.path
    if not PureWindowsPath(path).is_absolute():
        path = posixpath.relpath(path, folder or ".")
    if UNWRITABLE.search(path) or "\\" in path:
        raise AnnotationError(
            f"the path of the image {path!r} contains a character that labelme cannot store. "
            "Rename its folders, or write to images_dir."
        )
    return path


def _make_shapes(image: ImageWithBoxes) -> list[dict[str, Any]]:
    shapes = []
    for class_name, (x_min, x_max, y_min, y_max), confidences in image.iter_pixel_boxes():
        shape: dict[str, Any] = {
            "label": class_name,
            "points": [[x_min, y_min], [x_max, y_max]],
            "group_id": None,
            "description": "",
            "shape_type": "rectangle",
            "flags": {},
            "mask": None,
        }
        if (confidence := choose_confidence(confidences)) is not None:
            shape["score"] = confidence
        shapes.append(shape)
    return shapes
