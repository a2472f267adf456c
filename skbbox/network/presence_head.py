"""The presence head: from feature maps to the probability that the image has an object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from keras import layers

from .class_head import average_inside
from .seeds import draw_seed, get_full_precision_dtype, make_initializer

if TYPE_CHECKING:
    from ..typing import Tensor

__all__ = ["PRESENCE", "add_presence_head"]

#: Name of the output.
PRESENCE = "object_presence"

DROPOUT = 0.2


def add_presence_head(
    maps: Sequence[Tensor], edges: tuple[Tensor, Tensor] | None, rng: np.random.Generator
) -> Tensor:
    """A logistic regression on the mean and the maximum of the features of the image.

    Parameters
    ----------
    maps : sequence of KerasTensor of shape (n, height, width, channels)
        Feature maps, the coarsest last.
    edges : (KerasTensor, KerasTensor) or None
        As for :class:`ClassHead`: where they are given, the mean over the inside of the box counts
        as well.
    rng : numpy Generator
        Source of the seeds.

    Returns
    -------
    KerasTensor of shape (n, 1)
        The output of the layer ``object_presence``.
    """
    parts = [
        layers.GlobalAveragePooling2D(name="presence_mean")(maps[-1]),
        layers.GlobalMaxPooling2D(name="presence_maximum")(maps[-1]),
    ]
    if edges is not None:
        parts.append(average_inside(maps[-1], *edges))
    x = layers.Concatenate(name="presence_features")(parts)
    x = layers.Dropout(DROPOUT, seed=draw_seed(rng), name="presence_dropout")(x)
    return layers.Dense(
        1,
        activation="sigmoid",
        kernel_initializer=make_initializer(rng),
        dtype=get_full_precision_dtype(),
        name=PRESENCE,
    )(x)
