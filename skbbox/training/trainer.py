"""Train a network, keep its last good weights and return its history."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..exceptions import DivergenceWarning, TrainingDivergedError
from ..network.graph import without_compile_config
from ..network.pool import borrow_model, copy_state
from ..network.presence_head import PRESENCE
from ..network.seeds import preserve_random_state
from .batches import ModelBatches
from .callbacks import CheckpointSaver, CosineSchedule, EpochTable, LastGoodWeights
from .compilation import (
    compile_model,
    compile_outputs,
    get_backbone_factor,
    get_loss_weights,
    make_optimizer,
    parse_optimizer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .batches import Batches
    from .checkpoints import Checkpoint
    from .plan import TrainingSpec

__all__ = ["train"]

History = dict[str, list[float]]

ADVICE = (
    "Lower learning_rate or box_loss_weight, pass an optimizer with clipnorm, or look for wrong "
    "boxes in y."
)


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
    observers: Sequence[keras.callbacks.Callback] = (),
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
    observers : sequence of keras.callbacks.Callback, default=()
        Callbacks without a state of their own, which are told of epochs and may stop training.

    Returns
    -------
    history : dict of str to list of float
        One value per epoch under each of Keras's names.
    interrupted : bool
        Whether Ctrl-C ended training; the weights are those of the last complete epoch.

    Raises
    ------
    TrainingDivergedError
        If loss or weights are not finite in or after the first epoch of an untrained network.
    ValueError
        If the backbone has a learning rate of its own, and the optimizer a schedule.

    Warns
    -----
    DivergenceWarning
        If loss or weights are not finite in or after another epoch; the weights are those before
        it.
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
            (
                *("training", optimizer_type, repr(settings), spec.box_loss, factor),
                spec.has_missing_labels,
            ),
            lambda model: _Trainable(
                model, make_optimizer(model, optimizer_type, config, factor), spec
            ),
            shared=is_known and not callbacks,
        ) as (model, trainable):
            trainable.reset(get_loss_weights(spec), rate)
            # The saver must not save weights that are not finite.
            all_callbacks = [*resumable, good, *observers, saver, *table]
            _fit(model, trainable.datasets, batches, validation, span, all_callbacks)
            copy_state(model, network)
    except KeyboardInterrupt:
        interrupted = True
    n_epochs = _keep_good_weights(network, good, interrupted, batches, spec)
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
        spec: TrainingSpec,
    ) -> None:
        self.model = model
        self.datasets: dict[Any, Any] = {}
        self.loss_weights = {
            name: keras.Variable(1.0, trainable=False, name=f"factor_of_{name}")
            for name in model.output_names
        }
        # As attributes of the model, so that every backend reads their values in each step.
        model.loss_factors = list(self.loss_weights.values())
        compile_outputs(model, optimizer, spec.box_loss, self.loss_weights, spec.has_missing_labels)
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
    names = model.output_names
    training = ModelBatches(batches, names, endless=True, first=first * len(batches))
    validating = None if validation is None else ModelBatches(validation, names, endless=False)
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


def _keep_good_weights(
    network: keras.Model,
    good: LastGoodWeights,
    interrupted: bool,
    batches: Batches,
    spec: TrainingSpec,
) -> int | None:
    """Give a network its last good weights.

    An interruption in here ends the fit.

    Returns
    -------
    int or None
        The number of epochs that led to them; None for all.
    """
    snapshots = [snapshot for snapshot in (good.latest, good.good) if snapshot is not None]
    diverged = good.diverged
    if not (interrupted or diverged):
        n_epochs = snapshots[0].n_epochs if snapshots else 0
        if _has_finite_loss(network, batches, spec, n_epochs):
            return None
        diverged = True
    for snapshot in snapshots:
        snapshot.restore(network)
        # Weights from before training were checked at the end of the stage or fit that made them.
        if not snapshot.n_epochs or _has_finite_loss(network, batches, spec, snapshot.n_epochs):
            if diverged:
                _warn_of_divergence(snapshot.n_epochs)
            return snapshot.n_epochs
        diverged = True
    if diverged:
        raise TrainingDivergedError(
            f"The loss or the weights became NaN or infinite in the first epoch. {ADVICE}"
        )
    return 0


def _warn_of_divergence(n_epochs: int) -> None:
    kept = f"of epoch {n_epochs}" if n_epochs else "from before training"
    warnings.warn(
        f"The loss or the weights became NaN or infinite in epoch {n_epochs + 1}; training stopped "
        f"and the weights {kept} were kept. {ADVICE}",
        DivergenceWarning,
        stacklevel=6,
    )


def _has_finite_loss(
    network: keras.Model, batches: Batches, spec: TrainingSpec, n_epochs: int
) -> bool:
    """Whether the weights are finite, and so is the loss of the first batch after some epochs.

    It is computed as in ``predict``, without dropout; and without a graph, which would take longer
    to make than it takes to run.
    """
    if not all(np.isfinite(weights).all() for weights in network.get_weights()):
        return False
    model = without_compile_config(network)
    compile_model(model, spec)
    first = ModelBatches(batches, network.output_names, True, n_epochs * len(batches))
    inputs, targets, *weights = keras.tree.map_structure(
        keras.ops.convert_to_tensor, first.make_batch(0)
    )
    first.close()
    outputs = model(inputs, training=False)
    loss = model.compute_loss(inputs, targets, outputs, *weights, training=False)
    return bool(np.isfinite(keras.ops.convert_to_numpy(loss)))


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
    shapes = {"class_prediction": ((1,), "int32"), PRESENCE: ((1, 1), "float32")}
    targets = [
        keras.ops.zeros(*shapes.get(name, ((1, 4), "float32"))) for name in model.output_names
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
