"""Shapes of CVAT's XML: their bounding boxes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import TYPE_CHECKING

from ..nodes import Element, shorten_repr
from ..shapes import bound_ellipse, bound_runs, parse_points, rotate_box

if TYPE_CHECKING:
    from ..options import Options
    from ..record import Box, Point

__all__ = ["SHAPES", "is_outside"]


def is_outside(shape: Element) -> bool:
    """Whether a shape is outside the frame; for a skeleton, whether all its points are."""
    points = list(shape.iter_children("points"))
    if shape.tag == "skeleton" and points:
        return all(is_outside(point) for point in points)
    return shape.element.get("outside") == "1"


def _read_box(shape: Element, options: Options) -> Box | None:
    x_min, x_max, y_min, y_max = map(shape.read_attribute_number, ("xtl", "xbr", "ytl", "ybr"))
    box = x_min, x_max, y_min, y_max
    degrees = _read_rotation(shape)
    if degrees:
        return options.bound_shape(shape, "rotated box", rotate_box(box, degrees))
    return box


def _read_ellipse(shape: Element, options: Options) -> Box | None:
    x, y, radius_x, radius_y = map(shape.read_attribute_number, ("cx", "cy", "rx", "ry"))
    box = bound_ellipse(x, y, radius_x, radius_y, _read_rotation(shape))
    return options.bound_shape(shape, "ellipse", box)


def _read_points(shape: Element, options: Options) -> Box | None:
    points = parse_points(shape.read_attribute("points"), shape)
    return options.bound_shape(shape, shape.tag, points)


def _read_mask(shape: Element, options: Options) -> Box | None:
    left, top, width, height = map(shape.read_attribute_number, ("left", "top", "width", "height"))
    texts = shape.read_attribute("rle").split(",")
    runs = [int(text) for text in texts if text.strip().isascii() and text.strip().isdigit()]
    is_whole = min(width, height) >= 0 and width.is_integer()
    if not is_whole or len(runs) < len(texts) or sum(runs) != width * height:
        shape.fail(
            f"rle must be the lengths of runs of pixels that add up to {width:g} x {height:g}, the "
            f"size of the mask. Received: {shorten_repr(shape.read_attribute('rle'))}."
        )
    # The pixels of every second run are set.
    ends = list(accumulate(runs))
    pairs = zip(ends[::2], ends[1::2], strict=False)
    box = bound_runs(((start, end) for start, end in pairs if start < end), int(width))
    if box is None:
        return options.bound_shape(shape, "mask", [])
    x_min, x_max, y_min, y_max = box
    return options.bound_shape(
        shape, "mask", (left + x_min, left + x_max, top + y_min, top + y_max)
    )


def _read_cuboid(shape: Element, options: Options) -> Box | None:
    corners = [f"{side}{n}" for n in (1, 2) for side in ("tl", "bl", "tr", "br")]
    points: list[Point] = [
        (shape.read_attribute_number(f"x{corner}"), shape.read_attribute_number(f"y{corner}"))
        for corner in corners
    ]
    return options.bound_shape(shape, "cuboid", points)


def _read_skeleton(shape: Element, options: Options) -> Box | None:
    points = []
    for child in shape.iter_children("points"):
        if not is_outside(child):
            points += parse_points(child.read_attribute("points"), child)
    return options.bound_shape(shape, "skeleton", points)


def _read_rotation(shape: Element) -> float:
    return shape.read_attribute_number("rotation") if shape.element.get("rotation") else 0.0


#: Functions that read the box of each kind of shape.
SHAPES: dict[str, Callable[[Element, Options], Box | None]] = {
    "box": _read_box,
    "ellipse": _read_ellipse,
    "polygon": _read_points,
    "polyline": _read_points,
    "points": _read_points,
    "mask": _read_mask,
    "cuboid": _read_cuboid,
    "skeleton": _read_skeleton,
}
