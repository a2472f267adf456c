"""The measures of boxes.py in the shapes that scikit-learn takes: a score and scorers."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from sklearn.metrics import make_scorer
from sklearn.utils import _safe_indexing

from .boxes import as_class_names, iou_at, localization_accuracy, mean_iou
from .exceptions import BoxError
from .markup import tag

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
    """Mean IoU of a set of predictions, which carries the share at IoU >= 0.5 along.

    It is a float, so that everything that takes a score takes it; arithmetic on it
    gives a plain float.

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
        return tag("table", *(_measure_row(*measure) for measure in measures.items()))

    @classmethod
    def of(
        cls, y_true: BoxesLike, y_pred: BoxesLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Score of predicted boxes against true ones, paired by row."""
        return cls(
            mean_iou(y_true, y_pred, sample_weight=sample_weight),
            iou_at(y_true, y_pred, sample_weight=sample_weight),
        )


def _measure_row(name: str, value: float) -> str:
    # A bar of HTML's own would follow the style of the browser, not of the notebook.
    bar = tag("div", style=f"width: {value:.1%}; height: 0.8em; background: #009E73")
    place = tag("td", bar, style="width: 12em; text-align: left")
    return tag("tr", tag("th", name, scope="row"), tag("td", f"{value:.3f}"), place)


def drop_unreadable_rows(
    y_true: Any, y_pred: Any, sample_weight: ArrayLike | None = None
) -> tuple[Any, Any, ArrayLike | None]:
    """The rows whose images could be read, where ``predict`` tells of others in ``error``.

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
            f"There is no box to measure: none of the {len(y_pred)} images can be read. Row 0: "
            f"{y_pred['error'].iloc[0]}"
        )
    if sample_weight is not None:
        sample_weight = np.asarray(sample_weight)[rows]
    return _safe_indexing(y_true, rows), y_pred.iloc[rows], sample_weight


def _measured(
    measure: Callable[..., float],
    y_true: Any,
    y_pred: Any,
    sample_weight: ArrayLike | None = None,
    **options: Any,
) -> float:
    y_true, y_pred, sample_weight = drop_unreadable_rows(y_true, y_pred, sample_weight)
    return measure(y_true, y_pred, sample_weight=sample_weight, **options)


def _scorer(measure: Callable[..., float]) -> Callable[..., float]:
    function = functools.partial(_measured, measure)
    # scikit-learn asks for it where it shows a scorer, but for the newest, which shows the whole.
    vars(function)["__name__"] = measure.__name__
    return make_scorer(function)


#: Scorer with the mean IoU, for ``scoring=``.
mean_iou_scorer: Callable[..., float] = _scorer(mean_iou)
#: Scorer with the share of predictions with IoU >= 0.5, for ``scoring=``.
iou_50_scorer: Callable[..., float] = _scorer(iou_at)
#: Scorer with the share of predictions with the right class and IoU >= 0.5, for ``scoring=``.
localization_scorer: Callable[..., float] = _scorer(localization_accuracy)


def box_scorer(
    estimator: Localizer, X: ImagesLike, y: BoxesLike, sample_weight: ArrayLike | None = None
) -> dict[str, float]:
    """All measures from one call of ``predict``, for ``scoring=`` with several metrics.

    In a search, name the one to choose by: ``refit="mean_iou"``.

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


def compute_box_issue(overlap: FloatArray, predicted: Any) -> FloatArray:
    """How much predicted boxes contradict the given ones: (1 - IoU) times the confidence, in 0..1.

    Parameters
    ----------
    overlap : ndarray of shape (n,)
        IoU of given and predicted boxes.
    predicted : table of n boxes
        The confidence is ``box_confidence``; ``class_confidence`` in a table without it; and 1 in
        a table without both.

    Returns
    -------
    ndarray of shape (n,)
    """
    distance = 1 - np.asarray(overlap, dtype=np.float64)
    if isinstance(predicted, pd.DataFrame):
        for column in ("box_confidence", "class_confidence"):
            if column in predicted:
                return distance * predicted[column].to_numpy(dtype=np.float64)
    return distance
