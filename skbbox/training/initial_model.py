"""The model that a fit starts from: new, from a classifier, or from the previous fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..network.building import build_network
from ..network.classifier import split_classifier
from ..network.graph import set_weights
from ..parameters import get_height_and_width, get_neck

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from .labels import Labels
    from .plan import PreviousFit

__all__ = ["build_model"]


def build_model(
    parameters: Mapping[str, Any],
    labels: Labels,
    rng: np.random.Generator,
    previous: PreviousFit | None,
) -> keras.Model:
    """Build the model with its initial weights.

    Parameters
    ----------
    parameters : dict of str to object
        Parameters of the estimator, checked.
    labels : Labels
    rng : numpy Generator
        Source of the seeds of layers and initial weights.
    previous : PreviousFit or None
        The weights of its model are taken.

    Raises
    ------
    ValueError
        If the classifier or the previous fit does not match classes or network.
    """
    classes = labels.classes
    backbone, last_layer = parameters["backbone"], None
    if parameters["classifier"] is not None:
        backbone, *last_layer = split_classifier(parameters["classifier"])
    names = ("weights", "frozen", "alpha", "preprocessing", "box_head", "dropout", "l2")
    model = build_network(
        backbone=backbone,
        image_size=get_height_and_width(parameters["image_size"]),
        neck=get_neck(parameters),
        n_classes=None if classes is None else len(classes),
        has_presence=labels.presence is not None,
        rng=rng,
        **{name: parameters[name] for name in names},
    )
    if last_layer is not None and classes is not None:
        kernel, bias = last_layer
        known = parameters["classifier_classes"]
        order = _sort_outputs(kernel.shape[1], classes if known is None else known)
        model.get_layer("dense_class").set_weights([kernel[:, order], bias[order]])
    if previous:
        _check_continues(model, classes, previous)
        set_weights(model, previous.model.get_weights())
    return model


def _sort_outputs(n_outputs: int, names: Sequence[Any] | NDArray[Any]) -> NDArray[np.intp]:
    """The order of a classifier's outputs that sorts their class names."""
    if n_outputs != len(names):
        raise ValueError(
            f"The classifier has {n_outputs} classes, but there are {len(names)}: {list(names)}. "
            "Pass classifier_classes, the names of all its outputs in order."
        )
    return np.argsort(names)


def _check_continues(
    model: keras.Model, classes: NDArray[Any] | None, previous: PreviousFit
) -> None:
    # Compared as objects, so that None (no classes) equals None.
    if not np.array_equal(np.array(classes, object), np.array(previous.classes, object)):
        raise ValueError(
            f"warm_start needs the classes of the previous fit, {previous.classes}. "
            f"Received: {classes}."
        )
    if [w.shape for w in model.weights] != [w.shape for w in previous.model.weights]:
        raise ValueError(
            "warm_start needs the network of the previous fit; backbone, alpha, neck, box_head and "
            "image_size must not change, and with most backbones nor must frozen: pass "
            "fine_tune_epochs to train the frozen layers further. Images without an object need a "
            "previous fit with some."
        )
