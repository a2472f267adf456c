"""Box geometry and the measures built on it, in NumPy float64.

This module owns the convention: a box is ``x_min, x_max, y_min, y_max``, each
edge normalised by the image's width or height to 0..1, origin at the top left,
half-open (``x_max - x_min`` is the width).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard, overload

import numpy as np
import pandas as pd

from .exceptions import BoxError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from .typing import BoxesLike, BoxLike, FloatArray

__all__ = [
    "COORDINATES",
    "TARGET_COLUMNS",
    "as_boxes",
    "as_class_names",
    "check_boxes",
    "giou",
    "iou",
    "iou_at",
    "iou_matrix",
    "localization_accuracy",
    "mean_iou",
]

COORDINATES = ("x_min", "x_max", "y_min", "y_max")
TARGET_COLUMNS = ("class_name", *COORDINATES)

#: Edges this far outside 0..1 are rounding, not a mistake, and are clipped.
OVERSHOOT = 1e-6
#: From here on an edge outside 0..1 is taken for a pixel coordinate.
PIXELS_FROM = 2.0


@overload
def iou(a: BoxLike, b: BoxLike) -> float: ...
@overload
def iou(a: BoxesLike, b: BoxesLike) -> FloatArray | Any: ...
def iou(a: BoxesLike, b: BoxesLike) -> float | FloatArray:
    """Intersection over union of paired boxes.

    Parameters
    ----------
    a, b : array-like of shape (4,) or (n_boxes, 4), or a table of boxes
        Boxes as ``x_min, x_max, y_min, y_max``, in one unit (normalised or
        pixels). A fifth entry is a label and ignored. One single box is paired
        with every box of the other argument.

    Returns
    -------
    float or ndarray of shape (n_boxes,)
        In 0..1. It is 0 for boxes that are disjoint or only touch, and for a
        box without area, also with itself. No boxes give an empty array.

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
    a, b, single = _paired(a, b)
    intersection = _intersection(a, b)
    union = _area(a) + _area(b) - intersection
    return _unwrapped(_ratio(intersection, union), single)


@overload
def giou(a: BoxLike, b: BoxLike) -> float: ...
@overload
def giou(a: BoxesLike, b: BoxesLike) -> FloatArray | Any: ...
def giou(a: BoxesLike, b: BoxesLike) -> float | FloatArray:
    """Generalised intersection over union of paired boxes.

    The IoU less the share of the enclosing box that neither box covers, so that
    boxes which do not overlap are still told apart by their distance.

    Parameters
    ----------
    a, b : array-like of shape (4,) or (n_boxes, 4), or a table of boxes
        As for :func:`iou`.

    Returns
    -------
    float or ndarray of shape (n_boxes,)
        In -1..1; 0 for two boxes that are the same single point.

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
    a, b, single = _paired(a, b)
    intersection = _intersection(a, b)
    union = _area(a) + _area(b) - intersection
    hull = (np.maximum(a[:, 1], b[:, 1]) - np.minimum(a[:, 0], b[:, 0])) * (
        np.maximum(a[:, 3], b[:, 3]) - np.minimum(a[:, 2], b[:, 2])
    )
    return _unwrapped(_ratio(intersection, union) - _ratio(hull - union, hull), single)


def iou_matrix(a: BoxesLike, b: BoxesLike) -> FloatArray:
    """Intersection over union of every box of `a` with every box of `b`.

    Parameters
    ----------
    a : array-like of shape (n_a, 4), or a table of boxes
    b : array-like of shape (n_b, 4), or a table of boxes
        As for :func:`iou`.

    Returns
    -------
    ndarray of shape (n_a, n_b)
        In 0..1.

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
    a, b = _proper(as_boxes(a)), _proper(as_boxes(b))
    left, right = np.repeat(a, len(b), axis=0), np.tile(b, (len(a), 1))
    return iou(left, right).reshape(len(a), len(b))


def mean_iou(
    y_true: BoxesLike, y_pred: BoxesLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Mean IoU of paired true and predicted boxes.

    Parameters
    ----------
    y_true, y_pred : table of boxes
        A DataFrame or structured array with the columns of ``TARGET_COLUMNS``,
        an array of shape (n_boxes, 4), or the object array that
        ``cross_val_predict`` returns. Rows are paired by position.
    sample_weight : array-like of shape (n_boxes,), default=None
        Weight of each row.

    Returns
    -------
    float
        In 0..1.

    Raises
    ------
    BoxError
        If there are no rows, lengths differ, a coordinate is NaN or infinite,
        or a box is inverted.

    Examples
    --------
    >>> from skbbox import mean_iou
    >>> mean_iou([(0, 1, 0, 1), (0, 1, 0, 1)], [(0, 1, 0, 1), (0, 0.5, 0, 1)])
    0.75
    """
    return _mean(iou(*_tables(y_true, y_pred)), sample_weight)


def iou_at(
    y_true: BoxesLike,
    y_pred: BoxesLike,
    *,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Share of predictions whose IoU is at least `threshold`.

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
    return _mean(iou(*_tables(y_true, y_pred)) >= threshold, sample_weight)


def localization_accuracy(
    y_true: BoxesLike,
    y_pred: BoxesLike,
    *,
    threshold: float = 0.5,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Share of predictions with the right class and an IoU of at least `threshold`.

    Parameters
    ----------
    y_true, y_pred : table of boxes with a class
        As for :func:`mean_iou`, with the column ``class_name``.
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
        As :func:`mean_iou` does, and if one of the tables has no classes.

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
    located = iou(*_tables(y_true, y_pred)) >= threshold
    names = as_class_names(y_true), as_class_names(y_pred)
    if names[0] is None or names[1] is None:
        raise BoxError(
            "localization_accuracy compares classes, but "
            f"{'y_true' if names[0] is None else 'y_pred'} has no class_name; "
            "use iou_at for boxes alone."
        )
    return _mean(located & (names[0] == names[1]), sample_weight)


def as_boxes(boxes: BoxesLike) -> FloatArray:
    """Coordinates of any table of boxes, as they are.

    Parameters
    ----------
    boxes : DataFrame, structured array or array-like
        A table with the columns ``x_min, x_max, y_min, y_max``; or boxes as
        sequences of four numbers; a fifth entry is a label and ignored. Rows of
        an object array may begin with the class, the order in which
        ``cross_val_predict`` returns them.

    Returns
    -------
    ndarray of shape (n_boxes, 4), float64

    Raises
    ------
    BoxError
        If a column is missing or an entry is not a number.
    """
    if isinstance(boxes, (pd.DataFrame, pd.Series)) or _is_structured(boxes):
        names = _column_names(boxes)
        missing = [name for name in COORDINATES if name not in names]
        if missing:
            raise BoxError(
                f"A table of boxes needs the columns {list(COORDINATES)}; missing: "
                f"{missing}. Received: {list(names)}."
            )
        columns = [np.atleast_1d(np.asarray(boxes[name], dtype=object)) for name in COORDINATES]
        return _as_float(np.stack(columns, axis=1))
    rows = np.asarray(boxes, dtype=object)
    if rows.ndim == 1 and rows.size and not _is_nested(rows):
        rows = rows[None]
    if rows.size == 0:
        return np.empty((0, 4))
    if rows.ndim != 2 or rows.shape[1] < 4:
        raise BoxError(
            "A box is four numbers x_min, x_max, y_min, y_max. "
            f"Received an array of shape {rows.shape}."
        )
    first = int(_begins_with_class(rows))
    return _as_float(rows[:, first : first + 4])


def as_class_names(boxes: BoxesLike) -> NDArray[np.object_] | None:
    """Classes of any table of boxes, as an object array; None where it has none.

    Takes what :func:`as_boxes` takes.
    """
    if isinstance(boxes, (pd.DataFrame, pd.Series)) or _is_structured(boxes):
        if "class_name" not in _column_names(boxes):
            return None
        return np.atleast_1d(np.asarray(boxes["class_name"], dtype=object))
    rows = np.asarray(boxes, dtype=object)
    if rows.ndim == 2 and len(rows) and _begins_with_class(rows):
        return rows[:, 0]
    return None


def check_boxes(boxes: BoxesLike) -> FloatArray:
    """Coordinates that a model can be trained on or scored against.

    Parameters
    ----------
    boxes : table of boxes
        As for :func:`as_boxes`, normalised to 0..1.

    Returns
    -------
    ndarray of shape (n_boxes, 4), float64
        Overshoot of up to 1e-6 beyond 0 and 1 is clipped.

    Raises
    ------
    BoxError
        Naming the first row that is missing, infinite, in pixels, outside the
        image, inverted or empty.
    """
    boxes = as_boxes(boxes)
    _refuse(
        boxes,
        ~np.isfinite(boxes).all(axis=1),
        "a coordinate is missing or not finite; drop the row or give its box",
    )
    _refuse(
        boxes,
        (np.abs(boxes) >= PIXELS_FROM).any(axis=1),
        "these look like pixel coordinates; divide x by the image's width and y by its "
        "height, because boxes are normalised to 0..1",
    )
    _refuse(
        boxes,
        ((boxes < -OVERSHOOT) | (boxes > 1 + OVERSHOOT)).any(axis=1),
        "an edge lies outside the image, that is outside 0..1; clip the box or correct it",
    )
    boxes = np.clip(boxes, 0.0, 1.0)
    _refuse(
        boxes,
        (boxes[:, 0] > boxes[:, 1]) | (boxes[:, 2] > boxes[:, 3]),
        "the box is inverted; the order is x_min, x_max, y_min, y_max",
    )
    _refuse(boxes, _area(boxes) <= 0, "the box is empty; its width or height is 0")
    return boxes


def _refuse(boxes: FloatArray, wrong: ArrayLike, reason: str) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        values = ", ".join(
            f"{name}={value:g}" for name, value in zip(COORDINATES, boxes[rows[0]], strict=True)
        )
        more = f" ({rows.size - 1} more rows like it)" if rows.size > 1 else ""
        raise BoxError(f"Row {rows[0]}: {reason}. Received: {values}{more}.")


def _proper(boxes: FloatArray) -> FloatArray:
    _refuse(boxes, ~np.isfinite(boxes).all(axis=1), "a coordinate is missing or not finite")
    _refuse(
        boxes,
        (boxes[:, 0] > boxes[:, 1]) | (boxes[:, 2] > boxes[:, 3]),
        "the box is inverted; the order is x_min, x_max, y_min, y_max",
    )
    return boxes


def _paired(a: BoxesLike, b: BoxesLike) -> tuple[FloatArray, FloatArray, bool]:
    single = _is_single(a) and _is_single(b)
    a, b = _proper(as_boxes(a)), _proper(as_boxes(b))
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        raise BoxError(f"Boxes are paired by row. Received {len(a)} and {len(b)} boxes.")
    a, b = np.broadcast_arrays(a, b)
    return a, b, single


def _tables(y_true: BoxesLike, y_pred: BoxesLike) -> tuple[FloatArray, FloatArray]:
    true, pred = as_boxes(y_true), as_boxes(y_pred)
    if len(true) != len(pred):
        raise BoxError(
            f"y_true and y_pred are paired by row. Received {len(true)} and {len(pred)} rows."
        )
    if len(true) == 0:
        raise BoxError("There is no box to measure: y_true has 0 rows.")
    return true, pred


def _mean(values: NDArray[Any], sample_weight: ArrayLike | None) -> float:
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight, dtype=np.float64)
        if sample_weight.shape != np.shape(values):
            raise BoxError(
                f"sample_weight needs one entry for each of the {len(values)} rows. "
                f"Received shape {sample_weight.shape}."
            )
        if not (np.isfinite(sample_weight) & (sample_weight >= 0)).all():
            raise BoxError("sample_weight holds a weight that is negative or not finite.")
        if sample_weight.sum() == 0:
            raise BoxError("sample_weight needs a positive sum; every row has weight 0.")
    return float(np.average(values, weights=sample_weight))


def _area(boxes: FloatArray) -> FloatArray:
    return (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])


def _intersection(a: FloatArray, b: FloatArray) -> FloatArray:
    width = np.minimum(a[:, 1], b[:, 1]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 2], b[:, 2])
    return np.maximum(width, 0.0) * np.maximum(height, 0.0)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """Quotient that is 0 where the whole is 0, as the part is 0 then too."""
    return part / np.where(whole > 0, whole, 1.0)


def _unwrapped(values: FloatArray, single: bool) -> float | FloatArray:
    return float(values[0]) if single else values


def _is_single(boxes: BoxesLike) -> bool:
    if isinstance(boxes, pd.DataFrame):
        return False
    if isinstance(boxes, pd.Series) or _is_structured(boxes):
        return np.ndim(boxes) == 0 or (isinstance(boxes, pd.Series) and "x_min" in boxes.index)
    rows = np.asarray(boxes, dtype=object)
    return rows.ndim == 1 and rows.size > 0 and not _is_nested(rows)


def _is_nested(rows: NDArray[Any]) -> bool:
    return isinstance(rows[0], (tuple, list, np.ndarray))


def _is_structured(boxes: object) -> TypeGuard[NDArray[np.void]]:
    return getattr(getattr(boxes, "dtype", None), "names", None) is not None


def _column_names(boxes: pd.DataFrame | pd.Series | NDArray[np.void]) -> list[Any]:
    if isinstance(boxes, pd.DataFrame):
        return list(boxes.columns)
    return list(boxes.index) if isinstance(boxes, pd.Series) else list(boxes.dtype.names or ())


def _begins_with_class(rows: NDArray[Any]) -> bool:
    """Whether rows are (class_name, four coordinates, ...) and not (four coordinates, ...).

    ``predict`` puts a number and perhaps an error behind the coordinates, or a label stands there.
    """
    n_columns = rows.shape[1]
    if n_columns < 5:
        return False
    if n_columns == 6 and not _is_number(rows[0, 5]):
        return not _is_number(rows[0, 0])
    return n_columns > 5 or not _is_number(rows[0, 0])


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))


def _as_float(rows: NDArray[Any]) -> FloatArray:
    try:
        return np.where(pd.isna(rows), np.nan, rows).astype(np.float64)
    except (TypeError, ValueError):
        number, name, value = next(
            (number, name, value)
            for number, row in enumerate(rows)
            for name, value in zip(COORDINATES, row, strict=True)
            if not _has_float(value)
        )
        raise BoxError(f"Row {number}: {name} is not a number. Received: {value!r}.") from None


def _has_float(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
