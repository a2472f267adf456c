"""Stores of features: in memory, or in files that processes share."""

from __future__ import annotations

import os
import shutil
import threading
import uuid
import zlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import filelock
import numpy as np

from ..exceptions import FeatureStoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import FloatArray, PathLikeStr

__all__ = ["KEY_SIZE", "FileStore", "MemoryStore", "Record", "get_folder_bytes", "get_free_bytes"]

#: Bytes of a key.
KEY_SIZE = 16


class Record(NamedTuple):
    """The features of one view of an image.

    Attributes
    ----------
    values : ndarray of shape (n_values,), float16 or float32
        The features, one map after another.
    box : ndarray of shape (4,), float64
        The box in this view: ``x_min, x_max, y_min, y_max``, normalised.
    """

    values: NDArray[Any]
    box: FloatArray


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
    """Records in files of a folder, which are memory-mapped and never changed.

    Files are written atomically, so that any number of processes can read and write. Each record
    has a checksum. A damaged or foreign file is ignored.

    Parameters
    ----------
    folder : str or Path
        Created if it does not exist.

    Raises
    ------
    FeatureStoreError
        If the folder cannot be created.
    """

    #: The number is the version of the files, so that files of other versions can share the folder.
    SUFFIX = ".features1.npy"

    def __init__(self, folder: PathLikeStr) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FeatureStoreError(
                f"memory: the folder {folder} cannot be created: {error}. Pass another path."
            ) from error
        self._lock = threading.RLock()
        self._between_processes = filelock.FileLock(self.folder / "lock")
        #: Where the records of a key are: mapped files, and a row of each.
        self._places: dict[bytes, list[tuple[NDArray[np.void], int]]] = {}
        self._seen: set[str] = set()
        self._checked: dict[bytes, Record] = {}

    def exclusive(self) -> AbstractContextManager[Any]:
        """A lock under which no other process or thread computes records for this folder."""
        return self._between_processes

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Record]:
        """Records by key, of those keys that are stored, whichever process wrote them."""
        with self._lock:
            self._map_new_files()
            return {key: record for key in keys if (record := self._get(key)) is not None}

    def add(self, records: Mapping[bytes, Record]) -> dict[bytes, Record]:
        """Write records by key, and return them as they are stored."""
        by_type: dict[np.dtype[np.void], dict[bytes, Record]] = {}
        for key, record in records.items():
            row_type = _make_row_type(record.values.dtype, len(record.values))
            by_type.setdefault(row_type, {})[key] = record
        for row_type, records_of_type in by_type.items():
            self._write(records_of_type, row_type)
        return {**records, **self.find(records)}

    def _write(self, records: Mapping[bytes, Record], row_type: np.dtype[np.void]) -> None:
        rows = np.zeros(len(records), row_type)
        for row, (key, record) in zip(rows, records.items(), strict=True):
            row["key"] = np.frombuffer(key, "u1")
            row["box"], row["values"] = record.box, record.values
            row["check"] = _compute_checksum(row)
        name = uuid.uuid4().hex
        path = self.folder / f"{name}.writing"
        try:
            with path.open("wb") as file:
                np.save(file, rows)
            path.replace(self.folder / f"{name}{self.SUFFIX}")
        except OSError as error:
            path.unlink(missing_ok=True)
            raise FeatureStoreError(
                f"memory: features cannot be written to {self.folder}: {error}. Free some space, "
                "or pass another path."
            ) from error

    def _map_new_files(self) -> None:
        names = {name for name in os.listdir(self.folder) if name.endswith(self.SUFFIX)}
        for name in sorted(names - self._seen):
            rows = _map_file(self.folder / name)
            if rows is not None:
                for i, key in enumerate(rows["key"]):
                    self._places.setdefault(bytes(key), []).append((rows, i))
        self._seen |= names

    def _get(self, key: bytes) -> Record | None:
        places = self._places.get(key, [])
        while key not in self._checked and places:
            rows, i = places.pop()
            if rows["check"][i] == _compute_checksum(rows[i]):
                self._checked[key] = Record(rows["values"][i], np.array(rows["box"][i]))
        return self._checked.get(key)


def get_folder_bytes(folder: PathLikeStr) -> int:
    """Bytes of the features in a folder, which need not exist."""
    return sum(path.stat().st_size for path in Path(folder).glob(f"*{FileStore.SUFFIX}"))


def get_free_bytes(folder: PathLikeStr) -> int:
    """Bytes that are free on the disk of a folder, which need not exist."""
    path = Path(folder).absolute()
    return shutil.disk_usage(next(p for p in (path, *path.parents) if p.exists())).free


def _make_row_type(dtype: np.dtype[Any], n_values: int) -> np.dtype[np.void]:
    return np.dtype(
        [
            ("key", "u1", KEY_SIZE),
            ("check", "<u4"),
            ("box", "<f8", 4),
            ("values", dtype.newbyteorder("<"), n_values),
        ]
    )


def _compute_checksum(row: Any) -> int:
    return zlib.crc32(row["values"], zlib.crc32(row["box"], zlib.crc32(row["key"])))


def _map_file(path: Path) -> NDArray[np.void] | None:
    """The rows of a file, or None if it is not one of a store."""
    try:
        rows: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    names = rows.dtype.names
    if rows.ndim != 1 or names is None or "values" not in names or rows.dtype["values"].ndim != 1:
        return None
    values = rows.dtype["values"]
    if rows.dtype != _make_row_type(values.base, values.shape[0]):
        return None
    return rows
