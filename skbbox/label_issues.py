"""Find rows whose class, box or lack of an object is likely wrong, with out-of-fold predictions."""

from __future__ import annotations

import os
from numbers import Integral
from typing import TYPE_CHECKING

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing

from .boxes import COORDINATES, as_boxes, find_boxes, iou, read_table
from .boxes.tables import as_pandas, like
from .files import names_to_series
from .inputs import check_any_object, check_images, check_targets
from .metrics import compute_box_issue
from .model_selection import find_groups, make_group_splitter, split_each_row_once

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from sklearn.base import BaseEstimator
    from sklearn.model_selection import BaseCrossValidator

    from .inputs import Targets
    from .typing import FloatArray, ImagesLike, IntArray, Split, TargetsLike

__all__ = ["rank_label_issues"]

ISSUES = ("class_issue", "presence_issue", "box_issue")


def rank_label_issues(
    estimator: BaseEstimator,
    X: ImagesLike,
    y: TargetsLike,
    cv: int | BaseCrossValidator = 5,
    *,
    groups: ArrayLike | None = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Rank rows by how likely their class, their box or the lack of an object is wrong.

    Each row is predicted by an estimator that was fitted without it. A class is suspicious if
    another class is more probable. A box is suspicious if the predicted box hardly overlaps it
    although the model is confident. If `y` has images without an object, a row without an object
    is suspicious if an object is probable, and any other row if no object is probable.

    Parameters
    ----------
    estimator : SingleBoxLocalizer or DummyLocalizer
        Is cloned; the estimator itself is not fitted.
    X : images of length n
    y : table of boxes of length n
        As for ``fit``. In a row, the class, the box or both may be missing.
    cv : int or splitter, default=5
        Number of folds, which are stratified by class and missing labels and keep the rows of an
        image together; or a splitter that puts each row into one test set.
    groups : array-like of shape (n,), default=None
        Groups of images that belong together, for the splitter.
    n_jobs : int, default=None
        Number of folds that joblib runs in parallel.

    Returns
    -------
    DataFrame of n rows, the most suspicious first
        ``row`` (position in `y`) and ``image`` (the path, where X has paths); ``issue``, the
        largest of the following; ``class_issue``, ``class_name`` and ``predicted_class``;
        ``presence_issue`` and the predicted ``presence``; ``box_issue`` and the ``iou`` of the
        given and the predicted box; ``x_min`` ... ``y_max`` of the predicted box. Issues are in
        0..1. ``class_issue`` is 0.5 if the given class and the most probable other class are
        equally probable. ``presence_issue`` is the presence of an object in images without one,
        and 1 - presence in the others. ``box_issue`` is 1 - IoU, times the predicted
        ``box_confidence``, or ``class_confidence`` if the model has no ``box_confidence``.
        Without classes in `y`, the columns of classes are absent; without images that have no
        object, those of presence. A value is missing if the class or box of the row is
        missing, or not predicted; rows without any issue come last. A polars DataFrame if `y`
        is one.

    Raises
    ------
    BoxError
        If half of a box is missing, or no image has an object.
    ValueError
        If a row is in no test set or in several.

    References
    ----------
    .. [1] C. Northcutt, L. Jiang, I. Chuang, "Confident Learning: Estimating Uncertainty in
       Dataset Labels", JAIR 70 (2021), 1373-1411 (out-of-sample probabilities, margin).
    """
    images = check_images(X)
    targets = check_targets(y, len(images), images)
    given, X, y = y, as_pandas(X), read_table(y)
    check_any_object(targets)
    names = None if targets.class_names is None else targets.class_names.astype(object)
    folds = _make_folds(cv, X, y, targets, groups)
    predicted = joblib.Parallel(n_jobs=n_jobs)(
        joblib.delayed(_fit_and_predict)(
            clone(estimator), X, y, train, test, None if names is None else names[test]
        )
        for train, test in folds
    )
    order = np.argsort(np.concatenate([test for _, test in folds]), kind="stable")
    boxes = pd.concat([boxes for boxes, _ in predicted], ignore_index=True).iloc[order]
    boxes = boxes.reset_index(drop=True)
    issues = pd.DataFrame({"row": np.arange(len(boxes))})
    if all(isinstance(item, (str, os.PathLike)) for item in images.items):
        issues["image"] = names_to_series([os.fspath(item) for item in images.items])
    issues["issue"] = 0.0
    sides = list(COORDINATES)
    both = targets.has_box & find_boxes(as_boxes(boxes[sides]))
    overlap = np.full(len(boxes), np.nan)
    overlap[both] = iou(targets.boxes[both], boxes[sides].to_numpy()[both])
    if names is not None:
        margins = np.concatenate([margin for _, margin in predicted])[order]
        issues["class_issue"] = (1 + margins) / 2
        issues["class_name"], issues["predicted_class"] = names, boxes.get("class_name")
    if targets.is_empty.any():
        # Absent if the estimator does not predict presence.
        presence = boxes.reindex(columns=["presence"])["presence"].to_numpy(dtype=np.float64)
        issues["presence_issue"] = np.where(targets.is_empty, presence, 1 - presence)
        issues["presence"] = presence
    issues["box_issue"] = compute_box_issue(overlap, boxes)
    issues["iou"] = overlap
    issues[sides] = boxes[sides]
    parts = [name for name in ISSUES if name in issues]
    issues["issue"] = issues[parts].max(axis=1)
    issues = issues.sort_values("issue", ascending=False, kind="stable", ignore_index=True)
    return like(issues, given)


def _make_folds(
    cv: int | BaseCrossValidator,
    X: ImagesLike,
    y: TargetsLike,
    targets: Targets,
    groups: ArrayLike | None,
) -> list[Split]:
    """Split rows into folds, and check that each row is in one test set."""
    if isinstance(cv, Integral):
        cv, groups = make_group_splitter(int(cv), targets, 0), find_groups(X, groups)
    return split_each_row_once(check_cv(cv), X, y, len(targets), groups=groups)


def _fit_and_predict(
    estimator: BaseEstimator,
    X: ImagesLike,
    y: TargetsLike,
    train: IntArray,
    test: IntArray,
    names: NDArray[np.object_] | None,
) -> tuple[pd.DataFrame, FloatArray | None]:
    """Predict the test rows; also how much more probable another class is than the given one.

    NaN in rows without a class, and if no training row has one. None without `names`.
    """
    estimator.fit(_safe_indexing(X, train), _safe_indexing(y, train))
    X_test = _safe_indexing(X, test)
    boxes = as_pandas(estimator.predict(X_test))
    if names is None:
        return boxes, None
    if estimator.classes_ is None:
        return boxes, np.full(len(boxes), np.nan)
    probabilities = estimator.predict_proba(X_test)
    # A class that is missing in the training rows has probability 0.
    is_given = names[:, None] == np.asarray(estimator.classes_, dtype=object)
    given = (probabilities * is_given).sum(axis=1)
    others = np.where(is_given, 0.0, probabilities).max(axis=1)
    return boxes, np.where(pd.isna(names), np.nan, others - given)
