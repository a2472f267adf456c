"""Training a network in stages: compile, fit, watch the loss, keep the history."""

import copy
import math
import time
import warnings

import keras
import numpy as np

from .box_heads import EDGES, IOU_ESTIMATE
from .checkpoints import get_plain_state
from .exceptions import DivergenceWarning, TrainingDivergedError
from .generator import ModelBatches
from .losses import MeanIoU, get_box_loss, iou_estimate_loss, x_edges_loss, y_edges_loss
from .network import set_weights
from .pool import borrow_model, copy_state, get_variables
from .seeds import preserve_random_state

__all__ = ["EpochTable", "auto_epochs", "compile_model", "copy_callbacks", "train"]

#: ``epochs="auto"``: at least so many passes over the images, and so many steps.
MINIMUM_EPOCHS = 8
MINIMUM_STEPS = 600

#: Learning rates of optimizers that are given by name; others keep Keras's own.
DEFAULT_RATES = {"adam": 3e-3}

#: Factor of the loss of the edges' distributions in that of the box.
EDGES_WEIGHT = 0.125

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

ADVICE = (
    "Lower learning_rate or box_loss_weight, pass an optimizer with clipnorm, or look for wrong "
    "boxes in y."
)


def auto_epochs(n_images, batch_size):
    """Epochs that train enough: 8, and more where these are fewer than 600 steps.

    Examples
    --------
    >>> from skbbox.training import auto_epochs
    >>> auto_epochs(100, batch_size=64), auto_epochs(10_000, batch_size=64)
    (300, 8)
    """
    steps = math.ceil(n_images / batch_size)
    return max(MINIMUM_EPOCHS, math.ceil(MINIMUM_STEPS / steps))


def compile_model(model, *, optimizer, learning_rate, box_loss, class_loss_weight, box_loss_weight):
    """Compile a model with fresh optimizer state.

    Parameters
    ----------
    model : keras.Model
        With the output ``bbox_prediction``, perhaps ``class_prediction`` before it, and
        other outputs of the spatial head after it.
    optimizer, learning_rate, box_loss, class_loss_weight, box_loss_weight
        As for :class:`SingleBoxLocalizer`.
    """
    optimizer_type, config = _parse_optimizer(optimizer, learning_rate)
    factors = _get_loss_weights(class_loss_weight, box_loss_weight)
    _compile(model, optimizer_type.from_config(config), box_loss, factors)


def _get_loss_weights(class_loss_weight, box_loss_weight):
    """Factor of the loss of each output."""
    return {
        "class_prediction": float(class_loss_weight),
        "bbox_prediction": float(box_loss_weight),
        # It trains weights that nothing else does, so its factor is of no consequence.
        IOU_ESTIMATE: 1.0,
        EDGES[0]: EDGES_WEIGHT * float(box_loss_weight),
        EDGES[1]: EDGES_WEIGHT * float(box_loss_weight),
    }


def _compile(model, optimizer, box_loss, factors):
    parts = {
        "class_prediction": (keras.losses.SparseCategoricalCrossentropy(), ["accuracy"]),
        "bbox_prediction": (get_box_loss(box_loss), [MeanIoU()]),
        IOU_ESTIMATE: (iou_estimate_loss, []),
        EDGES[0]: (x_edges_loss, []),
        EDGES[1]: (y_edges_loss, []),
    }
    names = model.output_names
    model.compile(
        optimizer=optimizer,
        loss={name: parts[name][0] for name in names},
        loss_weights={name: factors[name] for name in names},
        metrics={name: parts[name][1] for name in names},
    )


def _parse_optimizer(optimizer, learning_rate):
    """Class and config of the optimizer that `optimizer` and `learning_rate` ask for."""
    given = keras.optimizers.get(optimizer)
    config = given.get_config()
    if learning_rate is None and isinstance(optimizer, str):
        learning_rate = DEFAULT_RATES.get(optimizer.lower())
    if learning_rate is not None:
        config["learning_rate"] = float(learning_rate)
    return type(given), config


def copy_callbacks(callbacks):
    """Copies of the user's callbacks, so that none carries its state into another fit.

    Keras callbacks remember the fit that they saw (keras#3000).
    """
    return [
        copy.deepcopy(callback) if isinstance(callback, keras.callbacks.Callback) else callback()
        for callback in callbacks or []
    ]


def train(
    network,
    batches,
    validation,
    *,
    recipe,
    is_cosine,
    epochs,
    callbacks,
    patience,
    verbose,
    histories,
    checkpoint=None,
):
    """Fit a network and keep its last good weights.

    The network itself is not compiled, but one of the same architecture, which serves one
    fit after another; unless the user has a part in it, who can do anything to it.

    Parameters
    ----------
    network : keras.Model
    batches : Batches
    validation : Batches or None
    recipe : dict
        What :func:`compile_model` takes beside a model.
    is_cosine : bool
        Whether the learning rate rises to its value and falls to 0 along a cosine
        (I. Loshchilov & F. Hutter, "SGDR", arXiv:1608.03983), where it is a number.
    epochs : int
    callbacks : list of keras.callbacks.Callback
    patience : int or None
        Epochs without a better validation loss after which to stop and go back
        to the best weights; None never stops early.
    verbose : {0, 1}
    histories : list of dict
        Of the stages before, without which the weights that the network comes with are not
        worth keeping. The history of this one is appended: for each name that Keras gives one
        value an epoch.
    checkpoint : Checkpoint, default=None
        Is kept after each epoch; the training goes on from what is in it.

    Raises
    ------
    TrainingDivergedError
        If the loss is not finite in the first epoch of a model that is not trained yet.
    KeyboardInterrupt
        If the user interrupts; the network has the weights of the last finished epoch.

    Warns
    -----
    DivergenceWarning
        If the loss is not finite in another epoch; the weights are those before it.
    """
    optimizer_type, config = _parse_optimizer(recipe["optimizer"], recipe["learning_rate"])
    rate, box_loss = config["learning_rate"], recipe["box_loss"]
    has_rate = isinstance(rate, float)
    settings = config | {"name": None} | ({"learning_rate": None} if has_rate else {})
    stopping = []
    if has_rate and is_cosine:
        stopping.append(_CosineRate(rate, epochs * len(batches)))
    if patience is not None:
        stopping.append(
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=patience, restore_best_weights=True
            )
        )
    good = _GoodWeights(is_trained=bool(histories))
    recorded = keras.callbacks.History()
    watching = [*stopping, *callbacks, recorded]
    progress = _Progress(checkpoint, watching, good)
    known = isinstance(box_loss, str) and optimizer_type.__module__.split(".")[0] == "keras"
    try:
        with borrow_model(
            network,
            ("training", optimizer_type, repr(settings), box_loss),
            lambda model: _Trainable(model, optimizer_type.from_config(config), box_loss),
            shared=known and not callbacks,
        ) as (model, trainable):
            trainable.start_over(
                _get_loss_weights(recipe["class_loss_weight"], recipe["box_loss_weight"]),
                rate if has_rate else None,
            )
            span = progress.next_epoch(epochs), epochs
            callbacks = [good, *watching, progress, *([EpochTable(*span)] if verbose else [])]
            _fit(model, trainable.datasets, batches, validation, span, callbacks)
            copy_state(model, network)
        if good.diverged:
            good.warn_of_divergence()
            good.give_to(network)
    except KeyboardInterrupt:
        if good.weights is not None:
            good.give_to(network)
        good.stopped_short = True
        raise
    finally:
        n_good = good.n_epochs if good.stopped_short else None
        history = _to_history(recorded.history, n_good)
        if len(network.outputs) == 1:
            _name_single_output(history, recipe["box_loss_weight"])
        histories.append(history)


class _Trainable:
    """A compiled model that can be trained again and again, with other loss weights and rates."""

    def __init__(self, model, optimizer, box_loss):
        self.model, self.datasets = model, {}
        self.factors = {
            name: keras.Variable(1.0, trainable=False, name=f"factor_of_{name}")
            for name in model.output_names
        }
        # A part of the model, whose values are looked at in each step by all of Keras's backends.
        model.loss_factors = list(self.factors.values())
        _compile(model, optimizer, box_loss, self.factors)
        _create_state(model)
        self.optimizer_state = [
            np.array(keras.ops.convert_to_numpy(variable)) for variable in model.optimizer.variables
        ]

    def start_over(self, factors, learning_rate):
        """Forget what the optimizer knows from the last training."""
        for name, factor in self.factors.items():
            factor.assign(factors[name])
        for variable, value in zip(
            self.model.optimizer.variables, self.optimizer_state, strict=True
        ):
            variable.assign(value)
        if learning_rate is not None:
            self.model.optimizer.learning_rate = learning_rate


def _fit(model, datasets, batches, validation, span, callbacks):
    """Keras's ``fit`` from one epoch to another, the second of which is not trained any more."""
    first, end = span
    n_boxes = sum(name != "class_prediction" for name in model.output_names)
    training = ModelBatches(batches, n_boxes, endless=True, first=first * len(batches))
    validating = None if validation is None else ModelBatches(validation, n_boxes, endless=False)
    try:
        with preserve_random_state():
            model.fit(
                training.for_backend(datasets),
                steps_per_epoch=len(batches),
                validation_data=None if validating is None else validating.for_backend(datasets),
                initial_epoch=first,
                epochs=end,
                shuffle=False,
                callbacks=callbacks,
                verbose=0,
            )
    except Exception:
        # Keras turns an error in a batch into one of its backend.
        for source in (batches, validation):
            if getattr(source, "error", None) is not None:
                raise source.error from None
        raise
    finally:
        # TensorFlow holds on to every dataset until the process ends; not to the features.
        training.close()
        if validating is not None:
            validating.close()


def _create_state(model):
    """Create the variables of the optimizer, and on TensorFlow those of the metrics.

    TensorFlow traces a training step twice where the first trace creates
    variables, which takes more than half the time of a fit on few images.
    """
    model.optimizer.build(model.trainable_variables)
    if keras.backend.backend() != "tensorflow":
        # Keras creates them without computing; on JAX what is computed here is compiled first.
        return
    outputs = [keras.ops.zeros((1, *output.shape[1:])) for output in model.outputs]
    targets = [
        keras.ops.zeros((1,), "int32") if name == "class_prediction" else keras.ops.zeros((1, 4))
        for name in model.output_names
    ]
    outputs, targets = (
        keras.tree.pack_sequence_as(model.output, parts) for parts in (outputs, targets)
    )
    model.compute_loss(None, targets, outputs)
    model.compute_metrics(None, targets, outputs)
    model.reset_metrics()


class _CosineRate(keras.callbacks.Callback):
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


class _GoodWeights(keras.callbacks.Callback):
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


class _Progress(keras.callbacks.Callback):
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


def _to_history(recorded, epochs):
    return {key: [float(value) for value in values[:epochs]] for key, values in recorded.items()}


def _name_single_output(history, box_loss_weight):
    """Name the curves of the box, as Keras names no output where there is only one."""
    for prefix in ("", "val_"):
        if prefix + "loss" in history:
            # The loss is the sum, which the weight is in.
            history[f"{prefix}bbox_prediction_loss"] = [
                value / box_loss_weight if box_loss_weight else math.nan
                for value in history[prefix + "loss"]
            ]
            history[f"{prefix}bbox_prediction_mean_iou"] = history.pop(prefix + "mean_iou")
