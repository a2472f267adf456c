"""``skbbox predict``: predict the class and box of images."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from ..annotations.image_files import ImageFiles
from ..annotations.writing import FOLDER_FORMATS, WRITTEN_FORMATS
from ..boxes import TARGET_COLUMNS
from ..exceptions import SkbboxWarning
from ..files import as_path, names_to_series
from .arguments import STDOUT, add_bad_images, add_command, add_overwrite, add_quiet, as_output
from .convert import describe_written
from .data import check_output, count_boxes, find_common_folder, find_images, write_boxes
from .models import load_model
from .results import Result, list_rows

if TYPE_CHECKING:
    import argparse

    import pandas as pd

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    predict = add_command(
        commands,
        "predict",
        run,
        "predict the class and box of images",
        "skbbox predict model.skbbox photos/*.jpg -o boxes.csv\n"
        "skbbox predict model.skbbox photos/ -o boxes.json --to coco\n"
        "skbbox predict model.skbbox photo.jpg --json",
    )
    predict.add_argument("model", type=as_path, help="model file written by train")
    predict.add_argument(
        "images", nargs="+", metavar="IMAGES", type=as_path, help="image files or folders"
    )
    predict.add_argument(
        "-o",
        "--output",
        type=as_output,
        help=f"output file, - for stdout, or folder for {', '.join(FOLDER_FORMATS)} (default: -, "
        "or none with --json)",
    )
    predict.add_argument(
        "--to",
        default="snacks",
        choices=WRITTEN_FORMATS,
        metavar="FORMAT",
        help=f"format of the output: {', '.join(WRITTEN_FORMATS)} (default: snacks, a CSV)",
    )
    add_bad_images(predict, "write them without an object")
    add_quiet(predict)
    add_overwrite(predict)


def run(parsed: argparse.Namespace) -> Result:
    """Run the command."""
    output = parsed.output or (None if parsed.json else STDOUT)
    if output is not None:
        check_output(output, parsed.overwrite, format=parsed.to)
    images = [image for path in parsed.images for image in find_images(path)]
    folder = find_common_folder(images, (output or STDOUT).absolute().parent)
    for image in images:
        ImageFiles(folder).name(image)  # Raises for invalid names, before work is spent on them.
    localizer = load_model(parsed)
    predicted = localizer.predict(images)
    predicted.insert(0, "image", names_to_series(images))
    boxes = _make_writable(predicted)
    document = None
    if output is not None:
        document, folder = write_boxes(boxes, output, parsed.to, folder, parsed.overwrite)
    counts = count_boxes(boxes)
    values = counts | {
        "output": output,
        "format": None if output is None else parsed.to,
        "images_dir": None if output is None else folder,
        "predictions": list_rows(predicted),
    }
    return Result(values, describe_written(counts, output, folder), document)


def _make_writable(predicted: pd.DataFrame) -> pd.DataFrame:
    """Change rows so that annotation files can store them: with a class, without empty boxes."""
    boxes = predicted.drop(columns="error", errors="ignore")
    if "class_name" not in boxes:
        boxes.insert(1, "class_name", boxes["x_min"].map(lambda x: "object", na_action="ignore"))
    empty = (boxes["x_max"] <= boxes["x_min"]) | (boxes["y_max"] <= boxes["y_min"])
    if empty.any():
        warnings.warn(
            f"{empty.sum()} boxes are empty, the first in {boxes['image'][empty].iloc[0]}; these "
            "images are written as images without an object.",
            SkbboxWarning,
            stacklevel=2,
        )
        boxes.loc[empty, list(TARGET_COLUMNS)] = None
    return boxes
