"""Regions of Label Studio: their boxes and classes.

References
----------
.. [1] Label Studio, tags RectangleLabels, EllipseLabels, PolygonLabels and BrushLabels,
   https://labelstud.io/tags: percent of the width and height of the image; a rectangle turns
   clockwise about its top left corner.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..brush import bound_brush
from ..record import make_records
from ..shapes import bound_ellipse, rotate_about_corner
from .label_studio_images import read_image

if TYPE_CHECKING:
    from ..nodes import Node
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = ["read_parts"]


def read_parts(
    task: Node,
    data: Node,
    parts: list[tuple[list[Node], dict[str, Any]]],
    extra: dict[str, Any],
    options: Options,
) -> Iterator[BoxRecord]:
    """Yield the records of a task.

    Parameters
    ----------
    task : Node
    data : Node
        Contains the name of the image.
    parts : list of (list of Node, dict)
        Regions of each annotation, and its columns.
    extra : dict
        Columns of the task.
    options : Options
    """
    sizes = (_read_size(region) for regions, _ in parts for region in regions)
    size = next((size for size in sizes if size is not None), None)
    found = (box for regions, more in parts for box in _iter_boxes(regions, options, size, more))
    return make_records(task, read_image(data), found, size or (1.0, 1.0), extra)


def _read_size(region: Node) -> tuple[float, float] | None:
    return region.read_size("original_width", "original_height")


def _iter_boxes(
    results: list[Node], options: Options, size: tuple[float, float] | None, extra: dict[str, Any]
) -> Iterator[FoundBox]:
    """Yield a box for each label of each region; in pixels, or in 0..1 if `size` is None."""
    # A rectangle and the label that is chosen for it are two results with the same id.
    groups: dict[object, list[Node]] = {}
    for number, result in enumerate(results):
        key = result["id"].as_text() if "id" in result else number
        groups.setdefault(key, []).append(result)
    for group in groups.values():
        values = [(result, result.get("value") or result) for result in group]
        for _, value in values:
            if value.is_object and "sequence" in value:
                value.fail("this annotates a video; only annotations of images can be read.")
        values = [(result, value) for result, value in values if _is_region(value)]
        if not values:
            continue
        result, value = values[0]
        box = _read_box(value, options, size)
        more = dict(extra)
        if "score" in result:
            more["confidence"] = result["score"].as_number()
        for label in _read_labels([value for _, value in values]):
            yield result, label, box, more


def _is_region(value: Node) -> bool:
    return value.is_object and any(key in value for key in ("x", "points", "vertices", "rle"))


def _read_labels(values: list[Node]) -> list[str]:
    """Labels of a region, from keys such as ``rectanglelabels``; an empty text without any."""
    labels: dict[str, None] = {}
    for value in values:
        for node in value:
            if str(node.key).endswith("labels") and node.is_list:
                labels |= dict.fromkeys(label.as_text() for label in node)
    return list(labels) or [""]


def _read_box(value: Node, options: Options, size: tuple[float, float] | None) -> Box | None:
    width, height = (side / 100 for side in size or (1.0, 1.0))

    def read(name: str) -> float:
        return value[name].as_number()

    if "rle" in value:
        if size is None:
            value.fail("original_width and original_height are missing, the size of the mask.")
        box = bound_brush(value["rle"], size)
        return options.bound_shape(value, "brush", [] if box is None else box)
    for name in ("points", "vertices"):
        if name in value:
            points = [(x * width, y * height) for x, y in value[name].as_points()]
            return options.bound_shape(value, "polygon", points)
    degrees = read("rotation") if "rotation" in value else 0.0
    if degrees and size is None:
        value.fail("original_width and original_height are missing, which a rotated shape needs.")
    x, y = read("x") * width, read("y") * height
    if "radiusX" in value:
        radii = read("radiusX") * width, read("radiusY") * height
        return options.bound_shape(value, "ellipse", bound_ellipse(x, y, *radii, degrees))
    if "height" not in value:
        return options.bound_shape(value, "keypoint", [(x, y)])
    box = x, x + read("width") * width, y, y + read("height") * height
    if degrees:
        return options.bound_shape(value, "rotated box", rotate_about_corner(box, degrees))
    return box
