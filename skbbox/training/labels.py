"""What the rows of y teach: the target and the weight of each output, where labels may be missing.

A row without a class or a box has a stand-in as its target, and a weight of 0 in that loss. The
weights of the others make up for it, so that a loss is the mean over the rows that have its label.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.class_weight import compute_sample_weight

from ..inputs import encode_classes
from ..parameters import is_usable_weight

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..inputs import Targets
    from ..typing import FloatArray, IntArray

__all__ = ["Labels", "make_labels"]

#: Where views of an image without a box are drawn, as if this were its box: of an image with an
#: object, so that all of it is shown; of one without, so that parts of it are shown as well.
WHOLE = (0.0, 1.0, 0.0, 1.0)
MIDDLE = (0.25, 0.75, 0.25, 0.75)


@dataclass(frozen=True, eq=False)
class Labels:
    """Targets and weights of the outputs for n rows.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,) or None
        Sorted class names; None without classes.
    class_indices : ndarray of shape (n,), int32, or None
        Position of each row's class in `classes`; 0 in rows without a class.
    boxes : ndarray of shape (n, 4), float64
        A stand-in in rows without a box.
    presence : ndarray of shape (n, 1), float32, or None
        1 in rows with an object; None if presence is not learned.
    weights : ndarray of shape (n,), float32, a tuple of them, or None
        Sample weights of the outputs for class, box and presence, as far as there are any.
    """

    classes: NDArray[Any] | None
    class_indices: NDArray[np.int32] | None
    boxes: FloatArray
    presence: NDArray[np.float32] | None
    weights: Any

    def make_batch(self, inputs: Any, rows: Any, boxes: FloatArray) -> tuple[Any, ...]:
        """Inputs, targets and, where there are any, weights of some rows.

        Parameters
        ----------
        inputs : array or tuple of arrays of shape (n_rows, ...)
        rows : array-like of int, of length n_rows
        boxes : ndarray of shape (n_rows, 4)
            The boxes in the views that `inputs` show.
        """
        parts = [boxes.astype(np.float32)]
        if self.class_indices is not None:
            parts.insert(0, self.class_indices[rows])
        if self.presence is not None:
            parts.append(self.presence[rows])
        targets = tuple(parts) if len(parts) > 1 else parts[0]
        if self.weights is None:
            return inputs, targets
        if isinstance(self.weights, tuple):
            return inputs, targets, tuple(weights[rows] for weights in self.weights)
        return inputs, targets, self.weights[rows]


def make_labels(
    targets: Targets,
    classes: Sequence[Any] | NDArray[Any] | None = None,
    *,
    sample_weight: FloatArray | None = None,
    class_weight: Any = None,
    learns_presence: bool = False,
    parts: Sequence[IntArray] = (),
) -> Labels:
    """Make the targets and weights of the outputs.

    Parameters
    ----------
    targets : Targets
    classes : sequence, default=None
        Class names in the order of their indices; None sorts those of `targets`.
    sample_weight : ndarray of shape (n,), default=None
    class_weight : dict, "balanced" or None, default=None
        Keras refuses ``class_weight`` for a model with two outputs (keras#4735), so class weights
        become part of the sample weights.
    learns_presence : bool, default=False
        Whether presence is learned even if all rows have an object.
    parts : sequence of ndarray of int, default=()
        Sets of rows whose losses are means of their own: those of training and of validation.
        Without any, all rows are one.

    Raises
    ------
    ValueError
        If a weight is rounded to 0 or infinity, or a part has no row with a label that is learned.
    """
    found, indices = encode_classes(targets.class_names, classes)
    learns_presence = learns_presence or bool(targets.is_empty.any())
    parts = parts or [np.arange(len(targets))]
    weights = None
    if sample_weight is not None or class_weight is not None or not targets.is_complete:
        weights = _weight_outputs(targets, sample_weight, class_weight, learns_presence, parts)
    stand_ins = np.where(targets.is_empty[:, None], MIDDLE, WHOLE)
    presence = (~targets.is_empty).astype(np.float32)[:, None] if learns_presence else None
    return Labels(
        found,
        None if indices is None else np.maximum(indices, 0),
        np.where(targets.has_box[:, None], targets.boxes, stand_ins),
        presence,
        weights,
    )


def _weight_outputs(
    targets: Targets,
    sample_weight: FloatArray | None,
    class_weight: Any,
    learns_presence: bool,
    parts: Sequence[IntArray],
) -> Any:
    weight = np.ones(len(targets)) if sample_weight is None else sample_weight
    outputs: list[NDArray[np.float32]] = [
        _normalise(weight, targets.has_box, parts, "box", "sample_weight")
    ]
    if targets.class_names is not None:
        has_class = targets.has_class
        by_class = np.zeros(len(targets))
        by_class[has_class] = compute_sample_weight(class_weight, targets.class_names[has_class])
        name = "sample_weight times class_weight"
        outputs.insert(0, _normalise(weight * by_class, has_class, parts, "class", name))
    elif class_weight is not None:
        raise ValueError("class_weight needs classes, but y has no class_name.")
    if learns_presence:
        outputs.append(_as_float32(weight, "sample_weight"))
    return tuple(outputs) if len(outputs) > 1 else outputs[0]


def _normalise(
    weights: FloatArray,
    has_label: NDArray[np.bool_],
    parts: Sequence[IntArray],
    label: str,
    name: str,
) -> NDArray[np.float32]:
    """Weights whose mean over a part is that over its rows with a label; 0 for the others."""
    weights = np.where(has_label, weights, 0.0)
    if not has_label.any():
        return weights.astype(np.float32)
    for rows in parts:
        n_labelled = has_label[rows].sum()
        if n_labelled == 0:
            raise ValueError(
                f"The training or the validation set has no image with a {label}, because only "
                f"{has_label.sum()} of {len(weights)} have one. Label more images, or pass "
                "validation_fraction=0."
            )
        weights[rows] *= len(rows) / n_labelled
    return _as_float32(weights, name)


def _as_float32(weights: FloatArray, name: str) -> NDArray[np.float32]:
    """Weights as Keras uses them, which must not become 0 or infinite by rounding."""
    wrong = np.flatnonzero(~is_usable_weight(weights))
    if wrong.size:
        raise ValueError(
            f"{name} must be between 1e-45 and 3e38, or 0, because Keras computes in float32. "
            f"Received: {weights[wrong[0]]} in row {wrong[0]}."
        )
    if not weights.any():
        raise ValueError(f"{name} is 0 in every row; at least one must be positive.")
    return weights.astype(np.float32)
