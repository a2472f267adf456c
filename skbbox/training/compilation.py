"""Compile a network: optimizer, losses and their weights, metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras

from ..losses import MeanIoU, get_box_loss, iou_estimate_loss, x_edges_loss, y_edges_loss
from ..network.box_heads import EDGES, IOU_ESTIMATE

if TYPE_CHECKING:
    from ..typing import BoxLoss
    from .plan import TrainingSpec

__all__ = ["compile_model", "compile_outputs", "get_loss_weights", "parse_optimizer"]

#: Default learning rates of optimizers given by name; others keep Keras's default.
DEFAULT_RATES = {"adam": 3e-3}

#: Weight of the loss of the edge distributions, relative to that of the box.
EDGES_WEIGHT = 0.125


def compile_model(model: keras.Model, spec: TrainingSpec) -> None:
    """Compile a model with fresh optimizer state.

    Parameters
    ----------
    model : keras.Model
        With the output ``bbox_prediction``, optionally ``class_prediction`` before it, and
        optionally further outputs of the spatial head after it.
    spec : TrainingSpec
    """
    optimizer_type, config = parse_optimizer(spec)
    compile_outputs(
        model, optimizer_type.from_config(config), spec.box_loss, get_loss_weights(spec)
    )


def get_loss_weights(spec: TrainingSpec) -> dict[str, float]:
    """Loss weight of each output that a network may have."""
    edges_weight = EDGES_WEIGHT * float(spec.box_loss_weight)
    return {
        "class_prediction": float(spec.class_loss_weight),
        "bbox_prediction": float(spec.box_loss_weight),
        # No other loss trains these weights, so the value has no effect.
        IOU_ESTIMATE: 1.0,
        EDGES[0]: edges_weight,
        EDGES[1]: edges_weight,
    }


def compile_outputs(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    box_loss: str | BoxLoss,
    loss_weights: Mapping[str, Any],
) -> None:
    """Compile a model with the loss, loss weight and metrics of each of its outputs."""
    losses_and_metrics: dict[str, tuple[Any, list[Any]]] = {
        "class_prediction": (keras.losses.SparseCategoricalCrossentropy(), ["accuracy"]),
        "bbox_prediction": (get_box_loss(box_loss), [MeanIoU()]),
        IOU_ESTIMATE: (iou_estimate_loss, []),
        EDGES[0]: (x_edges_loss, []),
        EDGES[1]: (y_edges_loss, []),
    }
    names = model.output_names
    model.compile(
        optimizer=optimizer,
        loss={name: losses_and_metrics[name][0] for name in names},
        loss_weights={name: loss_weights[name] for name in names},
        metrics={name: losses_and_metrics[name][1] for name in names},
    )


def parse_optimizer(
    spec: TrainingSpec,
) -> tuple[type[keras.optimizers.Optimizer], dict[str, Any]]:
    """Class and config of the optimizer, with its learning rate."""
    optimizer = keras.optimizers.get(spec.optimizer)
    config = optimizer.get_config()
    learning_rate = spec.learning_rate
    if learning_rate is None and isinstance(spec.optimizer, str):
        learning_rate = DEFAULT_RATES.get(spec.optimizer.lower())
    if learning_rate is not None:
        config["learning_rate"] = float(learning_rate)
    return type(optimizer), config
