"""Windows: the parts of images that a network looks at again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .typing import FloatArray

__all__ = ["draw_window", "from_window", "place_windows", "to_window"]

#: Sides of a window, in sides of the box that it is placed around.
SCALE = 1.6

#: The same for windows to train with, and the largest distance of their centre from that of the
#: box, in sides of the box.
TRAINING_SCALE = (1.4, 3.0)
SHIFT = 0.25

#: Least side of a box around which a window is placed; a first box may have no area.
MINIMUM_SIDE = 0.05


def place_windows(boxes: FloatArray) -> FloatArray:
    """Windows around predicted boxes, inside the image.

    Parameters
    ----------
    boxes : ndarray of shape (n, 4)
        ``x_min, x_max, y_min, y_max``, normalised.

    Returns
    -------
    ndarray of shape (n, 4)
        Their edges, in the same order.
    """
    low, high = boxes[:, ::2], boxes[:, 1::2]
    return _join((low + high) / 2, SCALE * np.maximum(high - low, MINIMUM_SIDE))


def draw_window(box: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A random window around a true box of shape (4,), as an uncertain first look gives one."""
    low, high = box[::2], box[1::2]
    side = np.maximum(high - low, MINIMUM_SIDE)
    scale = np.exp(rng.uniform(*np.log(TRAINING_SCALE)) + rng.uniform(-0.1, 0.1, 2))
    shift = rng.uniform(-SHIFT, SHIFT, 2)
    return _join((low + high) / 2 + shift * side, scale * side)


def to_window(boxes: FloatArray, windows: FloatArray) -> FloatArray:
    """Boxes in image coordinates as boxes in window coordinates, cut off at the window."""
    start, side = _split(windows)
    return np.clip((boxes - start) / side, 0.0, 1.0)


def from_window(boxes: FloatArray, windows: FloatArray) -> FloatArray:
    """Boxes in window coordinates as boxes in image coordinates."""
    start, side = _split(windows)
    return boxes * side + start


def _join(centre: FloatArray, side: FloatArray) -> FloatArray:
    edges = np.stack([centre - side / 2, centre + side / 2], axis=-1)
    return np.clip(edges.reshape(*edges.shape[:-2], 4), 0.0, 1.0)


def _split(windows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Start and side of each window, repeated for both edges of an axis."""
    start = np.repeat(windows[..., ::2], 2, axis=-1)
    return start, np.repeat(windows[..., 1::2], 2, axis=-1) - start
