"""``skbbox report``: write an HTML page with scores and predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..files import as_path
from ..report import MAX_IMAGES
from .arguments import add_command, add_overwrite
from .data import check_output, read_part
from .models import load_model
from .results import Result
from .score import add_model_and_source

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    report = add_command(
        commands,
        "report",
        run,
        "write an HTML page with scores, predictions, errors, training and data",
        "skbbox report model.skbbox test.csv --images photos -o report.html\n"
        "skbbox report model.skbbox labels.csv --images photos --split val -o val.html",
    )
    add_model_and_source(report)
    report.add_argument(
        "-o",
        "--output",
        type=as_path,
        default="report.html",
        help="HTML file to write (default: report.html)",
    )
    report.add_argument(
        "--title", help="title of the page (default: the estimator and the number of images)"
    )
    report.add_argument(
        "--max-images",
        type=int,
        default=MAX_IMAGES,
        metavar="N",
        help=f"maximum number of images on the page, 0 for none (default: {MAX_IMAGES})",
    )
    add_overwrite(report)


def run(parsed: argparse.Namespace) -> Result:
    """Run the command."""
    check_output(parsed.output, parsed.overwrite)
    X, y = read_part(parsed)
    localizer = load_model(parsed)
    localizer.report(
        X,
        y,
        parsed.output,
        overwrite=parsed.overwrite,
        title=parsed.title,
        max_images=parsed.max_images,
    )
    values = {"model": parsed.model, "output": parsed.output, "n_images": len(X)}
    return Result(values, f"The report on {len(X)} images is in {parsed.output}.")
