"""Objects in Pascal VOC's XML: their boxes, or the shapes that RectLabel writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..nodes import parse_degrees
from ..shapes import rotate_box

if TYPE_CHECKING:
    from ..nodes import Element
    from ..options import Options
    from ..record import Box, FoundBox, Point

__all__ = ["SHAPES", "find_shape", "read_object"]

#: Optional children of an object that become columns.
FLAGS = ("pose", "truncated", "difficult", "occluded")

#: Shapes that RectLabel writes instead of a box.
SHAPES = ("polygon", "cubic_bezier", "line", "keypoints", "pixels")


def read_object(element: Element, options: Options, tool_corners: str) -> FoundBox:
    """Class, box and flags of an ``<object>``; `tool_corners` is as for ``read_voc``."""
    name = element.read_text("name")
    extra = {
        flag: _parse_flag(element.read_text(flag))
        for flag in FLAGS
        if element.find_child(flag) is not None
    }
    corners = element.find_child("bndbox")
    box: Box | None
    if corners is not None:
        x_min, x_max, y_min, y_max = map(corners.read_number, ("xmin", "xmax", "ymin", "ymax"))
        box = x_min, x_max, y_min, y_max
        if degrees := _read_rotation(element):
            box = options.bound_shape(element, "rotated box", rotate_box(box, degrees))
    elif (shape := find_shape(element)) is not None:
        box = options.bound_shape(shape, shape.tag, _read_points(shape))
    else:
        box = options.bound_shape(element, "object without <bndbox>", [])
    if box is not None:
        if options.corners is None and tool_corners == "voc" and 0 <= min(box[0], box[2]) < 1:
            element.fail(
                "a corner is 0, though this format counts pixels from 1. Pass corners='edges' if "
                "corners are edges between pixels, as most programs write them, or corners='voc' "
                "if this box is wrong."
            )
        box = options.convert_corners(box, tool_corners)
    return element, name, box, extra


def _read_rotation(element: Element) -> float:
    """Rotation of a box of CVAT, which stores the corners before the rotation."""
    attributes = element.find_child("attributes")
    for attribute in attributes.iter_children("attribute") if attributes is not None else []:
        if attribute.read_text("name", default="") == "rotation":
            return parse_degrees(attribute.read_text("value", default=""))
    return 0.0


def find_shape(element: Element) -> Element | None:
    """The first of ``SHAPES`` among the children of an ``<object>``, or None."""
    return next(element.iter_children(*SHAPES), None)


def _read_points(shape: Element) -> list[Point]:
    """Corners of a shape, without the control points of curves, such as ``x1_c1``."""
    points: dict[int, dict[str, float]] = {}
    for child in shape.iter_children():
        axis, number = child.tag[:1], child.tag[1:]
        if axis in ("x", "y") and number.isascii() and number.isdigit() and len(number) < 10:
            points.setdefault(int(number), {})[axis] = shape.read_number(child.tag)
    for point_number, point in points.items():
        if len(point) < 2:
            shape.fail(f"point {point_number} has no {'xy'.strip(next(iter(point)))}.")
    return [(point["x"], point["y"]) for point in points.values()]


def _parse_flag(text: str) -> int | str:
    return int(text) if text in ("0", "1") else text
