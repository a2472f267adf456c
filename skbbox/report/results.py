"""True and predicted boxes of the readable images, paired, and the numbers computed from them."""

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
from ..metrics import drop_unreadable_rows
from ..templates import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

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
    rows : ndarray of shape (n,)
        Positions in X.
    images : list of length n
        What :func:`skbbox.images.load_image` takes.
    true, predicted : ndarray of shape (n, 4)
    iou : ndarray of shape (n,)
    class_confidence : ndarray of shape (n,), or None
        Probability of the predicted class.
    box_confidence : ndarray of shape (n,), or None
        Expected IoU of the predicted box.
    classes : list
        Names of all true and predicted classes, sorted.
    true_indices, predicted_indices : ndarray of shape (n,), or None
        Positions in `classes`.
    errors : dict of int to str
        By position in X, the errors of the images that could not be read.
    """

    rows: IntArray
    images: list[Any]
    true: FloatArray
    predicted: FloatArray
    iou: FloatArray
    class_confidence: FloatArray | None
    box_confidence: FloatArray | None
    classes: list[Any]
    true_indices: IntArray | None
    predicted_indices: IntArray | None
    errors: dict[int, str]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def labels(self) -> list[str]:
        """Names of the classes as the page shows them."""
        return [shorten(name) for name in self.classes]

    @cached_property
    def is_right(self) -> NDArray[np.bool_] | None:
        """Whether each class is right; None where there are no classes to compare."""
        if self.true_indices is None or self.predicted_indices is None:
            return None
        return self.true_indices == self.predicted_indices

    @cached_property
    def is_found(self) -> NDArray[np.bool_]:
        """Whether each IoU is at least ``THRESHOLD``."""
        return self.iou >= THRESHOLD

    @cached_property
    def levels(self) -> IntArray:
        """The position of the last of the thresholds 0.00, 0.01, ..., 1.00 that each IoU reaches.

        The page counts with these integers, so that its counts equal those of
        ``iou >= threshold``.
        """
        return np.searchsorted(THRESHOLDS, self.iou, side="right") - 1

    @cached_property
    def suspicion(self) -> FloatArray | None:
        """See :func:`skbbox.displays.box_grid.compute_suspicion`; None without a confidence."""
        if self.class_confidence is None and self.box_confidence is None:
            return None
        return compute_suspicion(*self.to_tables())

    def to_tables(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """True and predicted boxes with their classes, as displays and measures take them."""
        true = self._to_table(self.true, self.true_indices)
        predicted = self._to_table(self.predicted, self.predicted_indices)
        if self.class_confidence is not None:
            predicted["class_confidence"] = self.class_confidence
        if self.box_confidence is not None:
            predicted["box_confidence"] = self.box_confidence
        return true, predicted

    def _to_table(self, boxes: FloatArray, class_indices: IntArray | None) -> pd.DataFrame:
        table = pd.DataFrame(boxes, columns=COORDINATES)
        if class_indices is not None:
            table.insert(0, "class_name", [self.classes[index] for index in class_indices])
        return table


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
    targets = check_targets(y, len(images))
    if len(predicted) != len(images):
        raise BoxError(
            f"There are {len(images)} images, but predictions for {len(predicted)}; pass what "
            "predict returned for these images."
        )
    errors = {}
    if "error" in predicted:
        errors = {row: text for row, text in enumerate(predicted["error"]) if not pd.isna(text)}
    rows, predicted, _ = drop_unreadable_rows(np.arange(len(images)), predicted)
    targets = targets.take(rows)
    boxes = as_boxes(predicted)
    classes, class_indices = _encode_class_names(targets.class_names, as_class_names(predicted))
    return Results(
        rows=rows,
        images=images.take(rows).items,
        true=targets.boxes,
        predicted=boxes,
        iou=np.asarray(iou(targets.boxes, boxes)),
        class_confidence=_get_column(predicted, "class_confidence"),
        box_confidence=_get_column(predicted, "box_confidence"),
        classes=classes,
        true_indices=class_indices[0],
        predicted_indices=class_indices[1],
        errors=errors,
    )


def _encode_class_names(
    *columns: NDArray[np.object_] | None,
) -> tuple[list[Any], Sequence[IntArray | None]]:
    """All names, sorted, and for each column the positions of its names."""
    names = list(set().union(*(column for column in columns if column is not None)))
    try:
        names.sort()
    except TypeError:  # Text and numbers.
        names.sort(key=str)
    index_of = {name: index for index, name in enumerate(names)}
    return names, [
        None if column is None else np.array([index_of[name] for name in column])
        for column in columns
    ]


def _get_column(table: pd.DataFrame, name: str) -> FloatArray | None:
    return np.asarray(table[name], dtype=np.float64) if name in table else None
