"""Fit a localizer on parts of the data, and predict the images that a part leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import _check_method_params, check_is_fitted

from ..boxes import COORDINATES, as_optional_boxes
from ..boxes.tables import as_pandas
from ..model_selection import (
    StratifiedGroupBoxKFold,
    find_groups,
    find_strata,
    make_group_splitter,
    split_each_row_once,
    split_train_validation,
)
from .checks import check_number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..inputs import Targets
    from ..typing import FloatArray, IntArray, Split

__all__ = ["Parts", "Predicted", "fit_parts", "is_prefit", "make_public_splitter", "predict_all"]


class Predicted(NamedTuple):
    """What a localizer predicts about n images.

    Attributes
    ----------
    table : DataFrame of n rows
        Boxes and classes; of images without an object too, if the localizer can give them.
    probabilities : ndarray of shape (n, n_classes), or None
        NaN for unreadable images.
    spread : ndarray of shape (n, 4), or None
    """

    table: pd.DataFrame
    probabilities: FloatArray | None
    spread: FloatArray | None

    @property
    def boxes(self) -> FloatArray:
        """NaN where no box is predicted, of shape (n, 4)."""
        return as_optional_boxes(self.table)

    @property
    def is_readable(self) -> NDArray[np.bool_]:
        """Which images can be read."""
        if "error" not in self.table:
            return np.ones(len(self.table), dtype=bool)
        return self.table["error"].isna().to_numpy()

    @property
    def best_classes(self) -> IntArray:
        """Index of the most probable class of each image; -1 without classes."""
        if self.probabilities is None:
            return np.full(len(self.table), -1)
        return np.nan_to_num(self.probabilities).argmax(axis=1)


class Parts(NamedTuple):
    """What was fitted, and predicted of images that were not trained on.

    Attributes
    ----------
    estimator : estimator
        That predicts.
    estimators : list of estimator
        That make regions.
    rows : ndarray of shape (n_calibration,)
        Positions of the calibration images.
    folds : ndarray of shape (n_calibration,)
        The entry of `estimators` with which each is compared.
    predicted : Predicted
        Of these images.
    """

    estimator: Any
    estimators: list[Any]
    rows: IntArray
    folds: IntArray
    predicted: Predicted


def fit_parts(
    conformal: Any,
    X: Any,
    y: Any,
    targets: Targets,
    fit_params: Mapping[str, Any],
    split_params: Mapping[str, Any],
) -> Parts:
    """Fit the localizer of a ConformalLocalizer, and predict images that it was not fitted to.

    Parameters
    ----------
    conformal : ConformalLocalizer
        Of which only parameters are read.
    X, y : images and table
    targets : Targets
        Of `y`.
    fit_params, split_params : dict of str to object
        For ``fit`` of the localizer, and ``split`` of the splitter.
    """
    estimator, cv, n = conformal.estimator, conformal.cv, len(targets)
    if is_prefit(cv):
        check_is_fitted(estimator)
        check_number(int(targets.has_box.sum()), conformal.coverage, "with a box")
        rows = np.arange(n)
        predicted = predict_all(estimator, X)
        return Parts(estimator, [estimator], rows, np.zeros(n, dtype=np.intp), predicted)
    if isinstance(cv, str):
        train, rows = split_off(
            *(conformal.test_size, X, targets, split_params.get("groups"), conformal.random_state)
        )
        check_number(int(targets.has_box[rows].sum()), conformal.coverage, "with a box")
        fitted = fit_on(estimator, X, y, train, fit_params)
        predicted = predict_all(fitted, _safe_indexing(X, rows))
        return Parts(fitted, [fitted], rows, np.zeros(len(rows), dtype=np.intp), predicted)
    check_number(int(targets.has_box.sum()), conformal.coverage, "with a box")
    splitter = make_splitter(cv, targets, conformal.random_state)
    if isinstance(cv, Integral):
        split_params = {"groups": find_groups(X, split_params.get("groups"))}
    splits = make_splits(splitter, X, y, targets, split_params)
    results = joblib.Parallel(n_jobs=conformal.n_jobs)(
        joblib.delayed(_fit_and_predict)(estimator, X, y, train, test, fit_params)
        for train, test in splits
    )
    order = np.argsort(np.concatenate([test for _, test in splits]), kind="stable")
    predicted = _join([part for _, part in results], order)
    final = fit_on(estimator, X, y, None, fit_params)
    if conformal.method == "base":
        return Parts(final, [final], np.arange(n), np.zeros(n, dtype=np.intp), predicted)
    folds = np.repeat(np.arange(len(splits)), [len(test) for _, test in splits])[order]
    return Parts(final, [fitted for fitted, _ in results], np.arange(n), folds, predicted)


def _fit_and_predict(
    estimator: Any,
    X: Any,
    y: Any,
    train: IntArray,
    test: IntArray,
    fit_params: Mapping[str, Any],
) -> tuple[Any, Predicted]:
    fitted = fit_on(estimator, X, y, train, fit_params)
    return fitted, predict_all(fitted, _safe_indexing(X, test))


def _join(parts: list[Predicted], order: IntArray) -> Predicted:
    """The predictions of several parts of the rows, in another order."""
    table = pd.concat([part.table for part in parts], ignore_index=True).iloc[order]
    columns: list[FloatArray | None] = []
    for name in ("probabilities", "spread"):
        values = [getattr(part, name) for part in parts]
        is_missing = any(value is None for value in values)
        columns.append(None if is_missing else np.concatenate(values)[order])
    return Predicted(table.reset_index(drop=True), *columns)


def is_prefit(cv: Any) -> bool:
    """Whether `cv` is ``"prefit"``; it may be a splitter, or a list of arrays."""
    return isinstance(cv, str) and cv == "prefit"


def make_public_splitter(cv: Any) -> Any:
    """The splitter of `cv` whose requests for metadata are routed."""
    return StratifiedGroupBoxKFold() if isinstance(cv, (str, Integral)) else check_cv(cv)


def make_splitter(cv: Any, targets: Targets, random_state: Any) -> Any:
    """The splitter of `cv`: stratified and grouped for a number of folds.

    Parameters
    ----------
    cv : int or splitter
    targets : Targets
    random_state : int, RandomState instance or None
    """
    if not isinstance(cv, Integral):
        return check_cv(cv)
    seed = check_random_state(random_state).randint(2**31 - 1)
    return make_group_splitter(int(cv), targets, seed)


def make_splits(
    splitter: Any, X: Any, y: Any, targets: Targets, split_params: Mapping[str, Any]
) -> list[Split]:
    """Split rows into folds, each of which has all classes in its training part.

    Parameters
    ----------
    splitter : splitter
    X, y : images and table
    targets : Targets
        Of `y`.
    split_params : dict of str to object
        Such as ``groups``.

    Raises
    ------
    ValueError
        If a row is in no test set or in several, or a class is in no training row of a fold.
    """
    folds = split_each_row_once(splitter, X, y, len(targets), **split_params)
    for fold, (train, _) in enumerate(folds):
        _check_classes(targets, train, f"the training part of fold {fold}")
    return folds


def split_off(test_size: float, X: Any, targets: Targets, groups: Any, random_state: Any) -> Split:
    """Set a share of the rows aside for calibration, stratified and with groups kept together."""
    groups = find_groups(X, groups)
    if groups.max() == 0:
        raise ValueError(
            "cv='split' needs at least two groups of images, one to train on and one to hold out. "
            "Received: one. Add images of other groups."
        )
    strata = find_strata(targets.class_names, targets.has_box)
    rng = np.random.default_rng(check_random_state(random_state).randint(2**31 - 1))
    train, held_out = split_train_validation(strata, groups, test_size, rng)
    _check_classes(targets, train, "the part to train on")
    return train, held_out


def _check_classes(targets: Targets, train: IntArray, part: str) -> None:
    if targets.class_names is None:
        return
    names = targets.class_names
    has_class = targets.has_class
    missing = set(names[has_class].tolist()) - set(names[train][has_class[train]].tolist())
    if missing:
        name = min(missing, key=str)
        n = int((names == name).sum())
        raise ValueError(
            f"The class {name!r}, which has {n} of {len(names)} rows, is missing in {part}, so its "
            "probability would be unknown there. Use fewer folds, or add images of this class "
            "that are in other groups."
        )


def fit_on(
    estimator: Any, X: Any, y: Any, rows: IntArray | None, fit_params: Mapping[str, Any]
) -> Any:
    """A clone of a localizer, fitted to some rows; None takes all.

    Raises
    ------
    ValueError
        If what it predicts has no boxes.
    """
    params = _check_method_params(X, dict(fit_params), indices=rows)
    if rows is not None:
        X, y = _safe_indexing(X, rows), _safe_indexing(y, rows)
    return clone(estimator).fit(X, y, **params)


def predict_all(estimator: Any, X: Any, for_region: bool = True) -> Predicted:
    """Boxes, probabilities and spread, from one call of the network if the localizer can.

    Parameters
    ----------
    estimator : fitted localizer
    X : images
    for_region : bool, default=True
        Whether the spread is needed, and boxes of images in which no object is found.

    Raises
    ------
    ValueError
        If it predicts no boxes, so that it is no localizer.
    """
    if hasattr(estimator, "_predict_details"):
        options = {"presence_threshold": 0.0} if for_region else {"with_edges": False}
        return Predicted(*estimator._predict_details(X, **options))
    table = as_pandas(estimator.predict(X))
    if not isinstance(table, pd.DataFrame) or not set(COORDINATES) <= set(table.columns):
        raise ValueError(
            f"estimator must be a localizer, whose predict returns a table with {COORDINATES}, "
            f"such as SingleBoxLocalizer. {type(estimator).__name__} returned "
            f"{type(table).__name__}."
        )
    probabilities = None
    if getattr(estimator, "classes_", None) is not None and hasattr(estimator, "predict_proba"):
        probabilities = np.asarray(estimator.predict_proba(X), dtype=np.float64)
    spread = None
    if for_region and hasattr(estimator, "predict_spread"):
        spread = as_pandas(estimator.predict_spread(X)).to_numpy(dtype=np.float64)
    return Predicted(table, probabilities, spread)
