"""A ConformalLocalizer in a file without code."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..exceptions import ModelFileError
from ..files import as_path, check_overwrite
from ..localizer import SingleBoxLocalizer
from .checks import check_parameters
from .folds import is_prefit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..typing import PathLikeStr

# Modules that import Keras, which takes seconds, are imported where they are used.

__all__ = ["ConformalFiles"]

#: Fitted attributes that a file holds, besides the localizers.
FITTED = (
    *("margin_", "box_scores_", "class_scores_", "folds_", "true_classes_", "predicted_classes_"),
    *("temperature_", "box_curve_", "n_features_in_"),
)
FLOATS = ("box_scores_", "class_scores_")
INTEGERS = ("folds_", "true_classes_", "predicted_classes_")


class ConformalFiles:
    """The methods ``save`` and ``load``."""

    def save(self, path: PathLikeStr, *, overwrite: bool = False) -> None:
        """Save the fitted estimator, and all its localizers, in one file that holds no code.

        Parameters
        ----------
        path : str or Path
        overwrite : bool, default=False
            Whether to replace an existing file.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        FileExistsError
            If the file exists.
        ModelFileError
            If the file cannot be written, or the localizer is no SingleBoxLocalizer.

        Notes
        -----
        The file is as large as those of all `estimators_` together; with ``method="base"`` or
        ``cv="split"`` there is one. Of a splitter given as `cv`, only the name is saved.
        """
        from ..persistence import write_archive

        check_is_fitted(self)
        fitted: Any = self
        localizers = [fitted.estimator_]
        if len(fitted.estimators_) > 1:
            localizers += fitted.estimators_
        for localizer in [*localizers, fitted.estimator]:
            if type(localizer) is not SingleBoxLocalizer:
                raise ModelFileError(
                    "save needs a SingleBoxLocalizer. Received: "
                    f"{type(localizer).__name__}; pickle it, or store it with skops."
                )
        path = as_path(path)
        check_overwrite([path], overwrite)
        parameters = fitted.get_params(deep=False)
        del parameters["estimator"]
        write_archive(
            path,
            {
                "conformal": {
                    "parameters": parameters,
                    "fitted": {name: getattr(fitted, name) for name in FITTED},
                    "estimator": fitted.estimator.get_params(deep=False),
                },
                "localizers": [localizer._list_contents() for localizer in localizers],
            },
        )

    @classmethod
    def load(cls, path: PathLikeStr, *, custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Load a fitted estimator from a file that ``save`` wrote.

        Parameters
        ----------
        path : str or Path
            The file. It is not trusted; see :meth:`SingleBoxLocalizer.load`.
        custom_objects : dict of str to object, default=None
            Functions, layers and the splitter that it was made with and that are not part of Keras
            or skbbox, by name.

        Returns
        -------
        ConformalLocalizer
            Its predictions, regions and sets equal those of the saved one.

        Raises
        ------
        FileNotFoundError
            If the file does not exist.
        ModelFileError
            If it is damaged, holds unexpected content, or needs `custom_objects`; names what was
            found.
        """
        from ..persistence import read_archive

        def build(conformal: Any, localizers: Any) -> Any:
            built = SingleBoxLocalizer._all_from_contents(localizers)
            loaded: Any = cls(  # type: ignore[call-arg]
                estimator=SingleBoxLocalizer(**conformal["estimator"]), **conformal["parameters"]
            )
            if is_prefit(loaded.cv):
                loaded.estimator = built[0]
            check_parameters(loaded)
            _check_fitted(conformal["fitted"], built)
            vars(loaded).update(conformal["fitted"])
            loaded.estimator_, loaded.estimators_ = built[0], built[1:] or built
            return loaded

        return read_archive(as_path(path), ("conformal", "localizers"), build, custom_objects)


def _check_fitted(fitted: Any, localizers: list[SingleBoxLocalizer]) -> None:
    """Raise ModelFileError unless fitted attributes are as ``fit`` sets them."""
    if not isinstance(fitted, dict) or set(fitted) != set(FITTED):
        _fail(f"the fitted attributes must be {sorted(FITTED)}. Received: {fitted!r}.")
    if fitted["margin_"] not in ("spread", "size", "constant") or fitted["n_features_in_"] != 1:
        _fail(f"margin_ cannot be {fitted['margin_']!r}.")
    scores = fitted["box_scores_"]
    for names, kind in ((FLOATS, "f"), (INTEGERS, "i")):
        for name in names:
            value = fitted[name]
            is_array = isinstance(value, np.ndarray) and value.ndim == 1
            if not is_array or value.dtype.kind != kind or len(value) != len(scores):
                _fail(f"{name} must have a number for each calibration image.")
    n_models, classes = max(len(localizers) - 1, 1), localizers[0].classes_
    n_classes = 0 if classes is None else len(classes)
    limits = {"folds_": (0, n_models)} | dict.fromkeys(INTEGERS[1:], (-1, n_classes))
    for name, (low, high) in limits.items():
        if len(scores) and not (fitted[name].min() >= low and fitted[name].max() < high):
            _fail(f"{name} must be in {low}..{high - 1}.")
    temperature, curve = fitted["temperature_"], fitted["box_curve_"]
    if not isinstance(temperature, Real) or not 0 < float(temperature) < np.inf:
        _fail(f"temperature_ must be above 0. Received: {temperature!r}.")
    if curve is not None and not _is_curve(curve):
        _fail("box_curve_ must be two arrays, of ascending numbers and of numbers in 0..1.")


def _is_curve(curve: Any) -> bool:
    if not (isinstance(curve, tuple) and len(curve) == 2):
        return False
    x, y = curve
    if not all(isinstance(part, np.ndarray) and part.ndim == 1 for part in curve):
        return False
    is_long = len(x) == len(y) > 0 and x.dtype.kind == y.dtype.kind == "f"
    return bool(is_long and (np.diff(x) >= 0).all() and ((y >= 0) & (y <= 1)).all())


def _fail(message: str) -> NoReturn:
    raise ModelFileError(message)
