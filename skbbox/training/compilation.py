"""Compile a network: optimizer, losses and their weights, metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras

from ..losses import MeanIoU, get_box_loss, iou_estimate_loss, x_edges_loss, y_edges_loss
from ..network.box_heads import EDGES, IOU_ESTIMATE
from ..network.presence_head import PRESENCE

if TYPE_CHECKING:
    from ..typing import BoxLoss
    from .plan import TrainingSpec

__all__ = [
    "compile_model",
    "compile_outputs",
    "get_backbone_factor",
    "get_loss_weights",
    "make_optimizer",
    "parse_optimizer",
]

#: Default learning rates of optimizers given by name; others keep Keras's default.
DEFAULT_RATES = {"adam": 3e-3}

#: Weight of the loss of the edge distributions, relative to that of the box.
EDGES_WEIGHT = 0.125


def compile_model(model: keras.Model, spec: TrainingSpec) -> None:
    """Compile a model with fresh optimizer state.

    Parameters
    ----------
    model : keras.Model
        With the output ``bbox_prediction``, optionally ``class_prediction`` before it and
        ``object_presence`` after it, and optionally further outputs of the spatial head.
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
        PRESENCE: float(spec.presence_loss_weight),
    }


def compile_outputs(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    box_loss: str | BoxLoss,
    loss_weights: Mapping[str, Any],
    has_missing_labels: bool = False,
) -> None:
    """Compile a model with the loss, loss weight and metrics of each of its outputs.

    With missing labels, metrics are weighted like losses.
    """
    losses_and_metrics: dict[str, tuple[Any, list[Any]]] = {
        "class_prediction": (
            keras.losses.SparseCategoricalCrossentropy(),
            # Keras takes "accuracy" of a single class for that of a binary output.
            [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        ),
        "bbox_prediction": (get_box_loss(box_loss), [MeanIoU()]),
        IOU_ESTIMATE: (iou_estimate_loss, []),
        EDGES[0]: (x_edges_loss, []),
        EDGES[1]: (y_edges_loss, []),
        PRESENCE: (
            keras.losses.BinaryCrossentropy(),
            [keras.metrics.BinaryAccuracy(name="accuracy")],
        ),
    }
    names = model.output_names
    kind = "weighted_metrics" if has_missing_labels else "metrics"
    model.compile(
        optimizer=optimizer,
        loss={name: losses_and_metrics[name][0] for name in names},
        loss_weights={name: loss_weights[name] for name in names},
        **{kind: {name: losses_and_metrics[name][1] for name in names}},
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


def get_backbone_factor(spec: TrainingSpec, learning_rate: float | None) -> float | None:
    """The backbone's share of the learning rate; None if all weights have the same rate.

    Parameters
    ----------
    spec : TrainingSpec
    learning_rate : float or None
        Of the heads; None if the optimizer has a schedule of its own.

    Raises
    ------
    ValueError
        If there is no rate to take a share of.
    """
    if spec.backbone_learning_rate is None:
        return None
    if not learning_rate:
        raise ValueError(
            "frozen='early' and frozen='none' need a learning rate above 0 that is a number, not a "
            "schedule of the optimizer. Pass learning_rate, or frozen='all'. "
            f"Received: learning_rate={learning_rate!r}."
        )
    return float(spec.backbone_learning_rate) / learning_rate


def make_optimizer(
    model: keras.Model,
    optimizer_type: type[keras.optimizers.Optimizer],
    config: dict[str, Any],
    backbone_factor: float | None,
) -> keras.optimizers.Optimizer:
    """An optimizer of a model, with the learning rate times a factor for its backbone.

    Keras has one learning rate for all variables. Smaller gradients would not replace a smaller
    rate, because Adam normalises them.

    Parameters
    ----------
    model : keras.Model
        Its nested models are the backbone.
    optimizer_type : type
    config : dict of str to object
        Of the optimizer.
    backbone_factor : float or None
        None is an optimizer of `optimizer_type` itself.
    """
    if backbone_factor is None:
        return optimizer_type.from_config(config)
    backbone = [
        variable
        for layer in model.layers
        if isinstance(layer, keras.Model)
        for variable in layer.trainable_variables
    ]
    known = set(map(id, backbone))
    factors = [backbone_factor if id(v) in known else 1.0 for v in model.trainable_variables]
    optimizer = _scale_rates(optimizer_type, factors).from_config(config)
    # Decay would be at the rate of the heads.
    optimizer.exclude_from_weight_decay(var_list=backbone)
    return optimizer


def _scale_rates(
    optimizer_type: type[keras.optimizers.Optimizer], factors: Sequence[float]
) -> type[keras.optimizers.Optimizer]:
    """A subclass that multiplies the learning rate of each trainable variable by its factor."""
    # Keras's classes for PyTorch update all variables together; their bases update them one by one.
    base: Any = next(
        base
        for base in optimizer_type.__mro__
        if not base.__module__.startswith("keras.src.backend.torch")
    )

    class ScaledRates(base):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            factor = factors[self._get_variable_index(variable)]
            super().update_step(gradient, variable, learning_rate * factor)

    # What a callback saves names a class that exists.
    for name in ("__module__", "__name__", "__qualname__"):
        setattr(ScaledRates, name, getattr(base, name))
    return ScaledRates
