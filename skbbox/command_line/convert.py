"""``skbbox convert``: convert annotations to the format of another tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..annotations.writing import FOLDER_FORMATS, WRITTEN_FORMATS
from .arguments import STDOUT, add_command, add_overwrite, add_source, as_output
from .data import check_output, count_boxes, format_counts, read_boxes, write_boxes
from .results import Result

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "describe_written"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    convert = add_command(
        commands,
        "convert",
        run,
        "convert annotations to the format of another tool",
        "skbbox convert instances.json texts/ --to yolo\n"
        "skbbox convert 'xml/*.xml' boxes.csv --to snacks --images photos\n"
        "skbbox convert labels/ - --to coco --images photos | jq '.images | length'",
    )
    add_source(convert, "IN")
    convert.add_argument(
        "output",
        metavar="OUT",
        type=as_output,
        help=f"output file, - for stdout, or folder for {', '.join(FOLDER_FORMATS)}",
    )
    convert.add_argument(
        "--to",
        required=True,
        choices=WRITTEN_FORMATS,
        metavar="FORMAT",
        help=f"format of OUT: {', '.join(WRITTEN_FORMATS)}",
    )
    convert.add_argument("--clean", action="store_true", help="repair or drop invalid rows")
    add_overwrite(convert)


def run(parsed: argparse.Namespace) -> Result:
    """Run the command."""
    # An existing folder may be filled; `write_boxes` checks its files.
    check_output(parsed.output, parsed.overwrite or parsed.output.is_dir(), format=parsed.to)
    boxes = read_boxes(parsed)
    document, folder = write_boxes(boxes, parsed.output, parsed.to, parsed.images, parsed.overwrite)
    counts = count_boxes(boxes)
    values = counts | {"output": parsed.output, "format": parsed.to, "images_dir": folder}
    return Result(values, describe_written(counts, parsed.output, folder), document)


def describe_written(counts: dict[str, int], output: object, folder: object) -> str:
    """Describe how many boxes were written, and which folder image names are relative to."""
    place = "stdout" if output == STDOUT else output
    return f"{format_counts(counts)} in {place}; names of images are relative to {folder}."
