"""Whether confidences and regions are what they claim to be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, as_optional_boxes
from ..boxes.tables import as_pandas
from ..exceptions import BoxError
from .pairs import pair_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import BoxesLike, FloatArray, IntArray

__all__ = [
    "CLAIMS",
    "REGION",
    "Reliability",
    "compute_reliability",
    "expected_calibration_error",
    "region_coverage",
]

#: Rounding error of an edge.
ROUNDING = 1e-9

#: Columns of a region.
REGION = tuple(f"{box}_{edge}" for box in ("inner", "outer") for edge in COORDINATES)

#: Each confidence, and what it claims to be.
CLAIMS = {"class_confidence": "share of right classes", "box_confidence": "mean IoU"}


@dataclass(frozen=True)
class Reliability:
    """Confidences in bins, and what was reached.

    Attributes
    ----------
    confidence, reached : ndarray of shape (n_bins,)
        Means over the rows of each bin; bins without rows are left out.
    count : ndarray of shape (n_bins,)
    """

    confidence: FloatArray
    reached: FloatArray
    count: IntArray

    @property
    def error(self) -> float:
        """The expected calibration error."""
        gap = np.abs(self.confidence - self.reached)
        return float(np.average(gap, weights=self.count))


def expected_calibration_error(
    y_true: BoxesLike,
    y_pred: BoxesLike,
    *,
    of: Literal["class_confidence", "box_confidence"] = "class_confidence",
    n_bins: int = 10,
) -> float:
    """Mean gap between a confidence and the accuracy or IoU that it estimates.

    Rows are put into bins of equal width by their confidence. The gap of a bin is the difference
    between its mean confidence and the share of right classes, or the mean IoU, of its rows.

    Parameters
    ----------
    y_true : table of n boxes
    y_pred : DataFrame of n rows
        What ``predict`` returned.
    of : {"class_confidence", "box_confidence"}, default="class_confidence"
    n_bins : int, default=10

    Returns
    -------
    float
        In 0..1; weighted by the number of rows in each bin. Even for a calibrated model, it is
        above 0 by chance, and higher if there are fewer rows.

    Raises
    ------
    BoxError
        If `y_pred` lacks the column, or no row of `y_true` can be compared.

    References
    ----------
    .. [1] C. Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 2.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import TARGET_COLUMNS, expected_calibration_error
    >>> y_true = pd.DataFrame([("cat", 0, 1, 0, 1), ("dog", 0, 1, 0, 1)], columns=TARGET_COLUMNS)
    >>> y_pred = y_true.assign(class_name="cat", class_confidence=0.75)
    >>> expected_calibration_error(y_true, y_pred)
    0.25
    """
    return compute_reliability(y_true, y_pred, of, n_bins).error


def compute_reliability(y_true: BoxesLike, y_pred: Any, of: str, n_bins: int) -> Reliability:
    """Bins of a confidence, as :func:`expected_calibration_error` compares them."""
    if of not in CLAIMS:
        raise ValueError(f"of must be one of {list(CLAIMS)}. Received: {of!r}.")
    if not isinstance(n_bins, int) or n_bins < 1:
        raise ValueError(f"n_bins must be an integer of at least 1. Received: {n_bins!r}.")
    table = as_pandas(y_pred)
    pairs = pair_rows(y_true, table)
    if not isinstance(table, pd.DataFrame) or of not in table:
        raise BoxError(f"y_pred has no column {of}, which is compared with the {CLAIMS[of]}.")
    confidence = table[of].to_numpy(dtype=np.float64)[pairs.rows]
    reached = pairs.is_right_class if of == "class_confidence" else pairs.iou
    # What is not predicted has no confidence.
    known = ~(np.isnan(confidence) | np.isnan(reached))
    if of == "box_confidence":
        known &= pairs.has_box
    if not known.any():
        raise BoxError(f"There is nothing to compare: no row has both {of} and a true label.")
    confidence, reached = confidence[known], reached[known]
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    count = np.bincount(bins, minlength=n_bins)
    used = count > 0
    means = [np.bincount(bins, part, n_bins)[used] / count[used] for part in (confidence, reached)]
    return Reliability(means[0], means[1], count[used])


def region_coverage(y_true: BoxesLike, regions: Any) -> float:
    """Share of the true boxes that lie between the inner and the outer box of their region.

    Parameters
    ----------
    y_true : table of n boxes
        Rows without a box are left out.
    regions : DataFrame of n rows
        What ``ConformalLocalizer.predict_region`` returned. Unreadable images are left out.

    Returns
    -------
    float
        In 0..1.

    Raises
    ------
    BoxError
        If a column is missing, lengths differ, or no row can be compared.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import region_coverage
    >>> inner, outer = (0.3, 0.7, 0.3, 0.7), (0.1, 0.9, 0.1, 0.9)
    >>> names = [f"{box}_{edge}" for box in ("inner", "outer")
    ...          for edge in ("x_min", "x_max", "y_min", "y_max")]
    >>> regions = pd.DataFrame([[*inner, *outer]] * 2, columns=names)
    >>> region_coverage([(0.2, 0.8, 0.2, 0.8), (0.2, 0.6, 0.2, 0.8)], regions)
    0.5
    """
    is_covered, known = find_covered(y_true, regions)
    if not known.any():
        raise BoxError("There is nothing to compare: no row has both a true box and a region.")
    return float(is_covered[known].mean())


def find_covered(y_true: BoxesLike, regions: Any) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each true box lies in its region, and which rows have both, of shape (n,)."""
    true, table = as_optional_boxes(y_true), as_pandas(regions)
    missing = [name for name in REGION if name not in getattr(table, "columns", ())]
    if missing:
        raise BoxError(f"regions is missing the columns {missing}; pass what predict_region gave.")
    if len(table) != len(true):
        raise BoxError(
            f"y_true and regions are paired by row. Received {len(true)} and {len(table)} rows."
        )
    bounds = table[list(REGION)].to_numpy(dtype=np.float64)
    inner, outer = bounds[:, :4], bounds[:, 4:]
    outwards = np.array([-1.0, 1.0, -1.0, 1.0])
    fits = (outwards * (true - outer) <= ROUNDING).all(axis=1)
    holds = (outwards * (inner - true) <= ROUNDING).all(axis=1) | np.isnan(inner[:, 0])
    return fits & holds, ~np.isnan(true[:, 0]) & ~np.isnan(outer[:, 0])
