"""SuperAnnotate: one JSON file per image of a project for vectors.

References
----------
.. [1] SuperAnnotate, "Vector JSON", https://doc.superannotate.com/docs/vector-json.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..record import make_records
from ..shapes import bound_ellipse

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Node
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "one JSON per image"
COORDINATES = "pixels, edges, two corners"
SIZE = "in the file"
EMPTY = "`instances: []`"


def recognises(document: Document) -> bool:
    """Whether `document` has the instances of an image and its metadata."""
    if document.kind != "json":
        return False
    root = document.parse_json()
    return "metadata" in root and "name" in root["metadata"] and "instances" in root


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a JSON file that SuperAnnotate exported."""
    root = document.parse_json_of("SuperAnnotate")
    metadata = root["metadata"]
    found = [
        _read_instance(node, options)
        for node in root["instances"].as_list()
        # The class of the entire image.
        if node["type"].as_text() != "tag"
    ]
    return make_records(root, metadata["name"].as_text(), found, metadata.read_size())


def _read_instance(node: Node, options: Options) -> FoundBox:
    if "className" in node:
        name = node["className"].as_text()
    else:
        name = options.get_class_name(node["classId"].as_text(), node)
    return node, name, _read_box(node, options), {}


def _read_box(node: Node, options: Options) -> Box | None:
    kind = node["type"].as_text()
    if kind == "ellipse":
        x, y, *radii = (node[key].as_number() for key in ("cx", "cy", "rx", "ry"))
        degrees = node["angle"].as_number() if "angle" in node else 0.0
        box = bound_ellipse(x, y, radii[0], radii[1], degrees)
        return options.bound_shape(node, kind, box)
    if kind == "point":
        return options.bound_shape(node, kind, [node.as_point()])
    if kind not in ("bbox", "rbbox", "polygon", "polyline", "cuboid", "template"):
        node["type"].fail(f"unknown shape {kind!r}.")
    points = node["points"]
    if points.is_list:  # Of a template, with names and numbers; else x, y, x, y.
        return options.bound_shape(node, kind, points.as_points())
    if kind == "bbox":
        x_1, x_2, y_1, y_2 = (points[key].as_number() for key in ("x1", "x2", "y1", "y2"))
        # Corners in the order in which they were drawn.
        return min(x_1, x_2), max(x_1, x_2), min(y_1, y_2), max(y_1, y_2)
    if kind == "cuboid":
        corners = [points[key].as_point() for key in ("f1", "f2", "r1", "r2")]
        return options.bound_shape(node, kind, corners)
    corners = [
        (points[f"x{number}"].as_number(), points[f"y{number}"].as_number())
        for number in range(1, 5)
    ]
    return options.bound_shape(node, "rotated box", corners)
