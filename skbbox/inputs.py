"""Check X, y and sample_weight, and convert each to one type."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from .boxes import COORDINATES, TARGET_COLUMNS, check_boxes
from .exceptions import BoxError, ImageError, SkbboxWarning
from .files import as_path

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from .typing import FloatArray, ImagesLike, TargetsLike

__all__ = [
    "Images",
    "Targets",
    "check_images",
    "check_sample_weight",
    "check_targets",
    "describe_first",
    "encode_classes",
    "make_table",
    "set_image_tags",
    "warn_of_bad_images",
    "warn_of_unseen_classes",
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


@dataclass(frozen=True)
class Targets:
    """The boxes of a y, and its classes if it has them.

    Attributes
    ----------
    boxes : ndarray of shape (n, 4), float64
    class_names : ndarray of shape (n,), object, or None
    """

    boxes: FloatArray
    class_names: NDArray[np.object_] | None

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: NDArray[np.int_]) -> Targets:
        """Select rows."""
        return Targets(
            self.boxes[rows], None if self.class_names is None else self.class_names[rows]
        )


def check_images(X: ImagesLike) -> Images:
    """Convert any accepted X to a list of images.

    Parameters
    ----------
    X : list, tuple, Series, ndarray or DataFrame
        Paths (str or Path, ``~`` is expanded), a DataFrame with the column ``image``,
        a uint8 array of shape (n, height, width, 3), or a list of arrays or PIL images.

    Returns
    -------
    Images

    Raises
    ------
    ImageError
        If X is none of these, is empty, or a row is not an image.
    """
    index = X.index if isinstance(X, (pd.DataFrame, pd.Series)) else None
    items = _list_items(X)
    if not items:
        raise ImageError("X has no images: Found array with 0 sample(s), at least 1 is required.")
    for row, item in enumerate(items):
        if not isinstance(item, (str, os.PathLike, *PIXELS)):
            raise ImageError(
                f"Row {row} of X is not an image: expected a path, a uint8 array or a PIL image. "
                f"Received: {item!r}."
            )
    return Images([_expand_home(item) for item in items], index)


def _list_items(X: Any) -> list[Any]:
    if isinstance(X, (str, os.PathLike, Image.Image)):
        raise ImageError(f"X is one image; pass a list: [{X!r}].")
    if isinstance(X, pd.DataFrame):
        if "image" not in X.columns:
            raise ImageError(
                "A DataFrame passed as X needs the column 'image' with the paths. "
                f"Received the columns: {list(X.columns)}."
            )
        X = X["image"]
    if isinstance(X, (list, tuple, pd.Series, pd.api.extensions.ExtensionArray)):
        return list(X)
    if isinstance(X, np.ndarray):
        return _list_array_items(X)
    raise ImageError(
        "X must be a list, Series or 1-D array of paths, a DataFrame with the column 'image', a "
        "uint8 array of shape (n, height, width, 3), or a list of arrays or PIL images. "
        f"Received: {type(X).__name__}."
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


def check_targets(y: TargetsLike, n_images: int) -> Targets:
    """Check any accepted y and convert it to arrays.

    Parameters
    ----------
    y : DataFrame or structured array
        With the columns ``class_name, x_min, x_max, y_min, y_max`` in any order;
        others are ignored. Without ``class_name``: boxes only.
    n_images : int
        Length of X.

    Returns
    -------
    Targets

    Raises
    ------
    BoxError
        If y has no named columns, a column or class is missing, the length
        differs from `n_images`, or a box is invalid.
    """
    if y is None:
        raise BoxError(
            "This estimator requires y to be passed, but the target y is None. " + _explain_y()
        )
    names = y.columns if isinstance(y, pd.DataFrame) else getattr(y, "dtype", np.dtype("O")).names
    if names is None:
        raise BoxError("y needs named columns. " + _explain_y(y))
    missing = [name for name in COORDINATES if name not in names]
    if missing:
        raise BoxError(
            f"y is missing the columns {missing}. Received: {list(names)}. " + _explain_y()
        )
    if len(y) != n_images:
        raise BoxError(
            f"X and y differ in length: {n_images} images and {len(y)} rows of boxes. "
            "Rows are paired by position."
        )
    boxes = check_boxes(y)
    if "class_name" not in names:
        return Targets(boxes, None)
    class_names = np.asarray(y["class_name"], dtype=object)
    unnamed = np.flatnonzero(pd.isna(class_names))
    if unnamed.size:
        raise BoxError(
            f"Row {unnamed[0]}: class_name is missing. Give every row a class, or drop the column "
            "class_name to train on boxes only."
        )
    kinds = {isinstance(name, str) for name in class_names}
    if len(kinds) > 1:
        raise BoxError(
            "class_name mixes text with other types; use one type, for example "
            "y['class_name'].astype(str)."
        )
    return Targets(boxes, class_names)


def _explain_y(y: object = None) -> str:
    advice = (
        "Build y as pandas.DataFrame(rows, columns="
        f"{list(TARGET_COLUMNS)}), coordinates normalised to 0..1."
    )
    if y is None:
        return advice
    shape = np.asarray(y, dtype=object).shape
    return f"{advice} Received: {type(y).__name__} of shape {shape}."


def check_sample_weight(sample_weight: ArrayLike | None, n_images: int) -> FloatArray | None:
    """Check weights and convert them to float64; None stays None.

    A single number becomes the weight of every image.

    Raises
    ------
    ValueError
        If the length differs from `n_images`, a weight is negative or not
        finite, or all weights are 0.
    """
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(n_images, float(weights))
    if weights.shape != (n_images,):
        raise ValueError(
            f"sample_weight needs one entry for each of the {n_images} images. "
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


def encode_classes(
    class_names: NDArray[np.object_] | None, classes: Sequence[Any] | NDArray[Any] | None = None
) -> tuple[NDArray[Any] | None, NDArray[np.int32] | None]:
    """Convert class names to class indices 0..n_classes-1.

    Parameters
    ----------
    class_names : ndarray of shape (n,), or None
    classes : sequence, default=None
        Class names in the order of their indices; None sorts those in `class_names`.

    Returns
    -------
    classes : ndarray of shape (n_classes,), or None
    class_indices : ndarray of shape (n,), int32, or None

    Raises
    ------
    ValueError
        If a name is not among `classes`.
    """
    if class_names is None:
        return None, None
    if classes is None:
        classes = np.unique(class_names)
    class_indices = pd.Index(classes).get_indexer(pd.Index(class_names))
    unknown = np.flatnonzero(class_indices < 0)
    if unknown.size:
        raise ValueError(
            f"Row {unknown[0]}: class {class_names[unknown[0]]!r} is not one of the known classes "
            f"{list(classes)}."
        )
    return np.asarray(classes), class_indices.astype(np.int32)


def make_table(images: list[Any], targets: Targets) -> pd.DataFrame:
    """Join checked images and targets into a table for BoundingBoxGenerator."""
    table = pd.DataFrame(targets.boxes, columns=COORDINATES)
    if targets.class_names is not None:
        table.insert(0, TARGET_COLUMNS[0], targets.class_names)
    table["image"] = pd.Series(images, dtype=object)
    return table


def warn_of_unseen_classes(targets: Targets, classes: NDArray[Any] | None) -> None:
    """Warn about classes in y that were not in training."""
    if classes is None or targets.class_names is None:
        return
    unseen = sorted(set(targets.class_names) - set(classes), key=str)
    if unseen:
        warnings.warn(
            f"y has classes that were not in training: {unseen}. Their boxes are scored, but their "
            "class cannot be predicted. In cross-validation, rows sorted by class and an "
            "unshuffled cv=3 cause this; pass cv=StratifiedBoxKFold(3).",
            SkbboxWarning,
            stacklevel=3,
        )


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
