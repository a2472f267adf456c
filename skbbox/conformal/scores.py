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
    "OUTWARD",
    "bound_boxes",
    "count_needed",
    "find_rank",
    "include_classes",
    "score_boxes",
    "score_classes",
]

#: Rounding error of the product of a number of images and a coverage.
ROUNDING = 1e-9

#: The direction in which each edge moves when a box grows.
OUTWARD = np.array([-1.0, 1.0, -1.0, 1.0])

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
    """The least factor of the scale at which the true box lies between two boxes.

    Each edge of the predicted box is moved inwards and outwards by a multiple of its scale. The
    factor must be large enough for the outer box to contain the true one; and for the inner box to
    lie in the true one, or to be empty.

    Parameters
    ----------
    true, predicted, scale : ndarray of shape (n, 4)
        NaN in rows without a true box, or without a predicted one.

    Returns
    -------
    ndarray of shape (n,)
        Not negative. NaN without a true box, infinite if a true box has no predicted one.

    Examples
    --------
    The left edge is off by half of its scale:

    >>> import numpy as np
    >>> from skbbox.conformal.scores import score_boxes
    >>> true, predicted = np.array([[0.2, 0.8, 0.2, 0.8]]), np.array([[0.25, 0.8, 0.2, 0.8]])
    >>> score_boxes(true, predicted, np.full((1, 4), 0.1)).round(3)
    array([0.5])
    """
    outward = OUTWARD * (true - predicted) / scale
    sides = predicted[:, 1::2] - predicted[:, ::2]
    until_empty = (sides / (scale[:, 1::2] + scale[:, ::2])).min(axis=1)
    scores = np.maximum(outward.max(axis=1), np.minimum((-outward).max(axis=1), until_empty))
    is_missed = ~np.isnan(true[:, 0]) & np.isnan(predicted[:, 0])
    return np.where(is_missed, np.inf, scores)


def bound_boxes(
    predicted: FloatArray,
    scale: FloatArray,
    scores: FloatArray,
    folds: IntArray,
    coverage: float,
) -> tuple[FloatArray, FloatArray]:
    """The inner and the outer box of new images.

    Parameters
    ----------
    predicted, scale : ndarray of shape (n_models, n, 4)
        Of new images; NaN where a model predicts no box.
    scores : ndarray of shape (n_calibration,)
        Of :func:`score_boxes`, without NaN.
    folds : ndarray of shape (n_calibration,)
        The model that was fitted without the image.
    coverage : float

    Returns
    -------
    inner, outer : ndarray of shape (n, 4)
        Infinite if nothing is known; the edges of an inner box that is empty are not in order.
    """
    rank = find_rank(len(scores), coverage)
    is_unknown = np.isnan(predicted)
    # Without a box, any value of an edge is possible.
    centre = np.where(is_unknown, 0.0, OUTWARD * predicted)
    width = np.where(is_unknown, np.inf, scale)
    if len(predicted) == 1:
        scores, folds, rank = np.sort(scores)[[rank - 1]], np.zeros(1, dtype=np.intp), 1
    # Larger is farther outwards, for all edges.
    inner, outer = np.empty_like(predicted[0]), np.empty_like(predicted[0])
    step = max(MOST_NUMBERS // (4 * len(scores)), 1)
    for first in range(0, predicted.shape[1], step):
        rows = slice(first, first + step)
        # Of shape (n_rows, n_calibration, 4).
        centres, margins = (np.moveaxis(part[folds, rows], 0, 1) for part in (centre, width))
        # A score of 0 times an infinite width is unknown, too.
        margins = np.nan_to_num(margins * scores[:, None], nan=np.inf, posinf=np.inf)
        inwards = centres - margins
        sums = inwards[..., ::2] + inwards[..., 1::2]
        inwards[(sums <= 0).any(axis=2)] = -np.inf
        inner[rows] = -np.partition(-inwards, rank - 1, axis=1)[:, rank - 1]
        outer[rows] = np.partition(centres + margins, rank - 1, axis=1)[:, rank - 1]
    return OUTWARD * inner, OUTWARD * outer


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
