"""Check X and sample_weight, and convert each to one type."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from ..boxes.tables import as_pandas, describe_type, suggest_conversion, warn_of_order
from ..exceptions import ImageError, SkbboxWarning
from ..files import as_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from ..typing import FloatArray, ImagesLike

__all__ = [
    "Images",
    "check_images",
    "check_sample_weight",
    "describe_first",
    "get_index",
    "set_image_tags",
    "warn_of_bad_images",
]

PIXELS = (np.ndarray, Image.Image)


@dataclass(frozen=True)
class Images:
    """The images of an X.

    Attributes
    ----------
    items : list of str, Path, ndarray or PIL image
        One image each, as :func:`skbbox.images.load_image` accepts them.
    index : pandas Index or None
        The index of X, if it has one.
    """

    items: list[Any]
    index: pd.Index | None = None

    def __len__(self) -> int:
        return len(self.items)

    def take(self, rows: NDArray[np.int_]) -> Images:
        """Select rows."""
        index = None if self.index is None else self.index[rows]
        return Images([self.items[row] for row in rows], index)

    def keys(self) -> list[str | int]:
        """One key per row, equal for rows that have the same path.

        Each array or PIL image has a key of its own.
        """
        return [
            os.fspath(item) if isinstance(item, (str, os.PathLike)) else row
            for row, item in enumerate(self.items)
        ]


def check_images(X: ImagesLike) -> Images:
    """Convert any accepted X to a list of images.

    Parameters
    ----------
    X : list, tuple, Series, ndarray or DataFrame
        Paths (str or Path, ``~`` is expanded), a DataFrame with the column ``image``,
        a uint8 array of shape (n, height, width, 3), or a list of arrays or PIL images.
        Columns and tables of polars, pyarrow and Dask, and data sets of Hugging Face, are read
        like those of pandas.

    Returns
    -------
    Images

    Raises
    ------
    ImageError
        If X is none of these, is empty, or a row is not an image.
    """
    received, X = X, as_pandas(X)
    index = get_index(received, X)
    items = _list_items(X, received)
    if not items:
        raise ImageError("X has no images: Found array with 0 sample(s), at least 1 is required.")
    for row, item in enumerate(items):
        if not isinstance(item, (str, os.PathLike, *PIXELS)):
            raise ImageError(
                f"Row {row} of X is not an image: expected a path, a uint8 array or a PIL image. "
                f"Received: {item!r}."
            )
    return Images([_expand_home(item) for item in items], index)


def get_index(received: Any, table: Any) -> pd.Index | None:
    """The index of a table, unless it was made in the conversion to pandas."""
    has_index = hasattr(received, "index") and not callable(received.index)
    return table.index if has_index and isinstance(table, (pd.DataFrame, pd.Series)) else None


def _list_items(X: Any, received: Any) -> list[Any]:
    if isinstance(X, (str, os.PathLike, Image.Image)):
        raise ImageError(f"X is one image; pass a list: [{X!r}].")
    if isinstance(X, pd.DataFrame):
        if "image" not in X.columns:
            raise ImageError(
                "A DataFrame passed as X needs the column 'image' with the paths. "
                f"Received the columns: {list(X.columns)}."
            )
        if (X.columns == "image").sum() > 1:
            raise ImageError("X has several columns 'image'. Pass one of them, as a Series.")
        X = X["image"]
    if isinstance(X, (list, tuple, pd.Series, pd.api.extensions.ExtensionArray)):
        return list(X)
    if isinstance(X, np.ndarray):
        return _list_array_items(X)
    raise ImageError(
        "X must be a list, Series or 1-D array of paths, a DataFrame with the column 'image', a "
        "uint8 array of shape (n, height, width, 3), or a list of arrays or PIL images. "
        f"Received: {describe_type(received)}.{suggest_conversion('X', received, 'image')}"
    )


def _list_array_items(X: NDArray[Any]) -> list[Any]:
    if X.dtype.kind in "OUT" and (X.ndim == 1 or (X.ndim == 2 and X.shape[1] == 1)):
        return X.ravel().tolist()
    if X.ndim == 4:
        return list(X)
    raise ImageError(
        "An array passed as X must be 1-D with paths, or uint8 of shape (n, height, width, 3). "
        f"Received shape {X.shape} and dtype {X.dtype}."
    )


def _expand_home(item: Any) -> Any:
    if isinstance(item, Path):
        return as_path(item)
    return os.path.expanduser(item) if isinstance(item, str) else item


def check_sample_weight(
    sample_weight: ArrayLike | None, n_rows: int, index: pd.Index | None = None
) -> FloatArray | None:
    """Check weights and convert them to float64; None stays None.

    A single number becomes the weight of every row. There is a warning if the index of the
    weights has the labels of `index`, that of X, in another order.

    Raises
    ------
    ValueError
        If the length differs from `n_rows`, a weight is negative or not
        finite, or all weights are 0.
    """
    if sample_weight is None:
        return None
    column = as_pandas(sample_weight)
    warn_of_order(("X", "sample_weight"), index, get_index(sample_weight, column))
    weights = np.asarray(column, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(n_rows, float(weights))
    if weights.shape != (n_rows,):
        raise ValueError(
            f"sample_weight needs one entry for each of the {n_rows} rows. "
            f"Received shape {weights.shape}."
        )
    wrong = np.flatnonzero(~np.isfinite(weights) | (weights < 0))
    if wrong.size:
        raise ValueError(
            "sample_weight must be finite and not negative. "
            f"Received: {weights[wrong[0]]} in row {wrong[0]}."
        )
    if weights.sum() == 0:
        raise ValueError(
            "sample_weight is zero in every row; at least one weight must be positive."
        )
    return weights


def set_image_tags(tags: Tags) -> Tags:
    """Set scikit-learn's tags for an estimator that predicts boxes from images."""
    tags.target_tags.required = True
    tags.target_tags.two_d_labels = True
    tags.target_tags.multi_output = True
    tags.target_tags.single_output = False
    tags.input_tags.two_d_array = False
    tags.input_tags.one_d_array = True
    tags.input_tags.string = True
    return tags


def warn_of_bad_images(bad: Mapping[int, str], n_images: int) -> None:
    """Warn that images cannot be read.

    Parameters
    ----------
    bad : dict of int to str
        Their rows, and why; without any, there is no warning.
    n_images : int
    """
    if bad:
        warnings.warn(
            f"{len(bad)} of {n_images} images cannot be read and are left out. "
            f"{describe_first(bad)}",
            SkbboxWarning,
            stacklevel=4,
        )


def describe_first(bad: Mapping[int, str]) -> str:
    """The row of the first unreadable image, and why it cannot be read."""
    row, reason = next(iter(bad.items()))
    return f"Row {row}: {reason}"
