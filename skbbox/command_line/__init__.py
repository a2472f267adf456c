"""The command ``skbbox``, one module for each of its commands.

The module of a command has a function ``add_parser``, which also names the function that runs it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TextIO

from .. import __version__
from ..exceptions import SkbboxError, SkbboxWarning
from . import check, convert, doctor, export, label, predict, report, score, search, train
from .messages import use_options
from .results import FAILED, INTERRUPTED, PROBLEMS, Result, print_result, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FAILED", "PROBLEMS", "main", "make_parser"]

#: In the order of the help.
COMMANDS = (label, convert, check, train, search, predict, score, report, export, doctor)

EXAMPLES = """examples:
  skbbox label photos
  skbbox convert labels.json boxes.xml --to cvat --images photos
  skbbox check labels/ --images photos
  skbbox train labels.csv --images photos -o model.skbbox
  skbbox search labels.csv --images photos --grid box_loss_weight=1,5,10
  skbbox predict model.skbbox photos/*.jpg -o boxes.csv
  skbbox score model.skbbox test.csv --images photos
  skbbox report model.skbbox test.csv --images photos -o report.html
  skbbox export model.skbbox model.onnx
  skbbox doctor --json

exit codes:
  0  success
  1  the command failed; the reason is on stderr
  2  the arguments are invalid
  3  check found errors
  130  interrupted with Ctrl-C
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Parameters
    ----------
    arguments : list of str, default=None
        None uses those of the process.
    """
    parser = make_parser()
    parsed = parser.parse_args(arguments)
    output = getattr(parsed, "output", None)
    if parsed.json and str(output) == "-":
        parser.error("--json and the output - both write to stdout; choose one of them.")
    out = sys.stdout
    if hasattr(out, "reconfigure"):  # Not in a notebook.
        # File names may contain bytes that are not text.
        out.reconfigure(errors="backslashreplace")
    shown: list[str] = []
    values: dict[str, object] = {"command": parsed.command, "version": __version__}
    try:
        # Progress goes to stderr, so that stdout holds only results.
        with _show_warnings(shown, parsed.options), contextlib.redirect_stdout(sys.stderr):
            result = parsed.run(parsed)
        values |= result.values
    except (SkbboxError, ValueError, OSError, TypeError) as error:
        message = use_options(str(error), parsed.options)
        print(f"skbbox: error: {message}", file=sys.stderr)
        values["error"] = {"type": type(error).__name__, "message": message}
        result = Result({}, "", code=FAILED)
    except KeyboardInterrupt:
        print("skbbox: interrupted", file=sys.stderr)
        values["error"] = {"type": "KeyboardInterrupt", "message": "interrupted"}
        result = Result({}, "", code=INTERRUPTED)
    values["warnings"] = shown
    if parsed.json or "error" not in values:
        try:
            print_result(result, to_json(values) if parsed.json else None, out)
        except OSError as error:
            # Python would write again, and complain, at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
            # The reader of stdout, such as head, may have ended.
            if not isinstance(error, BrokenPipeError):
                print(f"skbbox: error: stdout: {error.strerror or error}", file=sys.stderr)
            return FAILED
    return result.code


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="skbbox",
        description="Find the main object in each image: its class and its bounding box. "
        "For the options of a command, run: skbbox COMMAND --help",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"skbbox {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in COMMANDS:
        command.add_parser(commands)
    return parser


@contextlib.contextmanager
def _show_warnings(shown: list[str], options: Mapping[str, str]) -> Iterator[None]:
    """Print warnings to stderr as messages of the command, and add them to a list."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        text = use_options(str(message), options)
        shown.append(text)
        print(f"skbbox: warning: {text}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", SkbboxWarning)
        warnings.showwarning = show
        yield
