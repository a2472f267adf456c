"""Start Keras without the lines that TensorFlow writes to stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["start_keras"]


def start_keras() -> None:
    """Import Keras; later imports find it.

    While TensorFlow is imported, it writes to stderr whatever TF_CPP_MIN_LOG_LEVEL is.
    """
    # What TensorFlow calls errors are messages, such as that there is no graphics card; real ones
    # raise exceptions.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _discard_stderr():
        import keras  # noqa: F401


@contextmanager
def _discard_stderr() -> Iterator[None]:
    """Discard what is written to the file descriptor of stderr, also by code that is not Python."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # It is closed.
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
