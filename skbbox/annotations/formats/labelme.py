"""labelme: one JSON file per image, its converters' VOC and COCO, and LabelMe's XML.

References
----------
.. [1] labelme, ``labelme/_label_file.py`` and ``labelme/_utils/shape.py``,
   https://github.com/wkentaro/labelme.
.. [2] X-AnyLabeling, ``docs/en/user_guide.md``, https://github.com/CVHub520/X-AnyLabeling.
.. [3] labelme, ``examples/bbox_detection/labelme2voc.py`` and
   ``examples/instance_segmentation/labelme2coco.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..record import make_records
from ..shapes import bound_ellipse, bound_points
from . import coco, labelme_xml, pascal_voc

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Node
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "one JSON per image; its converters' VOC and COCO; LabelMe's XML"
COORDINATES = "pixels, edges, two corners in any order"
SIZE = "in the file"
EMPTY = "`shapes: []`"

#: Flags of a shape that become columns.
FLAGS = ("difficult", "truncated", "occluded")
#: Shapes that are bounded by their points. Files before version 4 have no type, or none for
#: polygons.
OUTLINES = ("polygon", "line", "linestrip", "points", "point", "oriented_rectangle", "rotation")


def recognises(document: Document) -> bool:
    """Whether `document` is labelme's JSON, or VOC that shows its converter wrote it."""
    if document.kind == "xml":
        return pascal_voc.is_voc(document) and pascal_voc.detect_tool(document) == "labelme"
    if document.kind != "json":
        return False
    root = document.parse_json()
    return "shapes" in root and "imagePath" in root


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a file of labelme."""
    if document.kind == "xml":
        if labelme_xml.is_labelme(document):
            return labelme_xml.read(document, options)
        return pascal_voc.read_voc(document, options, "edges")
    root = document.parse_json_of("labelme")
    if coco.recognises(document):
        return coco.read(document, options)
    found = (_read_shape(shape, options) for shape in root["shapes"].as_list())
    size = root.read_size("imageWidth", "imageHeight")
    return make_records(root, root["imagePath"].as_text(), found, size)


def _read_shape(shape: Node, options: Options) -> FoundBox:
    extra: dict[str, Any] = {}
    if "group_id" in shape:
        extra["group_id"] = shape["group_id"].as_text()
    if "flags" in shape:
        flags = shape["flags"]
        extra |= {name: flags[name].as_flag() for name in FLAGS if name in flags}
    # Of X-AnyLabeling, which writes the same files.
    if "difficult" in shape:
        extra["difficult"] = shape["difficult"].as_flag()
    if "score" in shape:
        extra["confidence"] = shape["score"].as_number()
    return shape, shape["label"].as_text(), _read_box(shape, options), extra


def _read_box(shape: Node, options: Options) -> Box | None:
    kind = shape["shape_type"].as_text() if "shape_type" in shape else "polygon"
    points = shape["points"].as_points()
    if kind in OUTLINES:
        return options.bound_shape(shape, kind, points)
    if kind not in ("rectangle", "circle", "mask"):
        shape["shape_type"].fail(f"unknown shape {kind!r}.")
    if len(points) != 2 and not (kind == "rectangle" and len(points) == 4):
        shape["points"].fail(f"expected the two points of a {kind}. Received {len(points)}.")
    box = bound_points(points)
    assert box is not None
    x_min, x_max, y_min, y_max = box
    if kind == "circle":
        # The centre, and a point of the circle.
        radius = math.hypot(x_max - x_min, y_max - y_min)
        return options.bound_shape(shape, kind, bound_ellipse(*points[0], radius, radius))
    if kind == "mask":
        # The first and last pixels, counted from 0.
        return options.bound_shape(shape, kind, (x_min, x_max + 1, y_min, y_max + 1))
    return box
