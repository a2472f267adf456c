"""``ConformalLocalizer``: a localizer with regions, class sets and calibrated confidences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from ..boxes import iou, read_table
from ..boxes.tables import as_pandas, like
from ..inputs import (
    check_any_object,
    check_images,
    check_sample_weight,
    check_targets,
    encode_classes,
    set_image_tags,
)
from ..metrics import IoUScore, score_estimator
from .calibration import apply_curve, apply_temperature, fit_curve, fit_temperature
from .checks import check_class_numbers, check_localizer, check_number, check_parameters
from .files import ConformalFiles
from .folds import Parts, fit_parts, predict_all
from .regions import choose_margin, compute_scale, make_region
from .routing import ConformalRouting
from .scores import bound_boxes, include_classes, score_boxes, score_classes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from ..inputs import Targets
    from ..typing import FloatArray, ImagesLike, IntArray, RandomStateLike, TargetsLike
    from .folds import Predicted

__all__ = ["ConformalLocalizer"]


def _can(method: str) -> Any:
    """A check that the localizer has a method."""

    def check(self: Any) -> bool:
        # Raises an AttributeError that names the method.
        getattr(getattr(self, "estimator_", self.estimator), method)
        return True

    return check


class ConformalLocalizer(ConformalFiles, ConformalRouting, BaseEstimator):
    """Add regions, class sets and calibrated confidences to a localizer.

    ``predict_region`` returns an inner and an outer box for each image. The true box lies between
    them for at least a share `coverage` of new images, jointly for its four edges, whatever the
    localizer and the distribution of the images are, as long as new images are drawn like those of
    the fit. ``predict_set`` returns all classes that are possible with the same coverage.
    ``predict`` returns the predictions of the localizer with calibrated confidences.

    Parameters
    ----------
    estimator : SingleBoxLocalizer or another localizer
        Any estimator whose ``predict`` returns a table of boxes; a clone is fitted.
    coverage : float, default=0.9
        Share of new images whose true box lies in the region, and whose true class is in the set;
        above 0 and below 1. It can be changed after ``fit``.
    cv : int, splitter, "split" or "prefit", default=5
        Where the predictions of unseen images come from. A number of folds, stratified by class and
        with the rows of an image, or groups, kept together; or a splitter that puts each row into
        one test set. ``"split"`` holds a share `test_size` out, fits once to the others, and is
        the fastest. ``"prefit"`` calibrates the fitted `estimator` itself with the images given to
        ``fit``, which must not be those it was fitted to.
    method : {"plus", "base"}, default="plus"
        With folds only. ``"plus"`` is CV+: regions and sets compare each calibration image with
        what the model of its fold predicts, so that they need all models. ``"base"`` puts them
        around the predictions of the model that was fitted to all images, which takes a single
        prediction and keeps a single model.
    margin : {"auto", "spread", "size", "constant"}, default="auto"
        The scale of the errors of edges: the standard deviation of the edge that the localizer
        predicts, see :meth:`SingleBoxLocalizer.predict_spread`; width and height of the predicted
        box [5]_; each plus 0.01; or the same for all edges. ``"auto"`` is ``"spread"`` if the
        localizer has it, else ``"size"``.
    class_score : {"lac", "aps"}, default="lac"
        Conformity score of classes. ``"lac"`` [3]_ gives the smallest sets; ``"aps"`` [4]_ larger
        ones, without randomisation, which cover more than `coverage`.
    mondrian : bool, default=False
        Whether the coverage holds for each class by itself [1]_: for regions, for images of which
        this class is predicted; for sets, for images that show it.
    calibrate : bool, default=True
        Whether ``predict`` and ``predict_proba`` return calibrated confidences: of classes by
        temperature scaling, and the expected IoU by centred isotonic regression. Regions and sets
        do not depend on it.
    test_size : float, default=0.25
        Share of the images that ``cv="split"`` holds out.
    n_jobs : int, default=None
        Number of folds that joblib fits in parallel.
    random_state : int, RandomState instance or None, default=None
        Source of the folds, or of the held-out part. Pass an int for the same in each fit.

    Attributes
    ----------
    estimator_ : estimator
        The localizer that predicts: fitted to all images, with ``cv="split"`` to those that are not
        held out; with ``cv="prefit"``, `estimator` itself.
    estimators_ : list of estimator
        The localizers whose predictions make regions and sets: those of the folds with
        ``method="plus"``, else `estimator_`.
    classes_ : ndarray of shape (n_classes,) or None
        As of `estimator_`.
    margin_ : {"spread", "size", "constant"}
    box_scores_ : ndarray of shape (n_images,)
        Conformity score of each calibration image: the least factor of the scale of its edges at
        which the true box lies between the inner and the outer box, or the inner box is empty. NaN
        without a box.
    class_scores_ : ndarray of shape (n_images,)
        That of its class. NaN without a class.
    folds_ : ndarray of shape (n_images,), int
        The entry of `estimators_` that predicts for comparison with each calibration image.
    true_classes_, predicted_classes_ : ndarray of shape (n_images,), int
        Indices of the class in `classes_`; -1 if it is missing.
    temperature_ : float
        By which log-probabilities are divided; above 1 if the localizer is overconfident. 1
        without `calibrate`, or fewer than two classes.
    box_curve_ : (ndarray, ndarray), or None
        Points of the curve from the localizer's ``box_confidence`` to the calibrated one.
    n_features_in_ : int
        1, the image.

    Notes
    -----
    Let n be the number of calibration images with a box, and exchangeable with new images. With
    ``cv="split"`` and ``cv="prefit"``, regions contain the true box with a probability of at least
    `coverage`, and of at most ``coverage + 1 / (n + 1)`` if scores have no ties [1]_. With
    ``method="plus"`` and folds of equal size, the probability is at least
    ``1 - 2 * (1 - coverage) - sqrt(2 / n)`` for any localizer [2]_, and close to `coverage` for one
    whose predictions change little from fold to fold. With ``method="base"`` there is no such
    guarantee, but it is close to `coverage` in practice, or above it, because the final model has
    more images to learn from. With ``mondrian=True`` and folds, the same holds for each class only
    approximately. The probability is over calibration and new images together: for one fit, the
    coverage on many new images varies around it, with a standard deviation of about
    ``sqrt(coverage * (1 - coverage) / n)``.

    Images that look alike must be in one group, passed as ``groups`` to ``fit``; otherwise errors
    look smaller than they are. Images without an object have no box and no class to be covered:
    regions and sets are about images with an object. Regions do not depend on
    ``presence_threshold``.

    References
    ----------
    .. [1] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", Springer
       2005, chapters 2 and 4 (split and Mondrian conformal prediction); J. Lei et al.,
       "Distribution-Free Predictive Inference for Regression", JASA 113 (2018), section 5.2 (errors
       scaled by their spread).
    .. [2] R. F. Barber, E. J. Candès, A. Ramdas, R. J. Tibshirani, "Predictive inference with the
       jackknife+", Annals of Statistics 49 (2021), theorem 4 (CV+).
    .. [3] M. Sadinle, J. Lei, L. Wasserman, "Least Ambiguous Set-Valued Classifiers with Bounded
       Error Levels", JASA 114 (2019).
    .. [4] Y. Romano, M. Sesia, E. J. Candès, "Classification with Valid and Adaptive Coverage",
       NeurIPS 2020, arXiv:2006.02544 (also CV+ for classes).
    .. [5] F. de Grancey et al., "Object Detection with Probabilistic Guarantees", SAFECOMP 2022;
       L. Andéol et al., "Confident Object Detection via Conformal Prediction and Conformal Risk
       Control", COPA 2023, arXiv:2304.06052 (boxes, the largest error of the four edges).

    Examples
    --------
    >>> from skbbox import ConformalLocalizer, DummyLocalizer
    >>> from skbbox.datasets import make_shapes
    >>> X, y = make_shapes(60, image_size=32, random_state=0)
    >>> conformal = ConformalLocalizer(DummyLocalizer(), coverage=0.8, random_state=0).fit(X, y)
    >>> region, classes = conformal.predict_region(X[:1]), conformal.predict_set(X[:1])
    """

    estimator_: Any
    estimators_: list[Any]
    margin_: str
    box_scores_: FloatArray
    class_scores_: FloatArray
    folds_: IntArray
    true_classes_: IntArray
    predicted_classes_: IntArray
    temperature_: float
    box_curve_: tuple[FloatArray, FloatArray] | None
    n_features_in_: int

    def __init__(
        self,
        estimator: Any,
        coverage: float = 0.9,
        cv: Any = 5,
        *,
        method: Literal["plus", "base"] = "plus",
        margin: Literal["auto", "spread", "size", "constant"] = "auto",
        class_score: Literal["lac", "aps"] = "lac",
        mondrian: bool = False,
        calibrate: bool = True,
        test_size: float = 0.25,
        n_jobs: int | None = None,
        random_state: RandomStateLike = None,
    ) -> None:
        self.estimator = estimator
        self.coverage = coverage
        self.cv = cv
        self.method = method
        self.margin = margin
        self.class_score = class_score
        self.mondrian = mondrian
        self.calibrate = calibrate
        self.test_size = test_size
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(
        self,
        X: ImagesLike,
        y: TargetsLike,
        sample_weight: ArrayLike | None = None,
        **fit_params: Any,
    ) -> Self:
        """Fit the localizer, and collect its errors on images that it was not fitted to.

        Parameters
        ----------
        X : images of length n
            As for :meth:`SingleBoxLocalizer.fit`.
        y : table of boxes of length n
            In a row, the class, the box or both may be missing.
        sample_weight : array-like of shape (n,), default=None
            Weights for the localizer. Conformity scores are not weighted.
        **fit_params
            ``groups`` for the splitter, and other parameters for ``fit`` of the localizer. With
            scikit-learn's metadata routing enabled, each goes where it was requested.

        Returns
        -------
        self

        Raises
        ------
        BoxError
            If a box or class is invalid, half of a box is missing, or no image has an object.
        ValueError
            If a parameter is out of its range, `estimator` is no localizer, there are too few
            images for `coverage` (says how many are needed), a class is missing in the training
            part of a fold, ``mondrian=True`` has fewer than two classes, or a row is in no test set
            or in several.
        NotFittedError
            If `estimator` is not fitted, with ``cv="prefit"``.
        """
        check_parameters(self)
        check_localizer(self.estimator)
        images = check_images(X)
        targets = check_targets(y, len(images), images)
        check_any_object(targets)
        X, y = as_pandas(X), read_table(y)
        if sample_weight is not None:
            weights = check_sample_weight(sample_weight, len(images), images.index)
            fit_params["sample_weight"] = weights
        if self.mondrian:
            check_class_numbers(targets, self.coverage)
        self.temperature_, self.box_curve_ = 1.0, None
        parts = fit_parts(self, X, y, targets, *self._route(fit_params))
        self.estimator_, self.estimators_ = parts.estimator, parts.estimators
        self._collect_scores(parts, targets.take(parts.rows))
        if self.calibrate:
            self._fit_calibration(parts, targets.take(parts.rows))
        self.n_features_in_ = 1
        return self

    def predict(self, X: ImagesLike) -> pd.DataFrame:
        """Class and box of each image, with calibrated confidences.

        Parameters
        ----------
        X : images of length n

        Returns
        -------
        DataFrame of n rows, with the index of X if it has one; of polars, if X is
            What ``predict`` of the localizer returns. With ``calibrate=True``, ``class_confidence``
            is the share of right classes among images with a similar one, and ``box_confidence``
            their mean IoU, as far as calibration images show.
        """
        check_is_fitted(self)
        predicted, probabilities, _ = predict_all(self.estimator_, X, for_region=False)
        table = predicted.copy()
        if "box_confidence" in table and self.box_curve_ is not None:
            known = table["box_confidence"].to_numpy(dtype=np.float64)
            table["box_confidence"] = apply_curve(known, self.box_curve_)
        is_scaled = self.temperature_ != 1
        if "class_confidence" in table and probabilities is not None and is_scaled:
            calibrated = apply_temperature(probabilities, self.temperature_)
            is_missing = table["class_confidence"].isna().to_numpy()
            table["class_confidence"] = np.where(is_missing, np.nan, calibrated.max(axis=1))
        return like(table, X)

    @available_if(_can("predict_proba"))
    def predict_proba(self, X: ImagesLike) -> FloatArray:
        """Probability of each class, calibrated with ``calibrate=True``.

        Parameters
        ----------
        X : images of length n

        Returns
        -------
        ndarray of shape (n, n_classes), float64
            Columns in the order of ``classes_``; rows sum to 1. NaN for an unreadable image.

        Raises
        ------
        ValueError
            If y of ``fit`` had no classes.
        """
        check_is_fitted(self)
        probabilities = np.asarray(self.estimator_.predict_proba(X), dtype=np.float64)
        return apply_temperature(probabilities, self.temperature_)

    def predict_region(self, X: ImagesLike) -> pd.DataFrame:
        """Find an inner and an outer box between which the true box lies, with `coverage`.

        Parameters
        ----------
        X : images of length n

        Returns
        -------
        DataFrame of n rows, with the index of X if it has one; of polars, if X is
            ``inner_x_min, inner_x_max, inner_y_min, inner_y_max`` and ``outer_x_min ...
            outer_y_max``, normalised. The true box contains the inner box and is contained in the
            outer one, which is within 0..1. The predicted box lies between them, too. The inner
            box is missing if no part of the image is certain to show the object. Of an image
            without a predicted box, nothing is known: the outer box is the image. All is
            missing for an unreadable image.

        Raises
        ------
        ValueError
            If there are too few calibration images for `coverage`, which may have been changed.
        """
        check_is_fitted(self)
        predicted, final = self._predict_all(X)
        boxes = np.stack([part.boxes for part in predicted])
        scale = np.stack([compute_scale(part, self.margin_) for part in predicted])
        inner, outer = np.empty_like(boxes[0]), np.empty_like(boxes[0])
        known = ~np.isnan(self.box_scores_)
        categories = self._find_categories(final)
        for category in np.unique(categories):
            rows = categories == category
            used = known & (self.predicted_classes_ == category) if self.mondrian else known
            check_number(int(used.sum()), self.coverage, "with a box", self._name_class(category))
            inner[rows], outer[rows] = bound_boxes(
                boxes[:, rows],
                scale[:, rows],
                self.box_scores_[used],
                self.folds_[used],
                self.coverage,
            )
        return like(make_region(inner, outer, final), X)

    @available_if(_can("predict_proba"))
    def predict_set(self, X: ImagesLike) -> pd.DataFrame:
        """Find all classes that the image may show, with `coverage`.

        Parameters
        ----------
        X : images of length n

        Returns
        -------
        DataFrame of bool of n rows, with the index of X if it has one; of polars, if X is
            A column for each class of ``classes_``: whether the set contains it. The most probable
            class is always in the set, so the coverage is higher than `coverage` if the localizer
            is right more often. All classes are in the set of an unreadable image.

        Raises
        ------
        ValueError
            If y of ``fit`` had fewer than two classes, or there are too few calibration images with
            a class for `coverage`.
        """
        check_is_fitted(self)
        classes = self.classes_
        if classes is None or len(classes) < 2:
            raise ValueError(
                "predict_set needs at least two classes in y of fit. Received: "
                f"{0 if classes is None else len(classes)}. Use predict_region for boxes alone."
            )
        predicted, final = self._predict_all(X)
        probabilities = np.stack([np.asarray(part.probabilities) for part in predicted])
        new_scores = score_classes(probabilities, self.class_score)
        known = ~np.isnan(self.class_scores_)
        is_in_set = np.zeros(new_scores.shape[1:], dtype=bool)
        for category in range(len(classes)):
            used = known & (self.true_classes_ == category) if self.mondrian else known
            name = self._name_class(category if self.mondrian else -1)
            check_number(int(used.sum()), self.coverage, "with a class", name)
            is_in_set[:, category] = include_classes(
                new_scores[:, :, [category]],
                self.class_scores_[used],
                self.folds_[used],
                self.coverage,
            )[:, 0]
        is_in_set[np.arange(len(is_in_set)), final.best_classes] = True
        is_in_set[~final.is_readable] = True
        return like(pd.DataFrame(is_in_set, columns=list(classes), index=final.table.index), X)

    def score(
        self, X: ImagesLike, y: TargetsLike, sample_weight: ArrayLike | None = None
    ) -> IoUScore:
        """Mean IoU of the predicted boxes, together with the share of boxes with IoU >= 0.5.

        Parameters
        ----------
        X : images of length n
        y : table of boxes of length n
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        IoUScore
            A float, the mean IoU, which unpacks into ``mean_iou, iou_50``.

        See Also
        --------
        skbbox.region_coverage : The share of boxes that lie in their region.
        """
        check_is_fitted(self)
        return score_estimator(self.estimator_, X, y, sample_weight)

    @property
    def classes_(self) -> NDArray[Any] | None:
        """Sorted class names; None if y had no ``class_name``."""
        return getattr(self.estimator_, "classes_", None)

    def _collect_scores(self, parts: Parts, targets: Targets) -> None:
        """Set the conformity scores of the calibration images, and their classes."""
        predicted, n = parts.predicted, len(targets)
        self.margin_ = choose_margin(self.margin, predicted)
        self.folds_ = parts.folds
        scale = compute_scale(predicted, self.margin_)
        self.box_scores_ = score_boxes(targets.boxes, predicted.boxes, scale)
        self.box_scores_[~predicted.is_readable] = np.nan
        self.class_scores_ = np.full(n, np.nan)
        self.true_classes_ = self.predicted_classes_ = np.full(n, -1)
        if self.classes_ is not None and predicted.probabilities is not None:
            self.predicted_classes_ = predicted.best_classes
            if targets.class_names is not None:
                _, indices = encode_classes(targets.class_names, self.classes_)
                self.true_classes_ = np.asarray(indices, dtype=np.intp)
                scores = score_classes(predicted.probabilities, self.class_score)
                of_true = scores[np.arange(n), self.true_classes_]
                has_score = targets.has_class & predicted.is_readable
                self.class_scores_ = np.where(has_score, of_true, np.nan)
        for category in np.unique(self._find_categories(predicted)):
            used = ~np.isnan(self.box_scores_)
            if self.mondrian:
                used &= self.predicted_classes_ == category
            check_number(int(used.sum()), self.coverage, "with a box", self._name_class(category))

    def _fit_calibration(self, parts: Parts, targets: Targets) -> None:
        """Fit the temperature and the curve of the expected IoU."""
        predicted, probabilities = parts.predicted, parts.predicted.probabilities
        rows = np.flatnonzero(~np.isnan(self.class_scores_))
        if len(rows) and probabilities is not None and probabilities.shape[1] > 1:
            self.temperature_ = fit_temperature(probabilities[rows], self.true_classes_[rows])
        both = np.isfinite(self.box_scores_)
        if "box_confidence" in predicted.table and both.any():
            confidence = predicted.table["box_confidence"].to_numpy(dtype=np.float64)[both]
            overlap = iou(targets.boxes[both], predicted.boxes[both])
            self.box_curve_ = fit_curve(confidence, np.asarray(overlap))

    def _predict_all(self, X: ImagesLike) -> tuple[list[Predicted], Predicted]:
        """Predictions of the models that make regions, and of the final one."""
        predicted = [predict_all(estimator, X) for estimator in self.estimators_]
        if len(self.estimators_) == 1:
            return predicted, predicted[0]
        return predicted, predict_all(self.estimator_, X)

    def _find_categories(self, predicted: Predicted) -> IntArray:
        """The class whose images are compared with each image; -1 compares with all."""
        if self.mondrian:
            return predicted.best_classes
        return np.full(len(predicted.table), -1)

    def _name_class(self, category: int) -> str | None:
        if category < 0 or self.classes_ is None:
            return None
        return repr(self.classes_.tolist()[category])

    def __sklearn_tags__(self) -> Tags:
        return set_image_tags(super().__sklearn_tags__())
