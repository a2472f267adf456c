"""The process of the model: ``python -m skbbox.labelling.model_process``.

It reads tasks from stdin and writes results to stdout, so that it ends with the server. Training
does not slow down the server, which has a process of its own.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import pandas as pd

from ..boxes import COORDINATES
from ..exceptions import AnnotationError
from .messages import (
    Failed,
    Issues,
    Progress,
    Proposals,
    RankTask,
    Trained,
    TrainTask,
    read_message,
    write_message,
)
from .queue import Proposal, measure_disagreement
from .table import Label, check_label

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..typing import FloatArray

__all__ = ["Model", "main"]

#: Images that are predicted at a time; between them, a new task may take over.
CHUNK = 32


def main() -> None:
    """Run tasks until stdin ends."""
    tasks, results = _take_pipes()
    with contextlib.suppress(OSError, AttributeError):
        os.nice(5)
    model = Model(read_message(tasks).estimator, lambda message: write_message(results, message))
    waiting: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_read_tasks, args=(tasks, waiting), daemon=True).start()
    while True:
        task = waiting.get()
        while not waiting.empty():  # A later task replaces the earlier ones.
            task = waiting.get()
        try:
            model.run(task, lambda: not waiting.empty())
        except Exception as error:
            # Whatever goes wrong in an estimator, labelling goes on.
            model.send(Failed(f"{type(error).__name__}: {error}"))


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes to the server; what libraries print goes to stderr instead."""
    tasks = os.fdopen(os.dup(0), "rb")
    results = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return tasks, results


def _read_tasks(tasks: BinaryIO, waiting: queue.Queue[Any]) -> None:
    """Read tasks, and end the process with the server, also in the middle of a fit."""
    try:
        while True:
            waiting.put(read_message(tasks))
    except EOFError:
        os._exit(0)


class Model:
    """An estimator that is fitted again and again, and proposes labels.

    Parameters
    ----------
    estimator : SingleBoxLocalizer or another estimator
        ``fit`` and ``predict`` are used, and ``embed`` and ``callbacks`` if it has them.
    send : callable
        Receives messages for the server.
    """

    def __init__(self, estimator: Any, send: Callable[[Any], None]) -> None:
        self.estimator, self.send = estimator, send
        self._previous: dict[int, Label] = {}
        self._embeddings: dict[str, FloatArray] = {}
        self._n_fits = 0

    def run(self, task: TrainTask | RankTask, is_replaced: Callable[[], bool]) -> None:
        """Run a task; `is_replaced` tells whether another one waits."""
        if isinstance(task, RankTask):
            self._rank(task)
        else:
            self._train(task, is_replaced)

    def _rank(self, task: RankTask) -> None:
        from ..label_issues import rank_label_issues

        estimator = self._prepare(task.n_folds)
        y = task.labels.drop(columns="image")
        self.send(Issues(rank_label_issues(estimator, task.labels["image"], y, cv=task.n_folds)))

    def _train(self, task: TrainTask, is_replaced: Callable[[], bool]) -> None:
        estimator = self._prepare(1)
        y = task.labels.drop(columns="image")
        estimator.fit(task.labels["image"], y)
        labelled = [path for path in task.labels["image"] if path not in self._embeddings]
        self._embed(estimator, labelled)
        known = {path: self._embeddings[path] for path in labelled if path in self._embeddings}
        self.send(Trained(len(task.labels), known))
        numbers = list(task.wanted)
        self._n_fits += 1
        for first in range(0, len(numbers), CHUNK):
            part = numbers[first : first + CHUNK]
            paths = [task.wanted[number] for number in part]
            self.send(self._propose(estimator, part, paths, len(task.labels)))
            if is_replaced():
                return

    def _prepare(self, n_fits: int) -> Any:
        """A fresh estimator that reports its progress, with a seed of its own for each fit."""
        from sklearn.base import clone

        estimator = clone(self.estimator)
        names = estimator.get_params(deep=False)
        seed = names.get("random_state")
        changes: dict[str, Any] = {}
        if isinstance(seed, (int, np.integer)):
            changes["random_state"] = int(seed) + self._n_fits
        if "on_bad_image" in names:
            changes["on_bad_image"] = "skip"
        if "callbacks" in names:
            reporter = _make_reporter(self.send, n_fits)
            changes["callbacks"] = [*(names["callbacks"] or []), reporter]
        return estimator.set_params(**changes)

    def _propose(
        self, estimator: Any, numbers: list[int], paths: list[str], n_labels: int
    ) -> Proposals:
        """Proposals for some images, compared with those of the model before."""
        predicted = estimator.predict(paths)
        self._embed(estimator, paths)
        proposals, unreadable = {}, {}
        for row, number in enumerate(numbers):
            values = predicted.iloc[row]
            if pd.notna(values.get("error")):
                unreadable[number] = str(values["error"])
                continue
            try:
                label = read_prediction(values)
            except AnnotationError:  # An empty box says nothing.
                continue
            previous = self._previous.get(number)
            disagreement = np.nan if previous is None else measure_disagreement(previous, label)
            self._previous[number] = label
            proposals[number] = Proposal(
                label,
                float(values.get("class_confidence", np.nan)),
                float(values.get("box_confidence", np.nan)),
                float(values.get("presence", np.nan)),
                n_labels,
                disagreement,
                self._embeddings.get(paths[row]),
            )
        return Proposals(proposals, unreadable)

    def _embed(self, estimator: Any, paths: list[str]) -> None:
        """Compute unit vectors of images; those of earlier models are kept."""
        missing = [path for path in paths if path not in self._embeddings]
        if missing and hasattr(estimator, "embed"):
            vectors = np.asarray(estimator.embed(missing), dtype=np.float32)
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
            self._embeddings.update(zip(missing, vectors, strict=True))


def read_prediction(row: pd.Series) -> Label:
    """The label in a row of ``predict``.

    Raises
    ------
    AnnotationError
        If the box is empty.
    """
    edges = row[list(COORDINATES)]
    if edges.isna().all():
        return Label(None, None)
    class_name = row.get("class_name", "object")
    if pd.isna(class_name):
        raise AnnotationError("the prediction has a box but no class.")
    x_min, x_max, y_min, y_max = map(float, edges)
    return check_label(Label(str(class_name), (x_min, x_max, y_min, y_max)))


def _make_reporter(send: Callable[[Any], None], n_fits: int) -> Callable[[], Any]:
    """A function that makes a Keras callback, which reports the epochs of several fits."""
    done = 0

    def make() -> Any:
        import keras

        class Reporter(keras.callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                n_epochs = max((self.params or {}).get("epochs") or 1, epoch + 1)
                send(Progress(min(1.0, (done + (epoch + 1) / n_epochs) / n_fits)))

            def on_train_end(self, logs: Any = None) -> None:
                nonlocal done
                done += 1

        return Reporter()

    return make


if __name__ == "__main__":
    main()
