"""Box losses and the IoU metric, in keras.ops."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

if TYPE_CHECKING:
    from .typing import BoxLoss, Tensor

__all__ = [
    "BOX_LOSSES",
    "MeanIoU",
    "get_box_loss",
    "iou_estimate_loss",
    "order_edges",
    "x_edges_loss",
    "y_edges_loss",
]

#: Error of an edge above which the Huber loss is linear: a tenth of the image. Errors of normalised
#: edges never exceed Keras's default of 1, with which the loss would be half the squared error.
HUBER_DELTA = 0.1

#: Smallest denominator; keeps quotients and their gradients finite for boxes without area.
#: It is a lower bound, not added, so that equal small boxes have a loss of 0.
EPSILON = 1e-7


def get_box_loss(box_loss: str | BoxLoss) -> BoxLoss:
    """The loss function with a name, or the given callable."""
    if callable(box_loss):
        return box_loss
    if box_loss not in BOX_LOSSES:
        raise ValueError(
            f"box_loss must be one of {list(BOX_LOSSES)} or a callable (y_true, y_pred). "
            f"Received: {box_loss!r}."
        )
    return BOX_LOSSES[box_loss]


@keras.saving.register_keras_serializable("skbbox")
def huber(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Squared error of small deviations, absolute error of large ones."""
    return keras.losses.huber(y_true, y_pred, delta=HUBER_DELTA)


@keras.saving.register_keras_serializable("skbbox")
def giou(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """1 - generalised IoU, in 0..2: H. Rezatofighi et al., CVPR 2019, arXiv:1902.09630."""
    y_true, y_pred = _prepare_pair(y_true, y_pred)
    iou, union = _iou_and_union(y_true, y_pred)
    width, height = _enclose(y_true, y_pred)
    enclosing = width * height
    return 1 - iou + (enclosing - union) / _bound_denominator(enclosing)


@keras.saving.register_keras_serializable("skbbox")
def diou(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """1 - distance IoU, in 0..2: Z. Zheng et al., AAAI 2020, arXiv:1911.08287."""
    y_true, y_pred = _prepare_pair(y_true, y_pred)
    iou, _ = _iou_and_union(y_true, y_pred)
    width, height = _enclose(y_true, y_pred)
    # Twice the distance of the centres.
    apart = y_true[..., ::2] + y_true[..., 1::2] - y_pred[..., ::2] - y_pred[..., 1::2]
    distance = ops.sum(ops.square(apart), axis=-1) / 4
    return 1 - iou + distance / _bound_denominator(ops.square(width) + ops.square(height))


@keras.saving.register_keras_serializable("skbbox")
def ciou(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """1 - complete IoU, which adds the difference in shape to :func:`diou` (same paper)."""
    y_true, y_pred = _prepare_pair(y_true, y_pred)
    iou, _ = _iou_and_union(y_true, y_pred)
    angles = ops.arctan2(_width(y_true), _height(y_true) + EPSILON) - ops.arctan2(
        _width(y_pred), _height(y_pred) + EPSILON
    )
    shape = 4 / math.pi**2 * ops.square(angles)
    # The trade-off is a constant factor, without a gradient (section 3.2 of the paper).
    trade_off = ops.stop_gradient(shape / _bound_denominator(1 - iou + shape))
    return diou(y_true, y_pred) + trade_off * shape


@keras.saving.register_keras_serializable("skbbox")
def giou_l1(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """GIoU loss plus twice the mean absolute error of the edges, which guides disjoint boxes."""
    return giou(y_true, y_pred) + 2 * keras.losses.mean_absolute_error(y_true, y_pred)


BOX_LOSSES: dict[str, BoxLoss] = {
    "mse": keras.losses.mean_squared_error,
    "l1": keras.losses.mean_absolute_error,
    "huber": huber,
    "giou": giou,
    "diou": diou,
    "ciou": ciou,
    "giou_l1": giou_l1,
}


@keras.saving.register_keras_serializable("skbbox")
def iou_estimate_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Divergence of an estimated IoU from the actual IoU of the box; 0 if they are equal.

    It is their cross-entropy minus the entropy of the IoU, the lowest cross-entropy of any
    estimate.

    Parameters
    ----------
    y_true : tensor of shape (n, 4)
        True boxes.
    y_pred : tensor of shape (n, 5)
        The estimate in 0..1, and the predicted box.

    Returns
    -------
    tensor of shape (n,)
    """
    iou = ops.stop_gradient(_paired_iou(y_true, y_pred[..., 1:]))[..., None]
    entropy = keras.losses.binary_crossentropy(iou, iou)
    return keras.losses.binary_crossentropy(iou, y_pred[..., :1]) - entropy


@keras.saving.register_keras_serializable("skbbox")
def x_edges_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """Cross-entropy of the distributions of ``x_min`` and ``x_max`` with the true edges.

    The target is the two positions next to the true edge, with more probability for the
    nearer one: the distribution focal loss of X. Li et al., "Generalized Focal Loss",
    NeurIPS 2020, arXiv:2006.04388.

    Parameters
    ----------
    y_true : tensor of shape (n, 4)
        True boxes.
    y_pred : tensor of shape (n, length, 2)
        Logits of both edges at positions from 0 to 1.

    Returns
    -------
    tensor of shape (n,)
        Mean of both edges.
    """
    return _edges_loss(y_true[..., :2], y_pred)


@keras.saving.register_keras_serializable("skbbox")
def y_edges_loss(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The same as :func:`x_edges_loss` for ``y_min`` and ``y_max``."""
    return _edges_loss(y_true[..., 2:], y_pred)


@keras.saving.register_keras_serializable("skbbox")
class MeanIoU(keras.metrics.MeanMetricWrapper):
    """Keras metric: mean IoU of paired boxes given as ``x_min, x_max, y_min, y_max``.

    The edges are along the last axis. An inverted predicted box has no area, and an IoU of 0.

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

    def __init__(self, name: str = "mean_iou", dtype: str | None = None) -> None:
        super().__init__(fn=_paired_iou, name=name, dtype=dtype)
        self._direction = "up"

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name, "dtype": self.dtype}


def order_edges(boxes: Tensor) -> Tensor:
    """Boxes with the lower edge of each axis first."""
    low, high = boxes[..., ::2], boxes[..., 1::2]
    ordered = ops.stack([ops.minimum(low, high), ops.maximum(low, high)], axis=-1)
    return ops.reshape(ordered, ops.shape(boxes))


def _prepare_pair(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes of one dtype, the predicted ones with their edges in order.

    Inverted boxes would have no overlap, and no gradient (algorithm 1 of the GIoU paper).
    """
    y_pred = ops.convert_to_tensor(y_pred)
    return ops.cast(y_true, y_pred.dtype), order_edges(y_pred)


def _iou_and_union(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    intersection = _intersection(y_true, y_pred)
    union = _area(y_true) + _area(y_pred) - intersection
    return intersection / _bound_denominator(union), union


def _bound_denominator(denominator: Tensor) -> Tensor:
    return ops.maximum(denominator, EPSILON)


def _enclose(y_true: Tensor, y_pred: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height of the smallest box around both."""
    low = ops.minimum(y_true[..., ::2], y_pred[..., ::2])
    high = ops.maximum(y_true[..., 1::2], y_pred[..., 1::2])
    return high[..., 0] - low[..., 0], high[..., 1] - low[..., 1]


def _paired_iou(y_true: Tensor, y_pred: Tensor) -> Tensor:
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    intersection = _intersection(y_true, y_pred)
    return ops.divide_no_nan(intersection, _area(y_true) + _area(y_pred) - intersection)


def _intersection(y_true: Tensor, y_pred: Tensor) -> Tensor:
    return _extent(
        ops.minimum(y_true[..., 1], y_pred[..., 1]) - ops.maximum(y_true[..., 0], y_pred[..., 0]),
        ops.minimum(y_true[..., 3], y_pred[..., 3]) - ops.maximum(y_true[..., 2], y_pred[..., 2]),
    )


def _area(boxes: Tensor) -> Tensor:
    return _extent(_width(boxes), _height(boxes))


def _width(boxes: Tensor) -> Tensor:
    return boxes[..., 1] - boxes[..., 0]


def _height(boxes: Tensor) -> Tensor:
    return boxes[..., 3] - boxes[..., 2]


def _extent(width: Tensor, height: Tensor) -> Tensor:
    return ops.maximum(width, 0.0) * ops.maximum(height, 0.0)


def _edges_loss(edges: Tensor, logits: Tensor) -> Tensor:
    length = logits.shape[1]
    positions = ops.reshape(ops.arange(length, dtype=logits.dtype), (1, length, 1))
    true_positions = ops.cast(edges, logits.dtype)[:, None] * (length - 1)
    # 1 at the edge itself, 0 at a distance of one position or more.
    target = ops.maximum(1 - ops.abs(true_positions - positions), 0.0)
    entropy = -ops.sum(target * ops.log_softmax(logits, axis=1), axis=1)
    return ops.mean(entropy, axis=-1)
