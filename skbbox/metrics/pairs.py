"""True and predicted rows in pairs, and what each kind of row counts.

A row of y may have a class and a box, only one of them, or neither, which says that the image has
no object. Measures, scorers, displays and the report all take it from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..boxes import as_class_names, as_optional_boxes, iou, read_table, warn_of_table_order
from ..exceptions import BoxError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import BoxesLike, FloatArray, IntArray

__all__ = ["Pairs", "count_kinds", "pair_rows"]


@dataclass(frozen=True)
class Pairs:
    """True and predicted rows in pairs, without those of unreadable images.

    Attributes
    ----------
    n_rows : int
        Number of rows of the tables.
    rows : ndarray of shape (n,)
        Positions in the tables.
    true, predicted : ndarray of shape (n, 4), float64
        NaN where a row has no box.
    presence : ndarray of shape (n,), or None
        The predicted probability that the image has an object.
    true_table, predicted_table : table of boxes
        Where the classes are read, once something needs them.
    """

    n_rows: int
    rows: IntArray
    true: FloatArray
    predicted: FloatArray
    presence: FloatArray | None
    true_table: Any
    predicted_table: Any

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def true_names(self) -> NDArray[np.object_] | None:
        """The true class of each row, None if it has none; None for a table without classes."""
        return self._read_names(self.true_table)

    @cached_property
    def predicted_names(self) -> NDArray[np.object_] | None:
        """The predicted class of each row, as `true_names`."""
        return self._read_names(self.predicted_table)

    def _read_names(self, table: Any) -> NDArray[np.object_] | None:
        names = as_class_names(table)
        return None if names is None else names[self.rows]

    @cached_property
    def has_box(self) -> NDArray[np.bool_]:
        """Whether the true box is known."""
        return ~np.isnan(self.true[:, 0])

    @cached_property
    def has_class(self) -> NDArray[np.bool_]:
        """Whether the true class is known."""
        if self.true_names is None:
            return np.zeros(len(self), dtype=bool)
        return ~pd.isna(self.true_names)

    @cached_property
    def is_empty(self) -> NDArray[np.bool_]:
        """Whether the image has no object."""
        if self.has_box.all():
            return np.zeros(len(self), dtype=bool)
        return ~(self.has_box | self.has_class)

    @cached_property
    def has_predicted_box(self) -> NDArray[np.bool_]:
        """Whether a box is predicted."""
        return ~np.isnan(self.predicted[:, 0])

    @cached_property
    def is_detected(self) -> NDArray[np.bool_]:
        """Whether an object is predicted: a box or, by a model that knows no boxes, a class."""
        if self.has_predicted_box.all() or self.predicted_names is None:
            return self.has_predicted_box
        return self.has_predicted_box | ~pd.isna(self.predicted_names)

    @cached_property
    def is_false_alarm(self) -> NDArray[np.bool_]:
        """Whether an object is predicted in an image without one."""
        return self.is_empty & self.is_detected

    @cached_property
    def is_missed(self) -> NDArray[np.bool_]:
        """Whether the image has an object and none is predicted."""
        return ~(self.is_empty | self.is_detected)

    @cached_property
    def iou(self) -> FloatArray:
        """IoU of each pair; NaN in rows with a class and no box, which say nothing about it.

        A missed object has an IoU of 0. An image without an object counts 1 if none is predicted,
        else 0.
        """
        values = np.where(self.is_empty, ~self.is_detected, np.nan)
        values[self.has_box] = 0.0
        both = self.has_box & self.has_predicted_box
        values[both] = iou(self.true[both], self.predicted[both])
        return values

    @cached_property
    def is_right_class(self) -> FloatArray:
        """1 if the class is right, 0 if it is wrong or missed; NaN in rows without a class."""
        if self.true_names is None or self.predicted_names is None:
            return np.full(len(self), np.nan)
        return np.where(self.has_class, self.true_names == self.predicted_names, np.nan)

    @property
    def has_iou(self) -> NDArray[np.bool_]:
        """Whether the row counts in the mean IoU, that is, has more than a class."""
        return ~np.isnan(self.iou)

    def select_iou(self) -> FloatArray:
        """The IoU of the rows that have one.

        Raises
        ------
        BoxError
            If there is none.
        """
        if not self.has_iou.any():
            raise BoxError(
                "There is nothing to score: no row of y_true has a box, or neither class nor box."
            )
        return self.iou[self.has_iou]

    def get_presence(self, user: str) -> FloatArray:
        """The predicted presence, which `user` needs.

        Raises
        ------
        BoxError
            If there is none.
        """
        if self.presence is None:
            raise BoxError(
                f"{user} needs the column presence in y_pred, which predict returns if y of fit "
                "had images without an object, that is rows with neither class nor box."
            )
        return self.presence

    def compute_localized(self, threshold: float) -> FloatArray:
        """1 for the right class with IoU >= `threshold`, or for no object where there is none.

        NaN in rows that have only a class or only a box.
        """
        is_known = self.is_empty | (self.has_box & self.has_class)
        is_right = (self.iou >= threshold) & (self.is_empty | (self.is_right_class == 1))
        return np.where(is_known, is_right, np.nan)


def count_kinds(has_class: NDArray[np.bool_], has_box: NDArray[np.bool_]) -> dict[str, int]:
    """Number of rows of each kind, without the kinds of which there is none.

    Parameters
    ----------
    has_class, has_box : ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from skbbox.metrics import count_kinds
    >>> count_kinds(np.array([True, True, False]), np.array([True, True, False]))
    {'class and box': 2, 'no object': 1}
    """
    kinds = {
        "class and box": has_class & has_box,
        "class only": has_class & ~has_box,
        "box only": has_box & ~has_class,
        "no object": ~(has_box | has_class),
    }
    return {name: int(is_kind.sum()) for name, is_kind in kinds.items() if is_kind.any()}


def pair_rows(y_true: BoxesLike, y_pred: BoxesLike) -> Pairs:
    """Pair the rows of two tables by position.

    Parameters
    ----------
    y_true, y_pred : table of boxes
        As for :func:`mean_iou`. Rows of `y_pred` with an ``error`` are left out.

    Raises
    ------
    BoxError
        If there are no rows, no image could be read, the lengths differ, or a box is inverted or
        half missing.
    """
    true_table, table = _read(y_true, "y_true"), _read(y_pred, "y_pred")
    warn_of_table_order(("y_true", "y_pred"), true_table, table)
    true, predicted = as_optional_boxes(true_table), as_optional_boxes(table)
    if len(true) != len(predicted):
        raise BoxError(
            f"y_true and y_pred are paired by row. Received {len(true)} and {len(predicted)} rows."
        )
    if len(true) == 0:
        raise BoxError("There are no boxes to compare: y_true has 0 rows.")
    rows = np.arange(len(true))
    has_names = isinstance(table, pd.DataFrame)
    if has_names and "error" in table:
        rows = np.flatnonzero(table["error"].isna())
        if not rows.size:
            raise BoxError(
                f"There are no boxes to compare: none of the {len(table)} images can be read. "
                f"Row 0: {table['error'].iloc[0]}"
            )
    presence = None
    if has_names and "presence" in table:
        presence = table["presence"].to_numpy(dtype=np.float64)[rows]
    return Pairs(
        n_rows=len(true),
        rows=rows,
        true=true[rows],
        predicted=predicted[rows],
        presence=presence,
        true_table=true_table,
        predicted_table=table,
    )


def _read(boxes: BoxesLike, name: str) -> Any:
    """Boxes with the names of their columns; a list as an array, which is then made only once."""
    table = read_table(boxes, name)
    return np.asarray(table, dtype=object) if isinstance(table, (list, tuple)) else table
