"""IoU of boxes, in NumPy float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

import numpy as np
import pandas as pd

from ..exceptions import BoxError
from .convention import as_ordered_boxes
from .rows import is_single_box, read_table
from .tables import is_default_index, warn_of_order

if TYPE_CHECKING:
    from ..typing import BoxesLike, BoxLike, FloatArray

__all__ = ["giou", "iou", "iou_matrix", "warn_of_table_order"]


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


def _pair(a: BoxesLike, b: BoxesLike) -> tuple[FloatArray, FloatArray, bool]:
    a, b = _read(a), _read(b)
    warn_of_table_order(("a", "b"), a, b)
    single = is_single_box(a) and is_single_box(b)
    a, b = as_ordered_boxes(a), as_ordered_boxes(b)
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise BoxError(f"Boxes are paired by row. Received {len(a)} and {len(b)} boxes.")
    a, b = np.broadcast_arrays(a, b)
    return a, b, single


def _read(boxes: BoxesLike) -> Any:
    """Boxes with the names of their columns; a list as an array, which is then made only once."""
    table = read_table(boxes)
    return np.asarray(table, dtype=object) if isinstance(table, (list, tuple)) else table


def warn_of_table_order(names: tuple[str, str], a: Any, b: Any) -> None:
    """Warn if two tables have the same labels in another order, unless one just counts its rows.

    The default index of a result of ``predict`` says nothing about its rows.
    """
    tables = [table for table in (a, b) if isinstance(table, pd.DataFrame)]
    if len(tables) == 2 and not any(is_default_index(table.index) for table in tables):
        warn_of_order(names, a.index, b.index, stacklevel=5)


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
