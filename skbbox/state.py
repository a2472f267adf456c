"""The state of an estimator with networks, for files, pickle, skops and Dask."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .engines.processes import check_process, was_forked
from .exceptions import ModelFileError

if TYPE_CHECKING:
    import keras

    from .network.fitted import FittedNetworks

# Modules that import Keras, which takes seconds, are imported where they are used.

__all__ = ["NetworkState"]

#: Parameters that may be a Keras model.
MODELS = ("backbone", "classifier")

#: Attributes that are derived from the model, or hold it.
DERIVED = ("_networks", "callbacks_")


class NetworkState(BaseEstimator):
    """An estimator whose networks are plain data in its state."""

    _networks: FittedNetworks

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {
            name: value for name, value in super().__getstate__().items() if name not in DERIVED
        }
        # skops cannot store a Keras model; one with code of the user stays as it is.
        packed = [name for name in MODELS if _is_plain_model(state.get(name))]
        models = [*packed, *(["model_"] if "model_" in state else [])]
        if models:
            from .persistence import pack_model

            state |= {name: pack_model(state[name]) for name in models}
        return state | {"_packed": packed} if packed else state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        packed = state.pop("_packed", [])
        super().__setstate__(state)
        # A network cannot be built there, and an error would end the process that unpickles.
        if was_forked() or not (packed or "model_" in state):
            return
        from .persistence import unpack_model
        from .training.compilation import compile_model

        for name in packed:
            setattr(self, name, unpack_model(state[name]))
        if "model_" in state:
            self._set_model(unpack_model(state["model_"]), state["_is_frozen"])
            compile_model(self.model_, self._make_spec())

    def _get_fitted(self) -> Self:
        """A shallow copy, whose state stays the same while another thread fits this estimator."""
        fitted = object.__new__(type(self))
        fitted.__dict__.update(vars(self))
        check_is_fitted(fitted)
        check_process()
        return fitted

    def _set_model(self, model: keras.Model, is_frozen: bool, **fitted: Any) -> None:
        """Set the model, the networks that predict, and other fitted attributes in one step."""
        from .network.fitted import FittedNetworks

        fitted |= {"model_": model, "_is_frozen": is_frozen, "_networks": FittedNetworks(model)}
        # `update` is atomic unless it deletes an object, so the old ones are kept until its end.
        kept = vars(self).copy()
        self.__dict__.update(fitted)
        del kept

    def _list_contents(self) -> dict[str, dict[str, Any]]:
        """Parameters and fitted attributes, as a file holds them."""
        from .training.fitted_state import FITTED, check_state

        fitted = self._get_fitted()
        parameters = fitted.get_params(deep=False)
        attributes = {name: getattr(fitted, name) for name in FITTED}
        check_state(parameters, attributes, self._get_param_names())
        return {"parameters": parameters, "fitted": attributes}

    @classmethod
    def _from_contents(cls, parameters: dict[str, Any], fitted: dict[str, Any]) -> Self:
        """The estimator of :meth:`_list_contents`; raises ModelFileError if it is none."""
        from .training.compilation import compile_model
        from .training.fitted_state import check_network, check_state, fill_defaults

        parameters, fitted = fill_defaults(parameters, fitted)
        check_state(parameters, fitted, cls._get_param_names())
        check_network(fitted["model_"])
        localizer = cls(**parameters)
        localizer.__dict__.update(fitted)
        localizer._set_model(localizer.model_, localizer._is_frozen)
        localizer._networks.network.is_loaded = True
        compile_model(localizer.model_, localizer._make_spec())
        return localizer

    @classmethod
    def _all_from_contents(cls, contents: Any) -> list[Self]:
        """The estimators of a list of contents; raises ModelFileError if it is none."""
        if not isinstance(contents, list) or not contents:
            raise ModelFileError(
                f"localizers must be a list of localizers. Received: {contents!r}."
            )
        return [cls._from_contents(**part) for part in contents]

    def __dask_tokenize__(self) -> tuple[str, list[tuple[str, Any]]]:
        """Identity of this estimator for Dask; a pickled network holds the time of pickling."""
        import keras

        from .network.graph import digest_model

        return type(self).__name__, [
            (name, digest_model(value) if isinstance(value, keras.Model) else value)
            for name, value in sorted(vars(self).items())
            if name not in DERIVED
        ]


def _is_plain_model(value: Any) -> bool:
    """Whether a value is a model of layers of Keras and skbbox only, and of no code."""
    keras = sys.modules.get("keras")
    if keras is None or not isinstance(value, keras.Model):
        return False
    parts = [value, *value.layers]
    return all(
        type(part).__module__.partition(".")[0] in ("keras", "skbbox")
        and not isinstance(part, keras.layers.Lambda)
        for part in parts
    ) and all(_is_plain_model(part) for part in value.layers if isinstance(part, keras.Model))
