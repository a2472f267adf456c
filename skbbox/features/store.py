"""Where the features of a frozen backbone are kept: in memory, or in files that processes share."""

import os
import threading
import uuid
import zlib
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import filelock
import numpy as np

from ..exceptions import FeatureStoreError

__all__ = ["FileStore", "MemoryStore", "Record"]


class Record(NamedTuple):
    """What is kept of one view of an image.

    Attributes
    ----------
    values : ndarray of shape (n_values,), float16 or float32
        The features, one map after another.
    box : ndarray of shape (4,), float64
        The box in this view.
    """

    values: np.ndarray
    box: np.ndarray


class MemoryStore:
    """Records in memory, up to a number of bytes; those that were used longest ago go first.

    Parameters
    ----------
    n_bytes : int
        The most that the values of all records may take.
    """

    def __init__(self, n_bytes):
        self.n_bytes = n_bytes
        self.used_bytes = 0
        self._records = OrderedDict()
        self._lock = threading.RLock()

    def exclusive(self):
        """A lock under which no other thread looks for records or adds any."""
        return self._lock

    def find(self, keys):
        """The records of those keys that are here.

        Parameters
        ----------
        keys : iterable of bytes

        Returns
        -------
        dict of bytes to Record
        """
        with self._lock:
            found = {key: self._records[key] for key in keys if key in self._records}
            for key in found:
                self._records.move_to_end(key)
            return found

    def add(self, records):
        """Keep records, a dict of bytes to Record, and return them as they are kept."""
        with self._lock:
            for key, record in records.items():
                if key not in self._records:
                    self._records[key] = record
                    self.used_bytes += record.values.nbytes
            while self.used_bytes > self.n_bytes:
                _, oldest = self._records.popitem(last=False)
                self.used_bytes -= oldest.values.nbytes
        return records

    def clear(self):
        """Let go of all records."""
        with self._lock:
            self._records.clear()
            self.used_bytes = 0


class FileStore:
    """Records in files of a folder, which are mapped into memory and never changed.

    A file is written under another name and renamed when it is whole, so that any number of
    processes can read and write. Each record has a check sum. A file that is damaged, or that
    something else wrote, counts as not there.

    Parameters
    ----------
    folder : str or Path
        Made where it is missing.
    """

    #: Files are named by what they hold, so that another form of them can lie beside these.
    SUFFIX = ".features1.npy"

    def __init__(self, folder):
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FeatureStoreError(
                f"memory: the folder {folder} cannot be made: {error}. Pass another path."
            ) from error
        self._lock = threading.RLock()
        self._between_processes = filelock.FileLock(self.folder / "lock")
        #: Where records of a key lie: mapped files, and a row of each.
        self._places = {}
        self._seen = set()
        self._checked = {}

    def exclusive(self):
        """A lock under which no other process or thread computes records for this folder."""
        return self._between_processes

    def find(self, keys):
        """The records of those keys that are here, whichever process wrote them."""
        with self._lock:
            self._look_for_files()
            return {key: record for key in keys if (record := self._record(key)) is not None}

    def add(self, records):
        """Write records, a dict of bytes to Record, and return them as they are kept."""
        by_type = {}
        for key, record in records.items():
            row_type = _row_type(record.values.dtype, len(record.values))
            by_type.setdefault(row_type, {})[key] = record
        for row_type, records_of_type in by_type.items():
            self._write(records_of_type, row_type)
        return records | self.find(records)

    def _write(self, records, row_type):
        rows = np.zeros(len(records), row_type)
        for row, (key, record) in zip(rows, records.items(), strict=True):
            row["key"] = np.frombuffer(key, "u1")
            row["box"], row["values"] = record.box, record.values
            row["check"] = _check_sum(row)
        name = uuid.uuid4().hex
        path = self.folder / f"{name}.writing"
        try:
            with path.open("wb") as file:
                np.save(file, rows)
            path.replace(self.folder / f"{name}{self.SUFFIX}")
        except OSError as error:
            path.unlink(missing_ok=True)
            raise FeatureStoreError(
                f"memory: features cannot be written to {self.folder}: {error}. Make room there, "
                "or pass another path."
            ) from error

    def _look_for_files(self):
        names = {name for name in os.listdir(self.folder) if name.endswith(self.SUFFIX)}
        for name in sorted(names - self._seen):
            rows = _mapped(self.folder / name)
            if rows is not None:
                for i, key in enumerate(rows["key"]):
                    self._places.setdefault(bytes(key), []).append((rows, i))
        self._seen |= names

    def _record(self, key):
        places = self._places.get(key, [])
        while key not in self._checked and places:
            rows, i = places.pop()
            if rows["check"][i] == _check_sum(rows[i]):
                self._checked[key] = Record(rows["values"][i], np.array(rows["box"][i]))
        return self._checked.get(key)


#: Bytes of a key.
KEY_SIZE = 16


def _row_type(dtype, n_values):
    return np.dtype(
        [
            ("key", "u1", KEY_SIZE),
            ("check", "<u4"),
            ("box", "<f8", 4),
            ("values", dtype.newbyteorder("<"), n_values),
        ]
    )


def _check_sum(row):
    return zlib.crc32(row["values"], zlib.crc32(row["box"], zlib.crc32(row["key"])))


def _mapped(path):
    """The rows of a file, or None where it does not hold what a store writes."""
    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    names = rows.dtype.names
    if rows.ndim != 1 or names is None or "values" not in names or rows.dtype["values"].ndim != 1:
        return None
    values = rows.dtype["values"]
    if rows.dtype != _row_type(values.base, values.shape[0]):
        return None
    return rows
