"""Seeds, initializers and dtypes of layers."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

__all__ = ["draw_seed", "get_full_precision_dtype", "make_initializer", "preserve_random_state"]


def draw_seed(rng: np.random.Generator) -> int:
    """A seed for a layer or an initializer."""
    return int(rng.integers(2**31))


def make_initializer(rng: np.random.Generator) -> keras.initializers.Initializer:
    """Keras's default initializer with its own seed."""
    return keras.initializers.GlorotUniform(seed=draw_seed(rng))


def get_full_precision_dtype() -> str:
    """The dtype of outputs and losses: at least float32.

    Half precision would round boxes to 1/256 of an image, and Keras can only add losses of
    one dtype.
    """
    floatx = keras.config.floatx()
    return "float32" if floatx in ("float16", "bfloat16") else floatx


@contextmanager
def preserve_random_state() -> Iterator[None]:
    """Restore Python's global random state, from which Keras draws the seeds of unseeded layers."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
