"""Tables of boxes as the commands read and write them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..annotations import clean_annotations, one_box_per_image, read_annotations, write_annotations
from ..annotations.image_files import ENDINGS
from ..annotations.writing import FOLDER_FORMATS, choose_images_dir
from ..boxes import COORDINATES, TARGET_COLUMNS
from .arguments import STDOUT

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = [
    "check_output",
    "count_boxes",
    "count_classes",
    "count_without_object",
    "find_common_folder",
    "find_images",
    "format_counts",
    "list_classes",
    "read_boxes",
    "read_part",
    "write_boxes",
]

#: Number of classes that are printed.
N_CLASSES = 20


def read_boxes(parsed: argparse.Namespace) -> pd.DataFrame:
    """Read the annotations that the arguments of ``add_source`` name."""
    boxes = read_annotations(
        parsed.source,
        images_dir=parsed.images,
        format=parsed.format,
        corners=parsed.corners,
        y_origin=parsed.y_origin,
        shapes=parsed.shapes,
        class_attribute=parsed.class_attribute,
        class_names=parsed.class_names,
        yolo_rows=parsed.yolo_rows,
        columns=None if parsed.columns is None else dict(parsed.columns),
        box_format=parsed.box_format,
        units=parsed.units,
    )
    return clean_annotations(boxes) if getattr(parsed, "clean", False) else boxes


def read_part(parsed: argparse.Namespace) -> tuple[pd.Series, pd.DataFrame]:
    """Read X and y of the images that ``--split`` selects; None selects all."""
    boxes = read_boxes(parsed)
    if parsed.split is not None:
        if "split" not in boxes:
            raise ValueError(
                f"--split {parsed.split} selects images by the column split, which {parsed.source} "
                "does not have. Leave out --split, or add the column."
            )
        is_in_part = boxes["split"] == parsed.split
        if not is_in_part.any():
            raise ValueError(
                f"No row of {parsed.source} has the split {parsed.split!r}. The parts are "
                f"{sorted(boxes['split'].dropna().unique())}."
            )
        boxes = boxes[is_in_part]
    return one_box_per_image(boxes)


def write_boxes(
    boxes: pd.DataFrame, path: Path, format: str, folder: Path | None, overwrite: bool
) -> tuple[str | None, Path]:
    """Write boxes to a file or a folder, or return the text for stdout.

    Returns
    -------
    text : str or None
    folder : Path
        The folder that image names are relative to.
    """
    if folder is None:
        # These tools look for the images in the folder of the files, or in one of its folders.
        is_fixed = format in ("labelme", "ultralytics")
        whole = path.absolute()
        above = choose_images_dir(whole, format) if is_fixed else whole.parent
        folder = find_common_folder(boxes["image"].unique(), above)
    if path != STDOUT:
        write_annotations(boxes, path, format, images_dir=folder, overwrite=overwrite)
        return None, folder
    with tempfile.TemporaryDirectory() as temporary:
        file = Path(temporary) / "boxes"
        write_annotations(boxes, file, format, images_dir=folder)
        return file.read_text(encoding="utf-8"), folder


def find_common_folder(images: Sequence[str] | NDArray[np.object_], folder: Path) -> Path:
    """Return `folder` if it contains all images, else the deepest folder that does."""
    if not len(images):
        return folder
    shared = Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in images]))
    return folder if shared.is_relative_to(folder) else shared


def count_boxes(boxes: pd.DataFrame) -> dict[str, int]:
    """Numbers of boxes, of images, and of those without an object."""
    return {
        "n_boxes": int(boxes[list(COORDINATES)].notna().all(axis=1).sum()),
        "n_images": int(boxes["image"].nunique()),
        "n_without_object": count_without_object(boxes),
    }


def format_counts(counts: dict[str, int]) -> str:
    """What ``count_boxes`` returned, as text."""
    without = counts["n_without_object"]
    return f"{counts['n_boxes']} boxes on {counts['n_images']} images" + (
        f" ({without} without an object)" if without else ""
    )


def count_without_object(y: pd.DataFrame) -> int:
    """Number of rows without class and box."""
    columns = [name for name in TARGET_COLUMNS if name in y]
    return int(y[columns].isna().all(axis=1).sum())


def count_classes(boxes: pd.DataFrame) -> dict[Any, int]:
    """Number of rows of each class, most frequent first."""
    if "class_name" not in boxes:
        return {}
    return {name: int(n) for name, n in boxes["class_name"].value_counts().items()}


def list_classes(counts: dict[Any, int]) -> str:
    """The classes and their numbers of rows as a sentence."""
    shown = [f"{name} ({n})" for name, n in list(counts.items())[:N_CLASSES]]
    more = [f"and {len(counts) - N_CLASSES} more"] if len(counts) > N_CLASSES else []
    return f"Classes: {', '.join([*shown, *more]) or 'none'}."


def check_output(path: Path, overwrite: bool | None, *, format: str | None = None) -> None:
    """Raise if the output exists or cannot be stdout, before work is spent on it.

    Parameters
    ----------
    path : Path
    overwrite : bool or None
        None if the command has no such option.
    format : str, default=None
        Format of annotations.
    """
    if path == STDOUT:
        if format in FOLDER_FORMATS:
            raise ValueError(
                f"--to {format} writes a folder with a file for each image, not to stdout (-). "
                "Name a folder, or choose another format."
            )
    elif path.exists() and not overwrite:
        advice = "" if overwrite is None else ", or add --overwrite"
        raise FileExistsError(f"{path} exists; choose another path{advice}.")


def find_images(path: Path) -> list[str]:
    """The paths of an image file, or of all below a folder."""
    if not path.is_dir():
        return [str(path)]
    found = [str(file) for file in sorted(path.rglob("*")) if file.name.lower().endswith(ENDINGS)]
    if not found:
        raise FileNotFoundError(
            f"{path} has no images, that is, no files that end in one of {', '.join(ENDINGS)}."
        )
    return found
