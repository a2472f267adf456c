"""The package's convention for boxes, and functions that bring other representations into it.

A box is ``x_min, x_max, y_min, y_max``. Each edge is normalised by the width or height of the
image to 0..1. The origin is the top left corner. Boxes are half-open: the width is
``x_max - x_min``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pandas as pd

from ..exceptions import BoxError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..typing import BoxesLike, FloatArray

__all__ = [
    "COORDINATES",
    "OVERSHOOT",
    "PIXELS_FROM",
    "TARGET_COLUMNS",
    "as_boxes",
    "as_class_names",
    "as_ordered_boxes",
    "check_boxes",
    "from_xyxy",
    "is_single_box",
    "to_xyxy",
]

COORDINATES = ("x_min", "x_max", "y_min", "y_max")
TARGET_COLUMNS = ("class_name", *COORDINATES)

#: Edges up to this far outside 0..1 are rounding errors and are clipped.
OVERSHOOT = 1e-6
#: Edges this far from 0 or farther are reported as pixel coordinates.
PIXELS_FROM = 2.0


def from_xyxy(boxes: ArrayLike) -> FloatArray:
    """Reorder ``x_min, y_min, x_max, y_max`` to ``x_min, x_max, y_min, y_max``.

    Parameters
    ----------
    boxes : array-like of shape (4,) or (n_boxes, 4)
        One box or several as ``x_min, y_min, x_max, y_max``, in any unit.

    Returns
    -------
    ndarray of shape (4,) or (n_boxes, 4), float64
        The same numbers as ``x_min, x_max, y_min, y_max``, in the same unit. To normalise
        pixels, divide x by the width and y by the height of the image.

    Raises
    ------
    BoxError
        If the shape is a different one, `boxes` has column names, an entry is not a number,
        missing or infinite, or a box is inverted.

    Examples
    --------
    >>> from skbbox import from_xyxy
    >>> from_xyxy([0.2, 0.3, 0.7, 0.6])
    array([0.2, 0.7, 0.3, 0.6])
    """
    if isinstance(boxes, (pd.DataFrame, pd.Series)) or _is_structured(boxes):
        raise BoxError(
            "from_xyxy reorders an array without column names, by position. "
            f"Received: {type(boxes).__name__}. Tables with the columns {list(COORDINATES)} are "
            "read by name and need no conversion; pass other tables as an array."
        )
    rows = np.asarray(boxes, dtype=object)
    if rows.size == 0:
        return np.empty((0, 4))
    if rows.ndim not in (1, 2) or rows.shape[-1] != 4:
        raise BoxError(
            "from_xyxy takes boxes x_min, y_min, x_max, y_max as an array of shape (4,) or "
            f"(n_boxes, 4). Received an array of shape {rows.shape}."
        )
    converted = _as_float(_swap_middle_columns(np.atleast_2d(rows)))
    _check_order(converted, "x_min, y_min, x_max, y_max")
    return converted[0] if rows.ndim == 1 else converted


def to_xyxy(boxes: BoxesLike) -> FloatArray:
    """Reorder ``x_min, x_max, y_min, y_max`` to ``x_min, y_min, x_max, y_max``.

    Parameters
    ----------
    boxes : array-like of shape (4,) or (n_boxes, 4), or a table of boxes
        As for :func:`iou`, in any unit.

    Returns
    -------
    ndarray of shape (4,) or (n_boxes, 4), float64
        The same numbers as ``x_min, y_min, x_max, y_max``, in the same unit. One box gives
        shape (4,), a table (n_boxes, 4).

    Raises
    ------
    BoxError
        If `boxes` is not a table of boxes, a coordinate is NaN or infinite, or a box is
        inverted.

    Examples
    --------
    >>> from skbbox import to_xyxy
    >>> to_xyxy([0.2, 0.7, 0.3, 0.6])
    array([0.2, 0.3, 0.7, 0.6])
    """
    converted = _swap_middle_columns(as_ordered_boxes(boxes))
    return converted[0] if is_single_box(boxes) else converted


def as_boxes(boxes: BoxesLike) -> FloatArray:
    """Read a table, or numbers in the order ``x_min, x_max, y_min, y_max``, into an array.

    Values are not checked or changed.

    Parameters
    ----------
    boxes : DataFrame, structured array or array-like
        A table with the columns ``x_min, x_max, y_min, y_max``; or boxes as
        sequences of four numbers. A fifth entry is a label and is ignored. Rows of
        an object array may begin with the class, as ``cross_val_predict`` returns
        them.

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
    """Read the classes of a table of boxes into an object array; None if it has none.

    Accepts the same types as :func:`as_boxes`.
    """
    if isinstance(boxes, (pd.DataFrame, pd.Series)) or _is_structured(boxes):
        if "class_name" not in _column_names(boxes):
            return None
        return np.atleast_1d(np.asarray(boxes["class_name"], dtype=object))
    rows = np.asarray(boxes, dtype=object)
    if rows.ndim == 2 and len(rows) and _begins_with_class(rows):
        return rows[:, 0]
    return None


def as_ordered_boxes(boxes: BoxesLike) -> FloatArray:
    """Read boxes ``x_min, x_max, y_min, y_max``, and check that edges are finite and in order.

    Unlike :func:`check_boxes`, accepts any unit and empty boxes.
    """
    return _check_order(as_boxes(boxes), "x_min, x_max, y_min, y_max")


def check_boxes(boxes: BoxesLike) -> FloatArray:
    """Read boxes ``x_min, x_max, y_min, y_max``, and check them for training or scoring.

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
        If a box is missing, infinite, in pixels, outside the image, inverted or empty.
        Names the first such row.
    """
    boxes = as_boxes(boxes)
    _raise_for_rows(
        boxes,
        ~np.isfinite(boxes).all(axis=1),
        "a coordinate is missing or not finite; drop the row or add its box",
    )
    _raise_for_rows(
        boxes,
        (np.abs(boxes) >= PIXELS_FROM).any(axis=1),
        "these look like pixel coordinates; divide x by the image's width and y by its "
        "height, because boxes are normalised to 0..1",
    )
    _raise_for_rows(
        boxes,
        ((boxes < -OVERSHOOT) | (boxes > 1 + OVERSHOOT)).any(axis=1),
        "an edge lies outside the image, that is outside 0..1; clip the box or correct it",
    )
    boxes = _check_order(np.clip(boxes, 0.0, 1.0), "x_min, x_max, y_min, y_max")
    _raise_for_rows(
        boxes,
        (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2]) <= 0,
        "the box is empty; its width or height is 0",
    )
    return boxes


def is_single_box(boxes: BoxesLike) -> bool:
    """Whether `boxes` is one box and not a table, for example one row of a DataFrame."""
    if isinstance(boxes, pd.DataFrame):
        return False
    if isinstance(boxes, pd.Series) or _is_structured(boxes):
        return np.ndim(boxes) == 0 or (isinstance(boxes, pd.Series) and "x_min" in boxes.index)
    rows = np.asarray(boxes, dtype=object)
    return rows.ndim == 1 and rows.size > 0 and not _is_nested(rows)


def _check_order(boxes: FloatArray, order: str) -> FloatArray:
    _raise_for_rows(boxes, ~np.isfinite(boxes).all(axis=1), "a coordinate is missing or not finite")
    _raise_for_rows(
        boxes,
        (boxes[:, 0] > boxes[:, 1]) | (boxes[:, 2] > boxes[:, 3]),
        f"the box is inverted; the order is {order}",
    )
    return boxes


def _raise_for_rows(boxes: FloatArray, wrong: ArrayLike, reason: str) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        values = ", ".join(
            f"{name}={value:g}" for name, value in zip(COORDINATES, boxes[rows[0]], strict=True)
        )
        more = f" ({rows.size - 1} more rows like it)" if rows.size > 1 else ""
        raise BoxError(f"Row {rows[0]}: {reason}. Received: {values}{more}.")


def _swap_middle_columns(boxes: NDArray[Any]) -> NDArray[Any]:
    return boxes.take([0, 2, 1, 3], axis=1)


def _is_structured(boxes: object) -> TypeGuard[NDArray[np.void]]:
    return getattr(getattr(boxes, "dtype", None), "names", None) is not None


def _column_names(boxes: pd.DataFrame | pd.Series | NDArray[np.void]) -> list[Any]:
    if isinstance(boxes, pd.DataFrame):
        return list(boxes.columns)
    return list(boxes.index) if isinstance(boxes, pd.Series) else list(boxes.dtype.names or ())


def _is_nested(rows: NDArray[Any]) -> bool:
    return isinstance(rows[0], (tuple, list, np.ndarray))


def _begins_with_class(rows: NDArray[Any]) -> bool:
    """Whether rows are (class_name, four coordinates, ...) and not (four coordinates, ...).

    The coordinates may be followed by a label, or by the further columns of ``predict``: numbers,
    and perhaps an error.
    """
    n_columns = rows.shape[1]
    if n_columns < 5:
        return False
    # An error is text or missing, and pandas stores a missing text as NaN.
    if n_columns == 6 and not (_is_number(rows[0, 5]) and np.isfinite(rows[0, 5])):
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
            if not _is_convertible(value)
        )
        raise BoxError(f"Row {number}: {name} is not a number. Received: {value!r}.") from None


def _is_convertible(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
