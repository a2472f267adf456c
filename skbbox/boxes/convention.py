"""The package's convention for boxes, and functions that bring other representations into it.

A box is ``x_min, x_max, y_min, y_max``. Each edge is normalised by the width or height of the
image to 0..1. The origin is the top left corner. Boxes are half-open: the width is
``x_max - x_min``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import BoxError
from .rows import (
    COORDINATES,
    RowNames,
    as_boxes,
    as_float,
    has_names,
    is_single_box,
    read_table,
)
from .tables import describe_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from ..typing import BoxesLike, FloatArray

__all__ = [
    "OVERSHOOT",
    "PIXELS_FROM",
    "as_optional_boxes",
    "as_ordered_boxes",
    "check_boxes",
    "find_boxes",
    "from_xyxy",
    "look_like_pixels",
    "to_xyxy",
]

#: Edges up to this far outside 0..1 are rounding errors and are clipped.
OVERSHOOT = 1e-6
#: Edges this far from 0 or farther are reported as pixel coordinates.
PIXELS_FROM = 2.0
#: Boxes of which two edges are within 0..1, one is a fraction, and all are closer than this, are
#: normalised boxes that are partly beyond the image.
BEYOND = 10.0


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
    received = describe_type(boxes)
    boxes = read_table(boxes)
    if has_names(boxes):
        raise BoxError(
            "from_xyxy reorders an array without column names, by position. "
            f"Received: {received}. Tables with the columns {list(COORDINATES)} are "
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
    converted = as_float(_swap_middle_columns(np.atleast_2d(rows)))
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
    boxes = read_table(boxes)
    converted = _swap_middle_columns(as_ordered_boxes(boxes))
    return converted[0] if is_single_box(boxes) else converted


def as_ordered_boxes(boxes: BoxesLike) -> FloatArray:
    """Read boxes ``x_min, x_max, y_min, y_max``, and check that edges are finite and in order.

    Unlike :func:`check_boxes`, accepts any unit and empty boxes.
    """
    boxes = read_table(boxes)
    return _check_order(as_boxes(boxes), "x_min, x_max, y_min, y_max", RowNames(boxes))


def find_boxes(boxes: FloatArray, names: RowNames | None = None) -> NDArray[np.bool_]:
    """Find the rows of an array of shape (n, 4) that have a box; others are NaN.

    Raises
    ------
    BoxError
        If only some coordinates of a row are missing.
    """
    missing = np.isnan(boxes)
    _raise_for_rows(
        boxes,
        names or RowNames(),
        missing.any(axis=1) & ~missing.all(axis=1),
        "half a box; a row has all four coordinates, or none if it has no box",
    )
    return np.asarray(~missing.all(axis=1))


def as_optional_boxes(boxes: BoxesLike) -> FloatArray:
    """Read boxes as :func:`as_ordered_boxes`; all four coordinates of a row may be missing."""
    table = read_table(boxes)
    names, boxes = RowNames(table), as_boxes(table)
    has_box = find_boxes(boxes, names)
    infinite = has_box & ~np.isfinite(boxes).all(axis=1)
    _raise_for_rows(boxes, names, infinite, "a coordinate is not finite")
    _raise_if_inverted(boxes, "x_min, x_max, y_min, y_max", names)
    return boxes


def check_boxes(
    boxes: BoxesLike, images: Sequence[Any] | None = None, *, allow_missing: bool = False
) -> FloatArray:
    """Read boxes ``x_min, x_max, y_min, y_max``, and check them for training or scoring.

    Parameters
    ----------
    boxes : table of boxes
        As for :func:`as_boxes`, normalised to 0..1.
    images : sequence of length n_boxes, default=None
        As for :func:`as_boxes`.
    allow_missing : bool, default=False
        Whether all four coordinates of a row may be missing.

    Returns
    -------
    ndarray of shape (n_boxes, 4), float64
        Overshoot of up to 1e-6 beyond 0 and 1 is clipped. Rows without a box are NaN.

    Raises
    ------
    BoxError
        If a box is missing, infinite, in pixels, outside the image, inverted or empty.
        Names the position, index label and image of the first such row.
    """
    table = read_table(boxes)
    names = RowNames(table, images)
    boxes = as_boxes(table, images)
    has_box = find_boxes(boxes, names) if allow_missing else np.ones(len(boxes), dtype=bool)
    _raise_for_rows(
        boxes,
        names,
        has_box & ~np.isfinite(boxes).all(axis=1),
        "a coordinate is missing or not finite; drop the row or add its box",
    )
    _raise_for_rows(
        boxes,
        names,
        look_like_pixels(boxes),
        "these look like pixel coordinates; divide x by the image's width and y by its "
        "height, because boxes are normalised to 0..1",
    )
    beyond = np.maximum(-boxes, boxes - 1).max(axis=1)
    outside = beyond > OVERSHOOT
    share = beyond[outside.argmax()] if outside.any() else 0.0
    _raise_for_rows(
        boxes,
        names,
        outside,
        f"an edge lies outside the image, that is outside 0..1, by {share:.3g} of its side; clip "
        "the box or correct it",
    )
    boxes = np.clip(boxes, 0.0, 1.0)
    _raise_if_inverted(boxes, "x_min, x_max, y_min, y_max", names)
    _raise_for_rows(
        boxes,
        names,
        (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2]) <= 0,
        "the box is empty; its width or height is 0",
    )
    return boxes


def look_like_pixels(boxes: FloatArray) -> NDArray[np.bool_]:
    """Whether boxes of shape (..., 4) are in pixels, and not normalised and partly outside."""
    sides = np.abs(boxes)
    n_inside = (sides <= 1).sum(axis=-1)
    # Pixels are whole numbers, at least mostly.
    has_fraction = (sides % 1 != 0).any(axis=-1)
    largest = sides.max(axis=-1)
    return (largest >= PIXELS_FROM) & ~((n_inside >= 2) & has_fraction & (largest < BEYOND))


def _check_order(boxes: FloatArray, order: str, names: RowNames | None = None) -> FloatArray:
    names = names or RowNames()
    _raise_for_rows(
        boxes, names, ~np.isfinite(boxes).all(axis=1), "a coordinate is missing or not finite"
    )
    _raise_if_inverted(boxes, order, names)
    return boxes


def _raise_if_inverted(boxes: FloatArray, order: str, names: RowNames) -> None:
    _raise_for_rows(
        boxes,
        names,
        (boxes[:, 0] > boxes[:, 1]) | (boxes[:, 2] > boxes[:, 3]),
        f"the box is inverted; the order is {order}",
    )


def _raise_for_rows(boxes: FloatArray, names: RowNames, wrong: ArrayLike, reason: str) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        values = ", ".join(
            f"{name}={value:g}" for name, value in zip(COORDINATES, boxes[rows[0]], strict=True)
        )
        more = f" ({rows.size - 1} more rows like it)" if rows.size > 1 else ""
        raise BoxError(f"{names(int(rows[0]))}: {reason}. Received: {values}{more}.")


def _swap_middle_columns(boxes: NDArray[Any]) -> NDArray[Any]:
    return boxes.take([0, 2, 1, 3], axis=1)
