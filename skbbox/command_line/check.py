"""``skbbox check``: find errors and oddities in boxes and images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..annotations import check_annotations
from .arguments import STDOUT, add_command, add_source, as_output
from .data import (
    check_output,
    count_boxes,
    count_classes,
    format_counts,
    list_classes,
    read_boxes,
)
from .results import PROBLEMS, Result, list_rows

if TYPE_CHECKING:
    import argparse

    import pandas as pd

__all__ = ["add_parser"]

#: Number of problems of each kind that are printed.
N_SHOWN = 3


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    check = add_command(
        commands,
        "check",
        run,
        "find errors and oddities in boxes and images",
        "skbbox check labels.csv --images photos\n"
        "skbbox check labels/ -o found.csv\n"
        "skbbox check labels/ --json | jq .counts",
    )
    add_source(check, "FILE")
    check.add_argument(
        "-o",
        "--output",
        type=as_output,
        help="CSV file to write the problems to, or - for stdout",
    )


def run(parsed: argparse.Namespace) -> Result:
    """Run the command; the exit code tells whether there are errors."""
    if parsed.output:
        check_output(parsed.output, None)
    boxes = read_boxes(parsed)
    problems = check_annotations(boxes)
    counts, classes = count_boxes(boxes), count_classes(boxes)
    document = None
    if parsed.output == STDOUT:
        document = problems.to_csv(index=False)
    elif parsed.output:
        problems.to_csv(parsed.output, index=False)
    severities = problems["severity"].value_counts()
    n_problems = {name: int(severities.get(name, 0)) for name in ("error", "warning", "info")}
    values: dict[str, Any] = counts | {
        "classes": classes,
        "counts": n_problems,
        "problems": list_rows(problems),
    }
    lines = [
        f"{format_counts(counts)}.",
        list_classes(classes),
        problems.summary(),
        *_list_examples(problems),
    ]
    code = PROBLEMS if n_problems["error"] else 0
    return Result(values, "\n".join(lines), document, code)


def _list_examples(problems: pd.DataFrame) -> list[str]:
    """List the first problems of each kind; the file of ``-o`` has all of them."""
    lines = []
    for kind, found in problems.groupby("problem", sort=False):
        lines.append(f"{kind}:")
        for image, detail in zip(found["image"][:N_SHOWN], found["detail"][:N_SHOWN], strict=True):
            lines.append(f"  {image}: {detail}")
        if len(found) > N_SHOWN:
            lines.append(f"  and {len(found) - N_SHOWN} more; -o FILE writes all of them")
    return lines
