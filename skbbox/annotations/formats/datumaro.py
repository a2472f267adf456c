"""Datumaro: one JSON file per subset, also as exported by CVAT.

References
----------
.. [1] Datumaro, "Datumaro format",
   https://openvinotoolkit.github.io/datumaro/latest/docs/data-formats/formats/datumaro.html.
.. [2] CVAT, "Datumaro", https://docs.cvat.ai/docs/manual/advanced/formats/format-datumaro.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..nodes import make_size
from ..record import PlacedImage, make_records
from . import coco

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Node
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "JSON"
COORDINATES = "pixels, edges, `[x, y, width, height]`"
SIZE = "in the file, if the images were exported"
EMPTY = "`annotations: []`"

#: Annotations that are bounded by the points in their key ``points``.
OUTLINES = ("polygon", "polyline", "points", "ellipse")
#: Annotations whose bounding box is not read.
UNBOUNDED = ("mask", "skeleton", "cuboid_2d", "cuboid_3d", "rotated_bbox")
#: Annotations of the entire image, which have no place in it.
PLACELESS = ("label", "caption", "hash_key", "feature_vector")


def recognises(document: Document) -> bool:
    """Whether `document` has items and categories."""
    if document.kind != "json":
        return False
    root = document.parse_json()
    return "items" in root and "categories" in root and root["categories"].is_object


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a JSON file in Datumaro's format."""
    root = document.parse_json_of("Datumaro")
    categories = root["categories"]
    labels = categories["label"]["labels"].as_list() if "label" in categories else []
    names = [label["name"].as_text() for label in labels]
    folder = _find_images(document.path)
    for item in root["items"].as_list():
        name, size = item["id"].as_text(), None
        extra = {"image_id": name}
        for key in ("image", "media"):
            if key in item:
                image = item[key]
                if "path" in image and image["path"].as_text():
                    name = image["path"].as_text()
                if "size" in image:
                    height, width = image["size"].as_numbers(2)
                    size = make_size(width, height)
        found = [
            _read_annotation(node, names, options)
            for node in item["annotations"].as_list()
            if node["type"].as_text() not in PLACELESS
        ]
        yield from make_records(item, PlacedImage(name, folder), found, size, extra)


def _find_images(path: Path) -> Path:
    """Folder of the images of ``annotations/SUBSET.json``: ``images/SUBSET`` or ``images``."""
    if path.parent.name != "annotations":
        return path.parent
    images = path.parent.with_name("images")
    subset = images / path.stem
    return subset if subset.is_dir() else images


def _read_annotation(node: Node, names: list[str], options: Options) -> FoundBox:
    name = ""
    if "label_id" in node:
        name = options.get_class_name(node["label_id"].as_text(), node, names)
    extra: dict[str, Any] = {}
    if "attributes" in node and "occluded" in node["attributes"]:
        occluded = node["attributes"]["occluded"]
        if isinstance(occluded.value, bool):
            extra["occluded"] = int(occluded.value)
    return node, name, _read_box(node, options), extra


def _read_box(node: Node, options: Options) -> Box | None:
    kind = node["type"].as_text()
    if kind == "bbox":
        return coco.turn_box(node, node["bbox"], options)
    # The points of an ellipse are the corners of its bounding box.
    if kind in OUTLINES:
        return options.bound_shape(node, kind, node["points"].as_points())
    if kind in UNBOUNDED:
        return options.bound_shape(node, kind, [])
    node["type"].fail(f"unknown annotation {kind!r}.")
