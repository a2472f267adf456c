"""Stores of features: in memory, or in files that processes share."""

from __future__ import annotations

import errno
import functools
import os
import secrets
import shutil
import stat
import threading
import uuid
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import filelock
import numpy as np

from ..exceptions import FeatureStoreError
from .record_files import (
    KEY_SIZE,
    FileRecord,
    RecordFile,
    format_records,
    identify,
    read_private_file,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import FloatArray, PathLikeStr

__all__ = ["KEY_SIZE", "FileStore", "MemoryStore", "Record", "get_folder_bytes", "get_free_bytes"]

#: Bytes of the secret that authenticates the records of a folder.
SECRET_SIZE = 32


class Record(NamedTuple):
    """The features of one view of an image.

    Attributes
    ----------
    values : ndarray of shape (n_values,), float16 or float32; or uint8
        The features, one map after another; or :func:`quantize` of them.
    box : ndarray of shape (4,), float64
        The box in this view: ``x_min, x_max, y_min, y_max``, normalised.
    """

    values: NDArray[Any]
    box: FloatArray

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the values."""
        return self.values.dtype

    def read_into(self, out: NDArray[Any]) -> None:
        """Copy the values to an array."""
        out[:] = self.values


class MemoryStore:
    """Records in memory, up to a number of bytes; the least recently used are evicted first.

    Parameters
    ----------
    n_bytes : int
        Limit for the values of all records.
    """

    def __init__(self, n_bytes: int) -> None:
        self.n_bytes = n_bytes
        self.used_bytes = 0
        self._records: OrderedDict[bytes, Record] = OrderedDict()
        self._lock = threading.RLock()

    def exclusive(self) -> AbstractContextManager[Any]:
        """A lock under which no other thread finds or adds records."""
        return self._lock

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Record]:
        """Records by key, of those keys that are stored."""
        with self._lock:
            found = {key: self._records[key] for key in keys if key in self._records}
            for key in found:
                self._records.move_to_end(key)
            return found

    def add(self, records: Mapping[bytes, Record]) -> Mapping[bytes, Record]:
        """Store records by key, and return them as they are stored."""
        with self._lock:
            for key, record in records.items():
                if key not in self._records:
                    self._records[key] = record
                    self.used_bytes += record.values.nbytes
            while self.used_bytes > self.n_bytes:
                _, oldest = self._records.popitem(last=False)
                self.used_bytes -= oldest.values.nbytes
        return records

    def clear(self) -> None:
        """Remove all records."""
        with self._lock:
            self._records.clear()
            self.used_bytes = 0


class FileStore:
    """Records in files of a folder, which are never changed.

    Files are written atomically, so that any number of processes can read and write. The values of
    a record are read each time they are needed; the operating system keeps one copy of the files
    in memory for all processes.

    A secret in the folder, which only the user can read, authenticates each record. What is damaged
    or comes from another user or program is ignored.

    Parameters
    ----------
    folder : str or Path
        Created if it does not exist.

    Raises
    ------
    FeatureStoreError
        If the folder cannot be created, or the secret in it is not the user's alone.
    """

    #: The number is the version of the files, so that files of other versions can share the folder.
    SUFFIX = ".features2.npy"
    SECRET = "secret"

    def __init__(self, folder: PathLikeStr) -> None:
        self.folder = Path(folder)
        lock = self.folder / "lock"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            is_file = not os.path.lexists(lock) or stat.S_ISREG(os.lstat(lock).st_mode)
        except OSError as error:
            raise FeatureStoreError(
                f"memory: the folder {folder} cannot be created: {error}. Pass another path."
            ) from error
        if not is_file:
            # Locking would change what a link refers to.
            raise FeatureStoreError(
                f"memory: {lock} is not a regular file. Delete it, or pass another path."
            )
        self._lock = threading.RLock()
        self._between_processes = filelock.FileLock(lock)
        self._secret = b""
        self._forget()

    def exclusive(self) -> AbstractContextManager[Any]:
        """A lock under which no other process or thread computes records for this folder."""
        return self._between_processes

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Record | FileRecord]:
        """Records by key, of those keys that are stored, whichever process wrote them."""
        self._make_secret()
        with self._lock:
            self._load_secret()
            self._index_new_files()
            is_unchanged = functools.cache(RecordFile.is_unchanged)
            found: dict[bytes, Record | FileRecord] = {}
            for key in keys:
                record = self._checked.get(key)
                if record is None or not is_unchanged(record.file):
                    record = self._check_places(key)
                if record is not None:
                    found[key] = self._checked[key] = record
            return found

    def add(self, records: Mapping[bytes, Record]) -> dict[bytes, Record | FileRecord]:
        """Write records by key, and return them as they are stored."""
        self._make_secret()
        with self._lock:
            self._load_secret()
            by_type: dict[tuple[np.dtype[Any], int], dict[bytes, Record]] = {}
            for key, record in records.items():
                kind = record.dtype, len(record.values)
                by_type.setdefault(kind, {})[key] = record
            for records_of_type in by_type.values():
                name = f"{uuid.uuid4().hex}{self.SUFFIX}"
                identity = self._write(name, format_records(records_of_type, self._secret))
                file = self._index_file(name)
                if file is not None and file.identity == identity:
                    # What this process has written need not be authenticated.
                    self._checked |= {
                        key: file.get_record(row) for row, key in enumerate(file.keys)
                    }
            return {**records, **self.find(records)}

    def _forget(self) -> None:
        #: Where the records of a key are: a row of each of these files.
        self._places: dict[bytes, list[tuple[RecordFile, int]]] = {}
        self._seen: set[str] = set()
        self._checked: dict[bytes, FileRecord] = {}

    def _make_secret(self) -> None:
        # Not under `_lock`, which a thread with the other lock may wait for.
        path = self.folder / self.SECRET
        if self.folder.exists() and not os.path.lexists(path):
            with self._between_processes:
                if not os.path.lexists(path):
                    self._write(self.SECRET, [secrets.token_bytes(SECRET_SIZE)], mode=0o600)

    def _load_secret(self) -> None:
        """Read the secret of the folder, which may have been deleted and made again."""
        path = self.folder / self.SECRET
        try:
            secret = read_private_file(path, SECRET_SIZE)
        except FileNotFoundError as error:
            raise FeatureStoreError(
                f"memory: features cannot be written to {self.folder}: {error}. Create the "
                "folder, or pass another path."
            ) from error
        except (OSError, ValueError) as error:
            raise FeatureStoreError(
                f"memory: {path} cannot be used to authenticate features: {error}. Only you may "
                "have access to it. Delete the folder, or pass another path."
            ) from error
        if secret != self._secret:
            self._secret = secret
            self._forget()

    def _write(self, name: str, parts: Iterable[Any], mode: int = 0o666) -> tuple[int, ...]:
        """Write a file atomically, and return its identity."""
        path = self.folder / f"{uuid.uuid4().hex}.writing"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            with open(os.open(path, flags, mode), "wb") as file:
                file.writelines(parts)
                file.flush()
                identity = identify(os.fstat(file.fileno()))
            path.replace(self.folder / name)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise FeatureStoreError(
                f"memory: features cannot be written to {self.folder}: {error}. Free some space, "
                "or pass another path."
            ) from error
        return identity

    def _index_new_files(self) -> None:
        names = {name for name in os.listdir(self.folder) if name.endswith(self.SUFFIX)}
        for name in sorted(names - self._seen):
            self._index_file(name)

    def _index_file(self, name: str) -> RecordFile | None:
        """Remember where the records of a file are; None if it is not one of this store."""
        try:
            file = RecordFile(self.folder / name)
        except (OSError, ValueError) as error:
            if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
                raise FeatureStoreError(
                    f"memory: {self.folder} cannot be read: {error}. Close files of the process, "
                    "or raise its limit (ulimit -n)."
                ) from error
            file = None
        self._seen.add(name)
        if file is not None:
            for row, key in enumerate(file.keys):
                self._places.setdefault(key, []).append((file, row))
        return file

    def _check_places(self, key: bytes) -> FileRecord | None:
        """An authentic record of a key, or None."""
        self._checked.pop(key, None)
        places = self._places.get(key, [])
        while places:
            file, row = places.pop()
            if file.is_unchanged() and file.is_authentic(row, self._secret):
                return file.get_record(row)
        return None


def get_folder_bytes(folder: PathLikeStr) -> int:
    """Bytes of the features in a folder, which need not exist."""
    paths = Path(folder).glob(f"*{FileStore.SUFFIX}")
    return sum(path.lstat().st_size for path in paths if os.path.lexists(path))


def get_free_bytes(folder: PathLikeStr) -> int:
    """Bytes that are free on the disk of a folder, which need not exist."""
    path = Path(folder).absolute()
    return shutil.disk_usage(next(p for p in (path, *path.parents) if p.exists())).free
