"""Converting a table of boxes to the X and y of an estimator."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..boxes import COORDINATES, TARGET_COLUMNS
from ..exceptions import SkbboxWarning
from .record import check_columns

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["one_box_per_image"]

KEEP = ("largest", "first", "only", "all")


def one_box_per_image(
    boxes: pd.DataFrame, keep: Literal["largest", "first", "only", "all"] = "largest"
) -> tuple[pd.Series, pd.DataFrame]:
    """Select one box per image from a table of boxes.

    Parameters
    ----------
    boxes : DataFrame
        As returned by :func:`read_annotations`: a column ``image`` and the columns of
        ``TARGET_COLUMNS``. Further columns are kept.
    keep : {"largest", "first", "only", "all"}, default="largest"
        Which box of an image with several to keep: the one with the largest area (of equal
        areas, the first), the first row, none (``"only"`` leaves such images out), or all of
        them (the image is repeated, as in the chapter).

    Returns
    -------
    X : Series of str
        Paths of the images.
    y : DataFrame
        The columns of ``TARGET_COLUMNS``, followed by the further columns of `boxes`. Rows keep
        their order and index.

    Warns
    -----
    SkbboxWarning
        If images without an object or, with ``keep="only"``, images with several boxes are left
        out; gives their number.

    Raises
    ------
    ValueError
        If `keep` is unknown or a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import one_box_per_image
    >>> boxes = pd.DataFrame({
    ...     "image": ["a.jpg", "a.jpg", "b.jpg"], "class_name": ["cat", "dog", "cat"],
    ...     "x_min": [0.0, 0.0, 0.2], "x_max": [0.1, 0.9, 0.8],
    ...     "y_min": [0.0, 0.0, 0.2], "y_max": [0.1, 0.9, 0.8]})
    >>> X, y = one_box_per_image(boxes)
    >>> X.tolist(), y["class_name"].tolist()
    (['a.jpg', 'b.jpg'], ['dog', 'cat'])
    """
    if keep not in KEEP:
        raise ValueError(f"keep must be one of {list(KEEP)}. Received: {keep!r}.")
    check_columns(boxes)
    needed = ["image", *TARGET_COLUMNS]
    no_box = boxes[list(COORDINATES)].isna().all(axis=1)
    boxes = _drop_rows(boxes, no_box, "images without an object")
    if keep == "only":
        several = boxes["image"].duplicated(keep=False)
        boxes = _drop_rows(boxes, several, "images with several boxes")
    elif keep == "first":
        boxes = boxes[~boxes["image"].duplicated()]
    elif keep == "largest":
        boxes = boxes[_is_largest(boxes)]
    extra = [name for name in boxes.columns if name not in needed]
    return boxes["image"], boxes[[*TARGET_COLUMNS, *extra]]


def _is_largest(boxes: pd.DataFrame) -> NDArray[np.bool_]:
    area = (boxes["x_max"] - boxes["x_min"]) * (boxes["y_max"] - boxes["y_min"])
    # A stable sort keeps the first of equal areas in front.
    order = area.reset_index(drop=True).sort_values(ascending=False, kind="stable").index
    first = ~boxes["image"].iloc[order].duplicated().to_numpy()
    chosen = np.zeros(len(boxes), dtype=bool)
    chosen[order[first]] = True
    return chosen


def _drop_rows(boxes: pd.DataFrame, dropped: pd.Series, description: str) -> pd.DataFrame:
    kept = boxes[~dropped.to_numpy()]
    number = len(set(boxes["image"]) - set(kept["image"]))
    if number:
        warnings.warn(
            f"{number} {description} left out by one_box_per_image.", SkbboxWarning, stacklevel=3
        )
    return kept
