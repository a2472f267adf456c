"""Whether candidates of a search differ from the best by more than chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as student

if TYPE_CHECKING:
    from ..typing import FloatArray

__all__ = ["LEVEL", "compare_with_best", "describe_ties"]

#: Candidates with at least this p-value cannot be distinguished from the best.
LEVEL = 0.05


def compare_with_best(scores: FloatArray) -> FloatArray:
    """The p-value of the difference of each candidate from the best, in the same folds.

    The corrected resampled t-test, two-sided: training sets of folds overlap, so their
    differences are not independent. It assumes that each image is tested once, as in k-fold
    cross-validation. There is no correction for the number of candidates.

    Parameters
    ----------
    scores : ndarray of shape (n_candidates, n_folds)

    Returns
    -------
    ndarray of shape (n_candidates,)
        1 for the best. NaN for a candidate that failed in a fold, and for all with a single fold.

    References
    ----------
    .. [1] C. Nadeau, Y. Bengio, "Inference for the Generalization Error", Machine Learning 52
       (2003), 239-281.

    Examples
    --------
    The third differs by 0 and 0.25: t is 0.125 / sqrt(1.5 * 0.03125), with one degree of freedom.

    >>> import numpy as np
    >>> from skbbox.displays.significance import compare_with_best
    >>> compare_with_best(np.array([[0.5, 0.75], [0.25, 0.5], [0.5, 0.5]])).round(2)
    array([1.  , 0.  , 0.67])
    """
    n_folds = scores.shape[1]
    mean = scores.mean(axis=1)
    if n_folds < 2 or np.isnan(mean).all():
        return np.full(len(scores), np.nan)
    difference = scores[np.nanargmax(mean)] - scores
    # The second term is the number of test images divided by that of training images.
    variance = (1 / n_folds + 1 / (n_folds - 1)) * difference.var(axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.abs(difference.mean(axis=1)) / np.sqrt(variance)
    p_values: FloatArray = 2 * student.sf(statistic, n_folds - 1)
    p_values[(difference == 0).all(axis=1)] = 1.0
    return p_values


def describe_ties(p_values: FloatArray, n_folds: int) -> str:
    """What the marks of a plot mean; empty if there is nothing to compare."""
    known = p_values[~np.isnan(p_values)]
    if len(known) < 2:
        return ""
    test = f"paired over {n_folds} folds, p ≥ {LEVEL:g}"
    if (known >= LEVEL).all():
        return f"None can be distinguished from the best ({test})"
    if (known >= LEVEL).sum() == 1:
        return f"All others differ from the best (paired over {n_folds} folds, p < {LEVEL:g})"
    return f"≈ cannot be distinguished from the best ({test})"
