"""Files that are there whole or not at all."""

import uuid
from contextlib import contextmanager

__all__ = ["written_whole"]


@contextmanager
def written_whole(path):
    """A binary file to write to, which gets its name when it is whole, and goes on an error.

    Parameters
    ----------
    path : Path
        What is there is replaced.
    """
    unfinished = path.with_name(f".{uuid.uuid4().hex}.writing")
    try:
        with unfinished.open("wb") as file:
            yield file
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
