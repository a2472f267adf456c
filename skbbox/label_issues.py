"""Rows whose box or class is likely wrong, found by a model that did not learn from them."""

from __future__ import annotations

import os
from numbers import Integral
from typing import TYPE_CHECKING

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, check_cv
from sklearn.utils import _safe_indexing

from .boxes import TARGET_COLUMNS, as_class_names, iou
from .files import names_to_series
from .inputs import check_images, check_targets
from .model_selection import StratifiedGroupBoxKFold

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import BaseCrossValidator

    from .typing import FloatArray, ImagesLike, IntArray, Split, TargetsLike

__all__ = ["rank_label_issues"]


def rank_label_issues(
    estimator: BaseEstimator,
    X: ImagesLike,
    y: TargetsLike,
    cv: int | BaseCrossValidator = 5,
    *,
    groups: ArrayLike | None = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Order rows by how likely their class or box is wrong.

    Each row is predicted by an estimator that was fitted without it. A class is suspicious where
    another one is more probable, and a box where the predicted one hardly overlaps it although
    the model expects its own box to be good.

    Parameters
    ----------
    estimator : SingleBoxLocalizer
        Not fitted here; copies of it are.
    X : images of length n
    y : table of boxes of length n
        As for ``fit``.
    cv : int or splitter, default=5
        Number of folds, in which the rows of one image stay together and classes are in
        proportion; or a splitter that tests each row once.
    groups : array-like of shape (n,), default=None
        Of images that belong together, for the splitter.
    n_jobs : int, default=None
        Folds that run at the same time, by joblib.

    Returns
    -------
    DataFrame of n rows, the most suspicious first
        ``row`` (position in `y`) and ``image`` (the path, where X has paths); ``issue``, the
        larger of ``class_issue`` and ``box_issue``; ``class_name`` and ``predicted_class``;
        ``iou`` of the given and the predicted box; ``x_min`` ... ``y_max`` of the predicted
        box. Issues are in 0..1. ``class_issue`` is .5 where the given class and the likeliest
        other one are equally probable; ``box_issue`` is 1 - IoU times the confidence of the
        predicted box. Columns that the fit had nothing for are absent.

    Raises
    ------
    ValueError
        If a row is tested by no fold or by several.

    References
    ----------
    .. [1] C. Northcutt, L. Jiang, I. Chuang, "Confident Learning: Estimating Uncertainty in
       Dataset Labels", JAIR 70 (2021), 1373-1411 (out-of-sample probabilities, margin).
    """
    images = check_images(X)
    targets = check_targets(y, len(images))
    names = as_class_names(y)
    folds = _folds(cv, X, y, names, groups, len(images))
    predicted = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(_predicted)(clone(estimator), X, y, train, test) for train, test in folds
    )
    order = np.argsort(np.concatenate([test for _, test in folds]), kind="stable")
    boxes = pd.concat([boxes for boxes, _ in predicted], ignore_index=True).iloc[order]
    boxes = boxes.reset_index(drop=True)
    issues = pd.DataFrame({"row": np.arange(len(boxes))})
    if all(isinstance(item, (str, os.PathLike)) for item in images.items):
        issues["image"] = names_to_series([os.fspath(item) for item in images.items])
    issues["issue"] = 0.0
    sides = list(TARGET_COLUMNS[1:])
    overlap = iou(targets.boxes, boxes[sides])
    if names is not None:
        margins = np.concatenate([margin for _, margin in predicted])[order]
        issues["class_issue"] = (1 + margins) / 2
        issues["class_name"], issues["predicted_class"] = names, boxes["class_name"]
    issues["box_issue"] = (1 - overlap) * boxes.get("confidence", 1.0)
    issues["iou"] = overlap
    issues[sides] = boxes[sides]
    of_kinds = [name for name in ("class_issue", "box_issue") if name in issues]
    issues["issue"] = issues[of_kinds].max(axis=1)
    return issues.sort_values("issue", ascending=False, kind="stable", ignore_index=True)


def _folds(
    cv: int | BaseCrossValidator,
    X: ImagesLike,
    y: TargetsLike,
    names: NDArray[np.object_] | None,
    groups: ArrayLike | None,
    n: int,
) -> list[Split]:
    """Rows to fit and rows to test of each fold, each row tested once."""
    if isinstance(cv, Integral):
        kind = GroupKFold if names is None else StratifiedGroupBoxKFold
        cv = kind(cv, shuffle=True, random_state=0)
        groups = check_images(X).keys() if groups is None else groups
        groups = pd.factorize(np.asarray(groups, dtype=object))[0]
    folds = list(check_cv(cv).split(X, y, groups))
    tested = np.bincount(np.concatenate([test for _, test in folds]), minlength=n)
    if (tested != 1).any():
        row = int(np.flatnonzero(tested != 1)[0])
        raise ValueError(
            f"cv tests each row once, as a KFold does. Row {row} is tested {tested[row]} times."
        )
    return folds


def _predicted(
    estimator: BaseEstimator, X: ImagesLike, y: TargetsLike, train: IntArray, test: IntArray
) -> tuple[pd.DataFrame, FloatArray | None]:
    """Boxes of rows to test, and how much likelier than the given class another one is."""
    estimator.fit(_safe_indexing(X, train), _safe_indexing(y, train))
    of_test = _safe_indexing(X, test)
    boxes = estimator.predict(of_test)
    names = as_class_names(_safe_indexing(y, test))
    if names is None:
        return boxes, None
    probabilities = estimator.predict_proba(of_test)
    # A class that no row in training has is given no probability.
    given = names[:, None] == np.asarray(estimator.classes_, dtype=object)
    of_given = (probabilities * given).sum(axis=1)
    of_others = np.where(given, 0.0, probabilities).max(axis=1)
    return boxes, of_others - of_given
