"""What there is to tell of each row, and the counts made of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, as_boxes, as_class_names, iou
from ..displays.box_grid import compute_suspicion
from ..exceptions import BoxError
from ..inputs import check_images, check_targets
from ..markup import shown
from ..metrics import drop_unreadable_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..typing import FloatArray, ImagesLike, IntArray, TargetsLike

__all__ = ["THRESHOLD", "Results", "collect"]

#: IoU from which on a box counts as found, until the slider is moved.
THRESHOLD = 0.5

#: What the slider can be set to.
THRESHOLDS = np.arange(101) / 100


@dataclass(frozen=True)
class Results:
    """The n rows whose images could be read, and why others could not.

    Attributes
    ----------
    rows : ndarray of shape (n,)
        Their positions in X.
    images : list of length n
        What :func:`skbbox.images.load_image` takes.
    true, predicted : ndarray of shape (n, 4)
    iou : ndarray of shape (n,)
    confidence : ndarray of shape (n,), or None
    classes : list
        Names of all classes, true and predicted ones, in order.
    true_codes, predicted_codes : ndarray of shape (n,), or None
        Positions in `classes`.
    errors : dict of int to str
        Of the other rows of X.
    """

    rows: IntArray
    images: list[Any]
    true: FloatArray
    predicted: FloatArray
    iou: FloatArray
    confidence: FloatArray | None
    classes: list[Any]
    true_codes: IntArray | None
    predicted_codes: IntArray | None
    errors: dict[int, str]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def labels(self) -> list[str]:
        """The classes as they are shown."""
        return [shown(name) for name in self.classes]

    @cached_property
    def is_right(self) -> NDArray[np.bool_] | None:
        """Whether each class is right; None where there are no classes to compare."""
        if self.true_codes is None or self.predicted_codes is None:
            return None
        return self.true_codes == self.predicted_codes

    @cached_property
    def levels(self) -> IntArray:
        """Of the thresholds 0.00, 0.01, ..., 1.00 the position of the last one reached.

        The page counts with these whole numbers, so that it finds what ``iou >= threshold`` does.
        """
        return np.searchsorted(THRESHOLDS, self.iou, side="right") - 1

    @cached_property
    def suspicion(self) -> FloatArray | None:
        """That of :func:`skbbox.displays.box_grid.suspicion`; None without confidence."""
        return None if self.confidence is None else compute_suspicion(*self.tables())

    def tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """True and predicted boxes, with their classes, as displays and measures take them."""
        true = self._table(self.true, self.true_codes)
        predicted = self._table(self.predicted, self.predicted_codes)
        if self.confidence is not None:
            predicted["confidence"] = self.confidence
        return true, predicted

    def _table(self, boxes: FloatArray, codes: IntArray | None) -> pd.DataFrame:
        table = pd.DataFrame(boxes, columns=COORDINATES)
        if codes is not None:
            table.insert(0, "class_name", [self.classes[code] for code in codes])
        return table


def collect(X: ImagesLike, y: TargetsLike, predicted: pd.DataFrame) -> Results:
    """Pair true and predicted boxes.

    Raises
    ------
    ImageError
        If X holds what is no image.
    BoxError
        If y is no table of boxes for X, `predicted` has another length, or no image of X could
        be read.
    """
    images = check_images(X)
    targets = check_targets(y, len(images))
    if len(predicted) != len(images):
        raise BoxError(
            f"There are {len(images)} images, but predictions for {len(predicted)}; predict gives "
            "a row for each."
        )
    errors = {}
    if "error" in predicted:
        errors = {row: text for row, text in enumerate(predicted["error"]) if not pd.isna(text)}
    rows, predicted, _ = drop_unreadable_rows(np.arange(len(images)), predicted)
    targets = targets.take(rows)
    boxes = as_boxes(predicted)
    classes, codes = _coded(targets.class_names, as_class_names(predicted))
    return Results(
        rows=rows,
        images=images.take(rows).items,
        true=targets.boxes,
        predicted=boxes,
        iou=np.asarray(iou(targets.boxes, boxes)),
        confidence=(
            np.asarray(predicted["confidence"], float) if "confidence" in predicted else None
        ),
        classes=classes,
        true_codes=codes[0],
        predicted_codes=codes[1],
        errors=errors,
    )


def _coded(*columns: NDArray[np.object_] | None) -> tuple[list[Any], Sequence[IntArray | None]]:
    """All names in order, and the positions of those in each column."""
    names = list(set().union(*(column for column in columns if column is not None)))
    try:
        names.sort()
    except TypeError:  # Text and numbers.
        names.sort(key=str)
    code_of = {name: code for code, name in enumerate(names)}
    return names, [
        None if column is None else np.array([code_of[name] for name in column])
        for column in columns
    ]
