"""Find rows whose class or box is likely wrong, with out-of-fold predictions."""

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
from .metrics import compute_box_issue
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
    """Rank rows by how likely their class or box is wrong.

    Each row is predicted by an estimator that was fitted without it. A class is suspicious if
    another class is more probable. A box is suspicious if the predicted box hardly overlaps it
    although the model is confident.

    Parameters
    ----------
    estimator : SingleBoxLocalizer or DummyLocalizer
        Is cloned; the estimator itself is not fitted.
    X : images of length n
    y : table of boxes of length n
        As for ``fit``.
    cv : int or splitter, default=5
        Number of folds, which are stratified by class and keep the rows of an image together;
        or a splitter that puts each row into one test set.
    groups : array-like of shape (n,), default=None
        Groups of images that belong together, for the splitter.
    n_jobs : int, default=None
        Number of folds that joblib runs in parallel.

    Returns
    -------
    DataFrame of n rows, the most suspicious first
        ``row`` (position in `y`) and ``image`` (the path, where X has paths); ``issue``, the
        larger of ``class_issue`` and ``box_issue``; ``class_name`` and ``predicted_class``;
        ``iou`` of the given and the predicted box; ``x_min`` ... ``y_max`` of the predicted
        box. Issues are in 0..1. ``class_issue`` is 0.5 if the given class and the most probable
        other class are equally probable. ``box_issue`` is 1 - IoU, times the predicted
        ``box_confidence``, or ``class_confidence`` if the model has no ``box_confidence``.
        Without classes, the columns of classes are absent.

    Raises
    ------
    ValueError
        If a row is in no test set or in several.

    References
    ----------
    .. [1] C. Northcutt, L. Jiang, I. Chuang, "Confident Learning: Estimating Uncertainty in
       Dataset Labels", JAIR 70 (2021), 1373-1411 (out-of-sample probabilities, margin).
    """
    images = check_images(X)
    targets = check_targets(y, len(images))
    names = as_class_names(y)
    folds = _make_folds(cv, X, y, names, groups, len(images))
    predicted = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(_fit_and_predict)(clone(estimator), X, y, train, test)
        for train, test in folds
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
    issues["box_issue"] = compute_box_issue(overlap, boxes)
    issues["iou"] = overlap
    issues[sides] = boxes[sides]
    parts = [name for name in ("class_issue", "box_issue") if name in issues]
    issues["issue"] = issues[parts].max(axis=1)
    return issues.sort_values("issue", ascending=False, kind="stable", ignore_index=True)


def _make_folds(
    cv: int | BaseCrossValidator,
    X: ImagesLike,
    y: TargetsLike,
    names: NDArray[np.object_] | None,
    groups: ArrayLike | None,
    n: int,
) -> list[Split]:
    """Split rows into folds, and check that each row is in one test set."""
    if isinstance(cv, Integral):
        splitter = GroupKFold if names is None else StratifiedGroupBoxKFold
        cv = splitter(cv, shuffle=True, random_state=0)
        groups = check_images(X).keys() if groups is None else groups
        groups = pd.factorize(np.asarray(groups, dtype=object))[0]
    folds = list(check_cv(cv).split(X, y, groups))
    tested = np.bincount(np.concatenate([test for _, test in folds]), minlength=n)
    if (tested != 1).any():
        row = int(np.flatnonzero(tested != 1)[0])
        raise ValueError(
            "cv must put each row into exactly one test set, as KFold does. "
            f"Row {row} is in {tested[row]} test sets."
        )
    return folds


def _fit_and_predict(
    estimator: BaseEstimator, X: ImagesLike, y: TargetsLike, train: IntArray, test: IntArray
) -> tuple[pd.DataFrame, FloatArray | None]:
    """Predict the test rows; also how much more probable another class is than the given one."""
    estimator.fit(_safe_indexing(X, train), _safe_indexing(y, train))
    X_test = _safe_indexing(X, test)
    boxes = estimator.predict(X_test)
    names = as_class_names(_safe_indexing(y, test))
    if names is None:
        return boxes, None
    probabilities = estimator.predict_proba(X_test)
    # A class that is missing in the training rows has probability 0.
    is_given = names[:, None] == np.asarray(estimator.classes_, dtype=object)
    given = (probabilities * is_given).sum(axis=1)
    others = np.where(is_given, 0.0, probabilities).max(axis=1)
    return boxes, others - given
