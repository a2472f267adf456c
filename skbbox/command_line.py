"""The command ``skbbox``: convert and check annotations, train and predict."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from .annotations import (
    check_annotations,
    clean_annotations,
    one_box_per_image,
    read_annotations,
    write_annotations,
)
from .annotations.image_files import ENDINGS, ImageFiles
from .annotations.reading import FORMATS
from .annotations.writing import WRITTEN_FORMATS
from .boxes import TARGET_COLUMNS
from .exceptions import SkbboxError, SkbboxWarning
from .files import as_path, names_to_series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from .typing import Split

__all__ = ["main"]

#: Exit codes: the command failed, or ``check`` found errors. argparse exits with 2.
FAILED, PROBLEMS = 1, 3

EXAMPLES = """examples:
  skbbox convert labels.json boxes.xml --to cvat --images photos
  skbbox check labels/ --images photos
  skbbox train labels.csv --images photos -o model.skbbox
  skbbox predict model.skbbox photos/*.jpg -o boxes.csv
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Parameters
    ----------
    arguments : list of str, default=None
        None uses those of the process.
    """
    parsed = _make_parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if hasattr(sys.stdout, "reconfigure"):  # Not in a notebook.
        # File names may contain bytes that are not text.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", SkbboxWarning)
            warnings.showwarning = _show_warning
            return parsed.function(parsed)
    except (SkbboxError, ValueError, OSError, TypeError) as error:
        print(f"skbbox: error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("skbbox: interrupted", file=sys.stderr)
        return 130


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skbbox",
        description="Find the main object in each image, its class and bounding box.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    convert = _add_command(
        commands,
        "convert",
        _convert,
        "convert annotations to the format of another tool",
        "skbbox convert instances.json texts/ --to yolo\n"
        "skbbox convert 'xml/*.xml' boxes.csv --to snacks --images photos",
    )
    _add_source(convert, "IN")
    convert.add_argument(
        "target", metavar="OUT", type=as_path, help="output file, or folder for pascal_voc and yolo"
    )
    convert.add_argument("--to", required=True, choices=WRITTEN_FORMATS, help="format of OUT")
    convert.add_argument("--clean", action="store_true", help="repair or drop invalid rows")
    convert.add_argument("--overwrite", action="store_true", help="replace existing files")

    check = _add_command(
        commands,
        "check",
        _check,
        "find errors and oddities in boxes and images",
        "skbbox check labels.csv --images photos\nskbbox check labels/ -o found.csv",
    )
    _add_source(check, "FILE")
    check.add_argument("-o", "--output", type=as_path, help="CSV file to write the problems to")

    train = _add_command(
        commands,
        "train",
        _train,
        "train a model and score it on held-out images",
        "skbbox train labels.csv --images photos -o model.skbbox\n"
        "skbbox train labels.csv --images photos -o model.skbbox --set image_size=128 epochs=20",
    )
    _add_source(train, "FILE")
    train.add_argument("-o", "--output", type=as_path, required=True, help="model file to write")
    train.add_argument("--clean", action="store_true", help="repair or drop invalid rows")
    train.add_argument(
        "--test",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="share of images held out for scoring, 0 for none (default: 0.2)",
    )
    train.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="parameters of SingleBoxLocalizer, for example image_size=128 random_state=0",
    )
    train.add_argument("--quiet", action="store_true", help="do not show progress")
    train.add_argument("--overwrite", action="store_true", help="replace an existing file")

    predict = _add_command(
        commands,
        "predict",
        _predict,
        "predict the class and box of images",
        "skbbox predict model.skbbox photos/*.jpg -o boxes.csv\n"
        "skbbox predict model.skbbox photos/ -o boxes.json --to coco",
    )
    predict.add_argument("model", type=as_path, help="model file written by train")
    predict.add_argument(
        "images", nargs="+", metavar="IMAGES", type=as_path, help="image files or folders"
    )
    predict.add_argument(
        "-o",
        "--output",
        type=as_path,
        required=True,
        help="output file, or folder for pascal_voc and yolo",
    )
    predict.add_argument(
        "--to", default="snacks", choices=WRITTEN_FORMATS, help="format of the output"
    )
    predict.add_argument(
        "--bad-images",
        choices=("raise", "warn", "skip"),
        default="raise",
        help="unreadable images: stop with an error (raise), or write them without an object, with "
        "(warn) or without (skip) a warning (default: raise)",
    )
    predict.add_argument("--quiet", action="store_true", help="do not show progress")
    predict.add_argument("--overwrite", action="store_true", help="replace existing files")
    return parser


def _add_command(
    commands: Any,
    name: str,
    function: Callable[[argparse.Namespace], int],
    purpose: str,
    examples: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog="examples:\n" + "\n".join(f"  {line}" for line in examples.splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(function=function)
    return command


def _add_source(command: argparse.ArgumentParser, metavar: str) -> None:
    """Add the arguments of :func:`read_annotations`."""
    command.add_argument(
        "source", metavar=metavar, type=as_path, help="annotation file, folder or glob pattern"
    )
    command.add_argument("--images", metavar="DIR", type=as_path, help="folder of the images")
    command.add_argument(
        "--from", dest="format", choices=FORMATS, help="input format (default: detected)"
    )
    command.add_argument(
        "--corners",
        choices=("edges", "voc"),
        help="corners in pixels: edges between pixels, or the first and last pixel, counted from 1 "
        "(default: as the tool writes them)",
    )
    command.add_argument(
        "--y-origin", choices=("top", "bottom"), help="where y is measured from (default: top)"
    )
    command.add_argument(
        "--shapes",
        choices=("hull", "skip", "error"),
        default="hull",
        help="polygons and other shapes: use the box around them, skip them, or stop with an error "
        "(default: hull)",
    )
    command.add_argument(
        "--class-attribute", metavar="NAME", help="attribute of the class, if there are several"
    )
    command.add_argument(
        "--class-names", metavar="FILE", type=as_path, help="file of class names, one per line"
    )


def _read(parsed: argparse.Namespace) -> pd.DataFrame:
    boxes = read_annotations(
        parsed.source,
        images_dir=parsed.images,
        format=parsed.format,
        corners=parsed.corners,
        y_origin=parsed.y_origin,
        shapes=parsed.shapes,
        class_attribute=parsed.class_attribute,
        class_names=parsed.class_names,
    )
    return clean_annotations(boxes) if getattr(parsed, "clean", False) else boxes


def _convert(parsed: argparse.Namespace) -> int:
    boxes = _read(parsed)
    _write(boxes, parsed.target, parsed.to, parsed.images, parsed.overwrite)
    return 0


def _write(
    boxes: pd.DataFrame, path: Path, format: str, folder: Path | None, overwrite: bool
) -> None:
    """Write boxes, and print the folder that image names are relative to."""
    if folder is None:
        folder = _find_common_folder(boxes["image"].unique(), path.absolute().parent)
    write_annotations(boxes, path, format, images_dir=folder, overwrite=overwrite)
    print(
        f"{boxes['x_min'].notna().sum()} boxes on {boxes['image'].nunique()} images in {path}; "
        f"names of images are relative to {folder}."
    )


def _check(parsed: argparse.Namespace) -> int:
    boxes = _read(parsed)
    if parsed.output is not None and parsed.output.exists():
        raise FileExistsError(f"{parsed.output} exists; choose another path.")
    problems = check_annotations(boxes)
    print(f"{boxes['x_min'].notna().sum()} boxes on {boxes['image'].nunique()} images.")
    print(problems.summary())
    if parsed.output is not None:
        problems.to_csv(parsed.output, index=False)
    return PROBLEMS if (problems["severity"] == "error").any() else 0


def _train(parsed: argparse.Namespace) -> int:
    _check_output(parsed)
    if not 0 <= parsed.test < 1:
        raise ValueError(f"--test must be at least 0 and below 1. Received: {parsed.test}.")
    parameters = {"verbose": 0 if parsed.quiet else 1} | dict(map(_parse_parameter, parsed.set))
    X, y = one_box_per_image(_read(parsed))
    from .localizer import SingleBoxLocalizer

    localizer = SingleBoxLocalizer().set_params(**parameters)
    train, test = _split_rows(X, y, parsed.test, localizer.random_state)
    localizer.fit(X.iloc[train], y.iloc[train])
    localizer.save(parsed.output, overwrite=parsed.overwrite)
    print(f"Trained on {len(train)} images; the model is saved in {parsed.output}.")
    if len(test):
        mean_iou, iou_50 = localizer.score(X.iloc[test], y.iloc[test])
        print(
            f"On {len(test)} held-out images: mean IoU {mean_iou:.3f}, "
            f"share with IoU of at least 0.5 {iou_50:.3f}."
        )
    return 0


def _check_output(parsed: argparse.Namespace) -> None:
    """Raise if the output exists, before work is spent on it."""
    if parsed.output.exists() and not parsed.overwrite:
        raise FileExistsError(f"{parsed.output} exists; choose another path, or add --overwrite.")


def _split_rows(X: pd.Series, y: pd.DataFrame, share: float, random_state: object) -> Split:
    import numpy as np

    from .model_selection import split_train_validation

    if share == 0:
        return np.arange(len(X)), np.arange(0)
    if random_state is not None and not isinstance(random_state, int):
        raise ValueError(f"random_state must be an integer. Received: {random_state!r}.")
    rng = np.random.default_rng(random_state)
    return split_train_validation(y["class_name"], X, share, rng)


def _parse_parameter(text: str) -> tuple[str, Any]:
    """Split NAME=VALUE; the value is read as a Python literal if possible, else as text."""
    import ast

    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"--set expects NAME=VALUE. Received: {text!r}.")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return name, value


def _predict(parsed: argparse.Namespace) -> int:
    _check_output(parsed)
    images = [image for path in parsed.images for image in _find_images(path)]
    folder = _find_common_folder(images, parsed.output.absolute().parent)
    for image in images:
        ImageFiles(folder).name(image)  # Raises for invalid names, before work is spent on them.
    from .localizer import SingleBoxLocalizer

    localizer = SingleBoxLocalizer.load(parsed.model)
    localizer.set_params(verbose=0 if parsed.quiet else 1, on_bad_image=parsed.bad_images)
    boxes = localizer.predict(images).drop(columns="error", errors="ignore")
    boxes.insert(0, "image", names_to_series(images))
    if "class_name" not in boxes:
        boxes.insert(1, "class_name", "object")
    empty = (boxes["x_max"] <= boxes["x_min"]) | (boxes["y_max"] <= boxes["y_min"])
    if empty.any():
        warnings.warn(
            f"{empty.sum()} boxes are empty, the first in {boxes['image'][empty].iloc[0]}; these "
            "images are written as images without an object.",
            SkbboxWarning,
            stacklevel=2,
        )
        boxes.loc[empty, list(TARGET_COLUMNS)] = None
    _write(boxes, parsed.output, parsed.to, folder, parsed.overwrite)
    return 0


def _find_common_folder(images: Sequence[str] | NDArray[np.object_], folder: Path) -> Path:
    """Return `folder` if it contains all images, else the deepest folder that does."""
    if not len(images):
        return folder
    shared = Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in images]))
    return folder if shared.is_relative_to(folder) else shared


def _find_images(path: Path) -> list[str]:
    if not path.is_dir():
        return [str(path)]
    found = [str(file) for file in sorted(path.rglob("*")) if file.name.lower().endswith(ENDINGS)]
    if not found:
        raise FileNotFoundError(
            f"{path} has no images, that is, no files that end in one of {', '.join(ENDINGS)}."
        )
    return found


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(f"skbbox: warning: {message}", file=sys.stderr)
