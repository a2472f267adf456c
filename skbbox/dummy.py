"""A baseline that ignores the images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .boxes import COORDINATES
from .inputs import check_images, check_sample_weight, check_targets, set_image_tags
from .metrics import IoUScore

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from sklearn.utils import Tags

    from .typing import FloatArray, ImagesLike, TargetsLike

__all__ = ["DummyLocalizer"]

FIXED_BOXES = {"full": (0.0, 1.0, 0.0, 1.0), "center": (0.25, 0.75, 0.25, 0.75)}
STRATEGIES = ("median", "mean", *FIXED_BOXES)


class DummyLocalizer(BaseEstimator):
    """Baseline that ignores the image and predicts the same box and class for all.

    Parameters
    ----------
    strategy : {"median", "mean", "full", "center"}, default="median"
        The predicted box: median or mean of each edge over the training rows, the
        full image, or the middle half of width and height. The predicted class is
        the most frequent one.

    Attributes
    ----------
    box_ : ndarray of shape (4,)
        ``x_min, x_max, y_min, y_max``, normalised.
    classes_ : ndarray of shape (n_classes,) or None
        Sorted class names; None if y had no ``class_name``.
    class_prior_ : ndarray of shape (n_classes,) or None
        Share of each class in the training rows; weighted with `sample_weight`.
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
    n_features_in_: int

    def __init__(self, strategy: Literal["median", "mean", "full", "center"] = "median") -> None:
        self.strategy = strategy

    def fit(self, X: ImagesLike, y: TargetsLike, sample_weight: ArrayLike | None = None) -> Self:
        """Compute the box and the share of each class.

        Parameters
        ----------
        X : images
        y : table of boxes
        sample_weight : array-like of shape (n_images,), default=None
            Used for the mean and for the classes; the median is unweighted.

        Returns
        -------
        self
        """
        if self.strategy not in STRATEGIES:
            raise ValueError(
                f"strategy must be one of {list(STRATEGIES)}. Received: {self.strategy!r}."
            )
        images = check_images(X)
        targets = check_targets(y, len(images))
        weights = check_sample_weight(sample_weight, len(images))
        if self.strategy in FIXED_BOXES:
            self.box_ = np.array(FIXED_BOXES[self.strategy])
        elif self.strategy == "median":
            self.box_ = np.median(targets.boxes, axis=0)
        else:
            self.box_ = np.average(targets.boxes, axis=0, weights=weights)
        self.classes_ = self.class_prior_ = None
        if targets.class_names is not None:
            self.classes_, class_indices = np.unique(targets.class_names, return_inverse=True)
            counts = np.bincount(class_indices, weights=weights)
            self.class_prior_ = counts / counts.sum()
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
            class in the training rows; for boxes only, the four coordinates.
        """
        check_is_fitted(self)
        images = check_images(X)
        predicted = pd.DataFrame(
            np.tile(self.box_, (len(images), 1)), columns=COORDINATES, index=images.index
        )
        if self.classes_ is not None and self.class_prior_ is not None:
            best = self.class_prior_.argmax()
            predicted.insert(0, "class_name", self.classes_[best])
            predicted["class_confidence"] = self.class_prior_[best]
        return predicted

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
        check_targets(y, len(images))
        return IoUScore.from_boxes(
            y, self.predict(X), check_sample_weight(sample_weight, len(images))
        )

    def __sklearn_tags__(self) -> Tags:
        return set_image_tags(super().__sklearn_tags__())
