"""Files of feature records: their format, and how they are read safely."""

from __future__ import annotations

import errno
import hmac
import os
import re
import stat
import sys
import threading
import weakref
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import FeatureStoreError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from ..typing import FloatArray
    from .store import Record

__all__ = [
    "KEY_SIZE",
    "FileRecord",
    "RecordFile",
    "format_records",
    "identify",
    "read_private_file",
]

#: Bytes of a key, and of the tag that authenticates a record.
KEY_SIZE = TAG_SIZE = 16

#: A file is an array in NumPy's format 1.0, with this header and one row for each record.
MAGIC = b"\x93NUMPY\x01\x00"
HEADER = (
    "{{'descr': [('tag', '|u1', (16,)), ('key', '|u1', (16,)), ('box', '<f8', (4,)), "
    "('values', '{dtype}', ({n_values},))], 'fortran_order': False, 'shape': ({n_rows},), }}"
)
HEADER_PATTERN = re.compile(
    r"'values', '(\|u1|<f2|<f4)', \((\d{1,10}),\)\)\].*'shape': \((\d{1,10}),"
)

#: Longest header, and where the box and the values of a row begin.
HEADER_SIZE = 512
BOX_OFFSET = TAG_SIZE + KEY_SIZE
VALUES_OFFSET = BOX_OFFSET + 32

#: The most files that are open at a time, and their largest share of what the system allows.
N_OPEN = 64
OPEN_SHARE = 0.25


def format_records(records: Mapping[bytes, Record], secret: bytes) -> list[Any]:
    """The content of a file: bytes and an array to write one after the other.

    Parameters
    ----------
    records : dict of bytes to Record
        All with the same number of values of the same type.
    secret : bytes
        Authenticates the records.
    """
    first = next(iter(records.values()))
    dtype, n_values = first.dtype.newbyteorder("<"), len(first.values)
    text = HEADER.format(dtype=dtype.str, n_values=n_values, n_rows=len(records))
    text += " " * (-(len(MAGIC) + 2 + len(text) + 1) % 64) + "\n"
    rows = np.empty((len(records), VALUES_OFFSET + n_values * dtype.itemsize), np.uint8)
    for row, (key, record) in zip(rows, records.items(), strict=True):
        row[TAG_SIZE:BOX_OFFSET] = np.frombuffer(key, np.uint8)
        row[BOX_OFFSET:VALUES_OFFSET].view("<f8")[:] = record.box
        row[VALUES_OFFSET:].view(dtype)[:] = record.values
        row[:TAG_SIZE] = np.frombuffer(_compute_tag(row, dtype, secret), np.uint8)
    return [MAGIC, len(text).to_bytes(2, "little"), text.encode(), rows]


class RecordFile:
    """A file of records, which is opened when it is read.

    It is not mapped into memory: reading a mapped file that was truncated ends the process.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    identity : tuple of int
        As returned by :func:`identify` when the file was opened first.
    keys : list of bytes
        The key of each row.

    Raises
    ------
    OSError
        If it cannot be opened, or is not a regular file.
    ValueError
        If :func:`format_records` did not make it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: _Descriptor | None = None
        descriptor = _open(path)
        status = os.fstat(descriptor.number)
        self.identity = identify(status)
        self.dtype, self.n_values, n_rows, self._start = _parse_header(descriptor)
        self._row_size = VALUES_OFFSET + self.n_values * self.dtype.itemsize
        if status.st_size != self._start + n_rows * self._row_size:
            raise ValueError("the size does not match the header")
        #: Tag, key and box of each row.
        self._heads = np.empty((n_rows, VALUES_OFFSET), np.uint8)
        for row, head in enumerate(self._heads):
            descriptor.read_into(head, self._start + row * self._row_size)
        self.keys = [head[TAG_SIZE:BOX_OFFSET].tobytes() for head in self._heads]

    def is_unchanged(self) -> bool:
        """Whether the file at this path is still the one that was opened first."""
        try:
            return identify(os.lstat(self.path)) == self.identity
        except OSError:
            return False

    def is_authentic(self, row: int, secret: bytes) -> bool:
        """Whether a row was made with this secret, and is not damaged."""
        content = np.empty(self._row_size, np.uint8)
        self.read_into(content, row, 0)
        tag = _compute_tag(content, self.dtype, secret)
        is_same = np.array_equal(content[:VALUES_OFFSET], self._heads[row])
        return is_same and hmac.compare_digest(tag, content[:TAG_SIZE].tobytes())

    def get_record(self, row: int) -> FileRecord:
        """The record of a row."""
        return FileRecord(self, row, self._heads[row, BOX_OFFSET:].view("<f8"))

    def read_into(self, out: NDArray[Any], row: int, offset: int = VALUES_OFFSET) -> None:
        """Fill an array with the bytes of a row from an offset on.

        Raises
        ------
        FeatureStoreError
            If the file has changed since it was opened first.
        """
        try:
            descriptor = self._descriptor or self._reopen()
            descriptor.read_into(out, self._start + row * self._row_size + offset)
        except (OSError, ValueError) as error:
            raise FeatureStoreError(
                f"memory: {self.path} cannot be read any more: {error}. Call fit or predict "
                "again, which computes its features again."
            ) from error

    def _reopen(self) -> _Descriptor:
        descriptor = _open(self.path)
        if identify(os.fstat(descriptor.number)) != self.identity:
            raise ValueError("it was changed or replaced while it was used")
        _keep_open(self, descriptor)
        return descriptor


class FileRecord:
    """A record in a file, whose values are read each time they are needed.

    Attributes
    ----------
    file : RecordFile
    box : ndarray of shape (4,), float64
        As in :class:`skbbox.features.store.Record`.
    """

    __slots__ = ("_row", "box", "file")

    def __init__(self, file: RecordFile, row: int, box: FloatArray) -> None:
        self.file, self._row, self.box = file, row, box

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.file.dtype

    @property
    def values(self) -> NDArray[Any]:
        """The values, in a new array that cannot be changed."""
        values = np.empty(self.file.n_values, self.dtype)
        self.read_into(values)
        values.flags.writeable = False
        return values

    def read_into(self, out: NDArray[Any]) -> None:
        """Copy the values to a contiguous array of their type."""
        self.file.read_into(out, self._row)


def identify(status: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is changed or replaced."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def read_private_file(path: Path, size: int) -> bytes:
    """Content of a file that belongs to the user and that nobody else can read.

    Raises
    ------
    OSError
        If it cannot be opened, or is not a regular file.
    ValueError
        If it has another size, belongs to somebody else, or others can read or change it; says
        which.
    """
    descriptor = _open(path)
    status = os.fstat(descriptor.number)
    if sys.platform != "win32":
        if status.st_uid != os.geteuid():
            raise ValueError("it belongs to another user")
        if status.st_mode & 0o077:
            raise ValueError(f"others have access to it (mode {stat.S_IMODE(status.st_mode):o})")
    if status.st_size != size:
        raise ValueError(f"it has {status.st_size} bytes instead of {size}")
    content = np.empty(size, np.uint8)
    descriptor.read_into(content, 0)
    return content.tobytes()


class _Descriptor:
    """A file descriptor, which is closed when nothing refers to it any more.

    So a thread can read from it while another one drops it.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._close = os.close

    def __del__(self) -> None:
        self._close(self.number)

    def read_into(self, out: NDArray[Any], offset: int) -> None:
        """Fill an array with the bytes from an offset on; ValueError if there are fewer."""
        view = out.data.cast("B")
        while view:
            n_read = _read_at(self.number, view, offset)
            if not n_read:
                raise ValueError("it was truncated")
            view, offset = view[n_read:], offset + n_read


_lock = threading.Lock()

#: Files that are open, the first opened first.
_opened: deque[weakref.ref[RecordFile]] = deque()


def _keep_open(file: RecordFile, descriptor: _Descriptor) -> None:
    limit = _get_limit()
    with _lock:
        file._descriptor = descriptor
        _opened.append(weakref.ref(file))
        while len(_opened) > limit:
            oldest = _opened.popleft()()
            if oldest is not None:
                oldest._descriptor = None


def _get_limit() -> int:
    try:
        import resource
    except ImportError:  # Windows.
        return N_OPEN
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return N_OPEN if allowed < 0 else max(1, min(N_OPEN, int(OPEN_SHARE * allowed)))


def _open(path: Path) -> _Descriptor:
    """Open a regular file to read it; a pipe does not block, and no link is followed."""
    flags = ("O_BINARY", "O_NOFOLLOW", "O_NONBLOCK")
    # Opening a device can have effects.
    _check_regular(os.lstat(path), path)
    number = os.open(path, os.O_RDONLY | sum(getattr(os, flag, 0) for flag in flags))
    descriptor = _Descriptor(number)
    _check_regular(os.fstat(number), path)
    return descriptor


def _check_regular(status: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def _read_at(number: int, view: memoryview, offset: int) -> int:
    if hasattr(os, "preadv"):
        return os.preadv(number, [view], offset)
    with _lock:
        os.lseek(number, offset, os.SEEK_SET)
        content = os.read(number, len(view))
    view[: len(content)] = content
    return len(content)


def _parse_header(descriptor: _Descriptor) -> tuple[np.dtype[Any], int, int, int]:
    """Type and number of values, number of rows, and where the first row begins."""
    size = np.zeros(len(MAGIC) + 2, np.uint8)
    descriptor.read_into(size, 0)
    length = int.from_bytes(size[len(MAGIC) :].tobytes(), "little")
    if size[: len(MAGIC)].tobytes() != MAGIC or length > HEADER_SIZE:
        raise ValueError("not a file of features")
    content = np.zeros(length, np.uint8)
    descriptor.read_into(content, len(size))
    text = content.tobytes().decode("latin-1").rstrip()
    match = HEADER_PATTERN.search(text)
    if match is None:
        raise ValueError("not a file of features")
    dtype, n_values, n_rows = match[1], int(match[2]), int(match[3])
    if n_values < 1 or text != HEADER.format(dtype=dtype, n_values=n_values, n_rows=n_rows):
        raise ValueError("not a file of features")
    return np.dtype(dtype), n_values, n_rows, len(size) + length


def _compute_tag(row: NDArray[np.uint8], dtype: np.dtype[Any], secret: bytes) -> bytes:
    """The tag of a row: of its type, key, box and values."""
    # The type is not part of a row, so it is part of the secret.
    return hmac.digest(secret + dtype.str.encode(), row[TAG_SIZE:].data, "sha256")[:TAG_SIZE]
