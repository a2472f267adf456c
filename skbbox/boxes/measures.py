"""IoU and the measures derived from it, in NumPy float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..exceptions import BoxError
from .convention import as_boxes, as_class_names, as_ordered_boxes, is_single_box

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..typing import BoxesLike, BoxLike, FloatArray

__all__ = ["giou", "iou", "iou_at", "iou_matrix", "localization_accuracy", "mean_iou"]


@overload
def iou(a: BoxLike, b: BoxLike) -> float: ...
@overload
def iou(a: BoxesLike, b: BoxesLike) -> FloatArray | Any: ...
def iou(a: BoxesLike, b: BoxesLike) -> float | FloatArray:
    """IoU of paired boxes given as ``x_min, x_max, y_min, y_max``.

    The intersection over union is the area that two boxes share, divided by the area that they
    cover together.

    Parameters
    ----------
    a, b : array-like of shape (4,) or (n_boxes, 4), or a table of boxes
        Both in the same unit, normalised or pixels. A fifth entry is a label and
        is ignored. A single box is paired with every box of the other argument.

    Returns
    -------
    float or ndarray of shape (n_boxes,)
        In 0..1; a float for two single boxes. It is 0 if boxes are disjoint or only
        touch, or if one has no area, even for a box compared with itself. Empty
        tables give an empty array.

    Raises
    ------
    BoxError
        If a coordinate is NaN or infinite, or a box is inverted.

    References
    ----------
    .. [1] P. Jaccard, "The distribution of the flora in the alpine zone",
       New Phytologist 11 (1912), 37-50.

    Examples
    --------
    >>> from skbbox import iou
    >>> iou((0.2, 0.7, 0.3, 0.6, "first"), (0.4, 0.6, 0.2, 0.5, "second"))
    0.23529411764705882
    """
    a, b, single = _pair(a, b)
    intersection = _intersection(a, b)
    union = _area(a) + _area(b) - intersection
    return _unwrap(_ratio(intersection, union), single)


@overload
def giou(a: BoxLike, b: BoxLike) -> float: ...
@overload
def giou(a: BoxesLike, b: BoxesLike) -> FloatArray | Any: ...
def giou(a: BoxesLike, b: BoxesLike) -> float | FloatArray:
    """Generalised IoU of paired boxes given as ``x_min, x_max, y_min, y_max``.

    The IoU minus the share of the enclosing box that neither box covers. Unlike the
    IoU, it also depends on the distance of boxes that do not overlap.

    Parameters
    ----------
    a, b : array-like of shape (4,) or (n_boxes, 4), or a table of boxes
        As for :func:`iou`.

    Returns
    -------
    float or ndarray of shape (n_boxes,)
        In -1..1; a float for two single boxes. It is 0 if both are the same point.

    Raises
    ------
    BoxError
        If a coordinate is NaN or infinite, or a box is inverted.

    References
    ----------
    .. [1] H. Rezatofighi et al., "Generalized Intersection over Union",
       CVPR 2019, algorithm 1.

    Examples
    --------
    >>> from skbbox import giou
    >>> giou((0.0, 0.25, 0.0, 1.0), (0.75, 1.0, 0.0, 1.0))
    -0.5
    """
    a, b, single = _pair(a, b)
    intersection = _intersection(a, b)
    union = _area(a) + _area(b) - intersection
    hull = (np.maximum(a[:, 1], b[:, 1]) - np.minimum(a[:, 0], b[:, 0])) * (
        np.maximum(a[:, 3], b[:, 3]) - np.minimum(a[:, 2], b[:, 2])
    )
    return _unwrap(_ratio(intersection, union) - _ratio(hull - union, hull), single)


def iou_matrix(a: BoxesLike, b: BoxesLike) -> FloatArray:
    """IoU of every pair of boxes from two lists given as ``x_min, x_max, y_min, y_max``.

    Parameters
    ----------
    a : array-like of shape (n_a, 4), or a table of boxes
    b : array-like of shape (n_b, 4), or a table of boxes
        As for :func:`iou`.

    Returns
    -------
    ndarray of shape (n_a, n_b)
        In 0..1; a row for each box of `a`.

    Raises
    ------
    BoxError
        If a coordinate is NaN or infinite, or a box is inverted.

    Examples
    --------
    >>> from skbbox import iou_matrix
    >>> iou_matrix([(0, 1, 0, 1)], [(0, 0.5, 0, 1), (0, 0.5, 0, 0.5)])
    array([[0.5 , 0.25]])
    """
    a, b = as_ordered_boxes(a), as_ordered_boxes(b)
    left, right = np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))
    return iou(left, right).reshape(len(a), len(b))


def mean_iou(
    y_true: BoxesLike, y_pred: BoxesLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Mean IoU of paired boxes given as ``x_min, x_max, y_min, y_max``.

    Parameters
    ----------
    y_true, y_pred : table of boxes
        A DataFrame or structured array with the columns of ``TARGET_COLUMNS``,
        an array of shape (n_boxes, 4), or the object array that
        ``cross_val_predict`` returns. In one unit; rows are paired by position.
    sample_weight : array-like of shape (n_boxes,), default=None
        Weight of each row.

    Returns
    -------
    float
        In 0..1.

    Raises
    ------
    BoxError
        If there are no rows, the lengths differ, a coordinate is NaN or infinite,
        or a box is inverted.

    Examples
    --------
    >>> from skbbox import mean_iou
    >>> mean_iou([(0, 1, 0, 1), (0, 1, 0, 1)], [(0, 1, 0, 1), (0, 0.5, 0, 1)])
    0.75
    """
    return _mean(iou(*_read_tables(y_true, y_pred)), sample_weight)


def iou_at(
    y_true: BoxesLike,
    y_pred: BoxesLike,
    *,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Share of boxes ``x_min, x_max, y_min, y_max`` with IoU >= `threshold`.

    Parameters
    ----------
    y_true, y_pred : table of boxes
        As for :func:`mean_iou`.
    threshold : float, default=0.5
        In 0..1.
    sample_weight : array-like of shape (n_boxes,), default=None
        Weight of each row.

    Returns
    -------
    float
        In 0..1.

    Raises
    ------
    BoxError
        As :func:`mean_iou` does.

    Examples
    --------
    >>> from skbbox import iou_at
    >>> iou_at([(0, 1, 0, 1), (0, 1, 0, 1)], [(0, 1, 0, 1), (0, 0.4, 0, 1)])
    0.5
    """
    return _mean(iou(*_read_tables(y_true, y_pred)) >= threshold, sample_weight)


def localization_accuracy(
    y_true: BoxesLike,
    y_pred: BoxesLike,
    *,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Share of boxes ``x_min, x_max, y_min, y_max`` with the right class and IoU >= `threshold`.

    Parameters
    ----------
    y_true, y_pred : table of boxes with a class
        As for :func:`mean_iou`, with the column ``class_name``. In rows of an array, the
        class comes before the four numbers.
    threshold : float, default=0.5
        In 0..1.
    sample_weight : array-like of shape (n_boxes,), default=None
        Weight of each row.

    Returns
    -------
    float
        In 0..1.

    Raises
    ------
    BoxError
        As :func:`mean_iou` does, and if a table has no classes.

    References
    ----------
    .. [1] O. Russakovsky et al., "ImageNet Large Scale Visual Recognition
       Challenge", IJCV 115 (2015), section 4.2 (single-object localization).

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import TARGET_COLUMNS, localization_accuracy
    >>> true = pd.DataFrame([("cat", 0, 1, 0, 1), ("dog", 0, 1, 0, 1)],
    ...                     columns=TARGET_COLUMNS)
    >>> localization_accuracy(true, true.assign(class_name="cat"))
    0.5
    """
    located = iou(*_read_tables(y_true, y_pred)) >= threshold
    names = as_class_names(y_true), as_class_names(y_pred)
    if names[0] is None or names[1] is None:
        raise BoxError(
            "localization_accuracy compares classes, but "
            f"{'y_true' if names[0] is None else 'y_pred'} has no class_name; "
            "use iou_at for boxes without classes."
        )
    return _mean(located & (names[0] == names[1]), sample_weight)


def _pair(a: BoxesLike, b: BoxesLike) -> tuple[FloatArray, FloatArray, bool]:
    single = is_single_box(a) and is_single_box(b)
    a, b = as_ordered_boxes(a), as_ordered_boxes(b)
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise BoxError(f"Boxes are paired by row. Received {len(a)} and {len(b)} boxes.")
    a, b = np.broadcast_arrays(a, b)
    return a, b, single


def _read_tables(y_true: BoxesLike, y_pred: BoxesLike) -> tuple[FloatArray, FloatArray]:
    true, pred = as_boxes(y_true), as_boxes(y_pred)
    if len(true) != len(pred):
        raise BoxError(
            f"y_true and y_pred are paired by row. Received {len(true)} and {len(pred)} rows."
        )
    if len(true) == 0:
        raise BoxError("There are no boxes to compare: y_true has 0 rows.")
    return true, pred


def _mean(values: NDArray[Any], sample_weight: ArrayLike | None) -> float:
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight, dtype=np.float64)
        if sample_weight.shape != np.shape(values):
            raise BoxError(
                f"sample_weight needs one entry for each of the {len(values)} rows. "
                f"Received shape {sample_weight.shape}."
            )
        wrong = np.flatnonzero(~np.isfinite(sample_weight) | (sample_weight < 0))
        if wrong.size:
            raise BoxError(
                "sample_weight must be finite and not negative. "
                f"Received: {sample_weight[wrong[0]]} in row {wrong[0]}."
            )
        if sample_weight.sum() == 0:
            raise BoxError(
                "sample_weight is zero in every row; at least one weight must be positive."
            )
    return float(np.average(values, weights=sample_weight))


def _area(boxes: FloatArray) -> FloatArray:
    return (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])


def _intersection(a: FloatArray, b: FloatArray) -> FloatArray:
    width = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 2], b[:, 2])
    return np.maximum(width, 0.0) * np.maximum(height, 0.0)


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Quotient; 0 where the denominator is 0, because the numerator is 0 as well."""
    return numerator / np.where(denominator > 0, denominator, 1.0)


def _unwrap(values: FloatArray, single: bool) -> float | FloatArray:
    return float(values[0]) if single else values
