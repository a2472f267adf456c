"""Review of existing labels, the most suspicious first."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..exceptions import AnnotationError
from .messages import Issues, RankTask
from .model_process import read_prediction
from .queue import Choice, Proposal
from .session import Session, Window
from .table import make_table

if TYPE_CHECKING:
    from pathlib import Path

    from .table import Label

__all__ = ["Review"]

#: Folds of the cross-validation, or the number of labels if that is smaller.
N_FOLDS = 5


class Review(Session):
    """Walks through the labels that :func:`skbbox.rank_label_issues` finds suspicious.

    The parameters are those of :class:`Session`. Images that were reviewed are noted in a file, so
    that a review is continued.
    """

    def _prepare(self) -> None:
        self._issues: dict[int, dict[str, Any]] = {}
        self._file = self._folder / "reviewed.csv"
        names = _read_names(self._file) if self._file.exists() else []
        self._done = {self.images.numbers[name] for name in names if name in self.images.numbers}
        labels = {n: v for n, v in self.table.list_labels().items() if n in self.images.numbers}
        if len(labels) < 2:
            raise AnnotationError(
                f"{self.table.path} has {len(labels)} labels of images in {self.images.folder}; a "
                "review compares at least two. Pass the folder that contains the images."
            )
        self._ranked = [self.images.numbers[name] for name in labels]
        table = make_table(labels, self.images.folder)
        self._start().send(RankTask(table, min(N_FOLDS, len(labels))))
        self._status = "ranking"

    def _train_if_due(self) -> None:
        """A review compares labels with models of other folds, and needs no other model."""

    def _is_open(self, number: int) -> bool:
        is_ranked = number in self._issues and number not in self._done
        return is_ranked and number not in self.unreadable

    def _list_open(self) -> list[int]:
        return [number for number in self._issues if self._is_open(number)]

    def _choose(self, available: list[int], counts: dict[str, int]) -> Choice | None:
        if not available:
            return None
        return Choice(max(available, key=lambda number: self._issues[number]["issue"]), False)

    def _compare(self, choice: Choice, shown: Proposal | None, given: Label) -> None:
        """Reviewed labels are no random share."""

    def _mark_done(self, number: int) -> None:
        self._done.add(number)
        self._write()

    def _mark_open(self, number: int) -> None:
        self._done.discard(number)
        self._write()

    def _write(self) -> None:
        with self._file.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([self.images.names[number]] for number in self._done)

    def _show(self, mine: Window) -> dict[str, Any]:
        task = super()._show(mine)
        return task if mine.current is None else task | {"issue": self._issues[task["image"]]}

    def _receive(self, message: Any) -> None:
        with self._lock:
            if isinstance(message, Issues):
                self._receive_issues(message.table)
            super()._receive(message)

    def _receive_issues(self, table: pd.DataFrame) -> None:
        self._status = "ranked"
        for _, row in table.iterrows():
            number = self._ranked[int(row["row"])]
            self._issues[number] = {
                name: None if pd.isna(row.get(name)) else float(row[name])
                for name in ("issue", "class_issue", "box_issue", "presence_issue", "iou")
            }
            predicted = row.drop("class_name", errors="ignore").rename(
                {"predicted_class": "class_name"}
            )
            try:
                label = read_prediction(predicted)
            except AnnotationError:  # An empty box says nothing.
                continue
            self._queue.proposals[number] = Proposal(label, np.nan, np.nan, np.nan, len(table))

    def describe(self) -> dict[str, Any]:
        with self._lock:
            n_open = len(self._list_open())
            return super().describe() | {"review": {"n": len(self._ranked), "n_open": n_open}}


def _read_names(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return [row[0] for row in csv.reader(file) if row]
