"""Keras callbacks of the training loop."""

from __future__ import annotations

import collections
import copy
import math
import time
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..network.graph import set_weights
from ..network.pool import get_variables
from .checkpoints import get_plain_state

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .checkpoints import Checkpoint

__all__ = [
    "CheckpointSaver",
    "CosineSchedule",
    "EpochTable",
    "LastGoodWeights",
    "Snapshot",
    "copy_callbacks",
]

#: Share of the steps in which the learning rate of a cosine schedule rises.
WARM_UP = 0.1

#: Columns of the table of epochs, and Keras's names for them: with several outputs, and with one.
COLUMNS = {
    "class loss": ("class_prediction_loss",),
    "box loss": ("bbox_prediction_loss", "loss"),
    "accuracy": ("class_prediction_accuracy",),
    "mean IoU": ("bbox_prediction_mean_iou", "mean_iou"),
}

Logs = dict[str, Any] | None

#: Packages whose objects are the state of a callback, together with the callback's own package.
COPIED = {
    *("array", "builtins", "collections", "datetime", "pathlib", "random", "types"),
    *("jax", "jaxlib", "keras", "numpy", "pandas", "tensorflow", "torch"),
}


def copy_callbacks(callbacks: Sequence[Any] | None) -> list[keras.callbacks.Callback]:
    """Copies of the user's callbacks, so that none carries its state into another fit.

    Keras callbacks keep the state of the last fit (keras#3000). A function that builds a callback
    is called. Objects of other packages, such as the trial of a search, are shared with the
    original, because a copy would report to nobody.
    """
    return [_copy_callback(callback, number) for number, callback in enumerate(callbacks or [])]


def _copy_callback(callback: Any, number: int) -> keras.callbacks.Callback:
    if not isinstance(callback, keras.callbacks.Callback):
        built = callback()
        if not isinstance(built, keras.callbacks.Callback):
            raise ValueError(
                f"callbacks[{number}] is a function that must return a Keras callback. "
                f"Received: {built!r}."
            )
        return built
    own = {_get_package(kind) for kind in type(callback).__mro__} - COPIED
    # deepcopy takes the "copy" of an object from this table, if it is there.
    shared: dict[int, Any] = {}
    _collect_shared(vars(callback), own, shared, set())
    try:
        return copy.deepcopy(callback, shared)
    except Exception as error:
        name = type(callback).__name__
        raise ValueError(
            f"callbacks[{number}], a {name}, cannot be copied for this fit: {error}. Pass a "
            f"function that builds it, such as lambda: {name}()."
        ) from error


def _collect_shared(value: Any, own: set[str], shared: dict[int, Any], seen: set[int]) -> None:
    """Find the parts of a value that its copy is to share with it, by their ids."""
    if id(value) in seen:
        return
    seen.add(id(value))
    package = _get_package(type(value))
    parts: list[Any] = []
    if isinstance(value, Mapping):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, set, frozenset, collections.deque)):
        parts = list(value)
    elif isinstance(value, types.MethodType):
        parts = [value.__self__]
    elif package in own:
        parts = list(getattr(value, "__dict__", {}).values())
    elif package not in COPIED and not isinstance(value, type):
        shared[id(value)] = value
    for part in parts:
        _collect_shared(part, own, shared, seen)


def _get_package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


class CosineSchedule(keras.callbacks.Callback):
    """Learning rate of each step: linear warm-up to the peak, then cosine decay to 0.

    References
    ----------
    .. [1] I. Loshchilov, F. Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
       ICLR 2017, arXiv:1608.03983.
    """

    def __init__(self, peak: float, n_steps: int) -> None:
        super().__init__()
        self.peak, self.n_steps, self.step = peak, n_steps, 0
        self.n_rising = round(WARM_UP * n_steps)

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        # Keras's JAX trainer keeps the variables elsewhere during training.
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        self.model.optimizer.learning_rate = self.peak * self._compute_factor()
        self.step += 1

    def _compute_factor(self) -> float:
        if self.step < self.n_rising:
            return self.step / self.n_rising
        done = (self.step - self.n_rising) / (self.n_steps - self.n_rising)
        return (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Weights of a network, and the number of epochs that led to them.

    One object, so that an interruption cannot separate them.

    Attributes
    ----------
    n_epochs : int
    weights : list of list of ndarray
        Weights of each layer.
    """

    n_epochs: int
    weights: list[list[np.ndarray[Any, Any]]]

    @property
    def is_finite(self) -> bool:
        """Whether no weight is NaN or infinite."""
        return all(np.isfinite(values).all() for layer in self.weights for values in layer)

    def restore(self, network: keras.Model) -> None:
        """Give the weights to a network with equal layers."""
        for layer, weights in zip(network.layers, self.weights, strict=True):
            set_weights(layer, weights)


class LastGoodWeights(keras.callbacks.Callback):
    """Remember the weights after each epoch; stop when loss or weights are not finite.

    The loss of a step is that of the weights before it. So the weights after an epoch are good only
    once a step of the next one has a finite loss; until then those before them are remembered, too.

    Parameters
    ----------
    is_trained : bool
        Whether the initial weights come from an earlier stage or fit, and are worth keeping.

    Attributes
    ----------
    latest : Snapshot or None
        Weights after the last epoch whose loss and weights were finite; None before the first epoch
        of an untrained network.
    good : Snapshot or None
        The last of them with which a step has computed a finite loss.
    diverged : bool
        Whether loss or weights were not finite.
    """

    def __init__(self, is_trained: bool) -> None:
        super().__init__()
        self.is_trained = is_trained
        self.latest: Snapshot | None = None
        self.good: Snapshot | None = None
        self.diverged = self._has_begun = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        if not self._has_begun and (epoch or self.is_trained):
            initial = self._take(epoch)
            self.latest = initial if initial.is_finite else None
            self.good = self.latest if self.is_trained else None
        self._has_begun = True

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        if np.isfinite((logs or {})["loss"]):
            self.good = self.latest
        else:
            self._stop()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = logs or {}
        snapshot = self._take(epoch + 1)
        if np.isfinite([logs["loss"], logs.get("val_loss", 0.0)]).all() and snapshot.is_finite:
            self.latest = snapshot
        else:
            self._stop()

    def _take(self, n_epochs: int) -> Snapshot:
        return Snapshot(n_epochs, [layer.get_weights() for layer in self.model.layers])

    def _stop(self) -> None:
        self.diverged = self.model.stop_training = True


class CheckpointSaver(keras.callbacks.Callback):
    """Save after each epoch what training needs to resume, and restore it at the start.

    Parameters
    ----------
    checkpoint : Checkpoint or None
        None saves nothing.
    callbacks : list of keras.callbacks.Callback
        Their state is saved, too.
    good : LastGoodWeights
    """

    def __init__(
        self,
        checkpoint: Checkpoint | None,
        callbacks: list[keras.callbacks.Callback],
        good: LastGoodWeights,
    ) -> None:
        super().__init__()
        self.checkpoint, self.callbacks, self.good = checkpoint, callbacks, good

    def get_first_epoch(self, epochs: int) -> int:
        """The epoch to resume with; `epochs` if training has ended."""
        saved = self._get_saved()
        if saved is None:
            return 0
        n_epochs: int = saved["n_epochs"]
        return epochs if saved["has_stopped"] else n_epochs

    def on_train_begin(self, logs: Logs = None) -> None:
        saved = self._get_saved()
        if saved is None:
            return
        for variable, value in zip(self._get_variables(), saved["variables"], strict=True):
            variable.assign(value)
        # Runs after the other callbacks, which reset their state when training begins.
        for callback, state in zip(self.callbacks, saved["callbacks"], strict=True):
            vars(callback).update(state)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if self.checkpoint is None or self.good.diverged:
            return
        values = [np.array(keras.ops.convert_to_numpy(v)) for v in self._get_variables()]
        self.checkpoint.save(
            {
                "n_epochs": epoch + 1,
                "has_stopped": self.model.stop_training,
                "variables": values,
                "callbacks": [get_plain_state(callback) for callback in self.callbacks],
            }
        )

    def _get_saved(self) -> dict[str, Any] | None:
        return None if self.checkpoint is None else self.checkpoint.training

    def _get_variables(self) -> list[keras.Variable]:
        return [*get_variables(self.model), *self.model.optimizer.variables]


class EpochTable(keras.callbacks.Callback):
    """Print a line after each epoch: losses, accuracy, mean IoU, time left.

    Values of the validation set are in brackets.

    Parameters
    ----------
    first, epochs : int
        Number of epochs before this training, and at its end.
    """

    def __init__(self, first: int, epochs: int) -> None:
        super().__init__()
        self.first, self.epochs = first, epochs
        self.began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        cells = {title: self._format_cell(logs or {}, names) for title, names in COLUMNS.items()}
        cells = {title: cell for title, cell in cells.items() if cell}
        if epoch == self.first:
            titles = [f"{title:>{len(cell)}}" for title, cell in cells.items()]
            print("   ".join([f"{'epoch':>9}", *titles, "time left"]))
        number = f"{epoch + 1}/{self.epochs}"
        time_left = self._format_time_left(epoch + 1)
        print("   ".join([f"{number:>9}", *cells.values(), f"{time_left:>9}"]))

    def _format_cell(self, logs: Mapping[str, float], names: Sequence[str]) -> str:
        name = next((name for name in names if name in logs), None)
        if name is None:
            return ""
        validation = logs.get(f"val_{name}")
        # 10 characters: the width of the longest title.
        return f"{logs[name]:10.3f}" + ("" if validation is None else f" ({validation:.3f})")

    def _format_time_left(self, n_done: int) -> str:
        seconds = (time.monotonic() - self.began) / (n_done - self.first)
        minutes, seconds = divmod(round(seconds * (self.epochs - n_done)), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
