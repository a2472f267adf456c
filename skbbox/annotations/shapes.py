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

__all__ = ["bound_ellipse", "bound_points", "parse_points", "parse_wkt_polygons", "rotate_box"]

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
    x, y = (x_min + x_max) / 2, (y_min + y_max) / 2
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [
        (x + (a - x) * cosine - (b - y) * sine, y + (a - x) * sine + (b - y) * cosine)
        for a in (x_min, x_max)
        for b in (y_min, y_max)
    ]


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
