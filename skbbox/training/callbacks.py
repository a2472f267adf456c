"""Keras callbacks of the training loop."""

import copy
import math
import time
import warnings

import keras
import numpy as np

from ..exceptions import DivergenceWarning, TrainingDivergedError
from ..network.graph import set_weights
from ..network.pool import get_variables
from .checkpoints import get_plain_state

__all__ = ["EpochTable", "copy_callbacks"]

ADVICE = (
    "Lower learning_rate or box_loss_weight, pass an optimizer with clipnorm, or look for wrong "
    "boxes in y."
)

#: Share of the steps in which the learning rate of a cosine schedule rises.
WARM_UP = 0.1


#: Columns of the table of epochs, and the names that Keras has for them: where the network has
#: several outputs, and where it has one.
COLUMNS = {
    "class loss": ("class_prediction_loss",),
    "box loss": ("bbox_prediction_loss", "loss"),
    "accuracy": ("class_prediction_accuracy",),
    "mean IoU": ("bbox_prediction_mean_iou", "mean_iou"),
}


def copy_callbacks(callbacks):
    """Copies of the user's callbacks, so that none carries its state into another fit.

    Keras callbacks remember the fit that they saw (keras#3000).
    """
    return [
        copy.deepcopy(callback) if isinstance(callback, keras.callbacks.Callback) else callback()
        for callback in callbacks or []
    ]


class CosineRate(keras.callbacks.Callback):
    """The learning rate of each step: it rises to its peak and falls to 0 along a cosine."""

    def __init__(self, peak, n_steps):
        super().__init__()
        self.peak, self.n_steps, self.step = peak, n_steps, 0
        self.n_rising = round(WARM_UP * n_steps)

    def on_train_batch_begin(self, batch, logs=None):
        # Keras's trainer for JAX has the variables elsewhere while it trains.
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        self.model.optimizer.learning_rate = self.peak * self._share()
        self.step += 1

    def _share(self):
        if self.step < self.n_rising:
            return self.step / self.n_rising
        done = (self.step - self.n_rising) / (self.n_steps - self.n_rising)
        return (1 + math.cos(math.pi * done)) / 2


class GoodWeights(keras.callbacks.Callback):
    """Remembers the weights that each epoch begins with; stops at a loss that is not finite.

    Attributes
    ----------
    weights : list of list of ndarray, or None
        Those of each layer; None before the first epoch of a network that is not trained yet.
    n_epochs : int
        After how many epochs they were had.
    diverged, stopped_short : bool
        Whether the loss was not finite, and whether they are better than those at the end.
    """

    def __init__(self, is_trained):
        super().__init__()
        self.is_trained = is_trained
        self.weights, self.n_epochs = None, 0
        self.diverged = self.stopped_short = False

    def on_epoch_begin(self, epoch, logs=None):
        self.n_epochs = epoch
        if epoch or self.is_trained:
            self.weights = [layer.get_weights() for layer in self.model.layers]

    def give_to(self, network):
        for layer, weights in zip(network.layers, self.weights, strict=True):
            set_weights(layer, weights)

    def on_train_batch_end(self, batch, logs=None):
        self._check(logs)

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs)

    def _check(self, logs):
        if not np.isfinite(logs["loss"]):
            self.diverged = self.stopped_short = True
            self.model.stop_training = True

    def warn_of_divergence(self):
        if self.weights is None:
            raise TrainingDivergedError(
                f"The loss became NaN or infinite in the first epoch. {ADVICE}"
            )
        kept = f"of epoch {self.n_epochs}" if self.n_epochs else "that it began with"
        warnings.warn(
            f"The loss became NaN or infinite in epoch {self.n_epochs + 1}; training stopped "
            f"and the weights {kept} were kept. {ADVICE}",
            DivergenceWarning,
            stacklevel=5,
        )


class CheckpointProgress(keras.callbacks.Callback):
    """Stores after each epoch what the training needs to go on, and puts it back at its begin."""

    def __init__(self, checkpoint, callbacks, good):
        super().__init__()
        self.checkpoint, self.callbacks, self.good = checkpoint, callbacks, good

    def next_epoch(self, epochs):
        """The epoch to go on with; `epochs` if there is none left."""
        stored = self._stored()
        if stored is None:
            return 0
        return epochs if stored["has_stopped"] else stored["n_epochs"]

    def on_train_begin(self, logs=None):
        stored = self._stored()
        if stored is None:
            return
        for variable, value in zip(self._variables(), stored["variables"], strict=True):
            variable.assign(value)
        # After they have begun, as they forget what they knew then.
        for callback, state in zip(self.callbacks, stored["callbacks"], strict=True):
            vars(callback).update(state)

    def on_epoch_end(self, epoch, logs=None):
        if self.checkpoint is None or self.good.diverged:
            return
        values = [np.array(keras.ops.convert_to_numpy(v)) for v in self._variables()]
        self.checkpoint.keep(
            {
                "n_epochs": epoch + 1,
                "has_stopped": self.model.stop_training,
                "variables": values,
                "callbacks": [get_plain_state(callback) for callback in self.callbacks],
            }
        )

    def _stored(self):
        return None if self.checkpoint is None else self.checkpoint.training

    def _variables(self):
        return [*get_variables(self.model), *self.model.optimizer.variables]


class EpochTable(keras.callbacks.Callback):
    """Prints a line after each epoch: losses, accuracy, mean IoU, time left.

    Values of the validation images are in brackets.

    Parameters
    ----------
    first, epochs : int
        Number of epochs that were trained before, and at the end.
    """

    def __init__(self, first, epochs):
        super().__init__()
        self.first, self.epochs = first, epochs
        self.began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        cells = {title: self._cell(logs, names) for title, names in COLUMNS.items()}
        cells = {title: cell for title, cell in cells.items() if cell}
        if epoch == self.first:
            print(
                "   ".join(
                    [f"{'epoch':>9}", *map(_align_title, cells, cells.values()), "time left"]
                )
            )
        number = f"{epoch + 1}/{self.epochs}"
        print("   ".join([f"{number:>9}", *cells.values(), f"{self._time_left(epoch + 1):>9}"]))

    def _cell(self, logs, names):
        name = next((name for name in names if name in logs), None)
        if name is None:
            return ""
        validation = logs.get(f"val_{name}")
        # As wide as the titles.
        return f"{logs[name]:10.3f}" + ("" if validation is None else f" ({validation:.3f})")

    def _time_left(self, n_done):
        seconds = (time.monotonic() - self.began) / (n_done - self.first)
        minutes, seconds = divmod(round(seconds * (self.epochs - n_done)), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _align_title(title, cell):
    return f"{title:>{len(cell)}}"
