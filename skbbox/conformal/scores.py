"""Conformity scores of boxes and classes, and the regions and sets that they give.

Each function takes the predictions of one model or of the models of several folds. With one model
it is split conformal prediction, with several CV+: a calibration image is compared with what the
model of its fold, which was fitted without it, predicts for the new image.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import FloatArray, IntArray

__all__ = [
    "bound_edges",
    "count_needed",
    "find_rank",
    "include_classes",
    "score_boxes",
    "score_classes",
]

#: Rounding error of the product of a number of images and a coverage.
ROUNDING = 1e-9

#: Most numbers in one array of bounds, which has an entry for each pair of a new image and a
#: calibration image.
MOST_NUMBERS = 10_000_000


def find_rank(n: int, coverage: float) -> int:
    """The rank of the conformity score that is the quantile: ceil((n + 1) * coverage).

    Parameters
    ----------
    n : int
        Number of calibration images.
    coverage : float

    Returns
    -------
    int
        From 1 on; more than n if there are too few images.

    Examples
    --------
    >>> from skbbox.conformal.scores import find_rank
    >>> find_rank(9, 0.9), find_rank(99, 0.9), find_rank(8, 0.9)
    (9, 90, 9)
    """
    return max(math.ceil((n + 1) * coverage - ROUNDING), 1)


def count_needed(coverage: float) -> int:
    """The least number of calibration images for a coverage.

    Examples
    --------
    >>> from skbbox.conformal.scores import count_needed
    >>> count_needed(0.5), count_needed(0.9), count_needed(0.95)
    (1, 9, 19)
    """
    n = max(math.floor(coverage / (1 - coverage)) - 1, 1)
    while find_rank(n, coverage) > n:
        n += 1
    return n


def score_boxes(true: FloatArray, predicted: FloatArray, scale: FloatArray) -> FloatArray:
    """The largest error of the four edges, each divided by its scale.

    Parameters
    ----------
    true, predicted, scale : ndarray of shape (n, 4)
        NaN in rows without a true box, or without a predicted one.

    Returns
    -------
    ndarray of shape (n,)
        NaN without a true box, infinite if a true box has no predicted one.
    """
    with np.errstate(invalid="ignore"):
        scores = (np.abs(true - predicted) / scale).max(axis=1)
    is_missed = ~np.isnan(true[:, 0]) & np.isnan(predicted[:, 0])
    return np.where(is_missed, np.inf, scores)


def bound_edges(
    predicted: FloatArray,
    scale: FloatArray,
    scores: FloatArray,
    folds: IntArray,
    coverage: float,
) -> tuple[FloatArray, FloatArray]:
    """The least and the greatest value of each edge.

    Parameters
    ----------
    predicted, scale : ndarray of shape (n_models, n, 4)
        For new images; NaN where a model predicts no box.
    scores : ndarray of shape (n_calibration,)
        Of :func:`score_boxes`, without NaN.
    folds : ndarray of shape (n_calibration,)
        The model that was fitted without the image.
    coverage : float

    Returns
    -------
    lower, upper : ndarray of shape (n, 4)
        Infinite if nothing is known.
    """
    rank = find_rank(len(scores), coverage)
    unknown = np.isnan(predicted)
    # Without a box, any value of an edge is possible.
    centre, width = np.where(unknown, 0.5, predicted), np.where(unknown, np.inf, scale)
    if len(predicted) == 1:
        quantile = np.sort(scores)[rank - 1]
        return centre[0] - quantile * width[0], centre[0] + quantile * width[0]
    lower, upper = np.empty_like(predicted[0]), np.empty_like(predicted[0])
    step = max(MOST_NUMBERS // (4 * len(scores)), 1)
    for first in range(0, predicted.shape[1], step):
        rows = slice(first, first + step)
        # The number of rows, 4, and that of calibration images.
        centres, margins = (np.moveaxis(part[folds, rows], 0, -1) for part in (centre, width))
        margins = margins * scores
        lower[rows] = -np.partition(margins - centres, rank - 1, axis=-1)[..., rank - 1]
        upper[rows] = np.partition(margins + centres, rank - 1, axis=-1)[..., rank - 1]
    return lower, upper


def score_classes(probabilities: FloatArray, kind: str) -> FloatArray:
    """How badly each class conforms to its predicted probability.

    Parameters
    ----------
    probabilities : ndarray of shape (..., n_classes)
    kind : {"lac", "aps"}
        1 minus the probability; or the total probability of the classes that are more probable,
        without randomisation, and of the class itself.

    Returns
    -------
    ndarray of shape (..., n_classes)
        In 0..1.
    """
    if kind == "lac":
        return 1 - probabilities
    order = np.argsort(-probabilities, axis=-1, kind="stable")
    totals = np.cumsum(np.take_along_axis(probabilities, order, axis=-1), axis=-1)
    scores = np.empty_like(probabilities)
    np.put_along_axis(scores, order, totals, axis=-1)
    return scores


def include_classes(
    new_scores: FloatArray, scores: FloatArray, folds: IntArray, coverage: float
) -> NDArray[np.bool_]:
    """Whether each class is in the set of each new image.

    A class is included if fewer calibration images than the rank have a lower score.

    Parameters
    ----------
    new_scores : ndarray of shape (n_models, n, n_classes)
        Of :func:`score_classes`.
    scores : ndarray of shape (n_calibration,)
        Of the true classes.
    folds : ndarray of shape (n_calibration,)
        The model that was fitted without the image.
    coverage : float

    Returns
    -------
    ndarray of shape (n, n_classes), bool
    """
    n_lower: Any = np.zeros(new_scores.shape[1:], dtype=int)
    for fold, of_model in enumerate(new_scores):
        known = np.sort(scores[folds == fold])
        n_lower += np.searchsorted(known, of_model, side="left")
    is_included: NDArray[np.bool_] = n_lower < find_rank(len(scores), coverage)
    return is_included
