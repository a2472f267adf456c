"""Bounding boxes of shapes that are not upright boxes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .nodes import parse_numbers

if TYPE_CHECKING:
    from .nodes import Place
    from .record import Box, Point

__all__ = [
    "bound_ellipse",
    "bound_points",
    "bound_runs",
    "parse_points",
    "parse_wkt_polygons",
    "rotate_about_corner",
    "rotate_box",
]

#: One polygon in well-known text: the outer ring, then any holes.
_POLYGON = re.compile(r"\(\s*\(([^()]*)\)((?:\s*,\s*\([^()]*\))*)\s*\)")


def bound_points(points: Iterable[Point]) -> Box | None:
    """Bounding box of points, or None for fewer than two.

    Parameters
    ----------
    points : iterable of (float, float)
        As x, y.

    Returns
    -------
    tuple of 4 floats, or None
        ``x_min, x_max, y_min, y_max``.
    """
    points = list(points)
    if len(points) < 2:
        return None
    x, y = zip(*points, strict=True)
    return min(x), max(x), min(y), max(y)


def bound_ellipse(
    x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0
) -> Box:
    """Bounding box of an ellipse that is rotated about its centre ``x, y``."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    width = math.hypot(radius_x * cosine, radius_y * sine)
    height = math.hypot(radius_x * sine, radius_y * cosine)
    return x - width, x + width, y - height, y + height


def rotate_box(box: Box, degrees: float) -> list[Point]:
    """Corners of a box after a rotation about its centre, clockwise on the screen."""
    x_min, x_max, y_min, y_max = box
    return _rotate_about(box, degrees, (x_min + x_max) / 2, (y_min + y_max) / 2)


def rotate_about_corner(box: Box, degrees: float) -> list[Point]:
    """Corners of a box after a rotation about its top left corner, clockwise on the screen."""
    return _rotate_about(box, degrees, box[0], box[2])


def _rotate_about(box: Box, degrees: float, x: float, y: float) -> list[Point]:
    x_min, x_max, y_min, y_max = box
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [
        (x + (a - x) * cosine - (b - y) * sine, y + (a - x) * sine + (b - y) * cosine)
        for a in (x_min, x_max)
        for b in (y_min, y_max)
    ]


def bound_runs(runs: Iterable[tuple[int, int]], width: int) -> Box | None:
    """Bounding box of pixels that are numbered row by row, or None if there are none.

    Parameters
    ----------
    runs : iterable of (int, int)
        Numbers of the first pixel of each run, and of the one after its last.
    width : int
        Number of pixels of a row.
    """
    xs, ys = [], []
    for start, end in runs:
        (first_row, first), (last_row, last) = divmod(start, width), divmod(end - 1, width)
        # A run that continues in the next row touches both sides.
        xs += [first, last + 1] if first_row == last_row else [0, width]
        ys += [first_row, last_row + 1]
    return (min(xs), max(xs), min(ys), max(ys)) if xs else None


def parse_points(text: str, place: Place) -> list[Point]:
    """Convert text such as ``1,2;3,4`` to points."""
    return [_parse_point(pair.split(","), place) for pair in text.split(";") if pair.strip()]


def parse_wkt_polygons(text: str, place: Place) -> list[list[Point]]:
    """Outer rings of a POLYGON or MULTIPOLYGON in well-known text.

    References
    ----------
    .. [1] OGC 06-103r4, "Simple feature access", section 7.
    """
    return [
        [_parse_point(point.split(), place) for point in outer.split(",")]
        for outer, _ in _POLYGON.findall(text)
    ]


def _parse_point(texts: list[str], place: Place) -> Point:
    if len(texts) != 2:
        place.fail(f"expected a point with two numbers. Received: {texts[:5]}.")
    x, y = parse_numbers(texts, place, ("x of a point", "y of a point"))
    return x, y
