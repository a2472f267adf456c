"""A labelling session: what the windows show, what they save, and when the model trains."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..exceptions import AnnotationError, ImageError
from .messages import Failed, Progress, Proposals, Trained, TrainTask
from .pictures import Pictures
from .proposals import ModelProcess
from .queue import Choice, Queue
from .scores import ScoreLog, compare, estimate_remaining, summarise
from .table import Label, check_label, count_classes, make_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .images import ImageFolder
    from .queue import Proposal
    from .table import LabelTable

__all__ = ["Session", "Settings"]

#: Images that are chosen, and whose pictures are prepared, before a window asks for them.
N_AHEAD = 3
#: Images for which the model proposes labels after each fit: of the random share, and others.
N_RANDOM, N_OTHERS = 16, 300
#: The model is trained again after this share of new labels, and at least this number.
NEW_SHARE, MIN_NEW = 0.1, 5
#: The model does not wait longer for classes without a label: this many times `start_after`.
PATIENCE = 3


@dataclass(frozen=True)
class Settings:
    """How the model takes part.

    Attributes
    ----------
    classes : tuple of str
        Class names in the order of their keys.
    start_after : int
        Labels that the first model is trained on.
    random_share : float
        Share of the images that are drawn at random, in 0..1.
    random_state : int
        Seed of the choices.
    """

    classes: Sequence[str] = ()
    start_after: int = 10
    random_share: float = 0.2
    random_state: int = 0


class Change(NamedTuple):
    """A label that a window has saved, and what it replaced."""

    choice: Choice
    shown: Proposal | None
    before: Label | None
    version: int


@dataclass
class Window:
    """What a window of the browser shows, will show, and has saved."""

    current: Choice | None = None
    planned: list[Choice] = field(default_factory=list)
    #: Proposal that the window shows.
    shown: Proposal | None = None
    history: list[Change] = field(default_factory=list)


class Session:
    """Labels of a folder, given in any number of windows with the help of a model.

    Parameters
    ----------
    images : ImageFolder
    table : LabelTable
    folder : Path
        Where pictures, features and scores are kept.
    estimator : SingleBoxLocalizer or another estimator, or None
        Proposes labels; None proposes nothing.
    settings : Settings
    """

    def __init__(
        self,
        images: ImageFolder,
        table: LabelTable,
        folder: Path,
        estimator: Any,
        settings: Settings,
    ) -> None:
        self.images, self.table, self.settings = images, table, settings
        self.pictures = Pictures(images, folder / "pictures")
        self.log = ScoreLog(folder / "scores.csv")
        self.unreadable: dict[int, str] = {}
        #: Counts up with each change that windows should show.
        self.revision = 0
        self.finished = threading.Event()
        #: When the last window was closed, in seconds; None while one is open.
        self.last_closed: float | None = None
        self._folder, self._estimator = folder, estimator
        self._lock = threading.RLock()
        self._windows: dict[str, Window] = {}
        self._listeners: list[str] = []
        self._skipped: set[int] = set()
        self._process: ModelProcess | None = None
        self._status, self._share, self._reason = "waiting", 0.0, ""
        self._n_trained = self._n_sent = 0
        self._problem = ""
        self._queue = Queue(
            {number: images.compute_position(number) for number in range(len(images))},
            settings.random_share,
            np.random.default_rng(settings.random_state),
        )
        self._prepare()

    def _prepare(self) -> None:
        """Begin the work of the model that needs no new label."""
        self._train_if_due()

    # What windows ask for.

    def get_next(self, window: str, *, skip: int | None = None) -> dict[str, Any]:
        """The next image of a window; `skip` is the number of an image to leave for later."""
        with self._lock:
            mine = self._get_window(window)
            if skip is not None:
                self._skipped.add(skip)
            if skip is None and mine.current is not None and self._is_open(mine.current.number):
                return self._show(mine)  # The page was loaded again.
            return self._advance(mine)

    def save(self, window: str, number: int, version: int, label: Label | None) -> dict[str, Any]:
        """Store a label and return the next image; None removes the label.

        If another window has given another label, nothing is stored, and the image is shown again
        with the key ``conflict``. If only the score or the model's files could not be written, the
        answer says so with the key ``notice``.
        """
        self._check_number(number)
        with self._lock:
            mine = self._get_window(window)
            name = self.images.names[number]
            before = self.table.get(name).label
            entry = self.table.save(name, version, label)
            if entry is None:
                if self.table.get(name).label == (label and check_label(label)):
                    return self._advance(mine)  # The answer to the same request was lost.
                return self.reopen(window, number) | {"conflict": True}
            choice = mine.current
            if choice is None or choice.number != number:
                choice = Choice(number, False)
            mine.history.append(Change(choice, mine.shown, before, entry.version))
            self._skipped.discard(number)
            notice = {}
            try:
                if before is None and entry.label is not None:
                    self._compare(choice, mine.shown, entry.label)
                self._mark_done(number)
                self._train_if_due()
            except OSError as error:  # It would be wrong to say that the label is not saved.
                notice = {"notice": f"The label is saved, but {self._folder}: {error}."}
            return self._advance(mine) | notice

    def undo(self, window: str) -> dict[str, Any]:
        """Take back the last change of a window, and show its image again."""
        with self._lock:
            mine = self._get_window(window)
            if not mine.history:
                return self._show(mine) | {"nothing_to_undo": True}
            change = mine.history[-1]
            number = change.choice.number
            name = self.images.names[number]
            draft = self.table.get(name).label
            entry = self.table.save(name, change.version, change.before)
            mine.history.pop()
            self._mark_open(number)
            task = self.reopen(window, number, change)
            if entry is None:
                return task | {"conflict": True}
            return task | {"draft": describe_label(draft)}

    def reopen(self, window: str, number: int, change: Change | None = None) -> dict[str, Any]:
        """Show an image in a window, whether it has a label or not.

        After `change` was taken back, with the proposal that the window had shown before: a later
        model may have learned the label.
        """
        self._check_number(number)
        with self._lock:
            mine = self._get_window(window)
            if mine.current is not None and mine.current.number != number:
                mine.planned.insert(0, mine.current)
            mine.planned = [planned for planned in mine.planned if planned.number != number]
            mine.current = Choice(number, False) if change is None else change.choice
            task = self._show(mine)
            if change is not None:
                mine.shown = change.shown
                task["proposal"] = describe_proposal(mine.shown)
            return task

    def open_window(self, window: str) -> None:
        """Note that a window listens; a page that is loaded again is another window."""
        with self._lock:
            self._listeners.append(window)
            self.last_closed = None

    def close_window(self, window: str) -> None:
        """Release the images of a window that was closed."""
        with self._lock:
            self._listeners.remove(window)
            if window not in self._listeners:
                self._windows.pop(window, None)
            if not self._listeners:
                self.last_closed = time.monotonic()

    def describe(self) -> dict[str, Any]:
        """What all windows show, as JSON."""
        with self._lock:
            labels = self.table.list_labels()
            counts = dict.fromkeys(self.settings.classes, 0) | count_classes(labels.values())
            random = self.log.list_random()
            summary = summarise(random)
            return {
                "revision": self.revision,
                "n_images": len(self.images),
                "n_labelled": sum(name in labels for name in self.images.names),
                "n_without_object": sum(label.box is None for label in labels.values()),
                "n_skipped": len(self._skipped),
                "n_unreadable": len(self.unreadable),
                "classes": [{"name": name, "count": n} for name, n in counts.items()],
                "output": str(self.table.path),
                "model": self._describe_model(labels),
                "score": {
                    "n": summary.n,
                    "mean_iou": summary.mean_iou,
                    "class_accuracy": summary.class_accuracy,
                    "usable": summary.usable,
                },
                "remaining": estimate_remaining(random, len(labels)),
                "review": None,
                "problem": self._problem,
            }

    def report_problem(self, problem: str) -> None:
        """Show a problem in all windows; an empty text removes it."""
        if problem != self._problem:
            self._problem = problem
            self.revision += 1

    def stop(self) -> None:
        """End the process of the model."""
        self.finished.set()
        self.pictures.close()
        with self._lock:
            if self._process is not None:
                self._process.stop()

    # The queue.

    def _get_window(self, window: str) -> Window:
        return self._windows.setdefault(window, Window())

    def _check_number(self, number: int) -> None:
        if not 0 <= number < len(self.images):
            raise AnnotationError(
                f"image must be a number in 0..{len(self.images) - 1}. Received: {number}."
            )

    def _is_open(self, number: int) -> bool:
        """Whether an image still needs a label."""
        return number not in self.unreadable and self.images.names[number] not in self.table

    def _list_open(self) -> list[int]:
        """Images that still need a label."""
        labels = self.table.list_labels()
        return [
            number
            for name, number in self.images.numbers.items()
            if name not in labels and number not in self.unreadable
        ]

    def _advance(self, mine: Window) -> dict[str, Any]:
        """Show the next image that can be read and has no label, from another process either."""
        self.table.refresh()
        while True:
            self._plan(mine)
            mine.current = mine.planned.pop(0) if mine.planned else None
            if mine.current is None:
                return self._show(mine)
            self._plan(mine)
            try:
                self.pictures.get(mine.current.number)
            except ImageError as error:
                self.unreadable[mine.current.number] = str(error)
            else:
                return self._show(mine)

    def _plan(self, mine: Window) -> None:
        """Choose the next images of a window, and prepare their pictures."""
        mine.planned = [choice for choice in mine.planned if self._is_open(choice.number)]
        if len(mine.planned) < N_AHEAD:
            self._choose_more(mine)
        self.pictures.prepare(choice.number for choice in mine.planned)

    def _choose_more(self, mine: Window) -> None:
        """Choose images until as many as possible are planned."""
        taken = {choice.number for choice in mine.planned}
        for window in self._windows.values():
            taken.update(choice.number for choice in window.planned)
            taken.update([window.current.number] if window.current else [])
        unlabelled = [number for number in self._list_open() if number not in taken]
        available = [number for number in unlabelled if number not in self._skipped]
        if not available and not mine.planned:
            # Only those are left that were skipped.
            available = unlabelled or self._release_planned(mine)
            self._skipped.clear()
        counts = count_classes(self.table.list_labels().values())
        while len(mine.planned) < N_AHEAD:
            choice = self._choose(available, counts)
            if choice is None:
                break
            mine.planned.append(choice)
            available.remove(choice.number)
            self._queue.mark_known(choice.number)

    def _release_planned(self, mine: Window) -> list[int]:
        """Images that other windows would show next, but do not show yet."""
        released = []
        for window in self._windows.values():
            if window is not mine:
                released += [c.number for c in window.planned if self._is_open(c.number)]
                window.planned = []
        return released

    def _choose(self, available: list[int], counts: dict[str, int]) -> Choice | None:
        return self._queue.choose(available, counts)

    def _mark_done(self, number: int) -> None:
        """Note that a label was saved."""
        self._queue.mark_known(number)

    def _mark_open(self, number: int) -> None:
        """Note that the last change of an image was taken back."""

    def _show(self, mine: Window) -> dict[str, Any]:
        """What a window shows, as JSON."""
        self.revision += 1
        if mine.current is None:
            mine.shown = None
            return {"image": None, "upcoming": [], "can_undo": bool(mine.history)}
        number = mine.current.number
        entry = self.table.get(self.images.names[number])
        mine.shown = self._queue.proposals.get(number)
        return {
            "image": number,
            "name": self.images.names[number],
            "version": entry.version,
            "label": describe_label(entry.label),
            "proposal": describe_proposal(mine.shown),
            "is_random": mine.current.is_random,
            "upcoming": [choice.number for choice in mine.planned],
            "can_undo": bool(mine.history),
        }

    def _compare(self, choice: Choice, shown: Proposal | None, given: Label) -> None:
        if shown is not None:
            name = self.images.names[choice.number]
            self.log.add(compare(name, choice.is_random, shown.n_labels, shown.label, given))

    # The model.

    def _train_if_due(self) -> None:
        labels = self.table.list_labels()
        if self._estimator is None or self._status == "training":
            return
        if self._count_missing(labels):
            return
        new = len(labels) - self._n_sent
        if self._n_sent and new < max(MIN_NEW, math.ceil(NEW_SHARE * self._n_sent)):
            return
        self._n_sent = len(labels)
        self._status, self._share = "training", 0.0
        self._start().send(TrainTask(make_table(labels, self.images.folder), self._list_wanted()))

    def _start(self) -> ModelProcess:
        """The process of the model, started if necessary."""
        if self._process is None:
            self._process = ModelProcess(self._estimator, self._receive, self._folder / "model.log")
        return self._process

    def _list_wanted(self) -> dict[int, str]:
        """Paths of the images to propose labels for, those that windows show next first."""
        planned = [choice.number for window in self._windows.values() for choice in window.planned]
        available = [number for number in self._list_open() if number not in planned]
        wanted = planned + self._queue.list_next(available, N_RANDOM, N_OTHERS)
        return {number: str(self.images.get_path(number)) for number in wanted}

    def _count_missing(self, labels: dict[str, Label]) -> int:
        """Number of labels that are still needed before the first model; at least 1 if any."""
        counts = count_classes(labels.values())
        n_objects = sum(counts.values())
        unseen = sum(name not in counts for name in self.settings.classes)
        missing = max(0, self.settings.start_after - len(labels))
        if n_objects < min(2, self.settings.start_after):
            missing = max(missing, 1)
        if unseen and len(labels) < PATIENCE * self.settings.start_after:
            missing = max(missing, unseen)
        return missing

    def _receive(self, message: Any) -> None:
        """Handle a message of the model's process."""
        with self._lock:
            self.revision += 1
            if isinstance(message, Progress):
                self._share = message.share
            elif isinstance(message, Trained):
                self._status, self._n_trained = "ready", message.n_labels
                known = message.embeddings.items()
                self._queue.coverage.add_known(
                    {self.images.find_number(path): vector for path, vector in known}
                )
            elif isinstance(message, Proposals):
                self._queue.add_proposals(message.proposals)
                self.unreadable.update(message.unreadable)
            elif isinstance(message, Failed):
                self._status, self._reason = "failed", message.reason
                self._process = None if message.has_ended else self._process
            if isinstance(message, (Trained, Failed)):
                # Labels that were given during the fit may already suffice for the next one.
                self._train_if_due()

    def _describe_model(self, labels: dict[str, Label]) -> dict[str, Any]:
        return {
            "status": "off" if self._estimator is None else self._status,
            "share": self._share,
            "n_labels": self._n_trained,
            "missing": self._count_missing(labels),
            "reason": self._reason,
        }


def describe_label(label: Label | None) -> dict[str, Any] | None:
    return None if label is None else {"class_name": label.class_name, "box": label.box}


def describe_proposal(proposal: Proposal | None) -> dict[str, Any] | None:
    if proposal is None:
        return None
    numbers = {
        "class_confidence": proposal.class_confidence,
        "box_confidence": proposal.box_confidence,
        "presence": proposal.presence,
    }
    known = {key: None if math.isnan(value) else value for key, value in numbers.items()}
    return (
        {"class_name": proposal.label.class_name, "box": proposal.label.box}
        | known
        | {"n_labels": proposal.n_labels}
    )
