"""Digests of what images show, not of where they are stored."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from .prefetch import N_THREADS, get_loader

if TYPE_CHECKING:
    from ..typing import ImageLike

__all__ = ["digest_image", "digest_images"]

#: A file changed within this number of seconds may change again without a new time stamp.
SETTLED = 2


def digest_images(items: Sequence[ImageLike]) -> bytes:
    """Digest of what images show, in their order."""
    with ThreadPoolExecutor(N_THREADS) as pool:
        digests = pool.map(lambda row: digest_image(items, row), range(len(items)))
        return _digest(b"".join(digest for digest, _ in digests))


def digest_image(
    items: Sequence[ImageLike], row: int, skip_bad: bool = False
) -> tuple[bytes, str | None]:
    """Digest of what an image shows, and why it cannot be read or None.

    With `skip_bad` the digest of an unreadable image means nothing; otherwise it raises an
    ImageError. Files are not decoded: a damaged one has a digest.
    """
    item, load = items[row], get_loader(items, None, skip_bad)
    if not isinstance(item, (str, os.PathLike)):
        (pixels,), error = load(row, [None])
        pixels = np.ascontiguousarray(pixels)
        return _digest(pixels.tobytes() + str(pixels.shape).encode()), error
    try:
        found = os.stat(item)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(f"{item} is not a file; a pipe may never end")
        if time.time() - found.st_ctime < SETTLED:
            return _digest_file(item), None
        path = os.fspath(item)
        return _digest_settled_file(path, found.st_ino, found.st_size, found.st_ctime_ns), None
    except (OSError, ValueError):  # ValueError: a name that no file can have.
        # Loading it gives the reason.
        _, error = load(row, [None])
        if error is None:
            raise
        return b"", error


@functools.lru_cache(maxsize=20_000)
def _digest_settled_file(path: str, *state: int) -> bytes:
    return _digest_file(path)


def _digest_file(path: Any) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, _new_digest).digest()


def _digest(content: bytes) -> bytes:
    return _new_digest(content).digest()


def _new_digest(content: bytes = b"") -> Any:
    return hashlib.blake2b(content, digest_size=16)
