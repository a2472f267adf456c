"""The score of an estimator, and scorers for scikit-learn."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.metrics import make_scorer
from sklearn.utils import _safe_indexing

from .boxes import as_class_names, iou_at, localization_accuracy, mean_iou
from .exceptions import BoxError
from .templates import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike

    from .typing import BoxesLike, FloatArray, ImagesLike, Localizer

__all__ = [
    "IoUScore",
    "box_scorer",
    "compute_box_issue",
    "drop_unreadable_rows",
    "iou_50_scorer",
    "localization_scorer",
    "mean_iou_scorer",
]


class IoUScore(float):
    """Mean IoU of a set of predictions, together with the share of IoU >= 0.5.

    It is a float and can be used wherever a score is expected. Arithmetic on it gives
    a plain float.

    Parameters
    ----------
    mean_iou : float
        In 0..1; the value of the float.
    iou_50 : float
        Share of predictions with an IoU of at least 0.5, in 0..1.

    Examples
    --------
    >>> from skbbox import IoUScore
    >>> score = IoUScore(0.6, iou_50=0.75)
    >>> mean_iou, iou_50 = score
    >>> score, score.mean_iou, iou_50
    (IoUScore(mean_iou=0.600, iou_50=0.750), 0.6, 0.75)
    """

    iou_50: float

    def __new__(cls, mean_iou: float, iou_50: float) -> Self:
        score = super().__new__(cls, mean_iou)
        score.iou_50 = float(iou_50)
        return score

    @property
    def mean_iou(self) -> float:
        """The mean IoU as a plain float."""
        return float(self)

    def __iter__(self) -> Iterator[float]:
        return iter((self.mean_iou, self.iou_50))

    def __getnewargs__(self) -> tuple[float, float]:  # type: ignore[override]
        # pickle would otherwise call __new__ with the float alone.
        return (self.mean_iou, self.iou_50)

    def __repr__(self) -> str:
        return f"IoUScore(mean_iou={self.mean_iou:.3f}, iou_50={self.iou_50:.3f})"

    def _repr_html_(self) -> str:
        measures = {"mean IoU": self.mean_iou, "share with IoU ≥ 0.5": self.iou_50}
        return render("iou_score.html", measures=measures)

    @classmethod
    def from_boxes(
        cls, y_true: BoxesLike, y_pred: BoxesLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Score paired boxes given as ``x_min, x_max, y_min, y_max``.

        Parameters
        ----------
        y_true, y_pred : table of boxes
            As for :func:`skbbox.mean_iou`.
        sample_weight : array-like of shape (n_boxes,), default=None

        Returns
        -------
        IoUScore
        """
        return cls(
            mean_iou(y_true, y_pred, sample_weight=sample_weight),
            iou_at(y_true, y_pred, sample_weight=sample_weight),
        )


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
    for name in ("box_confidence", "class_confidence"):
        if isinstance(predicted, pd.DataFrame) and name in predicted:
            return distance * predicted[name].to_numpy(dtype=np.float64)
    return distance


def drop_unreadable_rows(
    y_true: Any, y_pred: Any, sample_weight: ArrayLike | None = None
) -> tuple[Any, Any, ArrayLike | None]:
    """Drop the rows of images that ``predict`` could not read, as its column ``error`` says.

    Returns
    -------
    y_true, y_pred : tables of boxes
    sample_weight : ndarray or None

    Raises
    ------
    BoxError
        If no image could be read.
    """
    if not isinstance(y_pred, pd.DataFrame) or "error" not in y_pred:
        return y_true, y_pred, sample_weight
    rows = np.flatnonzero(y_pred["error"].isna())
    if not rows.size:
        raise BoxError(
            f"There are no boxes to compare: none of the {len(y_pred)} images can be read. Row 0: "
            f"{y_pred['error'].iloc[0]}"
        )
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight)[rows]
    return _safe_indexing(y_true, rows), y_pred.iloc[rows], sample_weight


def _apply_measure(
    measure: Callable[..., float],
    y_true: Any,
    y_pred: Any,
    sample_weight: ArrayLike | None = None,
    **options: Any,
) -> float:
    y_true, y_pred, sample_weight = drop_unreadable_rows(y_true, y_pred, sample_weight)
    return measure(y_true, y_pred, sample_weight=sample_weight, **options)


def _make_measure_scorer(measure: Callable[..., float]) -> Callable[..., float]:
    function = functools.partial(_apply_measure, measure)
    # Older versions of scikit-learn need a name to display a scorer, and a partial has none.
    vars(function)["__name__"] = measure.__name__
    return make_scorer(function)


#: Scorer for ``scoring=``: mean IoU.
mean_iou_scorer: Callable[..., float] = _make_measure_scorer(mean_iou)
#: Scorer for ``scoring=``: share of predictions with IoU >= 0.5.
iou_50_scorer: Callable[..., float] = _make_measure_scorer(iou_at)
#: Scorer for ``scoring=``: share of predictions with the right class and IoU >= 0.5.
localization_scorer: Callable[..., float] = _make_measure_scorer(localization_accuracy)


def box_scorer(
    estimator: Localizer, X: ImagesLike, y: BoxesLike, sample_weight: ArrayLike | None = None
) -> dict[str, float]:
    """Compute all measures from one call of ``predict``, for ``scoring=`` with several metrics.

    In a search, name the measure that selects the best candidate: ``refit="mean_iou"``.

    Parameters
    ----------
    estimator : fitted estimator
    X : images
    y : table of boxes
    sample_weight : array-like of shape (n_images,), default=None

    Returns
    -------
    dict of str to float
        ``mean_iou``, ``iou_50`` and, if y has classes, ``localization_accuracy``.
    """
    y, predicted, sample_weight = drop_unreadable_rows(y, estimator.predict(X), sample_weight)
    scores = {
        "mean_iou": mean_iou(y, predicted, sample_weight=sample_weight),
        "iou_50": iou_at(y, predicted, sample_weight=sample_weight),
    }
    if as_class_names(y) is not None:
        scores["localization_accuracy"] = localization_accuracy(
            y, predicted, sample_weight=sample_weight
        )
    return scores
