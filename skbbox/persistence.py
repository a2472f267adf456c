"""A Keras model as plain data, so that an estimator travels between processes."""

import json

import keras

from .network import set_weights
from .seeds import preserved_random_state

__all__ = ["pack_model", "unpack_model"]


def pack_model(model):
    """Architecture and weights of a model, without its optimizer.

    Returns
    -------
    dict
        ``config`` (JSON of the architecture) and ``weights`` (list of ndarray).
    """
    config = json.loads(model.to_json())
    # The estimator compiles the model again; a loss of the user's own has no name to find it by.
    config.pop("compile_config", None)
    return {"config": json.dumps(config), "weights": model.get_weights()}


def unpack_model(packed):
    """The model of :func:`pack_model`, with equal weights."""
    with preserved_random_state():
        model = keras.models.model_from_json(packed["config"])
    set_weights(model, packed["weights"])
    return model
