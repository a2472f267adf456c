"""Paths, file names and atomic writing of files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from .typing import PathLikeStr

__all__ = ["as_path", "atomic_path", "atomic_write", "check_overwrite", "names_to_series"]


def as_path(path: PathLikeStr) -> Path:
    """Convert to a Path, with ``~`` expanded to the home folder.

    A name such as ``~draft.jpg`` that names no user stays as it is.
    """
    return Path(os.path.expanduser(path))


def names_to_series(names: Any) -> pd.Series:
    """Make a Series of file names, of dtype object if pandas' text type cannot store them."""
    try:
        return pd.Series(names)
    except UnicodeEncodeError:  # Names that are not UTF-8.
        return pd.Series(names, dtype=object)


def check_overwrite(paths: Iterable[Path], overwrite: bool) -> None:
    """Raise FileExistsError if a path exists and `overwrite` is False."""
    existing = [str(path) for path in paths if path.exists()]
    if existing and not overwrite:
        raise FileExistsError(
            f"{existing[0]} exists{f' and {len(existing) - 1} more' if existing[1:] else ''}; "
            "pass another path, or overwrite=True to replace it."
        )


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Provide a temporary path for a file or folder, which is renamed to `path` on success.

    Parameters
    ----------
    path : Path
        An existing file or folder is replaced; of a symbolic link, what it points to.

    Yields
    ------
    Path
        A path of the same name in a temporary folder, which is deleted on an error. Other files
        written to that folder are moved next to `path`, before it.
    """
    path = Path(os.path.realpath(path))
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".", suffix=".writing") as folder:
        unfinished = Path(folder) / path.name
        yield unfinished
        for part in sorted(Path(folder).iterdir(), key=lambda part: part == unfinished):
            target = path.parent / part.name
            if part.is_dir() and target.is_dir():
                # A folder cannot be replaced in one step.
                target.replace(Path(folder) / ".replaced")
            part.replace(target)


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a binary file that appears at `path` once complete, and is deleted on an error."""
    with atomic_path(path) as unfinished, unfinished.open("wb") as file:
        yield file
