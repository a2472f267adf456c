"""True and predicted boxes of the readable images, paired, and the numbers computed from them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..boxes.tables import as_pandas
from ..displays.box_grid import compute_suspicion
from ..exceptions import BoxError
from ..inputs import check_images, check_targets
from ..metrics import count_confusions, count_kinds, encode_names, pair_rows
from ..templates import shorten

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..metrics import Confusion, Pairs
    from ..typing import FloatArray, ImagesLike, IntArray, TargetsLike

__all__ = ["THRESHOLD", "Results", "collect_results"]

#: The IoU from which a box counts as found, until the reader moves the slider.
THRESHOLD = 0.5

#: The positions of the slider.
THRESHOLDS = np.arange(101) / 100


@dataclass(frozen=True)
class Results:
    """The n rows whose images could be read, and the errors of the others.

    Attributes
    ----------
    images : list of length n
        What :func:`skbbox.images.load_image` takes.
    true, predicted : DataFrame of n rows
        Tables of boxes, of which a row may lack the class, the box or both.
    pairs : Pairs
        Of `true` and `predicted`.
    classes : list
        Names of all true and predicted classes, sorted.
    true_indices, predicted_indices : ndarray of shape (n,), or None
        Positions in `classes`; -1 in rows without a class. None for a table without classes.
    rows : ndarray of shape (n,)
        Positions in X.
    errors : dict of int to str
        By position in X, the errors of the images that could not be read.
    """

    images: list[Any]
    true: pd.DataFrame
    predicted: pd.DataFrame
    pairs: Pairs
    classes: list[Any]
    true_indices: IntArray | None
    predicted_indices: IntArray | None
    rows: IntArray
    errors: dict[int, str]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def labels(self) -> list[str]:
        """Names of the classes as the page shows them."""
        return [shorten(name) for name in self.classes]

    @property
    def iou(self) -> FloatArray:
        """The IoU of each row; NaN for a class only, which comes last in each order."""
        return self.pairs.iou

    @cached_property
    def class_confidence(self) -> FloatArray | None:
        """Probability of each predicted class; NaN where none is predicted."""
        return _get_column(self.predicted, "class_confidence")

    @cached_property
    def box_confidence(self) -> FloatArray | None:
        """Expected IoU of each predicted box; NaN where none is predicted."""
        return _get_column(self.predicted, "box_confidence")

    @cached_property
    def is_right(self) -> FloatArray | None:
        """1 for the right class, or for no object where there is none, else 0.

        NaN where the true class is unknown; None where there are no classes to compare.
        """
        if self.true_indices is None or self.predicted_indices is None:
            return None
        return np.where(self.pairs.is_empty, ~self.pairs.is_detected, self.pairs.is_right_class)

    @cached_property
    def is_found(self) -> NDArray[np.bool_]:
        """Whether each IoU is at least ``THRESHOLD``."""
        return self.iou >= THRESHOLD

    @cached_property
    def levels(self) -> IntArray:
        """The position of the last of the thresholds 0.00, 0.01, ..., 1.00 that each IoU reaches.

        The page counts with these integers, so that its counts equal those of
        ``iou >= threshold``. -1 for a row without an IoU.
        """
        levels = np.searchsorted(THRESHOLDS, self.iou, side="right") - 1
        return np.where(self.pairs.has_iou, levels, -1)

    @cached_property
    def kinds(self) -> dict[str, int]:
        """Number of rows of each kind; the kinds of which there is none are left out."""
        return count_kinds(self.pairs.has_class, self.pairs.has_box)

    @property
    def knows_presence(self) -> bool:
        """Whether false alarms and missed objects are counted."""
        pairs = self.pairs
        return pairs.presence is not None or bool((pairs.is_empty | pairs.is_missed).any())

    @cached_property
    def confusion(self) -> Confusion | None:
        """True and predicted classes; None where there are no classes to compare."""
        if self.is_right is None or np.isnan(self.is_right).all():
            return None
        return count_confusions(self.pairs, "the predictions")

    @cached_property
    def suspicion(self) -> FloatArray | None:
        """See :func:`skbbox.displays.box_grid.compute_suspicion`; None without a confidence."""
        if self.class_confidence is None and self.box_confidence is None:
            return None
        return compute_suspicion(self.true, self.predicted)


def collect_results(X: ImagesLike, y: TargetsLike, predicted: pd.DataFrame) -> Results:
    """Pair true and predicted boxes.

    Raises
    ------
    ImageError
        If an item of X is not an image.
    BoxError
        If y is not a table of boxes for X, `predicted` has another length, or no image of X could
        be read.
    """
    images = check_images(X)
    targets = check_targets(y, len(images), images)
    predicted = as_pandas(predicted)
    if len(predicted) != len(images):
        raise BoxError(
            f"There are {len(images)} images, but predictions for {len(predicted)}; pass what "
            "predict returned for these images."
        )
    errors = {}
    if "error" in predicted:
        errors = {row: text for row, text in enumerate(predicted["error"]) if not pd.isna(text)}
    true = targets.to_table()
    pairs = pair_rows(true, predicted)
    true, predicted = (table.iloc[pairs.rows].reset_index(drop=True) for table in (true, predicted))
    classes, (true_indices, predicted_indices) = encode_names(
        pairs.true_names, pairs.predicted_names
    )
    return Results(
        images=images.take(pairs.rows).items,
        true=true,
        predicted=predicted,
        pairs=pairs,
        classes=classes,
        true_indices=None if pairs.true_names is None else true_indices,
        predicted_indices=None if pairs.predicted_names is None else predicted_indices,
        rows=pairs.rows,
        errors=errors,
    )


def _get_column(table: pd.DataFrame, name: str) -> FloatArray | None:
    return np.asarray(table[name], dtype=np.float64) if name in table else None
