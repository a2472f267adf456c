"""Train a network, keep its last good weights and return its history."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..network.pool import borrow_model, copy_state
from ..network.seeds import preserve_random_state
from .batches import ModelBatches
from .callbacks import CheckpointSaver, CosineSchedule, EpochTable, LastGoodWeights
from .compilation import (
    compile_outputs,
    get_backbone_factor,
    get_loss_weights,
    make_optimizer,
    parse_optimizer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..typing import BoxLoss
    from .batches import Batches
    from .checkpoints import Checkpoint
    from .plan import TrainingSpec

__all__ = ["train"]

History = dict[str, list[float]]


def train(
    network: keras.Model,
    batches: Batches,
    validation: Batches | None,
    spec: TrainingSpec,
    *,
    epochs: int,
    callbacks: list[keras.callbacks.Callback],
    is_trained: bool,
    checkpoint: Checkpoint | None = None,
) -> tuple[History, bool]:
    """Train a network; its weights become those of the last good epoch.

    A compiled network of the same architecture is trained in its place, because one can serve many
    fits; unless the user's own code takes part, which could change it.

    Parameters
    ----------
    network : keras.Model
    batches : Batches
    validation : Batches or None
    spec : TrainingSpec
    epochs : int
    callbacks : list of keras.callbacks.Callback
    is_trained : bool
        Whether the initial weights are worth keeping if the first epoch diverges.
    checkpoint : Checkpoint, default=None
        Saved after each epoch; training resumes from what it holds.

    Returns
    -------
    history : dict of str to list of float
        One value per epoch under each of Keras's names.
    interrupted : bool
        Whether Ctrl-C ended training; the weights are those of the last complete epoch.

    Raises
    ------
    TrainingDivergedError
        If the loss is not finite in the first epoch of an untrained network.
    ValueError
        If the backbone has a learning rate of its own, and the optimizer a schedule.

    Warns
    -----
    DivergenceWarning
        If the loss is not finite in another epoch; the weights are those before it.
    """
    optimizer_type, config = parse_optimizer(spec)
    rate = config["learning_rate"] if isinstance(config["learning_rate"], float) else None
    factor = get_backbone_factor(spec, rate)
    settings = config | {"name": None} | ({} if rate is None else {"learning_rate": None})
    schedule: list[keras.callbacks.Callback] = []
    if rate is not None and spec.learning_rate_schedule == "cosine":
        schedule.append(CosineSchedule(rate, epochs * len(batches)))
    if spec.patience is not None:
        schedule.append(
            keras.callbacks.EarlyStopping(
                monitor="val_loss", patience=spec.patience, restore_best_weights=True
            )
        )
    good, recorded = LastGoodWeights(is_trained), keras.callbacks.History()
    resumable = [*schedule, *callbacks, recorded]
    saver = CheckpointSaver(checkpoint, resumable, good)
    span = saver.get_first_epoch(epochs), epochs
    table = [EpochTable(*span)] if spec.verbose else []
    is_known = isinstance(spec.box_loss, str) and optimizer_type.__module__.startswith("keras.")
    interrupted = False
    try:
        with borrow_model(
            network,
            ("training", optimizer_type, repr(settings), spec.box_loss, factor),
            lambda model: _Trainable(
                model, make_optimizer(model, optimizer_type, config, factor), spec.box_loss
            ),
            shared=is_known and not callbacks,
        ) as (model, trainable):
            trainable.reset(get_loss_weights(spec), rate)
            all_callbacks = [good, *resumable, saver, *table]
            _fit(model, trainable.datasets, batches, validation, span, all_callbacks)
            copy_state(model, network)
        if good.diverged:
            good.report_divergence()
            good.restore(network)
    except KeyboardInterrupt:
        good.restore(network)
        interrupted = good.stopped_short = True
    n_epochs = good.n_epochs if good.stopped_short else None
    history = {
        name: [float(value) for value in values[:n_epochs]]
        for name, values in recorded.history.items()
    }
    if len(network.outputs) == 1:
        history = _name_single_output(history, spec.box_loss_weight)
    return history, interrupted


class _Trainable:
    """A compiled model that can be trained repeatedly, with other loss weights and rates."""

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        box_loss: str | BoxLoss,
    ) -> None:
        self.model = model
        self.datasets: dict[Any, Any] = {}
        self.loss_weights = {
            name: keras.Variable(1.0, trainable=False, name=f"factor_of_{name}")
            for name in model.output_names
        }
        # As attributes of the model, so that every backend reads their values in each step.
        model.loss_factors = list(self.loss_weights.values())
        compile_outputs(model, optimizer, box_loss, self.loss_weights)
        _create_state(model)
        self.optimizer_state = [
            np.array(keras.ops.convert_to_numpy(variable)) for variable in model.optimizer.variables
        ]

    def reset(self, loss_weights: Mapping[str, float], learning_rate: float | None) -> None:
        """Restore the initial state of the optimizer, with new loss weights and rate."""
        for name, variable in self.loss_weights.items():
            variable.assign(loss_weights[name])
        for variable, value in zip(
            self.model.optimizer.variables, self.optimizer_state, strict=True
        ):
            variable.assign(value)
        if learning_rate is not None:
            self.model.optimizer.learning_rate = learning_rate


def _fit(
    model: keras.Model,
    datasets: dict[Any, Any],
    batches: Batches,
    validation: Batches | None,
    span: tuple[int, int],
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Train epochs ``span[0]`` (inclusive) to ``span[1]`` (exclusive)."""
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
        # Keras replaces an error raised in a batch by one of its backend.
        for source in (batches, validation):
            error = getattr(source, "error", None)
            if error is not None:
                raise error from None
        raise
    finally:
        # TensorFlow holds every dataset until the process ends; release the features.
        training.close()
        if validating is not None:
            validating.close()


def _create_state(model: keras.Model) -> None:
    """Create the variables of the optimizer and, on TensorFlow, those of the metrics.

    TensorFlow traces a training step twice if the first trace creates variables, which takes more
    than half the time of a fit on few images.
    """
    model.optimizer.build(model.trainable_variables)
    if keras.backend.backend() != "tensorflow":
        # Keras creates them without computing; JAX would compile what is computed here.
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


def _name_single_output(history: History, box_loss_weight: float) -> History:
    """The history under the names of the box output; Keras does not name a single output."""
    named = dict(history)
    for prefix in ("", "val_"):
        if prefix + "loss" in history:
            # The loss is the total, which the weight is part of.
            named[f"{prefix}bbox_prediction_loss"] = [
                value / box_loss_weight if box_loss_weight else math.nan
                for value in history[prefix + "loss"]
            ]
            named[f"{prefix}bbox_prediction_mean_iou"] = named.pop(prefix + "mean_iou")
    return named
