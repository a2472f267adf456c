"""A baseline that ignores the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .boxes import COORDINATES
from .boxes.tables import as_pandas, like
from .inputs import (
    check_any_object,
    check_images,
    check_sample_weight,
    check_targets,
    encode_classes,
    set_image_tags,
)
from .metrics import IoUScore

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from .typing import FloatArray, ImagesLike, TargetsLike

__all__ = ["DummyLocalizer"]

FIXED_BOXES = {"full": (0.0, 1.0, 0.0, 1.0), "center": (0.25, 0.75, 0.25, 0.75)}
STRATEGIES = ("median", "mean", *FIXED_BOXES, "prior")


class DummyLocalizer(BaseEstimator):
    """Baseline that ignores the image and predicts the same box and class for all.

    Parameters
    ----------
    strategy : {"median", "mean", "full", "center", "prior"}, default="median"
        The predicted box: median or mean of each edge over the training rows with a box, the
        full image, or the middle half of width and height. The predicted class is
        the most frequent one. ``"prior"`` predicts no object if more than half of the images have
        none, else the median box. The other strategies always predict an object.

    Attributes
    ----------
    box_ : ndarray of shape (4,)
        ``x_min, x_max, y_min, y_max``, normalised. NaN if `strategy` needs boxes and y had none.
    classes_ : ndarray of shape (n_classes,) or None
        Sorted class names; None if y had no ``class_name``.
    class_prior_ : ndarray of shape (n_classes,) or None
        Share of each class in the training rows with a class; weighted with `sample_weight`.
    presence_prior_ : float or None
        Share of the images with an object, weighted with `sample_weight`; None if all have one.
    n_features_in_ : int
        Always 1: the image.

    Examples
    --------
    >>> from skbbox import DummyLocalizer
    >>> from skbbox.datasets import make_shapes
    >>> X, y = make_shapes(40, image_size=32, random_state=0)
    >>> mean_iou, iou_50 = DummyLocalizer().fit(X, y).score(X, y)
    >>> mean_iou < 0.5
    True
    """

    box_: FloatArray
    classes_: NDArray[np.object_] | None
    class_prior_: FloatArray | None
    presence_prior_: float | None
    n_features_in_: int

    def __init__(
        self, strategy: Literal["median", "mean", "full", "center", "prior"] = "median"
    ) -> None:
        self.strategy = strategy

    def fit(self, X: ImagesLike, y: TargetsLike, sample_weight: ArrayLike | None = None) -> Self:
        """Compute the box, the share of each class and the share of images with an object.

        Parameters
        ----------
        X : images
        y : table of boxes
            Rows with neither class nor box are images without an object.
        sample_weight : array-like of shape (n_images,), default=None
            Used for the mean and for the shares; the median is unweighted.

        Returns
        -------
        self

        Raises
        ------
        BoxError
            If a box or class is invalid, half of a box is missing, or no image has an object.
        ValueError
            If `strategy` is unknown, or `sample_weight` is 0 in all rows with a class, or with a
            box for ``strategy="mean"``.
        """
        if self.strategy not in STRATEGIES:
            raise ValueError(
                f"strategy must be one of {list(STRATEGIES)}. Received: {self.strategy!r}."
            )
        images = check_images(X)
        targets = check_targets(y, len(images), images)
        weights = check_sample_weight(sample_weight, len(images), images.index)
        check_any_object(targets)
        has_box, has_class = targets.has_box, targets.has_class
        if self.strategy in FIXED_BOXES:
            self.box_ = np.array(FIXED_BOXES[self.strategy])
        elif not has_box.any():
            self.box_ = np.full(len(COORDINATES), np.nan)
        elif self.strategy == "mean":
            known = _select_weights(weights, has_box, "box")
            self.box_ = np.average(targets.boxes[has_box], axis=0, weights=known)
        else:
            self.box_ = np.median(targets.boxes[has_box], axis=0)
        self.class_prior_ = self.presence_prior_ = None
        self.classes_, class_indices = encode_classes(targets.class_names)
        if class_indices is not None:
            known = _select_weights(weights, has_class, "class")
            counts = np.bincount(class_indices[has_class], weights=known)
            self.class_prior_ = counts / counts.sum()
        if targets.is_empty.any():
            self.presence_prior_ = float(np.average(~targets.is_empty, weights=weights))
        self.n_features_in_ = 1
        return self

    def predict(self, X: ImagesLike) -> pd.DataFrame:
        """Predict the same box and class for each image.

        Parameters
        ----------
        X : images of length n

        Returns
        -------
        DataFrame of n rows, with the index of X if it has one
            The columns of ``TARGET_COLUMNS`` and ``class_confidence``, the share of the
            class in the training rows; for boxes only, the four coordinates. If y of ``fit`` had
            images without an object, also ``presence``, the share of the others; if it is below
            0.5 and ``strategy="prior"``, class, box and ``class_confidence`` are missing. The
            box is also missing if `strategy` needs boxes and y of ``fit`` had none. A polars
            DataFrame if X is polars.
        """
        check_is_fitted(self)
        images = check_images(X)
        presence = self.presence_prior_
        is_missing = self.strategy == "prior" and presence is not None and presence < 0.5
        box = np.full_like(self.box_, np.nan) if is_missing else self.box_
        predicted = pd.DataFrame(
            np.tile(box, (len(images), 1)), columns=COORDINATES, index=images.index
        )
        if self.classes_ is not None and self.class_prior_ is not None:
            best = self.class_prior_.argmax()
            predicted.insert(0, "class_name", None if is_missing else self.classes_[best])
            predicted["class_confidence"] = np.nan if is_missing else self.class_prior_[best]
        if presence is not None:
            predicted["presence"] = presence
        return like(predicted, X)

    def predict_proba(self, X: ImagesLike) -> FloatArray:
        """Predict the share of each class in the training rows, for each image.

        Parameters
        ----------
        X : images of length n

        Returns
        -------
        ndarray of shape (n, n_classes), float64
            Columns in the order of ``classes_``; each row is ``class_prior_``.

        Raises
        ------
        ValueError
            If y had no ``class_name`` in ``fit``.
        """
        check_is_fitted(self)
        images = check_images(X)
        if self.class_prior_ is None:
            raise ValueError(
                "predict_proba needs classes, but y had no class_name in fit. Add the column "
                "class_name to y and fit again."
            )
        return np.tile(self.class_prior_, (len(images), 1))

    def score(
        self, X: ImagesLike, y: TargetsLike, sample_weight: ArrayLike | None = None
    ) -> IoUScore:
        """Compute the mean IoU and the share of IoU >= 0.5.

        Parameters
        ----------
        X : images of length n
        y : table of n boxes
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        IoUScore
            A float, the mean IoU, which unpacks into ``mean_iou, iou_50``.
        """
        images = check_images(X)
        targets = check_targets(y, len(images), images)
        weights = check_sample_weight(sample_weight, len(images), images.index)
        return IoUScore.from_boxes(targets.to_table(), as_pandas(self.predict(X)), weights)

    def __sklearn_tags__(self) -> Tags:
        return set_image_tags(super().__sklearn_tags__())


def _select_weights(
    weights: FloatArray | None, has_label: NDArray[np.bool_], label: str
) -> FloatArray | None:
    """The weights of the rows that have a label."""
    if weights is None:
        return None
    if not weights[has_label].any():
        raise ValueError(
            f"sample_weight is 0 in every row with a {label}; at least one must be positive."
        )
    return weights[has_label]
