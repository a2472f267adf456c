"""Which classes are predicted as which, counted once for the display and the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..exceptions import BoxError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import IntArray
    from .pairs import Pairs

__all__ = ["NO_OBJECT", "Confusion", "count_confusions", "encode_names"]

#: Label of the row and the column of images without an object.
NO_OBJECT = "no object"


@dataclass(frozen=True)
class Confusion:
    """True and predicted class of each row whose true class, or lack of an object, is known.

    Attributes
    ----------
    names : list
        All classes, sorted.
    true, predicted : ndarray of shape (n,)
        Positions in `names`; ``len(names)`` stands for no object.
    n_unknown : int
        Number of rows with a box only, which are left out.
    """

    names: list[Any]
    true: IntArray
    predicted: IntArray
    n_unknown: int

    @property
    def has_no_object(self) -> bool:
        """Whether an image has no object, or none was predicted."""
        n_classes = len(self.names)
        return bool((self.true == n_classes).any() or (self.predicted == n_classes).any())

    def label(self, names: list[str]) -> list[str]:
        """Labels of the rows and columns of the matrix: the given names, and one for no object.

        Parameters
        ----------
        names : list of str
            `names` as they are shown.
        """
        if not self.has_no_object:
            return names
        label = NO_OBJECT
        # A class may have this name.
        while label in names:
            label = f"({label})"
        return [*names, label]

    def to_matrix(self) -> IntArray:
        """Number of rows of each true (rows) and predicted (columns) class; no object is last."""
        n = len(self.names) + self.has_no_object
        return np.bincount(self.true * n + self.predicted, minlength=n * n).reshape(n, n)


def count_confusions(pairs: Pairs, y_pred_name: str = "y_pred") -> Confusion:
    """Pair true and predicted classes.

    Parameters
    ----------
    pairs : Pairs
    y_pred_name : str, default="y_pred"
        For errors.

    Raises
    ------
    BoxError
        If the true or the predicted rows have no classes, a row predicts a box without a class, or
        no row has a class or lacks an object.
    """
    if pairs.true_names is None or pairs.predicted_names is None:
        which = "y_true" if pairs.true_names is None else y_pred_name
        raise BoxError(f"A confusion matrix compares classes, but {which} has no class_name.")
    is_known = pairs.has_class | pairs.is_empty
    if not is_known.any():
        raise BoxError(
            "There is no class to compare: each row of y_true has a box only. Add classes."
        )
    names, (true, predicted) = encode_names(pairs.true_names, pairs.predicted_names)
    unnamed = np.flatnonzero(is_known & pairs.is_detected & (predicted < 0))
    if unnamed.size:
        raise BoxError(
            f"A confusion matrix compares classes, but row {pairs.rows[unnamed[0]]} of "
            f"{y_pred_name} has a box and no class. Add its class, or remove the box."
        )
    return Confusion(
        names=names,
        true=np.where(true < 0, len(names), true)[is_known],
        predicted=np.where(predicted < 0, len(names), predicted)[is_known],
        n_unknown=int((~is_known).sum()),
    )


def encode_names(
    *columns: NDArray[np.object_] | None,
) -> tuple[list[Any], list[IntArray]]:
    """All names, sorted, and for each column the positions of its names; -1 where one is missing.

    A column that is None is left out of the names, and its positions are an empty array.
    """
    known = [np.zeros(0, dtype=object) if column is None else column for column in columns]
    names = list(set().union(*(column[~pd.isna(column)].tolist() for column in known)))
    try:
        names.sort()
    except TypeError:  # Text and numbers.
        names.sort(key=str)
    index_of = {name: index for index, name in enumerate(names)}
    return names, [
        np.array([index_of.get(name, -1) for name in column], dtype=np.intp) for column in known
    ]
