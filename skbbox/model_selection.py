"""Splitters that stratify by class and missing labels, and keep rows of an image together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold, StratifiedKFold

from .boxes import as_class_names, as_optional_boxes
from .boxes.tables import as_pandas
from .exceptions import BoxError
from .inputs import check_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from .inputs import Targets
    from .typing import BoxesLike, ImagesLike, IntArray, Split

__all__ = [
    "StratifiedBoxKFold",
    "StratifiedGroupBoxKFold",
    "find_groups",
    "find_strata",
    "make_group_splitter",
    "split_each_row_once",
    "split_train_validation",
]


class StratifiedBoxKFold(StratifiedKFold):
    """Stratified k-fold over ``y["class_name"]``.

    Rows without a class or a box are strata of their own.

    scikit-learn's StratifiedKFold does not accept a y of several columns. The
    parameters are those of :class:`sklearn.model_selection.StratifiedKFold`.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import StratifiedBoxKFold
    >>> y = pd.DataFrame({"class_name": ["cat"] * 2 + ["dog"] * 2,
    ...                   "x_min": 0.0, "x_max": 1.0, "y_min": 0.0, "y_max": 1.0})
    >>> for train, test in StratifiedBoxKFold(2).split(["a", "b", "c", "d"], y):
    ...     print(test)
    [0 2]
    [1 3]
    """

    def split(
        self, X: ImagesLike, y: BoxesLike, groups: ArrayLike | None = None
    ) -> Iterator[Split]:
        """Yield the positions of the training and test rows of each fold.

        Parameters
        ----------
        X : images, of length n
        y : table of boxes with ``class_name``, of length n
        groups : ignored

        Yields
        ------
        train, test : ndarray of int
        """
        strata = _get_strata(y)
        return super().split(np.zeros(len(as_pandas(X))), strata, groups)


class StratifiedGroupBoxKFold(StratifiedGroupKFold):
    """Stratified k-fold over ``y["class_name"]`` that keeps groups together.

    Rows without a class or a box are strata of their own.

    Without `groups`, rows with the same path are a group, so that the boxes of an
    image are never in both training and test set. The parameters are those of
    :class:`sklearn.model_selection.StratifiedGroupKFold`.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import StratifiedGroupBoxKFold
    >>> y = pd.DataFrame({"class_name": ["cat"] * 4,
    ...                   "x_min": 0.0, "x_max": 1.0, "y_min": 0.0, "y_max": 1.0})
    >>> X = ["a.jpg", "a.jpg", "b.jpg", "b.jpg"]
    >>> for train, test in StratifiedGroupBoxKFold(2).split(X, y):
    ...     print(train, test)
    [2 3] [0 1]
    [0 1] [2 3]
    """

    def split(
        self, X: ImagesLike, y: BoxesLike, groups: ArrayLike | None = None
    ) -> Iterator[Split]:
        """Yield the positions of the training and test rows of each fold.

        Parameters
        ----------
        X : images, of length n
        y : table of boxes with ``class_name``, of length n
        groups : array-like of shape (n,), default=None
            None makes a group of each path, array or PIL image.

        Yields
        ------
        train, test : ndarray of int
        """
        return super().split(np.zeros(len(as_pandas(X))), _get_strata(y), find_groups(X, groups))


def find_strata(class_names: NDArray[Any] | None, has_box: NDArray[np.bool_]) -> IntArray:
    """The stratum of each row: its class, if it has one, and whether it has a box."""
    names = np.full(len(has_box), None, dtype=object)
    if class_names is not None:
        has_class = ~pd.isna(class_names)
        names[has_class] = class_names[has_class]
    return pd.factorize(pd.MultiIndex.from_arrays([names, has_box]))[0]


def _get_strata(y: BoxesLike) -> IntArray:
    names, has_box = as_class_names(y), ~np.isnan(as_optional_boxes(y)[:, 0])
    if names is None and has_box.all():
        raise BoxError(
            "Stratified splitting needs the column class_name in y; use KFold or GroupKFold for "
            "boxes without classes."
        )
    return find_strata(names, has_box)


def find_groups(X: ImagesLike, groups: ArrayLike | None) -> IntArray:
    """The number of the group of each row; without groups, rows of the same image are one."""
    keys = check_images(X).keys() if groups is None else groups
    return pd.factorize(np.asarray(keys, dtype=object))[0]


def make_group_splitter(
    n_folds: int, targets: Targets, random_state: int
) -> StratifiedGroupBoxKFold | GroupKFold:
    """A shuffling splitter that keeps groups together, and is stratified if that is possible."""
    has_strata = targets.has_class.any() or not targets.has_box.all()
    splitter = StratifiedGroupBoxKFold if has_strata else GroupKFold
    return splitter(n_folds, shuffle=True, random_state=random_state)


def split_each_row_once(splitter: Any, X: Any, y: Any, n_rows: int, **params: Any) -> list[Split]:
    """The folds of a splitter; `params`, such as groups, are for its ``split``.

    Raises
    ------
    ValueError
        If a row is in no test set, or in several.
    """
    folds = list(splitter.split(X, y, **params))
    tested = np.bincount(np.concatenate([test for _, test in folds]), minlength=n_rows)
    if (tested != 1).any():
        row = int(np.flatnonzero(tested != 1)[0])
        raise ValueError(
            "cv must put each row into exactly one test set, as KFold does. "
            f"Row {row} is in {tested[row]} test sets."
        )
    return folds


def split_train_validation(
    strata: ArrayLike, groups: ArrayLike, fraction: float, rng: np.random.Generator
) -> Split:
    """Split rows into training and validation, stratified and with groups kept together.

    Parameters
    ----------
    strata : array-like of shape (n,)
    groups : array-like of shape (n,)
    fraction : float
        Share of the groups that are used for validation, above 0 and below 1.
    rng : numpy Generator

    Returns
    -------
    train, validation : ndarray of int
        Sorted; each has at least one group.

    Raises
    ------
    ValueError
        If there are fewer than two groups.
    """
    group_of_row, unique = pd.factorize(np.asarray(groups, dtype=object))
    if len(unique) < 2:
        raise ValueError(
            "validation_fraction needs at least two different images. Received: one. "
            "Add images, or set validation_fraction=0."
        )
    first_row = np.unique(group_of_row, return_index=True)[1]
    stratum = pd.factorize(np.asarray(strata, dtype=object))[0][first_row]
    # Shuffle, then sort by stratum, so that equal steps through the order take the same share
    # of each stratum.
    order = rng.permutation(len(unique))
    order = order[np.argsort(stratum[order], kind="stable")]
    n_validation = min(max(round(fraction * len(unique)), 1), len(unique) - 1)
    steps = (np.arange(n_validation) + rng.random()) * len(unique) / n_validation
    chosen = np.isin(group_of_row, order[steps.astype(int)])
    return np.flatnonzero(~chosen), np.flatnonzero(chosen)
