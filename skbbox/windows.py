"""Windows: the parts of images that a network looks at again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .typing import FloatArray

__all__ = [
    "Look",
    "draw_window",
    "from_window",
    "place_windows",
    "scale_from_window",
    "to_window",
]

#: Sides of a window, in sides of the box that it is placed around.
SCALE = 1.6

#: The same for windows to train with, and the largest distance of their centre from that of the
#: box, in sides of the box.
TRAINING_SCALE = (1.4, 3.0)
SHIFT = 0.25

#: Least side of a box around which a window is placed; a first box may have no area.
MINIMUM_SIDE = 0.05


@dataclass(frozen=True)
class Look:
    """What a network read a box from when it looked at an image, or at a window of it.

    Attributes
    ----------
    window : ndarray of shape (4,)
        The part of the image that the network saw: ``x_min, x_max, y_min, y_max``, normalised;
        ``0, 1, 0, 1`` is the whole image.
    box : ndarray of shape (4,)
        The box of this look, in image coordinates.
    attention : ndarray of shape (height, width)
        The weight, in 0..1, of each position of the finest feature map of the window.
    x_edges : ndarray of shape (n_columns, 2)
        Distributions of ``x_min`` and ``x_max`` over positions from the left to the right end of
        the window, both included. Each sums to 1; the edge is its mean.
    y_edges : ndarray of shape (n_rows, 2)
        The same of ``y_min`` and ``y_max``, from top to bottom.
    """

    window: FloatArray
    box: FloatArray
    attention: FloatArray
    x_edges: FloatArray
    y_edges: FloatArray


def place_windows(boxes: Any, xp: Any = np) -> Any:
    """Windows around predicted boxes, inside the image.

    Parameters
    ----------
    boxes : ndarray or tensor of shape (n, 4)
        ``x_min, x_max, y_min, y_max``, normalised.
    xp : module, default=numpy
        What computes: NumPy, or ``keras.ops`` for tensors.

    Returns
    -------
    ndarray or tensor of shape (n, 4)
        Their edges, in the same order.
    """
    low, high = boxes[:, ::2], boxes[:, 1::2]
    return _join((low + high) / 2, SCALE * xp.maximum(high - low, MINIMUM_SIDE), xp)


def draw_window(box: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A random window around a true box of shape (4,), as an uncertain first look gives one."""
    low, high = box[::2], box[1::2]
    side = np.maximum(high - low, MINIMUM_SIDE)
    scale = np.exp(rng.uniform(*np.log(TRAINING_SCALE)) + rng.uniform(-0.1, 0.1, 2))
    shift = rng.uniform(-SHIFT, SHIFT, 2)
    window: FloatArray = _join(((low + high) / 2 + shift * side)[None], (scale * side)[None], np)[0]
    return window


def to_window(boxes: FloatArray, windows: FloatArray) -> FloatArray:
    """Boxes in image coordinates as boxes in window coordinates, cut off at the window."""
    start, side = _split(windows, np)
    return np.clip((boxes - start) / side, 0.0, 1.0)


def from_window(boxes: Any, windows: Any, xp: Any = np) -> Any:
    """Boxes in window coordinates as boxes in image coordinates; `xp` as in place_windows."""
    start, side = _split(windows, xp)
    return boxes * side + start


def scale_from_window(lengths: FloatArray, windows: FloatArray) -> FloatArray:
    """Lengths along x, x, y and y in window coordinates as lengths in image coordinates."""
    _, side = _split(windows, np)
    return lengths * side


def _join(centre: Any, side: Any, xp: Any) -> Any:
    edges = xp.stack([centre - side / 2, centre + side / 2], axis=-1)
    return xp.clip(xp.reshape(edges, (-1, 4)), 0.0, 1.0)


def _split(windows: Any, xp: Any) -> tuple[Any, Any]:
    """Start and side of each window, repeated for both edges of an axis."""
    start = xp.repeat(windows[..., ::2], 2, axis=-1)
    return start, xp.repeat(windows[..., 1::2], 2, axis=-1) - start
