"""Measures of predictions: of tables of true and predicted boxes and classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from ..boxes.tables import as_pandas
from ..exceptions import BoxError
from ..inputs import check_sample_weight
from .pairs import pair_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from ..typing import BoxesLike, FloatArray
    from .pairs import Pairs

__all__ = [
    "average_iou",
    "average_iou_at",
    "average_localized",
    "class_accuracy",
    "compute_box_issue",
    "iou_at",
    "localization_accuracy",
    "mean_iou",
    "presence_auc",
]


def compute_box_issue(iou: ArrayLike, predicted: Any) -> FloatArray:
    """How confidently a model contradicts the given boxes: (1 - IoU) times its confidence.

    Parameters
    ----------
    iou : array-like of shape (n,)
        IoU of the given and the predicted boxes; 0 counts a row as completely wrong.
    predicted : DataFrame of n rows, or another table of boxes
        Its column ``box_confidence`` is the confidence, or else ``class_confidence``. Without
        either, the confidence is 1.

    Returns
    -------
    ndarray of shape (n,)
        In 0..1.
    """
    distance = 1 - np.asarray(iou, dtype=np.float64)
    predicted = as_pandas(predicted)
    for name in ("box_confidence", "class_confidence"):
        if isinstance(predicted, pd.DataFrame) and name in predicted:
            return distance * predicted[name].to_numpy(dtype=np.float64)
    return distance


def mean_iou(
    y_true: BoxesLike, y_pred: BoxesLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Mean IoU of paired boxes given as ``x_min, x_max, y_min, y_max``.

    Parameters
    ----------
    y_true, y_pred : table of boxes
        A DataFrame or structured array with the columns of ``TARGET_COLUMNS``,
        an array of shape (n_boxes, 4), or the object array that
        ``cross_val_predict`` returns. In one unit; rows are paired by position. Class and
        coordinates may be missing. In `y_true`, a row with neither is an image without an object,
        which counts 1 if no box is predicted and 0 otherwise; a row with a class and no box is
        left out. In `y_pred`, a row without a box predicts no object, and its IoU with a true box
        is 0; a row with an ``error``, an image that could not be read, is left out.
    sample_weight : array-like of shape (n_boxes,), default=None
        Weight of each row.

    Returns
    -------
    float
        In 0..1.

    Raises
    ------
    BoxError
        If there are no rows to score, the lengths differ, a coordinate is infinite, or a box is
        inverted or half missing.

    Examples
    --------
    >>> from skbbox import mean_iou
    >>> mean_iou([(0, 1, 0, 1), (0, 1, 0, 1)], [(0, 1, 0, 1), (0, 0.5, 0, 1)])
    0.75
    """
    return average_iou(pair_rows(y_true, y_pred), sample_weight)


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
    return average_iou_at(pair_rows(y_true, y_pred), threshold, sample_weight)


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
    return average_localized(pair_rows(y_true, y_pred), threshold, sample_weight)


def class_accuracy(
    y_true: BoxesLike, y_pred: BoxesLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Share of rows with a class whose predicted class is right.

    Parameters
    ----------
    y_true, y_pred : table of boxes with a class
        As for :func:`localization_accuracy`. Rows of `y_true` without a class are left out. A class
        that is missing in `y_pred` is wrong.
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

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import TARGET_COLUMNS, class_accuracy
    >>> true = pd.DataFrame([("cat", 0, 1, 0, 1), ("dog", None, None, None, None)],
    ...                     columns=TARGET_COLUMNS)
    >>> class_accuracy(true, true.assign(class_name="cat"))
    0.5
    """
    pairs = pair_rows(y_true, y_pred)
    _check_classes(pairs, "class_accuracy")
    return _mean(pairs, pairs.is_right_class, sample_weight, "a class")


def presence_auc(
    y_true: BoxesLike, y_pred: BoxesLike, *, sample_weight: ArrayLike | None = None
) -> float:
    """Area under the ROC curve of ``presence``, for images with and without an object.

    Parameters
    ----------
    y_true : table of boxes
        Rows with neither class nor box are images without an object.
    y_pred : DataFrame
        What ``predict`` returned, with the column ``presence``.
    sample_weight : array-like of shape (n_boxes,), default=None
        Weight of each row.

    Returns
    -------
    float
        In 0..1. It does not depend on ``presence_threshold``.

    Raises
    ------
    BoxError
        If `y_pred` has no column ``presence``, or all images of `y_true` have an object, or none.
    """
    pairs = pair_rows(y_true, y_pred)
    presence = pairs.get_presence("presence_auc")
    if pairs.is_empty.all() or not pairs.is_empty.any():
        which = "no image" if pairs.is_empty.all() else "each image"
        raise BoxError(
            "presence_auc compares images with and without an object, but "
            f"{which} of y_true has one. Add the other kind."
        )
    weights = _check_weights(pairs, sample_weight)
    return float(roc_auc_score(~pairs.is_empty, presence, sample_weight=weights))


def average_iou(pairs: Pairs, sample_weight: ArrayLike | None) -> float:
    """:func:`mean_iou` of rows that are paired already."""
    return _mean(pairs, pairs.iou, sample_weight, "a box, or neither class nor box")


def average_iou_at(pairs: Pairs, threshold: float, sample_weight: ArrayLike | None) -> float:
    """:func:`iou_at` of rows that are paired already."""
    reached = np.where(np.isnan(pairs.iou), np.nan, pairs.iou >= threshold)
    return _mean(pairs, reached, sample_weight, "a box, or neither class nor box")


def average_localized(pairs: Pairs, threshold: float, sample_weight: ArrayLike | None) -> float:
    """:func:`localization_accuracy` of rows that are paired already."""
    _check_classes(pairs, "localization_accuracy", "; use iou_at for boxes without classes")
    localized = pairs.compute_localized(threshold)
    return _mean(pairs, localized, sample_weight, "both class and box, or neither")


def _check_classes(pairs: Pairs, measure: str, advice: str = "") -> None:
    if pairs.true_names is None or pairs.predicted_names is None:
        which = "y_true" if pairs.true_names is None else "y_pred"
        raise BoxError(f"{measure} compares classes, but {which} has no class_name{advice}.")


def _mean(pairs: Pairs, values: FloatArray, sample_weight: ArrayLike | None, needed: str) -> float:
    """Weighted mean of the values that are not NaN."""
    scored = ~np.isnan(values)
    if not scored.any():
        raise BoxError(f"There is nothing to score: no row of y_true has {needed}.")
    weights = _check_weights(pairs, sample_weight, scored)
    return float(np.average(values[scored], weights=weights))


def _check_weights(
    pairs: Pairs, sample_weight: ArrayLike | None, scored: NDArray[np.bool_] | None = None
) -> FloatArray | None:
    """The weights of the pairs that are scored."""
    weights = check_sample_weight(sample_weight, pairs.n_rows)
    if weights is None:
        return None
    weights = weights[pairs.rows] if scored is None else weights[pairs.rows][scored]
    if weights.sum() == 0:
        raise ValueError(
            "sample_weight is zero in every scored row; at least one weight must be positive."
        )
    return weights
