"""What layers are made with: seeds from one generator, and numbers of enough digits.

Python's own random state is left as it was.
"""

import random
from contextlib import contextmanager

import keras

__all__ = ["draw_seed", "get_full_precision_dtype", "make_initializer", "preserve_random_state"]


def draw_seed(rng):
    """A seed for a layer or an initializer."""
    return int(rng.integers(2**31))


def make_initializer(rng):
    """Keras's default initializer with a seed of its own."""
    return keras.initializers.GlorotUniform(seed=draw_seed(rng))


def get_full_precision_dtype():
    """The type of layers whose results half precision would round: boxes to 1/256 of an image.

    That of the losses, which Keras cannot add up otherwise.
    """
    floatx = keras.config.floatx()
    return "float32" if floatx in ("float16", "bfloat16") else floatx


@contextmanager
def preserve_random_state():
    """Give back Python's random state, which Keras draws from for layers without a seed."""
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
