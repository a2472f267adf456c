"""``skbbox label``: label images in the browser with the help of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..annotations.writing import WRITTEN_FORMATS
from ..files import as_path
from .arguments import add_command, add_parameters, parse_parameter
from .data import count_boxes, count_classes, format_counts, list_classes
from .messages import FLAG
from .results import Result

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

__all__ = ["add_parser"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    label = add_command(
        commands,
        "label",
        run,
        "label images in the browser with the help of a model",
        "skbbox label photos\n"
        "skbbox label photos -o boxes.json --to coco --classes cat dog\n"
        "skbbox label photos --review boxes.csv",
        {
            "boxes": "--boxes",
            "review": f"--review{FLAG}",
            "output": "--output",
            "port": "--port",
            "start_after": "--start-after",
            "random_share": "--random-share",
        },
    )
    label.add_argument("folder", metavar="FOLDER", type=as_path, help="folder of the images")
    label.add_argument(
        "-o",
        "--output",
        type=as_path,
        help="file to write the labels to, continued if it exists (default: labels.csv in FOLDER; "
        "with --review, NAME_reviewed.csv next to FILE)",
    )
    label.add_argument(
        "--to",
        default="snacks",
        choices=WRITTEN_FORMATS,
        metavar="FORMAT",
        help=f"format of the output: {', '.join(WRITTEN_FORMATS)} (default: snacks, a CSV)",
    )
    label.add_argument(
        "--boxes", metavar="FILE", type=as_path, help="existing labels to start a new output with"
    )
    label.add_argument(
        "--review",
        metavar="FILE",
        type=as_path,
        help="review the labels of FILE, the most suspicious first",
    )
    label.add_argument(
        "--classes",
        nargs="+",
        default=[],
        metavar="NAME",
        help="class names, in the order of their keys on the page",
    )
    label.add_argument(
        "--start-after",
        type=int,
        default=10,
        metavar="N",
        help="number of labels after which a model starts to propose labels (default: 10)",
    )
    label.add_argument(
        "--random-share",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="share of images that are chosen at random; they determine the score of the proposals "
        "(default: 0.2)",
    )
    label.add_argument("--no-model", action="store_true", help="do not propose labels")
    label.add_argument(
        "--port", type=int, default=0, help="port of the page (default: any free port)"
    )
    label.add_argument(
        "--no-browser", action="store_true", help="do not open the page in the browser"
    )
    add_parameters(label)


def run(parsed: argparse.Namespace) -> Result:
    """Run the command."""
    from ..labelling import check_server_installed, label, make_estimator
    from ..labelling.output import get_work_folder

    check_server_installed()
    if parsed.boxes is not None and parsed.review is not None:
        raise ValueError("--boxes and --review both name the labels to begin with; choose one.")
    if not parsed.folder.is_dir():
        raise FileNotFoundError(f"{parsed.folder} is not a folder; name the folder of the images.")
    output = parsed.output or _choose_output(parsed)
    estimator = None
    if not parsed.no_model:
        parameters = dict(parse_parameter(text) for text in parsed.set)
        estimator = make_estimator(get_work_folder(output), **parameters)
    boxes = label(
        parsed.folder,
        parsed.boxes or parsed.review,
        estimator,
        output=output,
        format=parsed.to,
        review=parsed.review is not None,
        classes=parsed.classes,
        start_after=parsed.start_after,
        random_share=parsed.random_share,
        port=parsed.port,
        open_browser=not parsed.no_browser,
        ends_with_page=False,
    )
    counts = count_boxes(boxes)
    classes = count_classes(boxes)
    values = counts | {"output": output, "format": parsed.to, "classes": classes}
    return Result(values, f"{format_counts(counts)} are in {output}.\n{list_classes(classes)}")


def _choose_output(parsed: argparse.Namespace) -> Path:
    """Choose the output if none is given."""
    folder: Path = parsed.folder.absolute()
    if parsed.review is None:
        return folder / "labels.csv"
    file: Path = parsed.review.absolute()
    return file.with_name(f"{file.stem}_reviewed.csv")
