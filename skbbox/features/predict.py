"""Outputs of a network for any number of images, batch by batch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from ..boxes import COORDINATES
from ..engines.registry import get_engine
from ..engines.runners import (
    KerasRunner,
    Runner,
    get_graph_size,
    get_runner,
    has_runner,
    predict_padded,
)
from ..network.box_heads import EDGES, IOU_ESTIMATE
from ..network.pool import share_model
from ..network.presence_head import PRESENCE
from ..progress import progress_bar
from ..windows import from_window, place_windows, scale_from_window
from .prefetch import AHEAD, load_images, map_batches

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network.fitted import ModelState
    from ..typing import FloatArray, ImageLike, Pixels
    from .frozen_backbone import FrozenBackbone
    from .maps import Features

__all__ = [
    "SPREAD",
    "Predictor",
    "compute_distributions",
    "compute_spread",
    "make_predictions",
    "predict_features",
    "predict_images",
]

#: Names of the outputs that looks combine, and the window that shows the whole image.
BOX, CLASS = "bbox_prediction", "class_prediction"

#: Name of the standard deviations of the edges, which are computed from their distributions.
SPREAD = "bbox_spread"

WHOLE = (0.0, 1.0, 0.0, 1.0)

#: Up to this number of images, one step with the complete network is faster than one for features
#: and one for the heads; with an engine that has converted only what computes features, it is not.
FEW = 16

#: From this number of images on, a network without kept features is converted for an engine.
WORTH_CONVERTING = 1000


@dataclass(frozen=True)
class Predictor:
    """Runs a fitted network on images, from kept features where that is faster.

    Attributes
    ----------
    network : ModelState
        From pixels in 0..255 to outputs.
    make_backbone : callable or None
        Returns the FrozenBackbone that gives the features; None if the backbone is not frozen.
    get_heads : callable or None
        Returns the ModelState from features to the same outputs.
    n_trained : int
        Number of images of the fit.
    batch_size : int
    engine : {"auto", "keras", "onnxruntime", "openvino"}
    verbose : bool or int
        Whether to show a progress bar for each look.
    skip_bad : bool
        Whether unreadable images have missing outputs; otherwise they raise an ImageError.
    mirrored : bool, default=False
        Whether the network sees each look with left and right swapped. Boxes are mirrored back.
    """

    network: ModelState
    make_backbone: Callable[[], FrozenBackbone] | None
    get_heads: Callable[[], ModelState] | None
    n_trained: int
    batch_size: int
    engine: str
    verbose: bool | int
    skip_bad: bool
    mirrored: bool = False

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
            0..1 and with their edges in order. Distributions of edges are replaced by ``SPREAD``,
            of shape (n, 4), in the same coordinates.
        bad : dict of int to str
            Rows of the unreadable images, whose outputs are NaN, and why.

        Raises
        ------
        ImageError
            If an image cannot be read and `skip_bad` is False; names the row.
        """
        looks, bad = self.look_separately(items, n_looks)
        for windows, outputs in looks:
            if EDGES[0] in outputs:
                spread = [compute_spread(outputs.pop(name)) for name in EDGES]
                outputs[SPREAD] = scale_from_window(np.concatenate(spread, axis=1), windows)
                if self.mirrored:
                    outputs[SPREAD][:, :2] = outputs[SPREAD][:, 1::-1]
        _, combined = looks[0]
        for _, again in looks[1:]:
            if CLASS in again:
                again[CLASS] = (combined[CLASS] + again[CLASS]) / 2
            if PRESENCE in again:
                # A window shows less of the image.
                again[PRESENCE] = combined[PRESENCE]
            combined = again
        for output in combined.values():
            output[list(bad)] = np.nan
        return combined, bad

    def look_separately(
        self, items: Sequence[ImageLike], n_looks: int
    ) -> tuple[list[tuple[FloatArray, dict[str, NDArray[Any]]]], dict[int, str]]:
        """Outputs of each look by itself.

        Parameters and errors are those of :meth:`look`.

        Returns
        -------
        looks : list of (windows, outputs)
            For each look, the parts of the images that it sees, an ndarray of shape (n, 4), and
            outputs by name: boxes as those of :meth:`look`, others as the network returns them.
        bad : dict of int to str
            Rows of the unreadable images, whose outputs mean nothing, and why.
        """
        outputs, bad = self._run(items)
        looks = [(np.tile(WHOLE, (len(items), 1)), outputs)]
        for _ in range(n_looks - 1):
            windows = place_windows(outputs[BOX])
            windows[list(bad)] = WHOLE
            outputs, _ = self._run(items, windows)
            outputs[BOX] = from_window(outputs[BOX], windows)
            looks.append((windows, outputs))
        return looks, bad

    def prepare(self, n_images: int, n_looks: int) -> None:
        """Convert and compile what predicts this number of images, which takes seconds.

        Parameters
        ----------
        n_images : int
        n_looks : int
        """
        if get_engine(self.engine) != "keras":
            if self._backbone and n_images > FEW:
                self._backbone.prepare()
            else:
                get_runner(self.network.model, self.network.identity, self.engine)
        black = np.zeros((*self.network.model.input_shape[1:3], 3), np.uint8)
        self.look([black] * n_images, n_looks)

    def _run(
        self, items: Sequence[ImageLike], windows: FloatArray | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[int, str]]:
        if (backbone := self._get_faster_backbone(len(items))) and self._heads:
            blocks = backbone.compute_blocks(
                items, self.verbose, self.skip_bad, windows, self.mirrored
            )
            values, bad = predict_features(self._heads, blocks, len(items), self.batch_size)
        else:
            values, bad = predict_images(
                self.network,
                items,
                self.batch_size,
                self.verbose,
                self.engine,
                self.skip_bad,
                windows,
                self.mirrored,
            )
        outputs = dict(zip(self.network.model.output_names, values, strict=True))
        if BOX in outputs:
            boxes = outputs[BOX].astype(np.float64).clip(0.0, 1.0)
            outputs[BOX] = np.sort(boxes.reshape(-1, 2, 2), axis=2).reshape(-1, 4)
            if self.mirrored:
                outputs[BOX][:, :2] = 1 - outputs[BOX][:, 1::-1]
        return outputs, bad

    @functools.cached_property
    def _backbone(self) -> FrozenBackbone | None:
        return self.make_backbone and self.make_backbone()

    @functools.cached_property
    def _heads(self) -> ModelState | None:
        return self.get_heads and self.get_heads()

    def _get_faster_backbone(self, n_images: int) -> FrozenBackbone | None:
        """The backbone if predicting from features is faster than with the complete network."""
        if n_images <= FEW and (
            get_engine(self.engine) == "keras" or has_runner(self.network, self.engine)
        ):
            return None
        backbone = self._backbone
        if backbone is None:
            return None
        is_faster = (
            backbone.is_prepared
            if n_images <= FEW
            else backbone.is_faster(n_images, self.n_trained)
        )
        return backbone if is_faster else None


def compute_spread(logits: NDArray[Any]) -> FloatArray:
    """Standard deviations of the distributions of the two edges along an axis.

    Parameters
    ----------
    logits : ndarray of shape (n, length, 2)
        Of the distributions, at positions from 0 to 1.

    Returns
    -------
    ndarray of shape (n, 2), float64
        That of the edge with the smaller mean first, because edges are put in order.
    """
    weights = compute_distributions(logits)
    positions = np.linspace(0.0, 1.0, logits.shape[1])[None, :, None]
    mean = (weights * positions).sum(axis=1)
    variance = (weights * (positions - mean[:, None]) ** 2).sum(axis=1)
    spread: FloatArray = np.sqrt(variance)
    return spread


def compute_distributions(logits: NDArray[Any]) -> FloatArray:
    """Distributions of the two edges along an axis, that with the smaller mean first.

    Parameters
    ----------
    logits : ndarray of shape (n, length, 2)

    Returns
    -------
    ndarray of shape (n, length, 2), float64
        Each sums to 1.
    """
    weights = softmax(logits.astype(np.float64), axis=1)
    positions = np.linspace(0.0, 1.0, logits.shape[1])[None, :, None]
    order = (weights * positions).sum(axis=1, keepdims=True).argsort(axis=2, kind="stable")
    distributions: FloatArray = np.take_along_axis(weights, order, axis=2)
    return distributions


def make_predictions(
    fitted: Any, outputs: dict[str, NDArray[Any]], bad: dict[int, str], index: pd.Index | None
) -> pd.DataFrame:
    """The table that ``predict`` returns.

    Parameters
    ----------
    fitted : SingleBoxLocalizer
    outputs : dict of str to ndarray of shape (n, ...)
        Of the network.
    bad : dict of int to str
        Rows of the unreadable images, and why.
    index : Index or None
        Of the table.
    """
    boxes = outputs[BOX] if fitted._has_boxes else np.full_like(outputs[BOX], np.nan)
    is_missing = np.zeros(len(boxes), dtype=bool)
    is_missing[list(bad)] = True
    presence = outputs[PRESENCE][:, 0].astype(np.float64) if PRESENCE in outputs else None
    if presence is not None:
        is_missing |= ~(presence >= fitted.presence_threshold)
    boxes[is_missing] = np.nan
    table = pd.DataFrame(boxes, columns=COORDINATES, index=index)
    if fitted.classes_ is not None:
        class_names = fitted.classes_[outputs[CLASS].argmax(axis=1)]
        if is_missing.any():
            class_names = class_names.astype(object)
            class_names[is_missing] = None
        table.insert(0, "class_name", class_names)
        confidence = outputs[CLASS].max(axis=1).astype(np.float64)
        table["class_confidence"] = np.where(is_missing, np.nan, confidence)
    if IOU_ESTIMATE in outputs:
        confidence = outputs[IOU_ESTIMATE][:, 0].astype(np.float64)
        table["box_confidence"] = np.where(np.isnan(boxes[:, 0]), np.nan, confidence)
    if presence is not None:
        table["presence"] = presence
    if fitted.on_bad_image != "raise":
        table["error"] = [bad.get(row) for row in range(len(table))]
    return table


def predict_images(
    model: ModelState,
    items: Sequence[ImageLike],
    batch_size: int,
    verbose: bool | int = 0,
    engine: str = "keras",
    skip_bad: bool = False,
    windows: FloatArray | None = None,
    mirrored: bool = False,
) -> tuple[list[NDArray[Any]], dict[int, str]]:
    """Outputs of a model for any number of images, decoded while the model runs.

    Parameters
    ----------
    model : ModelState
        Takes pixels in 0..255 of shape (n, height, width, 3).
    items : sequence
        Anything :func:`load_image` takes.
    batch_size : int
    verbose : bool or int, default=0
        Whether to show a progress bar.
    engine : {"auto", "keras", "onnxruntime", "openvino"}, default="keras"
        ``"auto"`` is Keras for fewer than ``WORTH_CONVERTING`` images, unless the model is already
        converted for a faster engine.
    skip_bad : bool, default=False
        Whether unreadable images are predicted as black images.
    windows : ndarray of shape (n_images, 4), default=None
        The part of each image to predict; None predicts the whole images.
    mirrored : bool, default=False
        Whether left and right are swapped in what is predicted.

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
    size = tuple(model.model.input_shape[1:3])
    images: Iterable[tuple[Pixels, str | None]] = load_images(
        items, size, AHEAD * batch_size, skip_bad, windows, mirrored
    )
    errors: list[str | None] = []
    outputs = []
    n_together = get_graph_size(batch_size, len(items))
    if len(items) <= batch_size:
        # An error must not take the compiled network with it.
        images = list(images)

    def compute(batch: list[tuple[Pixels, str | None]]) -> tuple[list[Any], list[str | None]]:
        return run([pixels for pixels, _ in batch], n_together), [error for _, error in batch]

    with (
        progress_bar(len(items), "prediction", verbose) as progress,
        _open_runner(model, engine, len(items)) as run,
        ThreadPoolExecutor(AHEAD) as computing,
    ):
        for output, batch_errors in map_batches(
            computing, compute, iter(images), batch_size, len(items)
        ):
            outputs.append(output)
            errors += batch_errors
            progress.update(len(batch_errors))
    bad = {row: error for row, error in enumerate(errors) if error is not None}
    return _concatenate(outputs), bad


def predict_features(
    model: ModelState, blocks: Iterable[Features], n_images: int, batch_size: int
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
        share_model(model) as network,
        ThreadPoolExecutor(AHEAD) as computing,
    ):
        for features in blocks:
            rows = iter(range(len(features)))
            bad |= {first + row: error for row, error in features.bad.items()}
            first += len(features)
            outputs += map_batches(
                computing, functools.partial(compute, features), rows, batch_size, n_images
            )
            # Free its memory before the next block is computed.
            del features
    return _concatenate(outputs), bad


@contextmanager
def _open_runner(model: ModelState, engine: str, n_images: int) -> Iterator[Runner]:
    """What runs a model: a function of a list of images, and of how many to run at a time."""
    name = get_engine(engine)
    if engine == "auto" and n_images < WORTH_CONVERTING and not has_runner(model, engine):
        name = "keras"
    if name != "keras":
        yield get_runner(model.model, model.identity, engine)
        return
    with share_model(model) as network:
        yield KerasRunner(network)


def _concatenate(outputs: list[list[Any]]) -> list[NDArray[Any]]:
    return [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
