"""Boxes around shapes that are not boxes."""

import math
import re

from .documents import parse_numbers

__all__ = ["around", "around_circle", "rotated", "split_pairs", "wkt_polygons"]

#: One ring in well-known text: the inside of the innermost brackets.
_POLYGON = re.compile(r"\(\s*\(([^()]*)\)((?:\s*,\s*\([^()]*\))*)\s*\)")


def around(points):
    """The box around points, or None around fewer than two.

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


def around_circle(x, y, radius_x, radius_y, degrees=0.0):
    """The box around an ellipse that is turned about its centre."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    width = math.hypot(radius_x * cosine, radius_y * sine)
    height = math.hypot(radius_x * sine, radius_y * cosine)
    return x - width, x + width, y - height, y + height


def rotated(box, degrees):
    """The corners of a box that is turned about its centre, clockwise on the screen."""
    x_min, x_max, y_min, y_max = box
    x, y = (x_min + x_max) / 2, (y_min + y_max) / 2
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [
        (x + (a - x) * cosine - (b - y) * sine, y + (a - x) * sine + (b - y) * cosine)
        for a in (x_min, x_max)
        for b in (y_min, y_max)
    ]


def split_pairs(text, owner):
    """Points of a text such as ``1,2;3,4``; `owner` fails where one is none."""
    return [_point(pair.split(","), owner) for pair in text.split(";") if pair.strip()]


def wkt_polygons(text, owner):
    """Outer rings of a POLYGON or MULTIPOLYGON in well-known text, as lists of points.

    `owner` fails where one is none.

    References
    ----------
    .. [1] OGC 06-103r4, "Simple feature access", section 7.
    """
    return [
        [_point(point.split(), owner) for point in outer.split(",")]
        for outer, _ in _POLYGON.findall(text)
    ]


def _point(texts, owner):
    if len(texts) != 2:
        owner.fail(f"a point is two numbers. Received: {texts[:5]}.")
    return parse_numbers(texts, owner, ("x of a point", "y of a point"))
