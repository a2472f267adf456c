"""Converting a table of boxes to the X and y of an estimator."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, TARGET_COLUMNS
from ..boxes.tables import as_pandas, select_like
from ..exceptions import SkbboxWarning
from .record import check_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import IntArray

__all__ = ["one_box_per_image"]

KEEP = ("largest", "first", "only", "all")
EMPTY = ("keep", "drop")


def one_box_per_image(
    boxes: pd.DataFrame,
    keep: Literal["largest", "first", "only", "all"] = "largest",
    empty: Literal["keep", "drop"] = "keep",
) -> tuple[pd.Series, pd.DataFrame]:
    """Select one box per image from a table of boxes.

    An image without a box becomes a row without coordinates. If the row also has no class, it is
    an image without an object. :func:`check_annotations` counts the rows of each kind.

    For a polars table, the results are a polars Series and DataFrame; for pyarrow and Dask, they
    are a pandas Series and DataFrame.

    Parameters
    ----------
    boxes : DataFrame
        As returned by :func:`read_annotations`: a column ``image`` and the columns of
        ``TARGET_COLUMNS``. Further columns are kept. In a row, the class, the box or both may be
        missing.
    keep : {"largest", "first", "only", "all"}, default="largest"
        Which box to keep if an image has several: the box with the largest area (the first of
        equal areas), the first row, none (``"only"`` leaves these images out), or all of
        them (the image is repeated, as in the chapter). Rows with a class and no box are only
        used if the image has no box; ``"largest"`` then keeps the first.
    empty : {"keep", "drop"}, default="keep"
        Whether to keep images without an object, that is, rows with neither class nor box. From
        these rows, a model learns whether there is an object.

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
        If images are left out: those without an object with ``empty="drop"``, or those with
        several objects with ``keep="only"``; gives their number. If an image has a row without
        class and box, and another one with an object: the object is kept.

    Raises
    ------
    ValueError
        If `keep` or `empty` is unknown or a column is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import one_box_per_image
    >>> boxes = pd.DataFrame({
    ...     "image": ["a.jpg", "a.jpg", "b.jpg"], "class_name": ["cat", "dog", None],
    ...     "x_min": [0.0, 0.0, None], "x_max": [0.1, 0.9, None],
    ...     "y_min": [0.0, 0.0, None], "y_max": [0.1, 0.9, None]})
    >>> X, y = one_box_per_image(boxes)
    >>> X.tolist(), y["x_max"].tolist()
    (['a.jpg', 'b.jpg'], [0.9, nan])
    """
    if keep not in KEEP:
        raise ValueError(f"keep must be one of {list(KEEP)}. Received: {keep!r}.")
    if empty not in EMPTY:
        raise ValueError(f"empty must be one of {list(EMPTY)}. Received: {empty!r}.")
    table, boxes = boxes, as_pandas(boxes)
    check_columns(boxes)
    needed = ["image", *TARGET_COLUMNS]
    boxes = _select_kind(boxes)
    if empty == "drop":
        boxes = _drop_rows(boxes, _rank_kinds(boxes) == 0, "images without an object")
    if keep == "only":
        several = boxes["image"].duplicated(keep=False).to_numpy()
        boxes = _drop_rows(boxes, several, "images with several objects")
    elif keep == "first":
        boxes = boxes[~boxes["image"].duplicated()]
    elif keep == "largest":
        boxes = boxes[_is_largest(boxes)]
    extra = [name for name in boxes.columns if name not in needed]
    y = select_like(boxes[[*TARGET_COLUMNS, *extra]], table)
    return select_like(boxes[["image"]], table)["image"], y


def _rank_kinds(boxes: pd.DataFrame) -> IntArray:
    """How much each row says: 2 with a box or a part of one, 1 with a class alone, 0 with none."""
    has_box = boxes[list(COORDINATES)].notna().any(axis=1).to_numpy()
    return np.where(has_box, 2, boxes["class_name"].notna().to_numpy().astype(np.int64))


def _select_kind(boxes: pd.DataFrame) -> pd.DataFrame:
    """The rows of each image that say the most; one row of an image without an object."""
    images = pd.factorize(boxes["image"], use_na_sentinel=False)[0]
    ranks = _rank_kinds(boxes)
    most = np.zeros(len(boxes), dtype=np.int64)
    np.maximum.at(most, images, ranks)
    contradicting = np.flatnonzero((ranks == 0) & (most[images] > 0))
    if contradicting.size:
        names = boxes["image"].iloc[contradicting].unique()
        warnings.warn(
            f"{len(names)} images have a row without class and box, which says that there is no "
            f"object, and another row with an object, which one_box_per_image keeps. The first is "
            f"{names[0]}.",
            SkbboxWarning,
            stacklevel=3,
        )
    repeats_nothing = (ranks == 0) & boxes["image"].duplicated().to_numpy()
    return boxes[(ranks == most[images]) & ~repeats_nothing]


def _is_largest(boxes: pd.DataFrame) -> NDArray[np.bool_]:
    area = (boxes["x_max"] - boxes["x_min"]) * (boxes["y_max"] - boxes["y_min"])
    # Half a box is chosen before others, so that `fit` refuses it.
    area = area.fillna(np.inf)
    # A stable sort keeps the first of equal areas in front.
    order = area.reset_index(drop=True).sort_values(ascending=False, kind="stable").index
    first = ~boxes["image"].iloc[order].duplicated().to_numpy()
    chosen = np.zeros(len(boxes), dtype=bool)
    chosen[order[first]] = True
    return chosen


def _drop_rows(boxes: pd.DataFrame, dropped: NDArray[np.bool_], description: str) -> pd.DataFrame:
    kept = boxes[~dropped]
    number = len(set(boxes["image"]) - set(kept["image"]))
    if number:
        warnings.warn(
            f"{number} {description} left out by one_box_per_image.", SkbboxWarning, stacklevel=3
        )
    return kept
