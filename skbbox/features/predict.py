"""Outputs of a network for any number of images, batch by batch."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..engines.registry import get_engine
from ..engines.runners import KerasRunner, Runner, get_graph_size, get_runner, predict_padded
from ..network.graph import digest_model
from ..network.pool import borrow_model
from ..progress import progress_bar
from .prefetch import AHEAD, load_images, map_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import ImageLike, Pixels
    from .frozen_backbone import Features

__all__ = ["predict_features", "predict_images"]

#: From this number of images on, a network without kept features is converted for an engine.
WORTH_CONVERTING = 1000


def predict_images(
    model: keras.Model,
    items: Sequence[ImageLike],
    batch_size: int,
    verbose: bool | int = 0,
    engine: str = "keras",
    skip_bad: bool = False,
) -> tuple[list[NDArray[Any]], dict[int, str]]:
    """Outputs of a model for any number of images, decoded while the model runs.

    Parameters
    ----------
    model : keras.Model
        Takes pixels in 0..255 of shape (n, height, width, 3).
    items : sequence
        Anything :func:`load_image` takes.
    batch_size : int
    verbose : bool or int, default=0
        Whether to show a progress bar.
    engine : {"auto", "keras", "onnxruntime", "openvino"}, default="keras"
        ``"auto"`` is Keras for fewer than ``WORTH_CONVERTING`` images.
    skip_bad : bool, default=False
        Whether unreadable images are predicted as black images.

    Returns
    -------
    outputs : list of ndarray
        One array of shape (n_images, ...) for each output of the model.
    bad : dict of int to str
        Rows of the unreadable images, whose outputs mean nothing, and why.

    Raises
    ------
    ImageError
        If an image cannot be read and `skip_bad` is False; names the row.
    """
    images = load_images(items, tuple(model.input_shape[1:3]), AHEAD * batch_size, skip_bad)
    errors: list[str | None] = []
    outputs = []
    size = get_graph_size(batch_size, len(items))

    def compute(batch: list[tuple[Pixels, str | None]]) -> tuple[list[Any], list[str | None]]:
        return run([pixels for pixels, _ in batch], size), [error for _, error in batch]

    with (
        progress_bar(len(items), "prediction", verbose) as progress,
        _open_runner(model, engine, len(items)) as run,
        ThreadPoolExecutor(AHEAD) as computing,
    ):
        for output, batch_errors in map_batches(computing, compute, images, batch_size):
            outputs.append(output)
            errors += batch_errors
            progress.update(len(batch_errors))
    bad = {row: error for row, error in enumerate(errors) if error is not None}
    return _concatenate(outputs), bad


def predict_features(
    model: keras.Model, blocks: Iterable[Features], n_images: int, batch_size: int
) -> tuple[list[NDArray[Any]], dict[int, str]]:
    """Outputs of a model for features of images, a block at a time.

    Parameters and results are those of :func:`predict_images`; each block lists which of its
    images cannot be read.
    """
    size = get_graph_size(batch_size, n_images)
    outputs: list[list[Any]] = []
    bad: dict[int, str] = {}

    def compute(features: Features, rows: list[int]) -> list[Any]:
        return predict_padded(network, features.get_maps(rows, [0] * len(rows)), size)

    first = 0
    with (
        borrow_model(model, "prediction") as (network, _),
        ThreadPoolExecutor(AHEAD) as computing,
    ):
        for features in blocks:
            rows = iter(range(len(features)))
            bad |= {first + row: error for row, error in features.bad.items()}
            first += len(features)
            outputs += map_batches(
                computing, functools.partial(compute, features), rows, batch_size
            )
            # Free its memory before the next block is computed.
            del features
    return _concatenate(outputs), bad


@contextmanager
def _open_runner(model: keras.Model, engine: str, n_images: int) -> Iterator[Runner]:
    """What runs a model: a function of a list of images, and of how many to run at a time."""
    if engine == "auto" and n_images < WORTH_CONVERTING:
        engine = "keras"
    if get_engine(engine) != "keras":
        yield get_runner(model, digest_model(model), engine)
        return
    with borrow_model(model, "prediction") as (network, _):
        yield KerasRunner(network)


def _concatenate(outputs: list[list[Any]]) -> list[NDArray[Any]]:
    return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
