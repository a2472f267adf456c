"""The table of labels in a file, which is written at once and may be changed by others."""

from __future__ import annotations

import csv
import io
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from filelock import FileLock

from ..annotations import read_annotations
from ..annotations.record import UNWRITABLE
from ..boxes import COORDINATES, TARGET_COLUMNS
from ..exceptions import AnnotationError
from ..files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Entry",
    "Label",
    "LabelTable",
    "check_label",
    "count_classes",
    "make_labels",
    "make_table",
    "read_labels",
]

#: Columns of the file: the variant of the chapter's CSV that also stores images without an object.
HEADER = ("image", *COORDINATES, "class_name")
#: Columns that readers add, and that the names of the images imply.
IMPLIED = {"image", *TARGET_COLUMNS, "image_id", "folder"}
#: Length of the longest class name, in characters.
MAX_CLASS_NAME = 200
#: Seconds to wait for another process that writes the file.
LOCK_TIMEOUT = 10


class Label(NamedTuple):
    """What is in an image.

    Attributes
    ----------
    class_name : str or None
        None if there is no object.
    box : tuple of 4 floats, or None
        ``x_min, x_max, y_min, y_max``, normalised; None if there is no object.
    """

    class_name: str | None
    box: tuple[float, float, float, float] | None


class Entry(NamedTuple):
    """The label of an image, and how often it was changed.

    Attributes
    ----------
    version : int
        Number of changes since the table was opened.
    label : Label or None
        None if the image has no label.
    """

    version: int
    label: Label | None


class LabelTable:
    """Labels by the name of their image, in a CSV file.

    Each change replaces the file atomically, so that a process that is killed loses none. Changes
    that others made to the file are read before; an image that has changed since its label was
    read is not overwritten.

    Parameters
    ----------
    path : Path
        The file, which is continued if it exists.
    folder : Path
        Folder of the images, which names are relative to.
    initial : mapping of str to Label, default=None
        Labels of a new file.

    Raises
    ------
    AnnotationError
        If the file has columns, or several boxes of an image, that would be lost.
    OSError
        If the file cannot be written.
    """

    def __init__(
        self, path: Path, folder: Path, initial: Mapping[str, Label] | None = None
    ) -> None:
        self.path, self.folder = path, folder
        self._entries: dict[str, Entry] = {}
        self._lines: dict[str, str] = {}
        self._signature: tuple[int, int, int] | None = None
        self._in_process = threading.RLock()
        self._between_processes = FileLock(path.parent / f".{path.name}.lock", timeout=LOCK_TIMEOUT)
        if not path.parent.is_dir():
            raise FileNotFoundError(f"{path.parent} is not a folder; create it for {path.name}.")
        with self._in_process, self._between_processes:
            if path.exists():
                self._read()
            else:
                for name, label in (initial or {}).items():
                    self._set(name, label)
            # A folder that cannot be written to is noticed before the first label.
            self._write()

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def get(self, name: str) -> Entry:
        """The label of an image and its version."""
        return self._entries.get(name, Entry(0, None))

    def list_labels(self) -> dict[str, Label]:
        """All labels by the name of the image, in order of their first change."""
        with self._in_process:
            return {
                name: entry.label
                for name, entry in self._entries.items()
                if entry.label is not None
            }

    def save(self, name: str, version: int, label: Label | None) -> Entry | None:
        """Store a label in the file, or remove it.

        Parameters
        ----------
        name : str
            Name of the image.
        version : int
            Version of the label that is replaced.
        label : Label or None
            None removes the label.

        Returns
        -------
        Entry or None
            The new entry; None if somebody else has changed the label since, and nothing was
            stored.

        Raises
        ------
        AnnotationError
            If the label cannot be stored, or the file was damaged by another program.
        OSError
            If the file cannot be written; the table stays as it was.
        """
        if label is not None:
            label = check_label(label)
        with self._in_process, self._between_processes:
            self._merge()
            before = self.get(name)
            if before.version != version:
                return None
            self._set(name, label)
            try:
                self._write()
            except BaseException:
                self._set(name, before.label)
                self._entries[name] = before
                raise
            return self._entries[name]

    def refresh(self) -> bool:
        """Read the file again if another process has changed it; return whether it has."""
        with self._in_process, self._between_processes:
            return self._merge()

    def _set(self, name: str, label: Label | None) -> None:
        self._entries[name] = Entry(self.get(name).version + 1, label)
        if label is None:
            self._lines.pop(name, None)
        else:
            self._lines[name] = _format_line(name, label)

    def _merge(self) -> bool:
        if not self.path.exists() or _get_signature(self.path) == self._signature:
            return False
        self._read()
        return True

    def _read(self) -> None:
        """Read the file, and count up the versions of labels that differ."""
        found = read_labels(self.path, self.folder)
        for name in [name for name in self._lines if name not in found]:
            self._set(name, None)
        for name, label in found.items():
            if self.get(name).label != label:
                self._set(name, label)
        self._signature = _get_signature(self.path)

    def _write(self) -> None:
        text = ",".join(HEADER) + "\n" + "".join(self._lines.values())
        with atomic_write(self.path) as file:
            file.write(text.encode())
        self._signature = _get_signature(self.path)


def check_label(label: Label) -> Label:
    """Return a label that can be stored, with its box clipped to the image.

    Raises
    ------
    AnnotationError
        If only one of class and box is missing, the class is empty, too long or has control
        characters, or the box has no area inside the image.
    """
    name, box = label
    if (name is None) != (box is None):
        raise AnnotationError(
            "a label has both a class and a box, or neither if there is no object. "
            f"Received: class_name={name!r}, box={box!r}."
        )
    if name is None or box is None:
        return Label(None, None)
    name = name.strip()
    if not name or len(name) > MAX_CLASS_NAME or UNWRITABLE.search(name):
        raise AnnotationError(
            f"class_name must be text of 1 to {MAX_CLASS_NAME} characters without control "
            f"characters. Received: {name[:MAX_CLASS_NAME]!r}."
        )
    edges = np.asarray(box, dtype=np.float64)
    if edges.shape != (4,) or not np.isfinite(edges).all():
        raise AnnotationError(
            f"box must be four finite numbers x_min, x_max, y_min, y_max. Received: {box!r}."
        )
    x_min, x_max, y_min, y_max = np.clip(edges, 0.0, 1.0).tolist()
    if x_min >= x_max or y_min >= y_max:
        raise AnnotationError(
            "box must have x_min < x_max and y_min < y_max inside the image, that is in 0..1. "
            f"Received: {box!r}."
        )
    return Label(name, (x_min, x_max, y_min, y_max))


def read_labels(path: Path, folder: Path) -> dict[str, Label]:
    """Read a file of labels by the names of their images.

    Raises
    ------
    AnnotationError
        If the file has columns, or several boxes of an image, that would be lost when it is
        written.
    """
    with path.open(encoding="utf-8") as file:
        if file.readline().rstrip("\n") == ",".join(HEADER) and not file.read(1):
            return {}
    boxes = read_annotations(path, images_dir=folder, format="snacks")
    others = [name for name in boxes.columns if name not in IMPLIED]
    advice = (
        "Label into another file, and pass this one as boxes: the option --boxes, or boxes= in "
        "Python."
    )
    if others:
        raise AnnotationError(f"{path} has columns {others} that labelling would drop. {advice}")
    repeated = boxes["image"][boxes["image"].duplicated()]
    if len(repeated):
        raise AnnotationError(
            f"{path} has several boxes of {repeated.iloc[0]}, of which labelling would keep one. "
            f"{advice}"
        )
    labels = make_labels(boxes, folder)
    if len(labels) < len(boxes):
        raise AnnotationError(
            f"{path} has {len(boxes) - len(labels)} rows with only a class or only a box, which "
            f"labelling would drop. {advice}"
        )
    return labels


def make_labels(boxes: pd.DataFrame, folder: Path) -> dict[str, Label]:
    """Labels of a table with one row per image; rows with only a class or a box are left out.

    Raises
    ------
    AnnotationError
        If a label cannot be stored.
    """
    labels = {}
    rows = boxes[["image", "class_name", *COORDINATES]].itertuples(index=False)
    for image, class_name, *edges in rows:
        name = os.path.relpath(os.path.abspath(image), folder).replace(os.sep, "/")
        is_empty = [pd.isna(class_name), pd.isna(edges).all()]
        if all(is_empty):
            labels[name] = Label(None, None)
        elif not any(is_empty):
            try:
                labels[name] = check_label(Label(str(class_name), tuple(edges)))
            except AnnotationError as error:
                raise AnnotationError(f"{image}: {error}") from error
    return labels


def make_table(labels: Mapping[str, Label], folder: Path) -> pd.DataFrame:
    """The labels as :func:`read_annotations` returns them: a row per image, with its path."""
    return pd.DataFrame(
        [
            (str(folder / name), label.class_name, *(label.box or (None,) * len(COORDINATES)))
            for name, label in labels.items()
        ],
        columns=["image", *TARGET_COLUMNS],
    ).astype(dict.fromkeys(COORDINATES, np.float64))


def count_classes(labels: Iterable[Label]) -> dict[str, int]:
    """Number of labels of each class, in order of their first label."""
    counts: dict[str, int] = {}
    for label in labels:
        if label.class_name is not None:
            counts[label.class_name] = counts.get(label.class_name, 0) + 1
    return counts


def _format_line(name: str, label: Label) -> str:
    """The line of an image; formatting all lines again for each label would take too long."""
    class_name, box = label
    text = io.StringIO()
    # Readers strip the space before a field unless the field is in quotation marks.
    has_space = any(part.startswith(" ") for part in [*name.split("/"), class_name or ""])
    writer = csv.writer(
        text,
        lineterminator="\n",
        quoting=csv.QUOTE_NONNUMERIC if has_space else csv.QUOTE_MINIMAL,
    )
    writer.writerow([name, *(box or [""] * len(COORDINATES)), class_name or ""])
    return text.getvalue()


def _get_signature(path: Path) -> tuple[int, int, int]:
    """Changes whenever the file is replaced or written to."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
