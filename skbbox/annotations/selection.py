"""From a table of boxes to the X and y of an estimator."""

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
    """Choose the box that stands for each image.

    Parameters
    ----------
    boxes : DataFrame
        As :func:`read_annotations` returns it: a column ``image`` and the columns
        of ``TARGET_COLUMNS``; others pass through.
    keep : {"largest", "first", "only", "all"}, default="largest"
        Which box of an image with several is kept: the one with the largest area
        (the first of equals), the first in the table, none (``"only"`` drops
        such images), or all of them (the image is repeated, as in the chapter).

    Returns
    -------
    X : Series of str
        Paths of the images.
    y : DataFrame
        The columns of ``TARGET_COLUMNS`` first, then every further column of
        `boxes`. Rows keep the order and the index that they have in `boxes`.

    Warns
    -----
    SkbboxWarning
        If images without an object, or with ``keep="only"`` images with several
        boxes, are left out; with their number.

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
    boxes = _without(boxes, boxes[list(COORDINATES)].isna().all(axis=1), "images without an object")
    if keep == "only":
        several = boxes["image"].duplicated(keep=False)
        boxes = _without(boxes, several, "images with several boxes")
    elif keep == "first":
        boxes = boxes[~boxes["image"].duplicated()]
    elif keep == "largest":
        boxes = boxes[_is_largest(boxes)]
    extra = [name for name in boxes.columns if name not in needed]
    return boxes["image"], boxes[[*TARGET_COLUMNS, *extra]]


def _is_largest(boxes: pd.DataFrame) -> NDArray[np.bool_]:
    area = (boxes["x_max"] - boxes["x_min"]) * (boxes["y_max"] - boxes["y_min"])
    # A stable sort keeps the first of equals in front.
    order = area.reset_index(drop=True).sort_values(ascending=False, kind="stable").index
    first = ~boxes["image"].iloc[order].duplicated().to_numpy()
    chosen = np.zeros(len(boxes), dtype=bool)
    chosen[order[first]] = True
    return chosen


def _without(boxes: pd.DataFrame, left_out: pd.Series, what: str) -> pd.DataFrame:
    kept = boxes[~left_out.to_numpy()]
    number = len(set(boxes["image"]) - set(kept["image"]))
    if number:
        warnings.warn(
            f"{number} {what} left out by one_box_per_image.", SkbboxWarning, stacklevel=3
        )
    return kept
