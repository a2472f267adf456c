"""The command ``skbbox``: annotation files, training and prediction without writing Python."""

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
from .exceptions import SkbboxWarning
from .files import names_to_series

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from .typing import PathLikeStr, Split

__all__ = ["main"]

#: Exit codes beside 0: what was asked for cannot be done, or problems were found. argparse itself
#: exits with 2.
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
        None takes those of the process.
    """
    parser = _parser()
    parsed = parser.parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if hasattr(sys.stdout, "reconfigure"):  # Not in a notebook.
        # Names of files may hold what is no character.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", SkbboxWarning)
            warnings.showwarning = _show_warning
            return parsed.function(parsed)
    except (ValueError, OSError, TypeError) as error:
        print(f"skbbox: error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("skbbox: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="skbbox",
        description="One main object in each image: its box and its class.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    convert = _command(
        commands,
        "convert",
        _convert,
        "write boxes in the format of another tool",
        "skbbox convert instances.json texts/ --to yolo\n"
        "skbbox convert 'xml/*.xml' boxes.csv --to snacks --images photos",
    )
    convert.add_argument("source", metavar="IN", help="annotation file, folder or pattern")
    convert.add_argument("target", metavar="OUT", help="file; a folder for pascal_voc and yolo")
    convert.add_argument("--to", required=True, choices=WRITTEN_FORMATS, help="format of OUT")
    _add_reading(convert)
    convert.add_argument("--clean", action="store_true", help="repair or drop what is wrong")
    convert.add_argument("--overwrite", action="store_true", help="replace files that exist")

    check = _command(
        commands,
        "check",
        _check,
        "find what is wrong or odd in boxes and images",
        "skbbox check labels.csv --images photos\nskbbox check labels/ -o found.csv",
    )
    check.add_argument("source", metavar="FILE", help="annotation file, folder or pattern")
    _add_reading(check)
    check.add_argument("-o", "--output", type=Path, help="write each problem into this CSV")

    train = _command(
        commands,
        "train",
        _train,
        "train a model, and score it on images that it did not see",
        "skbbox train labels.csv --images photos -o model.skbbox\n"
        "skbbox train labels.csv --images photos -o model.skbbox --set image_size=128 epochs=20",
    )
    train.add_argument("source", metavar="FILE", help="annotation file, folder or pattern")
    train.add_argument("-o", "--output", type=Path, required=True, help="file of the model")
    _add_reading(train)
    train.add_argument("--clean", action="store_true", help="repair or drop what is wrong")
    train.add_argument(
        "--test",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="share of images that are only scored on, 0 for none (default: 0.2)",
    )
    train.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="parameters of SingleBoxLocalizer, such as image_size=128 random_state=0",
    )
    train.add_argument("--quiet", action="store_true", help="show no progress")
    train.add_argument("--overwrite", action="store_true", help="replace a file that exists")

    predict = _command(
        commands,
        "predict",
        _predict,
        "predict the box and class of images",
        "skbbox predict model.skbbox photos/*.jpg -o boxes.csv\n"
        "skbbox predict model.skbbox photos/ -o boxes.json --to coco",
    )
    predict.add_argument("model", type=Path, help="file that train wrote")
    predict.add_argument("images", nargs="+", metavar="IMAGES", help="images, or folders of them")
    predict.add_argument("-o", "--output", required=True, help="file of the boxes")
    predict.add_argument("--to", default="snacks", choices=WRITTEN_FORMATS, help="its format")
    predict.add_argument(
        "--bad-images",
        choices=("raise", "warn", "skip"),
        default="raise",
        help="what becomes of those that cannot be read; left out, they have no object",
    )
    predict.add_argument("--quiet", action="store_true", help="show no progress")
    predict.add_argument("--overwrite", action="store_true", help="replace files that exist")
    return parser


def _command(
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


def _add_reading(command: argparse.ArgumentParser) -> None:
    """Arguments of :func:`read_annotations`."""
    command.add_argument("--images", metavar="DIR", help="folder of the images")
    command.add_argument("--from", dest="format", choices=FORMATS, help="format of the file")
    command.add_argument("--corners", choices=("edges", "voc"))
    command.add_argument("--y-origin", choices=("top", "bottom"))
    command.add_argument("--shapes", choices=("hull", "skip", "error"), default="hull")
    command.add_argument("--class-attribute", metavar="NAME")
    command.add_argument("--class-names", metavar="FILE", help="names of classes, one in a line")


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
    boxes: pd.DataFrame, path: PathLikeStr, format: str, folder: PathLikeStr | None, overwrite: bool
) -> None:
    """Write boxes, and say of what folder the names of images are where that is not told."""
    if folder is None:
        folder = _folder_of_all(boxes["image"].unique(), Path(path).absolute().parent)
    write_annotations(boxes, path, format, images_dir=folder, overwrite=overwrite)
    print(
        f"{boxes['x_min'].notna().sum()} boxes on {boxes['image'].nunique()} images in {path}; "
        f"names of images are relative to {folder}."
    )


def _check(parsed: argparse.Namespace) -> int:
    boxes = _read(parsed)
    if parsed.output is not None and parsed.output.exists():
        raise FileExistsError(f"{parsed.output} exists; give another path.")
    problems = check_annotations(boxes)
    print(f"{boxes['x_min'].notna().sum()} boxes on {boxes['image'].nunique()} images.")
    print(problems.summary())
    if parsed.output is not None:
        problems.to_csv(parsed.output, index=False)
    return PROBLEMS if (problems["severity"] == "error").any() else 0


def _train(parsed: argparse.Namespace) -> int:
    _refuse_to_replace(parsed)
    if not 0 <= parsed.test < 1:
        raise ValueError(f"--test is 0 or more and below 1. Received: {parsed.test}.")
    parameters = {"verbose": 0 if parsed.quiet else 1} | dict(map(_parameter, parsed.set))
    X, y = one_box_per_image(_read(parsed))
    from .localizer import SingleBoxLocalizer

    localizer = SingleBoxLocalizer().set_params(**parameters)
    train, test = _rows(X, y, parsed.test, localizer.random_state)
    localizer.fit(X.iloc[train], y.iloc[train])
    localizer.save(parsed.output, overwrite=parsed.overwrite)
    print(f"Trained on {len(train)} images; {parsed.output} holds the model.")
    if len(test):
        mean_iou, iou_50 = localizer.score(X.iloc[test], y.iloc[test])
        print(f"On {len(test)} others: mean IoU {mean_iou:.3f}, IoU of .5 or more {iou_50:.3f}.")
    return 0


def _refuse_to_replace(parsed: argparse.Namespace) -> None:
    """Before the work is done, not after it."""
    if os.path.exists(parsed.output) and not parsed.overwrite:
        raise FileExistsError(f"{parsed.output} exists; give another path, or --overwrite.")


def _rows(X: pd.Series, y: pd.DataFrame, share: float, random_state: object) -> Split:
    import numpy as np

    from .model_selection import split_train_validation

    if share == 0:
        return np.arange(len(X)), np.arange(0)
    if random_state is not None and not isinstance(random_state, int):
        raise ValueError(f"random_state is a whole number. Received: {random_state!r}.")
    generator = np.random.default_rng(random_state)
    return split_train_validation(y["class_name"], X, share, generator)


def _parameter(text: str) -> tuple[str, Any]:
    """Name and value of a parameter; values are Python's where they can be, else text."""
    import ast

    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"--set takes NAME=VALUE. Received: {text!r}.")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return name, value


def _predict(parsed: argparse.Namespace) -> int:
    _refuse_to_replace(parsed)
    images = [image for name in parsed.images for image in _images(Path(name))]
    folder = _folder_of_all(images, Path(parsed.output).absolute().parent)
    for image in images:
        ImageFiles(folder).name(image)  # Refused before the work is done, not after it.
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
            f"{empty.sum()} boxes are empty, the first of {boxes['image'][empty].iloc[0]}; these "
            "images are written as images without an object.",
            SkbboxWarning,
            stacklevel=2,
        )
        boxes.loc[empty, list(TARGET_COLUMNS)] = None
    _write(boxes, parsed.output, parsed.to, folder, parsed.overwrite)
    return 0


def _folder_of_all(images: Sequence[str] | NDArray[np.object_], folder: Path) -> Path:
    """The folder, where all images lie in it or below; else the deepest that holds them all."""
    if not len(images):
        return folder
    shared = Path(os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in images]))
    return folder if shared.is_relative_to(folder) else shared


def _images(path: Path) -> list[str]:
    if not path.is_dir():
        return [str(path)]
    found = [str(file) for file in sorted(path.rglob("*")) if file.name.lower().endswith(ENDINGS)]
    if not found:
        raise FileNotFoundError(f"{path} holds no image, that is none of {', '.join(ENDINGS)}.")
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
