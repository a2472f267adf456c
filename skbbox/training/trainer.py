"""Train a network, keep its last good weights and return its history."""

import math

import keras
import numpy as np

from ..network.pool import borrow_model, copy_state
from ..network.seeds import preserve_random_state
from .batches import ModelBatches
from .callbacks import CheckpointProgress, CosineRate, EpochTable, GoodWeights
from .compilation import compile_with_weights, get_loss_weights, parse_optimizer

__all__ = ["train"]


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
    optimizer_type, config = parse_optimizer(recipe["optimizer"], recipe["learning_rate"])
    rate, box_loss = config["learning_rate"], recipe["box_loss"]
    has_rate = isinstance(rate, float)
    settings = config | {"name": None} | ({"learning_rate": None} if has_rate else {})
    stopping = []
    if has_rate and is_cosine:
        stopping.append(CosineRate(rate, epochs * len(batches)))
    if patience is not None:
        stopping.append(
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=patience, restore_best_weights=True
            )
        )
    good = GoodWeights(is_trained=bool(histories))
    recorded = keras.callbacks.History()
    watching = [*stopping, *callbacks, recorded]
    progress = CheckpointProgress(checkpoint, watching, good)
    known = isinstance(box_loss, str) and optimizer_type.__module__.split(".")[0] == "keras"
    try:
        with borrow_model(
            network,
            ("training", optimizer_type, repr(settings), box_loss),
            lambda model: _Trainable(model, optimizer_type.from_config(config), box_loss),
            shared=known and not callbacks,
        ) as (model, trainable):
            trainable.start_over(
                get_loss_weights(recipe["class_loss_weight"], recipe["box_loss_weight"]),
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
        compile_with_weights(model, optimizer, box_loss, self.factors)
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
