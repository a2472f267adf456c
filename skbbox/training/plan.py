"""The plan of a fit: what it trains on, what it continues, and how it trains."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ..exceptions import SkbboxWarning
from ..inputs import check_any_object, find_classes
from ..model_selection import find_strata, split_train_validation
from ..network.presence_head import PRESENCE
from .labels import make_labels

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from ..inputs import Images, Targets
    from ..typing import BoxLoss, FloatArray, IntArray
    from .labels import Labels

__all__ = [
    "FitPlan",
    "PreviousFit",
    "TrainingSpec",
    "auto_epochs",
    "count_epochs",
    "get_previous_fit",
    "plan_fit",
    "stops_early",
]

#: ``epochs="auto"``: the least number of passes over the images, by number of looks, and the least
#: number of steps, for a backbone that has learned before and for a new one.
MINIMUM_EPOCHS = {1: 8, 2: 10}
MINIMUM_STEPS = 400
MINIMUM_STEPS_OF_NEW = 1200

#: How many times as many epochs few labels among many images may take.
MOST_TIMES = 4

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
    labels : Labels
        Targets and weights of the outputs.
    train_rows : ndarray of int
    validation_rows : ndarray of int or None
        None without a validation set.
    """

    images: Images
    targets: Targets
    labels: Labels
    train_rows: IntArray
    validation_rows: IntArray | None

    def count_labelled(self) -> int:
        """Number of training images with a class or, if fewer have one, with a box."""
        targets = self.targets.take(self.train_rows)
        counts = [int(known.sum()) for known in (targets.has_class, targets.has_box)]
        return min(count for count in counts if count)


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
    presence_loss_weight : float
    has_missing_labels : bool
        Whether metrics are weighted like losses, so that they leave out rows without a label.
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
    presence_loss_weight: float = 1.0
    has_missing_labels: bool = False


def get_previous_fit(estimator: Any) -> PreviousFit | None:
    """The fit that ``warm_start`` continues, or None."""
    # A copy, because another thread may fit the estimator.
    state = vars(estimator).copy()
    if not (state["warm_start"] and "model_" in state):
        return None
    names = ("model_", "classes_", "history_", "stages_", "n_iter_")
    return PreviousFit(*(state[name] for name in names))


def plan_fit(
    parameters: Mapping[str, Any],
    images: Images,
    targets: Targets,
    sample_weight: FloatArray | None,
    rng: np.random.Generator,
    previous: PreviousFit | None = None,
) -> FitPlan:
    """Split the rows, and make the targets and weights of the outputs.

    Parameters
    ----------
    parameters : dict of str to object
        Parameters of the estimator, checked.
    images : Images
    targets : Targets
    sample_weight : ndarray of shape (n_images,) or None
    rng : numpy Generator
        Source of the split.
    previous : PreviousFit, default=None
        The fit that is continued; if its network predicts presence, so does the new one.

    Raises
    ------
    BoxError
        If no image has an object.
    """
    _check_kinds(targets)
    known = parameters["classifier_classes"]
    train_rows, validation_rows = _split_rows(parameters, images, targets, rng)
    labels = make_labels(
        targets,
        None if known is None else np.unique(known),
        sample_weight=sample_weight,
        class_weight=parameters["class_weight"],
        learns_presence=_predicts_presence(previous),
        parts=[rows for rows in (train_rows, validation_rows) if rows is not None],
    )
    if labels.classes is not None and len(labels.classes) == 1:
        warnings.warn(
            f"y has only one class, {labels.classes[0]!r}, so there is no class to learn. Drop the "
            "column class_name to learn only boxes.",
            SkbboxWarning,
            stacklevel=3,
        )
    return FitPlan(images, targets, labels, train_rows, validation_rows)


def _predicts_presence(previous: PreviousFit | None) -> bool:
    return previous is not None and PRESENCE in previous.model.output_names


def _check_kinds(targets: Targets) -> None:
    """Raise if y has neither classes nor boxes; warn if it has no boxes, or not of each class."""
    check_any_object(targets)
    if not targets.has_box.any():
        warnings.warn(
            "y has classes but no box, so predict returns only classes. For classes alone, a "
            "classifier of Keras is enough; from_classifier can later take it over.",
            SkbboxWarning,
            stacklevel=4,
        )
    elif targets.class_names is not None:
        is_full = targets.has_class & targets.has_box
        boxed = set(targets.class_names[is_full].tolist())
        without = sorted(set(find_classes(targets.class_names).tolist()) - boxed, key=str)
        if without:
            warnings.warn(
                f"No image of these classes has a box: {without}. Their class is learned, and "
                "their boxes are predicted as those of the other classes.",
                SkbboxWarning,
                stacklevel=4,
            )


def _split_rows(
    parameters: Mapping[str, Any], images: Images, targets: Targets, rng: np.random.Generator
) -> tuple[IntArray, IntArray | None]:
    """Training rows, and validation rows or None."""
    fraction = parameters["validation_fraction"]
    if fraction is None:
        fraction = 0.1 if stops_early(parameters, len(images)) else 0.0
    if fraction == 0:
        return np.arange(len(images)), None
    strata = find_strata(targets.class_names, targets.has_box)
    return split_train_validation(strata, images.keys(), fraction, rng)


def stops_early(parameters: Mapping[str, Any], n_images: int) -> bool:
    """Whether a fit of `n_images` images uses early stopping."""
    if parameters["early_stopping"] == "auto":
        is_large = n_images >= MANY_IMAGES and parameters["validation_fraction"] != 0
        return parameters["epochs"] == "auto" and is_large
    return bool(parameters["early_stopping"])


def auto_epochs(
    n_images: int, batch_size: int, n_looks: int, is_new: bool, n_labelled: int | None = None
) -> int:
    """Number of epochs for ``epochs="auto"``.

    8, or 10 with two looks; more to reach 400 steps, or 1,200 for a backbone with new weights. If
    only `n_labelled` images have a class, or a box, as many as for that number of images, but at
    most four times as many as for all.

    Examples
    --------
    >>> from skbbox.training.plan import auto_epochs
    >>> auto_epochs(100, 32, n_looks=2, is_new=False), auto_epochs(100, 32, n_looks=2, is_new=True)
    (100, 300)
    >>> auto_epochs(5000, 32, n_looks=2, is_new=False, n_labelled=500)
    25
    """
    if n_labelled is not None:
        epochs = [auto_epochs(n, batch_size, n_looks, is_new) for n in (n_images, n_labelled)]
        return min(epochs[1], MOST_TIMES * epochs[0])
    steps = math.ceil(n_images / batch_size)
    minimum = MINIMUM_STEPS_OF_NEW if is_new else MINIMUM_STEPS
    return max(MINIMUM_EPOCHS[n_looks], math.ceil(minimum / steps))


def count_epochs(history: dict[str, list[float]]) -> int:
    """Number of epochs in a history."""
    return len(history.get("loss", []))
