"""What a command prints: text, or one JSON document."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["FAILED", "INTERRUPTED", "PROBLEMS", "Result", "list_rows", "print_result", "to_json"]

#: Exit codes: the command failed; argparse exits with 2; `check` found errors; Ctrl-C.
FAILED, PROBLEMS, INTERRUPTED = 1, 3, 130


@dataclass(frozen=True)
class Result:
    """The result of a command.

    Attributes
    ----------
    values : dict of str to object
        For ``--json``.
    text : str
        For people.
    document : str or None
        The output, if it goes to stdout; then the text goes to stderr.
    code : int
        Exit code.
    """

    values: Mapping[str, Any]
    text: str
    document: str | None = None
    code: int = 0


def print_result(result: Result, as_json: str | None, out: TextIO) -> None:
    """Print a result.

    Parameters
    ----------
    result : Result
    as_json : str or None
        The JSON document, printed instead of the text.
    out : file
        stdout.
    """
    if as_json is not None:
        print(as_json, file=out)
    elif result.document is not None:
        _write_utf_8(result.document.rstrip("\n") + "\n", out)
        print(result.text, file=sys.stderr)
    else:
        print(result.text, file=out)
    out.flush()


def _write_utf_8(text: str, out: TextIO) -> None:
    """Write text as annotation files are, whatever the encoding of the terminal."""
    if hasattr(out, "buffer"):
        out.flush()
        # Names of files may contain bytes that are not UTF-8.
        out.buffer.write(text.encode(errors="surrogateescape"))
    else:  # In a notebook.
        out.write(text)


def to_json(values: Mapping[str, Any]) -> str:
    """A JSON document; missing values and infinite numbers are null."""
    return json.dumps(_to_plain(values), indent=2, allow_nan=False)


def _to_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA:
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (bool, int, str)) else str(value)


def list_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as dicts."""
    columns = {str(name): column.tolist() for name, column in table.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
