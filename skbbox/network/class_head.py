"""The class head: from feature maps to the probability of each class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers, ops

from .seeds import draw_seed, get_full_precision_dtype, make_initializer

if TYPE_CHECKING:
    from ..typing import Tensor

__all__ = ["ClassHead", "average_inside"]

#: Added to the weight of each position, so that a box without area still has a mean.
EPSILON = 1e-4


class ClassHead:
    """A dense layer and a softmax on the mean features of the image and of the inside of its box.

    The inside of the box is soft, so that the class loss also trains the edges. For a box that is
    given, this is region of interest pooling: R. Girshick, "Fast R-CNN", ICCV 2015,
    arXiv:1504.08083.

    Parameters
    ----------
    n_classes : int
    dropout : float
    l2 : float
    rng : numpy Generator
        Source of the seeds, which are drawn at once, before those of other heads.
    """

    def __init__(self, n_classes: int, dropout: float, l2: float, rng: np.random.Generator) -> None:
        dtype = get_full_precision_dtype()
        # The softmax of a single class is 1; Keras warns of it.
        last = (
            layers.Rescaling(0.0, offset=1.0, dtype=dtype, name="class_prediction")
            if n_classes == 1
            else layers.Activation("softmax", dtype=dtype, name="class_prediction")
        )
        self.layers = [
            layers.Dropout(dropout, seed=draw_seed(rng), name="class_dropout"),
            layers.Dense(
                n_classes,
                kernel_initializer=make_initializer(rng),
                kernel_regularizer=keras.regularizers.L2(l2),
                dtype=dtype,
                name="dense_class",
            ),
            last,
        ]

    def __call__(self, maps: Sequence[Tensor], edges: tuple[Tensor, Tensor] | None) -> Tensor:
        """Connect the head.

        Parameters
        ----------
        maps : sequence of KerasTensor of shape (n, height, width, channels)
            Feature maps, the coarsest last.
        edges : (KerasTensor, KerasTensor) or None
            Distributions of both edges along x and along y, of shape (n, length, 2), at positions
            from 0 to 1. None reads only the mean of the coarsest map over the whole image.

        Returns
        -------
        KerasTensor of shape (n, n_classes)
            The output of the layer ``class_prediction``.
        """
        x = layers.GlobalAveragePooling2D(name="class_pool")(maps[-1])
        if edges is not None:
            inside = [average_inside(features, *edges) for features in maps[-2:]]
            x = layers.Concatenate(name="class_features")([x, *inside])
        for layer in self.layers:
            x = layer(x)
        return x


def average_inside(features: Tensor, x_edges: Tensor, y_edges: Tensor) -> Tensor:
    """Mean of a map over the inside of a box, of shape (n, channels)."""
    _, height, width, channels = features.shape
    rows = ops.reshape(features, (-1, height, width * channels))
    columns = ops.matmul(ops.cast(_weight_positions(y_edges, height), rows.dtype), rows)
    columns = ops.reshape(columns, (-1, width, channels))
    mean = ops.matmul(ops.cast(_weight_positions(x_edges, width), columns.dtype), columns)
    return ops.reshape(mean, (-1, channels))


def _weight_positions(edges: Tensor, length: int) -> Tensor:
    """The probability that each position is between two edges, scaled to a sum of 1.

    Returns
    -------
    KerasTensor of shape (n, 1, length)
    """
    places = np.linspace(0.0, 1.0, edges.shape[1])
    centres = (np.arange(length) + 0.5) / length
    # One row for each position: whether each place of an edge is before its centre.
    is_before = ops.convert_to_tensor((places <= centres[:, None]).astype("float32"))
    begun = ops.matmul(is_before, edges[..., :1])
    not_ended = ops.matmul(1 - is_before, edges[..., 1:])
    weights = ops.transpose(begun * not_ended, (0, 2, 1)) + EPSILON
    return weights / ops.sum(weights, axis=-1, keepdims=True)
