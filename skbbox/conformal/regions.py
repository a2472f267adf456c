"""What errors of edges are proportional to, and regions as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..metrics import REGION
from .scores import OUTWARD

if TYPE_CHECKING:
    from ..typing import FloatArray
    from .folds import Predicted

__all__ = ["choose_margin", "compute_scale", "make_region"]

#: Part of the scale that all errors have, in widths and heights of the image: an edge of which a
#: model is certain may still be wrong.
COMMON_SCALE = 0.01


def choose_margin(margin: str, predicted: Predicted) -> str:
    """The margin that ``"auto"`` stands for.

    Raises
    ------
    ValueError
        If it is ``"spread"`` and the localizer predicts none.
    """
    if margin == "spread" and predicted.spread is None:
        raise ValueError(
            "margin='spread' needs a localizer that predicts the spread of its edges, as "
            "SingleBoxLocalizer(box_head='spatial') does. Pass margin='size' or 'auto'."
        )
    if margin != "auto":
        return margin
    return "size" if predicted.spread is None else "spread"


def compute_scale(predicted: Predicted, margin: str) -> FloatArray:
    """What the error of each edge is divided by, of shape (n, 4)."""
    if margin == "constant":
        return np.ones((len(predicted.table), 4))
    if margin == "spread" and predicted.spread is not None:
        scale = predicted.spread
    else:
        boxes = predicted.boxes
        scale = np.repeat(boxes[:, 1::2] - boxes[:, ::2], 2, axis=1)
    return scale + COMMON_SCALE


def make_region(inner: FloatArray, outer: FloatArray, predicted: Predicted) -> pd.DataFrame:
    """The table of inner and outer boxes.

    Parameters
    ----------
    inner, outer : ndarray of shape (n, 4)
        Of :func:`bound_boxes`. They are extended where the predicted box does not lie between them,
        as may happen with models of folds.
    predicted : Predicted
        Of the same images; unreadable ones have no region.

    Returns
    -------
    DataFrame of n rows
        With the columns ``REGION``.
    """
    edges = OUTWARD * predicted.boxes
    inner = OUTWARD * np.fmin(OUTWARD * inner, edges)
    outer = (OUTWARD * np.fmax(OUTWARD * outer, edges)).clip(0.0, 1.0)
    inner[(inner[:, ::2] >= inner[:, 1::2]).any(axis=1)] = np.nan
    region = np.concatenate([inner, outer], axis=1)
    region[~predicted.is_readable] = np.nan
    return pd.DataFrame(region, columns=list(REGION), index=predicted.table.index)
