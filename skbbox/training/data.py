"""The data of a fit: checked, and without unreadable images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import ImageError
from ..features.prefetch import find_unreadable_images
from ..inputs import (
    check_images,
    check_sample_weight,
    check_targets,
    describe_first,
    warn_of_bad_images,
)
from ..parameters import get_height_and_width

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..inputs import Images, Targets
    from ..typing import FloatArray, ImagesLike, TargetsLike

__all__ = ["check_data"]


def check_data(
    X: ImagesLike,
    y: TargetsLike,
    sample_weight: ArrayLike | None,
    parameters: Mapping[str, Any],
) -> tuple[Images, Targets, FloatArray | None, dict[int, str]]:
    """Check the arguments of ``fit``.

    Parameters
    ----------
    X, y, sample_weight
        As for :meth:`SingleBoxLocalizer.fit`.
    parameters : dict of str to object
        Parameters of the estimator, checked.

    Returns
    -------
    images : Images
    targets : Targets
    sample_weight : ndarray of shape (n_images,) or None
        All without the unreadable images, unless ``on_bad_image="raise"``.
    bad : dict of int to str
        Rows of the unreadable images, and why.
    """
    images = check_images(X)
    targets = check_targets(y, len(images), images)
    weights = check_sample_weight(sample_weight, len(images), images.index)
    if parameters["on_bad_image"] == "raise":
        return images, targets, weights, {}
    size = get_height_and_width(parameters["image_size"])
    bad = find_unreadable_images(images.items, size, parameters["verbose"])
    if len(bad) == len(images):
        raise ImageError(f"None of the {len(images)} images can be read. {describe_first(bad)}")
    if parameters["on_bad_image"] == "warn":
        warn_of_bad_images(bad, len(images))
    rows = np.setdiff1d(np.arange(len(images)), list(bad))
    if weights is not None:
        weights = check_sample_weight(weights[rows], len(rows))
    return images.take(rows), targets.take(rows), weights, bad
