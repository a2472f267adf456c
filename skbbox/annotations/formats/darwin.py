"""V7 Darwin: one JSON file per image, of versions 1 and 2.

References
----------
.. [1] V7, "Darwin JSON format" (2.0), https://docs.v7labs.com/reference/darwin-json.
.. [2] V7, "(Legacy) Darwin JSON 1.0", https://docs.v7labs.com/reference/legacy-darwin-json-10.
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

FILES = "one JSON per image, versions 1 and 2"
COORDINATES = "pixels, edges, x, y, w, h"
SIZE = "in the file"
EMPTY = "`annotations: []`"

#: Kinds of annotations that are not boxes, though most have a bounding box as well.
SHAPES = ("ellipse", "polygon", "line", "keypoint", "skeleton", "cuboid", "mask")
#: Kinds of annotations of the entire image, which have no place in it.
PLACELESS = ("tag", "raster_layer")


def recognises(document: Document) -> bool:
    """Whether `document` has the annotations of an item or, in version 1, of an image."""
    if document.kind != "json":
        return False
    root = document.parse_json()
    if "annotations" not in root or not root["annotations"].is_list:
        return False
    if "item" in root:
        return "slots" in root["item"]
    return "image" in root and "filename" in root["image"]


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a JSON file that V7 exported."""
    root = document.parse_json_of("V7 Darwin")
    extra = {}
    if "item" in root:
        item = root["item"]
        slots = item["slots"].as_list()
        if len(slots) != 1:
            item["slots"].fail(f"expected one slot with one image. Received {len(slots)}.")
        name, size = item["name"].as_text(), slots[0].read_size()
        if "path" in item:
            extra["folder"] = item["path"].as_text().strip("/")
    else:
        image = root["image"]
        node = image["original_filename"] if "original_filename" in image else image["filename"]
        name, size = node.as_text(), image.read_size()
        if "path" in image:
            extra["folder"] = image["path"].as_text().strip("/")
    if extra.get("folder"):
        name = f"{extra['folder']}/{name}"
    else:
        extra = {}
    found = [
        _read_annotation(node, options)
        for node in root["annotations"].as_list()
        if not any(kind in node for kind in PLACELESS)
    ]
    return make_records(root, name, found, size, extra)


def _read_annotation(node: Node, options: Options) -> FoundBox:
    if "frames" in node:
        node.fail("this annotates a video; only annotations of images can be read.")
    return node, node["name"].as_text(), _read_box(node, options), {}


def _read_box(node: Node, options: Options) -> Box | None:
    kind = next((kind for kind in SHAPES if kind in node), None)
    if "bounding_box" in node or kind is None:
        box = node["bounding_box"].read_corner_box("x", "y", "w", "h")
        return box if kind is None else options.bound_shape(node, kind, box)
    shape = node[kind]
    points = []
    if "paths" in shape:
        points = [point for path in shape["paths"].as_list() for point in path.as_points()]
    elif "path" in shape:
        points = shape["path"].as_points()
    elif "nodes" in shape:
        points = shape["nodes"].as_points()
    elif kind == "keypoint":
        points = [shape.as_point()]
    elif kind == "ellipse":
        return options.bound_shape(node, kind, _bound_ellipse(shape))
    return options.bound_shape(node, kind, points)


def _bound_ellipse(shape: Node) -> Box:
    if "angle" in shape and shape["angle"].as_number():
        shape["angle"].fail(
            "V7 does not say whether this is in degrees or radians, and the annotation has no "
            "bounding_box, as those that V7 exports do."
        )
    return bound_ellipse(*shape["center"].as_point(), *shape["radius"].as_point())
