"""Outlines of objects, and the pixels that they cover."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

if TYPE_CHECKING:
    from numpy.random import RandomState

    from ..typing import FloatArray

#: Range of the length of an object, as a share of the shorter side of its image.
SIZES = (0.3, 0.8)
#: Sub-pixels along each side of a pixel for measuring coverage.
SUPERSAMPLING = 8


def draw_length(random_state: RandomState, height: int, width: int) -> float:
    """Draw the longer side of an object, in pixels."""
    return random_state.uniform(*SIZES) * min(height, width)


def place_object(
    random_state: RandomState, outline: FloatArray, length: float, height: int, width: int
) -> FloatArray:
    """Stretch, turn and scale an outline, and move it at random in the image."""
    stretch = np.exp(random_state.uniform(np.log(0.6), np.log(1.6)))
    angle = np.deg2rad(random_state.uniform(-20, 20))
    return place(random_state, deform(outline, stretch, angle), length, height, width)


def deform(outline: FloatArray, stretch: float, angle: float) -> FloatArray:
    """Multiply the aspect ratio by `stretch`, then turn by `angle` in radians."""
    outline = outline * (np.sqrt(stretch), 1 / np.sqrt(stretch))
    cosine, sine = np.cos(angle), np.sin(angle)
    return outline @ np.array([[cosine, sine], [-sine, cosine]])


def place(
    random_state: RandomState, outline: FloatArray, length: float, height: int, width: int
) -> FloatArray:
    """Scale the outline to a longer side of `length` pixels, and move it at random in the image."""
    outline = outline - outline.min(axis=0)
    outline *= length / outline.max()
    return outline + random_state.uniform(0, 1, size=2) * ((width, height) - outline.max(axis=0))


def measure_coverage(
    outline: FloatArray, height: int, width: int
) -> tuple[FloatArray, tuple[slice, slice]]:
    """Compute the share of each pixel inside the outline; also the window of these pixels."""
    left, top = np.floor(outline.min(axis=0)).astype(int)
    right, bottom = np.minimum(np.floor(outline.max(axis=0)).astype(int) + 1, (width, height))
    size = ((right - left) * SUPERSAMPLING, (bottom - top) * SUPERSAMPLING)
    fine = Image.new("L", size)
    corners = (outline - (left, top)) * SUPERSAMPLING
    ImageDraw.Draw(fine).polygon(corners.ravel().tolist(), fill=255)
    coverage = np.asarray(fine.reduce(SUPERSAMPLING), dtype=np.float64) / 255
    return coverage, (slice(top, bottom), slice(left, right))


def find_tight_box(coverage: FloatArray) -> tuple[float, float, float, float]:
    """Find the box around the pixels of which at least half is covered."""
    covered = coverage >= 0.5
    columns, rows = np.flatnonzero(covered.any(axis=0)), np.flatnonzero(covered.any(axis=1))
    height, width = coverage.shape
    return (
        columns[0] / width,
        (columns[-1] + 1) / width,
        rows[0] / height,
        (rows[-1] + 1) / height,
    )


def blend_over(canvas: FloatArray, coverage: FloatArray, colour: FloatArray) -> None:
    """Paint on the canvas, each pixel by the share that is covered."""
    canvas += coverage[..., None] * (colour - canvas)


def choose_contrasting_colour(
    candidates: FloatArray, colours: FloatArray, distance: float
) -> FloatArray:
    """Choose the first candidate at least `distance` from all colours, or else the farthest."""
    nearest = np.linalg.norm(candidates[:, None] - colours, axis=2).min(axis=1)
    far = np.flatnonzero(nearest >= distance)
    return candidates[far[0] if far.size else nearest.argmax()]


def arc(
    radius: float, start: float, stop: float, centre: tuple[float, float] = (0.0, 0.0)
) -> FloatArray:
    """Corners along a circle from angle `start` to `stop` in degrees."""
    angles = np.deg2rad(np.linspace(start, stop, 48))
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=1) + centre


def _star() -> FloatArray:
    angles = np.deg2rad(np.arange(10) * 36 - 90)
    radii = np.where(np.arange(10) % 2, 0.45, 1.0)
    return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _cross() -> FloatArray:
    inner = 1 / 3
    quarter = np.array([(inner, -1), (inner, -inner), (1, -inner)])
    quarters = [quarter]
    for _ in range(3):
        quarters.append(quarters[-1] @ np.array([[0, 1], [-1, 0]]))
    return np.concatenate(quarters)


def _heart() -> FloatArray:
    t = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    x = 16 * np.sin(t) ** 3
    y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
    return np.stack([x, -y], axis=1)


def _crescent() -> FloatArray:
    # The circles meet at 51.3 degrees of the outer and 77.4 of the inner one.
    outer, inner = arc(1.0, 51.3, 308.7), arc(0.8, 282.6, 77.4, centre=(0.45, 0.0))
    return np.concatenate([outer, inner])


#: Outlines of the classes; ``n_classes`` selects the first of them.
OUTLINES = {
    "disc": arc(1.0, 0, 360),
    "square": np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)]),
    "triangle": np.array([(0.0, -1.0), (1.0, 0.8), (-1.0, 0.8)]),
    "star": _star(),
    "cross": _cross(),
    "ring": np.concatenate([arc(1.0, 0, 360), arc(0.55, 360, 0)]),
    "heart": _heart(),
    "crescent": _crescent(),
}
