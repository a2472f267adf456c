"""Outputs of a network for any number of images, batch by batch."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ..engines.registry import get_engine
from ..engines.runners import KerasRunner, Runner, get_graph_size, get_runner, predict_padded
from ..network.graph import digest_model
from ..network.pool import borrow_model
from ..progress import progress_bar
from ..windows import from_window, place_windows
from .prefetch import AHEAD, load_images, map_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import FloatArray, ImageLike, Pixels
    from .frozen_backbone import FrozenBackbone
    from .maps import Features

__all__ = ["Predictor", "predict_features", "predict_images"]

#: Names of the outputs that looks combine, and the window that shows the whole image.
BOX, CLASS = "bbox_prediction", "class_prediction"
WHOLE = (0.0, 1.0, 0.0, 1.0)

#: From this number of images on, a network without kept features is converted for an engine.
WORTH_CONVERTING = 1000


@dataclass(frozen=True)
class Predictor:
    """Runs a fitted network on images, from kept features where that is faster.

    Attributes
    ----------
    network : keras.Model
        From pixels in 0..255 to outputs.
    heads : keras.Model or None
        From features to the same outputs; None if the backbone is not frozen.
    backbone : FrozenBackbone or None
        Gives the features.
    n_trained : int
        Number of images of the fit.
    batch_size : int
    engine : {"auto", "keras", "onnxruntime", "openvino"}
    verbose : bool or int
        Whether to show a progress bar for each look.
    skip_bad : bool
        Whether unreadable images have missing outputs; otherwise they raise an ImageError.
    """

    network: keras.Model
    heads: keras.Model | None
    backbone: FrozenBackbone | None
    n_trained: int
    batch_size: int
    engine: str
    verbose: bool | int
    skip_bad: bool

    def look(
        self, items: Sequence[ImageLike], n_looks: int
    ) -> tuple[dict[str, NDArray[Any]], dict[int, str]]:
        """Outputs for each image after one or more looks.

        The second look is at a window around the box of the first. Its box replaces the first
        one; class probabilities are the mean of both looks.

        Parameters
        ----------
        items : sequence of n images
            Anything :func:`load_image` takes.
        n_looks : int

        Returns
        -------
        outputs : dict of str to ndarray of shape (n, ...)
            By the names of the network's outputs. Boxes are float64, in image coordinates, within
            0..1 and with their edges in order.
        bad : dict of int to str
            Rows of the unreadable images, whose outputs are NaN, and why.

        Raises
        ------
        ImageError
            If an image cannot be read and `skip_bad` is False; names the row.
        """
        outputs, bad = self._run(items)
        for _ in range(n_looks - 1):
            windows = place_windows(outputs[BOX])
            windows[list(bad)] = WHOLE
            again, _ = self._run(items, windows)
            again[BOX] = from_window(again[BOX], windows)
            if CLASS in again:
                again[CLASS] = (outputs[CLASS] + again[CLASS]) / 2
            outputs = again
        for output in outputs.values():
            output[list(bad)] = np.nan
        return outputs, bad

    def _run(
        self, items: Sequence[ImageLike], windows: FloatArray | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[int, str]]:
        backbone, heads = self.backbone, self.heads
        if backbone and heads and backbone.is_faster(len(items), self.n_trained):
            blocks = backbone.compute_blocks(items, self.verbose, self.skip_bad, windows)
            values, bad = predict_features(heads, blocks, len(items), self.batch_size)
        else:
            values, bad = predict_images(
                self.network,
                items,
                self.batch_size,
                self.verbose,
                self.engine,
                self.skip_bad,
                windows,
            )
        outputs = dict(zip(self.network.output_names, values, strict=True))
        if BOX in outputs:
            boxes = outputs[BOX].astype(np.float64).clip(0.0, 1.0)
            outputs[BOX] = np.sort(boxes.reshape(-1, 2, 2), axis=2).reshape(-1, 4)
        return outputs, bad


def predict_images(
    model: keras.Model,
    items: Sequence[ImageLike],
    batch_size: int,
    verbose: bool | int = 0,
    engine: str = "keras",
    skip_bad: bool = False,
    windows: FloatArray | None = None,
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
    windows : ndarray of shape (n_images, 4), default=None
        The part of each image to predict; None predicts the whole images.

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
    size = tuple(model.input_shape[1:3])
    images = load_images(items, size, AHEAD * batch_size, skip_bad, windows)
    errors: list[str | None] = []
    outputs = []
    n_together = get_graph_size(batch_size, len(items))

    def compute(batch: list[tuple[Pixels, str | None]]) -> tuple[list[Any], list[str | None]]:
        return run([pixels for pixels, _ in batch], n_together), [error for _, error in batch]

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
        maps, _ = features.load(rows, [0] * len(rows))
        return predict_padded(network, maps, size)

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
