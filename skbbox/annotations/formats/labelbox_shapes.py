"""Shapes of Labelbox: their bounding boxes, also in exports of 2018 and 2019."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..shapes import parse_wkt_polygons

if TYPE_CHECKING:
    from ..nodes import Node
    from ..options import Options
    from ..record import Box

__all__ = ["iter_early_boxes", "read_box"]


def read_box(item: Node, key: str, options: Options) -> Box | None:
    """The box at `key` of an object, or that of the shape that it has instead."""
    if key in item:
        return item[key].read_corner_box("left", "top", "width", "height")
    for kind in ("polygon", "line"):
        if kind in item:
            return options.bound_shape(item, kind, item[kind].as_points())
    if "point" in item:
        return options.bound_shape(item, "point", [item["point"].as_point()])
    return options.bound_shape(item, "mask", [])


def iter_early_boxes(node: Node, options: Options) -> Iterator[tuple[Node, Box | None]]:
    """Yield the shapes of a class and their boxes, in an export of 2018 or 2019."""
    if node.is_text:
        if not node.value.lstrip().startswith(("POLYGON", "MULTIPOLYGON")):
            return  # The answer to a question, not a shape.
        rings = parse_wkt_polygons(node.value, node)
        if not rings:
            node.fail(f"not valid well-known text. Received: {node.value[:80]!r}.")
    elif _is_point(node.value):
        yield node, options.bound_shape(node, "point", [node.as_point()])
        return
    elif node.is_list and node.value and all(_is_point(value) for value in node.value):
        rings = [node.as_points()]
    else:
        for child in [node["geometry"]] if node.is_object else node.as_list():
            yield from iter_early_boxes(child, options)
        return
    if options.y_origin is None:
        node.fail(
            "Labelbox exports of 2018 measure y from the bottom and later ones from the top, but "
            "do not store which; pass y_origin='bottom' or y_origin='top'."
        )
    for ring in rings:
        x, y = ({point[i] for point in ring} for i in (0, 1))
        if len(x) == len(y) == 2 and len(set(ring)) == 4:
            yield node, (min(x), max(x), min(y), max(y))
        else:
            yield node, options.bound_shape(node, "polygon", ring)


def _is_point(value: object) -> bool:
    return isinstance(value, dict) and {"x", "y"} <= value.keys()
