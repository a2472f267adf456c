"""Keras callbacks of the training loop."""

from __future__ import annotations

import copy
import math
import time
import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..exceptions import DivergenceWarning, TrainingDivergedError
from ..network.graph import set_weights
from ..network.pool import get_variables
from .checkpoints import get_plain_state

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .checkpoints import Checkpoint

__all__ = ["CheckpointSaver", "CosineSchedule", "EpochTable", "LastGoodWeights", "copy_callbacks"]

#: Share of the steps in which the learning rate of a cosine schedule rises.
WARM_UP = 0.1

ADVICE = (
    "Lower learning_rate or box_loss_weight, pass an optimizer with clipnorm, or look for wrong "
    "boxes in y."
)

#: Columns of the table of epochs, and Keras's names for them: with several outputs, and with one.
COLUMNS = {
    "class loss": ("class_prediction_loss",),
    "box loss": ("bbox_prediction_loss", "loss"),
    "accuracy": ("class_prediction_accuracy",),
    "mean IoU": ("bbox_prediction_mean_iou", "mean_iou"),
}

Logs = dict[str, Any] | None


def copy_callbacks(callbacks: Sequence[Any] | None) -> list[keras.callbacks.Callback]:
    """Copies of the user's callbacks, so that none carries its state into another fit.

    Keras callbacks keep the state of the last fit (keras#3000). A function that builds a callback
    is called.
    """
    return [
        copy.deepcopy(callback) if isinstance(callback, keras.callbacks.Callback) else callback()
        for callback in callbacks or []
    ]


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


class LastGoodWeights(keras.callbacks.Callback):
    """Remember the weights at the start of each epoch; stop when the loss is not finite.

    Parameters
    ----------
    is_trained : bool
        Whether the initial weights come from an earlier stage or fit, and are worth keeping.

    Attributes
    ----------
    weights : list of list of ndarray, or None
        Weights of each layer; None before the first epoch of an untrained network.
    n_epochs : int
        Number of epochs before the current one.
    diverged : bool
        Whether the loss was not finite.
    stopped_short : bool
        Whether the last epoch is incomplete, so that only `n_epochs` of them count.
    """

    def __init__(self, is_trained: bool) -> None:
        super().__init__()
        self.is_trained = is_trained
        self.weights: list[list[np.ndarray[Any, Any]]] | None = None
        self.n_epochs = 0
        self.diverged = self.stopped_short = False

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self.n_epochs = epoch
        if epoch or self.is_trained:
            self.weights = [layer.get_weights() for layer in self.model.layers]

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self._check_loss(logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._check_loss(logs)

    def _check_loss(self, logs: Logs) -> None:
        if not np.isfinite((logs or {})["loss"]):
            self.diverged = self.stopped_short = True
            self.model.stop_training = True

    def restore(self, network: keras.Model) -> None:
        """Give the remembered weights to a network, if there are any."""
        if self.weights is not None:
            for layer, weights in zip(network.layers, self.weights, strict=True):
                set_weights(layer, weights)

    def report_divergence(self) -> None:
        """Warn that earlier weights are kept, or raise if there are none."""
        if self.weights is None:
            raise TrainingDivergedError(
                f"The loss became NaN or infinite in the first epoch. {ADVICE}"
            )
        kept = f"of epoch {self.n_epochs}" if self.n_epochs else "from before training"
        warnings.warn(
            f"The loss became NaN or infinite in epoch {self.n_epochs + 1}; training stopped "
            f"and the weights {kept} were kept. {ADVICE}",
            DivergenceWarning,
            stacklevel=5,
        )


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
