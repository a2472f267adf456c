"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..annotations.box_readings import BOX_FORMATS, UNITS
from ..annotations.registry import FORMATS
from ..annotations.yolo_rows import ROWS
from ..files import as_path
from .messages import FLAG

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .results import Result

__all__ = [
    "STDOUT",
    "add_bad_images",
    "add_command",
    "add_overwrite",
    "add_parameters",
    "add_quiet",
    "add_source",
    "as_output",
    "parse_parameter",
    "parse_value",
    "split_assignment",
]

#: The output ``-``.
STDOUT = Path("-")

#: Options for arguments of the library that its messages name.
SOURCE_OPTIONS = {
    "images_dir": "--images",
    "format": "--from",
    "corners": "--corners",
    "y_origin": "--y-origin",
    "shapes": "--shapes",
    "class_attribute": "--class-attribute",
    "class_names": "--class-names",
    "yolo_rows": "--yolo-rows",
    "columns": "--columns",
    "box_format": "--box-format",
    "units": "--units",
}
#: Parameters of the estimator, which messages name.
PARAMETERS = (
    "image_size",
    "weights",
    "frozen",
    "engine",
    "validation_fraction",
    "epochs",
    "learning_rate",
    "learning_rate_schedule",
    "random_state",
    "on_bad_image",
    "neck",
    "batch_size",
    "backbone",
    "preprocessing",
)


def add_command(
    commands: Any,
    name: str,
    run: Callable[[argparse.Namespace], Result],
    purpose: str,
    examples: str,
    options: Mapping[str, str] | None = None,
) -> argparse.ArgumentParser:
    """Add a command to the parser.

    Parameters
    ----------
    commands : object
        What ``add_subparsers`` returned.
    name : str
    run : callable
        Runs the command with the parsed arguments.
    purpose : str
        Begins with a lower-case verb.
    examples : str
        One command per line.
    options : dict of str to str, default=None
        See :func:`use_options`; those of the other functions here are added.
    """
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=purpose,
        description=f"{purpose[0].upper()}{purpose[1:]}.",
        epilog="examples:\n" + "\n".join(f"  {line}" for line in examples.splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run, command=name, options=dict(options or {}))
    command.add_argument(
        "--json",
        action="store_true",
        help="print the result as one JSON document; messages still go to stderr",
    )
    return command


def add_source(command: argparse.ArgumentParser, metavar: str) -> None:
    """Add the arguments of :func:`read_annotations`."""
    command.add_argument(
        "source",
        metavar=metavar,
        type=as_path,
        help="annotation file, folder with annotation files, or glob pattern",
    )
    command.add_argument(
        "--images",
        metavar="DIR",
        type=as_path,
        help="folder of the images (default: found next to the annotations)",
    )
    ambiguous = command.add_argument_group(
        "if the annotations are not detected correctly or are ambiguous"
    )
    ambiguous.add_argument(
        "--from",
        dest="format",
        choices=FORMATS,
        metavar="FORMAT",
        help=f"format of the annotations: {', '.join(FORMATS)} (default: detected)",
    )
    ambiguous.add_argument(
        "--corners",
        choices=("edges", "voc"),
        help="corners in pixels: edges between pixels (edges), or the first and last pixel, "
        "counted from 1 (voc) (default: the convention of the tool)",
    )
    ambiguous.add_argument(
        "--y-origin", choices=("top", "bottom"), help="where y is measured from (default: top)"
    )
    ambiguous.add_argument(
        "--shapes",
        choices=("hull", "skip", "error"),
        default="hull",
        help="polygons and other shapes: use the box around them (hull), skip them, or stop with "
        "an error (default: hull)",
    )
    ambiguous.add_argument(
        "--class-attribute",
        metavar="NAME",
        help="attribute that contains the class, if there are several",
    )
    ambiguous.add_argument(
        "--class-names",
        metavar="FILE",
        type=as_path,
        help="file with class names, for annotations that contain numbers or codes",
    )
    ambiguous.add_argument(
        "--yolo-rows",
        choices=ROWS,
        help="what a row of YOLO contains: a box, which other numbers may follow (box), a polygon "
        "(polygon), or a polygon and a confidence or track (scored_polygon) (default: decided from "
        "all rows)",
    )
    ambiguous.add_argument(
        "--columns",
        nargs="+",
        type=_parse_column,
        metavar="NAME=COLUMN",
        help="columns of a table: image, class_name, image_size, split, and box, with one column "
        "or four separated by commas, for example box=left,top,right,bottom (default: usual names)",
    )
    ambiguous.add_argument(
        "--box-format",
        choices=BOX_FORMATS,
        help="meaning of the four numbers of a box in a table (default: decided from all boxes)",
    )
    ambiguous.add_argument(
        "--units",
        choices=UNITS,
        help="units of the coordinates in a table (default: decided from all boxes)",
    )
    _add_options(command, SOURCE_OPTIONS)


def _parse_column(text: str) -> tuple[str, str | list[str]]:
    """Split NAME=COLUMN; several columns have commas between them."""
    name, separator, column = text.partition("=")
    if not (name and separator and column):
        raise argparse.ArgumentTypeError(f"expected NAME=COLUMN, received {text!r}")
    return name, column.split(",") if "," in column else column


def add_parameters(command: argparse.ArgumentParser) -> None:
    """Add ``--set``, which changes parameters of the estimator."""
    command.add_argument(
        "--set",
        nargs="+",
        default=[],
        metavar="NAME=VALUE",
        help="set parameters of SingleBoxLocalizer, for example image_size=128 random_state=0",
    )
    _add_options(command, {name: f"--set {name}=" for name in PARAMETERS})


def add_bad_images(command: argparse.ArgumentParser, then: str) -> None:
    """Add ``--bad-images``; `then` says what happens to unreadable images."""
    command.add_argument(
        "--bad-images",
        choices=("raise", "warn", "skip"),
        default="raise",
        help=f"unreadable images: stop with an error (raise), or {then}, with (warn) or without "
        "(skip) a warning (default: raise)",
    )
    _add_options(command, {"on_bad_image": "--bad-images"})


def add_overwrite(command: argparse.ArgumentParser) -> None:
    """Add ``--overwrite``."""
    command.add_argument("--overwrite", action="store_true", help="replace existing files")
    _add_options(command, {"overwrite": f"--overwrite{FLAG}"})


def add_quiet(command: argparse.ArgumentParser) -> None:
    """Add ``--quiet``."""
    command.add_argument("--quiet", action="store_true", help="do not show progress")


def _add_options(command: argparse.ArgumentParser, options: Mapping[str, str]) -> None:
    command.set_defaults(options=command.get_default("options") | options)


def as_output(text: str) -> Path:
    """Return a path, or ``STDOUT`` for ``-``; ``./-`` is a file."""
    path = as_path(text)
    return path.absolute() if path == STDOUT and text != "-" else path


def parse_parameter(text: str) -> tuple[str, Any]:
    """Split NAME=VALUE of ``--set``."""
    name, value = split_assignment(text, "--set")
    return name, parse_value(value)


def split_assignment(text: str, option: str) -> tuple[str, str]:
    """Split NAME=VALUE, where NAME is a parameter of the estimator."""
    name, separator, value = text.partition("=")
    if not separator:
        raise ValueError(f"{option} expects NAME=VALUE. Received: {text!r}.")
    if "__" in name:
        raise ValueError(
            f"{option} changes the parameters of SingleBoxLocalizer, which have no parameters of "
            f"their own. Received: {text!r}."
        )
    return name, value


def parse_value(text: str) -> Any:
    """Return the value of a Python literal if possible, else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return text
