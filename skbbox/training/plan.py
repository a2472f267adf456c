"""The plan of a fit: what it trains on, what it continues, and how it trains."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from ..exceptions import SkbboxWarning
from ..inputs import encode_classes
from ..model_selection import split_train_validation

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from ..inputs import Images, Targets
    from ..typing import BoxLoss, FloatArray, IntArray

__all__ = [
    "FitPlan",
    "PreviousFit",
    "TrainingSpec",
    "auto_epochs",
    "count_epochs",
    "plan_fit",
    "stops_early",
]

#: ``epochs="auto"``: the least number of passes over the images, by number of looks, and the least
#: number of steps, for a backbone that has learned before and for a new one.
MINIMUM_EPOCHS = {1: 8, 2: 10}
MINIMUM_STEPS = 400
MINIMUM_STEPS_OF_NEW = 1200

#: ``early_stopping="auto"`` sets images aside from this number on, as scikit-learn's
#: HistGradientBoostingClassifier does.
MANY_IMAGES = 10_000


@dataclass(frozen=True, eq=False)
class FitPlan:
    """What a fit trains on.

    Attributes
    ----------
    images : Images
    targets : Targets
    classes : ndarray of shape (n_classes,) or None
        Sorted class names; None without classes.
    class_indices : ndarray of shape (n_images,) or None
        Position of each image's class in `classes`.
    output_weights : ndarray, tuple of ndarray, or None
        Sample weights of each output, of shape (n_images,), float32.
    train_rows : ndarray of int
    validation_rows : ndarray of int or None
        None without a validation set.
    """

    images: Images
    targets: Targets
    classes: NDArray[Any] | None
    class_indices: NDArray[np.integer[Any]] | None
    output_weights: Any
    train_rows: IntArray
    validation_rows: IntArray | None


@dataclass(frozen=True, eq=False)
class PreviousFit:
    """The fit that ``warm_start`` continues.

    Attributes
    ----------
    model : keras.Model
    classes : ndarray of shape (n_classes,) or None
    history : dict of str to list of float
    stages : list of (str, int)
    n_iter : int
    """

    model: keras.Model
    classes: NDArray[Any] | None
    history: dict[str, list[float]]
    stages: list[tuple[str, int]]
    n_iter: int


@dataclass(frozen=True)
class TrainingSpec:
    """How a network is trained; parameters of :class:`SingleBoxLocalizer` of the same names.

    Attributes
    ----------
    optimizer : str or keras.optimizers.Optimizer
    learning_rate : float or None
    learning_rate_schedule : {"cosine", "constant"}
        "cosine" needs a learning rate that is a number.
    box_loss : str or callable
    class_loss_weight, box_loss_weight : float
    patience : int or None
        Epochs without a better validation loss before training stops and restores the best
        weights; None never stops early.
    verbose : bool or int
    backbone_learning_rate : float or None
        None trains the backbone, if at all, at `learning_rate`.
    """

    optimizer: str | keras.optimizers.Optimizer
    learning_rate: float | None
    box_loss: str | BoxLoss
    class_loss_weight: float
    box_loss_weight: float
    learning_rate_schedule: Literal["cosine", "constant"] = "constant"
    patience: int | None = None
    verbose: bool | int = 0
    backbone_learning_rate: float | None = None


def plan_fit(
    parameters: Mapping[str, Any],
    images: Images,
    targets: Targets,
    sample_weight: FloatArray | None,
    rng: np.random.Generator,
) -> FitPlan:
    """Encode the classes, weight the outputs and split the rows.

    Parameters
    ----------
    parameters : dict of str to object
        Parameters of the estimator, checked.
    images : Images
    targets : Targets
    sample_weight : ndarray of shape (n_images,) or None
    rng : numpy Generator
        Source of the split.
    """
    known = parameters["classifier_classes"]
    classes, class_indices = encode_classes(
        targets.class_names, None if known is None else np.unique(known)
    )
    if classes is not None and len(classes) == 1:
        warnings.warn(
            f"y has only one class, {classes[0]!r}, so there is no class to learn. Drop the "
            "column class_name to learn only boxes.",
            SkbboxWarning,
            stacklevel=3,
        )
    weights = _weight_outputs(parameters["class_weight"], sample_weight, targets)
    train_rows, validation_rows = _split_rows(parameters, images, targets, rng)
    return FitPlan(images, targets, classes, class_indices, weights, train_rows, validation_rows)


def _weight_outputs(class_weight: Any, sample_weight: FloatArray | None, targets: Targets) -> Any:
    """Sample weights of each output, or None; class weights are part of them.

    Keras refuses ``class_weight`` for a model with two outputs (keras#4735).
    """
    if sample_weight is None and class_weight is None:
        return None
    box = np.ones(len(targets)) if sample_weight is None else sample_weight
    if targets.class_names is None:
        if class_weight is not None:
            raise ValueError("class_weight needs classes, but y has no class_name.")
        return box.astype(np.float32)
    by_class = compute_sample_weight(class_weight, targets.class_names)
    return (box * by_class).astype(np.float32), box.astype(np.float32)


def _split_rows(
    parameters: Mapping[str, Any], images: Images, targets: Targets, rng: np.random.Generator
) -> tuple[IntArray, IntArray | None]:
    """Training rows, and validation rows or None."""
    fraction = parameters["validation_fraction"]
    if fraction is None:
        fraction = 0.1 if stops_early(parameters, len(images)) else 0.0
    if fraction == 0:
        return np.arange(len(images)), None
    strata = targets.class_names if targets.class_names is not None else [""] * len(images)
    return split_train_validation(strata, images.keys(), fraction, rng)


def stops_early(parameters: Mapping[str, Any], n_images: int) -> bool:
    """Whether a fit of `n_images` images uses early stopping."""
    if parameters["early_stopping"] == "auto":
        is_large = n_images >= MANY_IMAGES and parameters["validation_fraction"] != 0
        return parameters["epochs"] == "auto" and is_large
    return bool(parameters["early_stopping"])


def auto_epochs(n_images: int, batch_size: int, n_looks: int, is_new: bool) -> int:
    """Number of epochs for ``epochs="auto"``.

    8, or 10 with two looks; more to reach 400 steps, or 1,200 for a backbone with new weights.

    Examples
    --------
    >>> from skbbox.training.plan import auto_epochs
    >>> auto_epochs(100, 32, n_looks=2, is_new=False), auto_epochs(100, 32, n_looks=2, is_new=True)
    (100, 300)
    """
    steps = math.ceil(n_images / batch_size)
    minimum = MINIMUM_STEPS_OF_NEW if is_new else MINIMUM_STEPS
    return max(MINIMUM_EPOCHS[n_looks], math.ceil(minimum / steps))


def count_epochs(history: dict[str, list[float]]) -> int:
    """Number of epochs in a history."""
    return len(history.get("loss", []))
