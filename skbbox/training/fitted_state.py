"""Check the parameters and fitted attributes of an estimator that is saved or loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import Any, NoReturn

import keras
import numpy as np
import pandas as pd

from ..engines.registry import ENGINES
from ..exceptions import ModelFileError
from ..inputs import find_wrong_class_name
from ..network.box_heads import BOX_HEADS
from ..network.presence_head import PRESENCE
from ..parameters import check_ranges

__all__ = ["FITTED", "check_network", "check_state", "fill_defaults"]

#: Fitted attributes that a saved file holds.
FITTED = (
    *("classes_", "model_", "history_", "stages_", "n_iter_", "bad_images_", "n_features_in_"),
    *("_is_frozen", "_n_images", "_has_boxes"),
)

PATH = (str, os.PathLike)

#: Types of the parameters that have no range in ``parameters.CONSTRAINTS``; None is allowed for
#: those of PERHAPS_NONE.
TYPES: dict[str, tuple[Any, ...]] = {
    "backbone": (str, keras.Model, Callable),
    "classifier": (*PATH, keras.Model),
    "classifier_classes": (Sequence, np.ndarray, pd.Series, pd.Index),
    "alpha": (Real,),
    "weights": PATH,
    "preprocessing": (str, Callable),
    "box_loss": (str, Callable),
    "optimizer": (str, keras.optimizers.Optimizer),
    "augment": (str, Callable),
    "class_weight": (str, Mapping),
    "callbacks": (Sequence,),
    "warm_start": (bool, int),
    "random_state": (int, np.integer, np.random.RandomState),
}
PERHAPS_NONE = (
    *("classifier", "classifier_classes", "weights", "preprocessing", "augment", "class_weight"),
    *("callbacks", "random_state"),
)


def fill_defaults(
    parameters: Mapping[str, Any], fitted: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and fitted attributes of a file, with those that earlier versions did not have.

    Folders of the computer that wrote the file may not exist here, so they are None.
    """
    parameters = {"neck": 0, "n_looks": 1} | dict(parameters) | {"memory": None, "checkpoint": None}
    stages = [("training", fitted.get("n_iter_"))]
    return parameters, {"stages_": stages, "_n_images": 0, "_has_boxes": True} | dict(fitted)


def check_state(
    parameters: Mapping[str, Any], fitted: Mapping[str, Any], known: Sequence[str]
) -> None:
    """Raise ModelFileError unless parameters and fitted attributes make an estimator.

    Parameters
    ----------
    parameters : dict of str to object
    fitted : dict of str to object
        With the names of FITTED.
    known : sequence of str
        Names of the parameters of the estimator.
    """
    if unknown := sorted(set(parameters) - set(known)):
        _fail(f"this version of skbbox has no parameter {unknown[0]!r}; install a later one.")
    try:
        check_ranges(parameters)
    except ValueError as error:
        _fail(str(error))
    for name, types in TYPES.items():
        value = parameters.get(name)
        is_missing = name not in parameters or (value is None and name in PERHAPS_NONE)
        if not (is_missing or isinstance(value, types)):
            _fail(f"the parameter {name} cannot be {value!r}.")
    for name, choices in (("box_head", BOX_HEADS), ("engine", ("auto", *ENGINES))):
        value = parameters.get(name)
        if name in parameters and not (isinstance(value, str) and value in choices):
            _fail(f"the parameter {name} must be one of {list(choices)}. Received: {value!r}.")
    if set(fitted) != set(FITTED):
        _fail(f"the fitted attributes must be {sorted(FITTED)}. Received: {sorted(fitted)}.")
    _check_model(fitted["model_"], fitted["classes_"])
    _check_epochs(fitted["history_"], fitted["stages_"], fitted["n_iter_"])
    bad = fitted["bad_images_"]
    if not (
        isinstance(bad, dict)
        and all(_is_count(row) and isinstance(reason, str) for row, reason in bad.items())
        and _is_count(fitted["n_features_in_"])
        and fitted["n_features_in_"] == 1
        and isinstance(fitted["_is_frozen"], bool)
        and isinstance(fitted["_has_boxes"], bool)
        and _is_count(fitted["_n_images"])
    ):
        names = ("bad_images_", "n_features_in_", "_is_frozen", "_n_images", "_has_boxes")
        received = {name: fitted[name] for name in names}
        _fail(f"these attributes are not as fit sets them: {received}.")


def _check_model(model: Any, classes: Any) -> None:
    """Check that the network has an output for each class and each edge of the box."""
    outputs = {"bbox_prediction": (None, 4)}
    if classes is not None:
        is_list = isinstance(classes, np.ndarray) and classes.ndim == 1 and len(classes) > 0
        if not is_list or find_wrong_class_name(classes) is not None:
            _fail(f"classes_ must be text, numbers or bools. Received: {classes!r}.")
        if not pd.Index(classes).is_unique:
            _fail(f"classes_ must differ from each other. Received: {list(classes)}.")
        outputs = {"class_prediction": (None, len(classes)), **outputs}
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        _fail(f"model_ must be a network. Received: {model!r}.")
    shape = tuple(model.inputs[0].shape)
    if len(model.inputs) != 1 or len(shape) != 4 or shape[3] != 3 or None in shape[1:]:
        _fail(f"model_ must take images. It takes {[x.shape for x in model.inputs]}.")
    received = dict(zip(model.output_names, map(_get_shape, model.outputs), strict=True))
    if PRESENCE in received:
        outputs[PRESENCE] = (None, 1)
    if list(received.items()) != list(outputs.items()):
        _fail(f"the outputs of model_ must have the shapes {outputs}. Received: {received}.")
    names = {layer.name for layer in model.layers}
    if "features" not in names or len(_get_shape(model.get_layer("features").output)) != 4:
        _fail("model_ must have a layer 'features' with a feature map.")


def check_network(model: keras.Model) -> None:
    """Raise ModelFileError unless the network of a file runs, which its shapes alone do not show.

    Parameters
    ----------
    model : keras.Model
        With the outputs that :func:`check_state` checks.
    """
    images = np.zeros((2, *model.input_shape[1:]), np.float32)
    try:
        if keras.backend.backend() == "jax":
            import jax

            # To compute, JAX would compile each operation.
            outputs = jax.eval_shape(lambda x: model(x, training=False), images)
        else:
            outputs = model(images, training=False)
    except Exception as error:  # Layers raise many kinds.
        _fail(f"its network fails for two images: {error}")
    shapes = [tuple(output.shape) for output in keras.tree.flatten(outputs)]
    if shapes != [(2, *_get_shape(output)[1:]) for output in model.outputs]:
        _fail(f"its network gives outputs of the shapes {shapes} for two images.")


def _check_epochs(history: Any, stages: Any, n_iter: Any) -> None:
    """Check that history, stages and number of epochs agree."""
    if not _is_count(n_iter):
        _fail(f"n_iter_ must be a number of epochs. Received: {n_iter!r}.")
    if not isinstance(history, dict) or not all(
        isinstance(name, str)
        and isinstance(values, list)
        and len(values) == n_iter
        and all(isinstance(value, Real) for value in values)
        for name, values in history.items()
    ):
        _fail(f"history_ must have a number for each of the {n_iter} epochs.")
    if not isinstance(stages, list) or not all(
        isinstance(stage, tuple)
        and len(stage) == 2
        and isinstance(stage[0], str)
        and _is_count(stage[1])
        for stage in stages
    ):
        _fail(f"stages_ must be a list of names and numbers of epochs. Received: {stages!r}.")
    if sum(n_epochs for _, n_epochs in stages) != n_iter:
        _fail(f"the epochs of stages_, {stages}, must add up to n_iter_, {n_iter}.")


def _get_shape(tensor: Any) -> tuple[int | None, ...]:
    return tuple(getattr(tensor, "shape", ()))


def _is_count(value: Any) -> bool:
    is_integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return is_integer and bool(value >= 0)


def _fail(message: str) -> NoReturn:
    raise ModelFileError(message)
