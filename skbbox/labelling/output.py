"""Where labels are written: the chapter's CSV at once, other formats from it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..annotations import write_annotations
from ..annotations.options import check_choice
from ..annotations.writing import WRITTEN_FORMATS
from ..exceptions import AnnotationError
from .table import make_table

if TYPE_CHECKING:
    from .table import LabelTable

__all__ = ["Export", "get_csv", "get_work_folder"]

#: The format of the table itself.
SNACKS = "snacks"
#: Seconds between two exports, or this many times as long as an export takes.
INTERVAL, SHARE = 2.0, 10


def get_work_folder(output: Path) -> Path:
    """Hidden folder next to the output, for pictures, features and scores."""
    return output.parent / f".{output.name}.labelling"


def get_csv(output: Path, format: str) -> Path:
    """The CSV that labels are written to at once."""
    check_choice("format", format, tuple(WRITTEN_FORMATS))
    return output if format == SNACKS else get_work_folder(output) / "labels.csv"


class Export:
    """Writes the labels in another format while they are given, and when labelling ends.

    Parameters
    ----------
    table : LabelTable
    output : Path
    format : str
        As for :func:`skbbox.write_annotations`.
    """

    def __init__(self, table: LabelTable, output: Path, format: str) -> None:
        self.table, self.output, self.format = table, output, format
        self._written: object = None
        self._next = 0.0
        self._problem = ""

    def update(self) -> str:
        """Write the file if labels have changed; returns why that is not possible, or nothing."""
        if self.format == SNACKS or time.monotonic() < self._next:
            return self._problem
        started = time.monotonic()
        self._problem = ""
        try:
            self._write()
        except (AnnotationError, OSError) as error:
            self._problem = (
                f"{self.output} is not up to date: {error} All labels are in {self.table.path}."
            )
        self._next = started + max(INTERVAL, SHARE * (time.monotonic() - started))
        return self._problem

    def finish(self) -> None:
        """Write the file, and delete the CSV that it was written from.

        Raises
        ------
        AnnotationError
            If the format cannot store a label; the CSV is kept.
        OSError
            If the file cannot be written; the CSV is kept.
        """
        if self.format != SNACKS:
            self._write()
            self.table.path.unlink(missing_ok=True)

    def _write(self) -> None:
        labels = self.table.list_labels()
        if labels == self._written:
            return
        write_annotations(
            make_table(labels, self.table.folder),
            self.output,
            self.format,
            images_dir=self.table.folder,
            overwrite=True,
        )
        self._written = labels
