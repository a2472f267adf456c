"""Training a network in stages: compile, fit, watch the loss, keep the history."""

import copy
import warnings

import keras
import numpy as np

from .exceptions import DivergenceWarning, TrainingDivergedError
from .losses import MeanIoU, get_box_loss
from .network import preserved_random_state

__all__ = ["compile_model", "fresh_callbacks", "train"]

ADVICE = (
    "Lower learning_rate or box_loss_weight, pass an optimizer with clipnorm, or look for wrong "
    "boxes in y."
)


def compile_model(model, *, optimizer, learning_rate, box_loss, class_loss_weight, box_loss_weight):
    """Compile a two-head (or box-only) model with fresh optimizer state.

    Parameters
    ----------
    model : keras.Model
        With the outputs ``class_prediction`` (where there are classes) and
        ``bbox_prediction``.
    optimizer, learning_rate, box_loss, class_loss_weight, box_loss_weight
        As for :class:`SingleBoxLocalizer`.
    """
    losses = {"bbox_prediction": get_box_loss(box_loss)}
    loss_weights = {"bbox_prediction": float(box_loss_weight)}
    metrics = {"bbox_prediction": [MeanIoU()]}
    if len(model.outputs) == 2:
        losses["class_prediction"] = keras.losses.SparseCategoricalCrossentropy()
        loss_weights["class_prediction"] = float(class_loss_weight)
        metrics["class_prediction"] = ["accuracy"]
    model.compile(
        optimizer=_fresh_optimizer(optimizer, learning_rate),
        loss=losses,
        loss_weights=loss_weights,
        metrics=metrics,
    )


def fresh_callbacks(callbacks):
    """Copies of the user's callbacks, so that none carries its state into another fit.

    Keras callbacks remember the fit that they saw (keras#3000).
    """
    return [
        copy.deepcopy(callback) if isinstance(callback, keras.callbacks.Callback) else callback()
        for callback in callbacks or []
    ]


def train(model, batches, validation, *, epochs, callbacks, patience, verbose):
    """Fit a compiled model and keep its last good weights.

    Parameters
    ----------
    model : keras.Model
    batches : Batches
    validation : Batches or None
    epochs : int
    callbacks : list of keras.callbacks.Callback
    patience : int or None
        Epochs without a better validation loss after which to stop and go back
        to the best weights; None never stops early.
    verbose : {0, 1}

    Returns
    -------
    dict of str to list of float
        One value an epoch, under the names that Keras gives.

    Raises
    ------
    TrainingDivergedError
        If the loss is not finite in the first epoch.

    Warns
    -----
    DivergenceWarning
        If the loss is not finite in a later epoch; the weights are those of the
        last finite one.
    """
    _create_state(model)
    guard = _LossGuard()
    stopping = []
    if patience is not None:
        stopping = [
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=patience, restore_best_weights=True
            )
        ]
    history = keras.callbacks.History()
    try:
        with preserved_random_state():
            model.fit(
                batches,
                validation_data=validation,
                epochs=epochs,
                shuffle=False,
                callbacks=[*stopping, *callbacks, guard, history],
                verbose=verbose,
            )
    except Exception:
        # Keras turns an error in a batch into one of its backend.
        for source in (batches, validation):
            if getattr(source, "error", None) is not None:
                raise source.error from None
        raise
    if guard.diverged:
        guard.restore()
    return _history(history.history, guard.good_epochs, len(model.outputs) == 1)


def _create_state(model):
    """Create the variables of optimizer and metrics.

    TensorFlow traces a training step twice where the first trace creates
    variables, which takes more than half the time of a fit on few images.
    """
    model.optimizer.build(model.trainable_variables)
    outputs = [keras.ops.zeros((1, *output.shape[1:])) for output in model.outputs]
    targets = [keras.ops.zeros((1,), "int32"), outputs[-1]][-len(outputs) :]
    outputs, targets = (
        keras.tree.pack_sequence_as(model.output, parts) for parts in (outputs, targets)
    )
    model.compute_loss(None, targets, outputs)
    model.compute_metrics(None, targets, outputs)
    model.reset_metrics()


class _LossGuard(keras.callbacks.Callback):
    """Stops at a loss that is NaN or infinite and remembers the weights before it."""

    def __init__(self):
        super().__init__()
        self.diverged = False
        self.good_epochs = 0
        self.good_weights = None

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite(logs["loss"]):
            self.diverged = True
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if not np.isfinite(logs["loss"]):
            self.diverged = True
            self.model.stop_training = True
        if not self.diverged:
            self.good_epochs += 1
            self.good_weights = self.model.get_weights()

    def restore(self):
        if self.good_weights is None:
            raise TrainingDivergedError(
                f"The loss became NaN or infinite in the first epoch. {ADVICE}"
            )
        self.model.set_weights(self.good_weights)
        warnings.warn(
            f"The loss became NaN or infinite in epoch {self.good_epochs + 1}; training stopped "
            f"and the weights of epoch {self.good_epochs} were kept. {ADVICE}",
            DivergenceWarning,
            stacklevel=5,
        )


def _history(recorded, epochs, box_only):
    history = {key: [float(value) for value in values[:epochs]] for key, values in recorded.items()}
    if not box_only:
        return history
    # Keras names no output where there is only one.
    for prefix in ("", "val_"):
        if prefix + "loss" in history:
            history[f"{prefix}bbox_prediction_loss"] = list(history[prefix + "loss"])
            history[f"{prefix}bbox_prediction_mean_iou"] = history.pop(prefix + "mean_iou")
    return history


def _fresh_optimizer(optimizer, learning_rate):
    given = keras.optimizers.get(optimizer)
    config = given.get_config()
    if learning_rate is not None:
        config["learning_rate"] = learning_rate
    return type(given).from_config(config)
