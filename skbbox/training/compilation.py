"""Compile a network: optimizer, losses and their weights, metrics."""

import keras

from ..losses import MeanIoU, get_box_loss, iou_estimate_loss, x_edges_loss, y_edges_loss
from ..network.box_heads import EDGES, IOU_ESTIMATE

__all__ = ["compile_model"]

#: Learning rates of optimizers that are given by name; others keep Keras's own.
DEFAULT_RATES = {"adam": 3e-3}


#: Factor of the loss of the edges' distributions in that of the box.
EDGES_WEIGHT = 0.125


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
    optimizer_type, config = parse_optimizer(optimizer, learning_rate)
    factors = get_loss_weights(class_loss_weight, box_loss_weight)
    compile_with_weights(model, optimizer_type.from_config(config), box_loss, factors)


def get_loss_weights(class_loss_weight, box_loss_weight):
    """Factor of the loss of each output."""
    return {
        "class_prediction": float(class_loss_weight),
        "bbox_prediction": float(box_loss_weight),
        # It trains weights that nothing else does, so its factor is of no consequence.
        IOU_ESTIMATE: 1.0,
        EDGES[0]: EDGES_WEIGHT * float(box_loss_weight),
        EDGES[1]: EDGES_WEIGHT * float(box_loss_weight),
    }


def compile_with_weights(model, optimizer, box_loss, factors):
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


def parse_optimizer(optimizer, learning_rate):
    """Class and config of the optimizer that `optimizer` and `learning_rate` ask for."""
    given = keras.optimizers.get(optimizer)
    config = given.get_config()
    if learning_rate is None and isinstance(optimizer, str):
        learning_rate = DEFAULT_RATES.get(optimizer.lower())
    if learning_rate is not None:
        config["learning_rate"] = float(learning_rate)
    return type(given), config
