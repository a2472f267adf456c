"""Outputs of a network for any number of images, batch by batch."""

import functools
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import keras
import numpy as np

from ..engines.registry import get_engine, has_accelerator
from ..engines.runners import KerasRunner, get_runner, predict_padded
from ..network.graph import digest_model
from ..network.pool import borrow_model
from ..progress import progress_bar
from .prefetch import AHEAD, load_images, map_batches

__all__ = ["predict_features", "predict_images"]

#: A network of which no features are kept is converted for another engine for so many images.
WORTH_CONVERTING = 1000


def predict_images(model, items, batch_size, verbose=0, engine="keras", bad=None):
    """Outputs of a model for images of any number, decoded while the model computes.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255 of shape (n, height, width, 3).
    items : list
        What :func:`load_image` takes.
    batch_size : int
    verbose : {0, 1}, default=0
        1 shows a progress bar.
    engine : {"auto", "keras", "onnxruntime", "openvino"}, default="keras"
        ``"auto"`` is Keras for fewer than ``WORTH_CONVERTING`` images.
    bad : dict, default=None
        Gets what is wrong with an image that cannot be read, by row; its outputs mean nothing.

    Returns
    -------
    list of ndarray
        One array of shape (n_images, ...) for each output of the model.

    Raises
    ------
    ImageError
        If an image cannot be read and there is no `bad`; names the row.
    """
    images = load_images(items, tuple(model.input_shape[1:3]), AHEAD * batch_size, bad)
    with (
        progress_bar(len(items), "prediction", verbose) as progress,
        _open_runner(model, engine, len(items)) as run,
        ThreadPoolExecutor(AHEAD) as computing,
    ):
        size, outputs = graph_size(batch_size, len(items)), []
        for output in map_batches(computing, lambda batch: run(batch, size), images, batch_size):
            outputs.append(output)
            progress.update(len(output[0]))
    return _concatenate(outputs)


def predict_features(model, blocks, n_images, batch_size):
    """Outputs of a model for features of images, a block at a time; as :func:`predict_images`."""
    size, outputs = graph_size(batch_size, n_images), []

    def compute(features, rows):
        return predict_padded(network, features.maps(rows, [0] * len(rows)), size)

    with (
        borrow_model(model, "prediction") as (network, _),
        ThreadPoolExecutor(AHEAD) as computing,
    ):
        for features in blocks:
            rows = iter(range(len(features)))
            outputs += map_batches(
                computing, functools.partial(compute, features), rows, batch_size
            )
            # Before the next block is computed, which takes as much memory.
            del features
    return _concatenate(outputs)


@contextmanager
def _open_runner(model, engine, n_images):
    """What runs a model: on pixels, and how many at a time."""
    if engine == "auto" and n_images < WORTH_CONVERTING:
        engine = "keras"
    if get_engine(engine) != "keras":
        yield get_runner(model, digest_model(model), engine)
        return
    with borrow_model(model, "prediction") as (network, _):
        yield KerasRunner(network)


def graph_size(batch_size, n_images):
    """How many images a batch is filled up to; a single batch of few is not worth the whole.

    JAX compiles for each number anew: for a processor there are few of them, for a graphics card,
    where that takes ten seconds and a whole batch no time, there is one.
    """
    if keras.backend.backend() == "jax":
        if has_accelerator():
            return batch_size
        n_images = 1 << (n_images - 1).bit_length()
    return min(batch_size, n_images)


def _concatenate(outputs):
    return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
