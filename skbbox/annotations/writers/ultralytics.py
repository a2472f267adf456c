"""Ultralytics' folder for training: ``data.yaml``, lists of images, and labels as of YOLO.

The images are in ``images``, or copied or linked there. ``data.yaml`` does not have the key
``path``, so that the folder can be moved: its own folder is the default.

References
----------
.. [1] Ultralytics, ``check_det_dataset``, ``img2label_paths`` and ``IMG_FORMATS`` in
   ``ultralytics/data/utils.py``, https://github.com/ultralytics/ultralytics: ``train`` and ``val``
   are required; the labels of an image are found by naming the last folder ``images`` of its path
   ``labels``.
.. [2] Ultralytics, ``get_img_files`` in ``ultralytics/data/base.py``: lists have a path per line,
   in which ``./`` stands for the folder of the list.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import yaml

from ...exceptions import AnnotationError
from ..image_files import get_label_path
from .yolo import check_name, format_rows

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["IMAGES", "IN_FOLDER", "NEEDS_SIZES", "write"]

IN_FOLDER = True
NEEDS_SIZES = False

#: Folder of the images.
IMAGES = "images"
#: Parts of the split by their usual names.
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def write(images: list[ImageWithBoxes]) -> dict[str, str]:
    """Text of each file by its name."""
    names = sorted({class_name for image in images for class_name, _, _ in image.boxes})
    files: dict[str, str] = {}
    lists: dict[str, list[str]] = {}
    has_splits = any(image.splits for image in images)
    for image in images:
        _check_readable(image.name)
        path = PurePosixPath(IMAGES, image.name)
        file = get_label_path(path)
        check_name("Ultralytics", image.name, file, files)
        files[str(file)] = format_rows(image, names)
        part = _choose_part(image) if has_splits else "train"
        lists.setdefault(part, []).append(f"./{path}\n")
    if "train" not in lists:
        raise AnnotationError(
            f"Ultralytics needs images for training, but none of the {len(images)} images has the "
            "split 'train'. Correct the column split, or leave it out to train on all images."
        )
    # Both keys are required. Without images for validation, those for training are used.
    content: dict[str, object] = {"train": "train.txt", "val": "train.txt"}
    content |= {part: f"{part}.txt" for part in ("train", "val", "test") if part in lists}
    content["names"] = dict(enumerate(names))
    text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=float("inf"))
    return {
        "data.yaml": text,
        **{f"{part}.txt": "".join(lines) for part, lines in lists.items()},
        **files,
    }


def _check_readable(name: str) -> None:
    """Raise if Ultralytics would not find an image of this name."""
    if name.lower().endswith(".gif"):
        raise AnnotationError(f"Ultralytics does not read GIF. Convert and rename {name}.")
    if "./" in name or len(name.splitlines()) > 1:
        raise AnnotationError(
            "Ultralytics lists images one per line, with ./ for the folder of the list, so that "
            "names must not contain ./ or a line separator. "
            f"Rename {name!r}."
        )


def _choose_part(image: ImageWithBoxes) -> str:
    """The part of the split of an image: train, val or test."""
    parts = {PARTS.get(split.lower(), split) for split in image.splits}
    if len(parts) == 1 and (part := parts.pop()) in PARTS:
        return part
    raise AnnotationError(
        "For Ultralytics, the column split must have one of train, val and test for each image. "
        f"Received for {image.name}: {image.splits or 'no value'}. Correct the column, or leave it "
        "out to train on all images."
    )
