"""Seeds of layers: all drawn from one generator, with Python's own state left as it was."""

import random
from contextlib import contextmanager

import keras

__all__ = ["draw_seed", "initializer", "preserved_random_state"]


def draw_seed(rng):
    """A seed for a layer or an initializer."""
    return int(rng.integers(2**31))


def initializer(rng):
    """Keras's default initializer with a seed of its own."""
    return keras.initializers.GlorotUniform(seed=draw_seed(rng))


@contextmanager
def preserved_random_state():
    """Give back Python's random state, which Keras draws from for layers without a seed."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
