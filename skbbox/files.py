"""Files that are there whole or not at all."""

import tempfile
from contextlib import contextmanager
from pathlib import Path

__all__ = ["check_overwrite", "atomic_path", "atomic_write"]


def check_overwrite(paths, overwrite):
    """Raise FileExistsError if one of the paths exists, unless it is to be overwritten."""
    existing = [str(path) for path in paths if path.exists()]
    if existing and not overwrite:
        raise FileExistsError(
            f"{existing[0]} exists{f' and {len(existing) - 1} more' if existing[1:] else ''}; "
            "give another path, or overwrite=True to replace what is there."
        )


@contextmanager
def atomic_path(path):
    """A path to write a file or folder to, which gets its name when it is whole.

    Parameters
    ----------
    path : Path
        What is there is replaced.

    Yields
    ------
    Path
        Of the same name, in a folder that goes on an error. What else is written into that
        folder gets its place beside `path`, and before it.
    """
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".", suffix=".writing") as folder:
        unfinished = Path(folder) / path.name
        yield unfinished
        for part in sorted(Path(folder).iterdir(), key=lambda part: part == unfinished):
            target = path.parent / part.name
            if part.is_dir() and target.is_dir():
                # A folder is not replaced in one step.
                target.replace(Path(folder) / ".replaced")
            part.replace(target)


@contextmanager
def atomic_write(path):
    """A binary file to write to, which gets its name when it is whole, and goes on an error.

    Parameters
    ----------
    path : Path
        What is there is replaced.
    """
    with atomic_path(path) as unfinished, unfinished.open("wb") as file:
        yield file
