"""What the box output is trained on and watched by, in keras.ops."""

import keras
from keras import ops

__all__ = ["BOX_LOSSES", "MeanIoU", "get_box_loss"]


def get_box_loss(box_loss):
    """The loss function of a name, or the callable that was given."""
    if callable(box_loss):
        return box_loss
    if box_loss not in BOX_LOSSES:
        raise ValueError(
            f"box_loss must be one of {list(BOX_LOSSES)} or a callable (y_true, y_pred). "
            f"Received: {box_loss!r}."
        )
    return BOX_LOSSES[box_loss]


BOX_LOSSES = {"mse": keras.losses.mean_squared_error}


@keras.saving.register_keras_serializable("skbbox")
class MeanIoU(keras.metrics.MeanMetricWrapper):
    """Keras metric: mean IoU of paired boxes.

    Boxes are ``x_min, x_max, y_min, y_max`` along the last axis. A predicted box
    that is inverted has no area, and an IoU of 0.

    Parameters
    ----------
    name : str, default="mean_iou"
    dtype : str, default=None

    Examples
    --------
    >>> from skbbox import MeanIoU
    >>> metric = MeanIoU()
    >>> metric.update_state([[0.0, 1.0, 0.0, 1.0]], [[0.0, 0.5, 0.0, 1.0]])
    >>> float(metric.result())
    0.5
    """

    def __init__(self, name="mean_iou", dtype=None):
        super().__init__(fn=_paired_iou, name=name, dtype=dtype)
        self._direction = "up"

    def get_config(self):
        return {"name": self.name, "dtype": self.dtype}


def _paired_iou(y_true, y_pred):
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    intersection = _extent(
        ops.minimum(y_true[..., 1], y_pred[..., 1]) - ops.maximum(y_true[..., 0], y_pred[..., 0]),
        ops.minimum(y_true[..., 3], y_pred[..., 3]) - ops.maximum(y_true[..., 2], y_pred[..., 2]),
    )
    return ops.divide_no_nan(intersection, _area(y_true) + _area(y_pred) - intersection)


def _area(boxes):
    return _extent(boxes[..., 1] - boxes[..., 0], boxes[..., 3] - boxes[..., 2])


def _extent(width, height):
    return ops.maximum(width, 0.0) * ops.maximum(height, 0.0)
