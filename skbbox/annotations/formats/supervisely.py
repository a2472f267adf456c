"""Supervisely: one JSON file per image, in a folder ``ann`` next to the images in ``img``.

References
----------
.. [1] Supervisely, "Supervisely annotation format: Objects",
   https://developer.supervisely.com/getting-started/supervisely-annotation-format/objects.
.. [2] Supervisely, "Coordinate system",
   https://developer.supervisely.com/app-development/advanced/coordinate-system: coordinates in the
   files are edges between pixels; the SDK subtracts 1 from the right and the bottom.
"""

from __future__ import annotations

import base64
import binascii
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..record import PlacedImage, make_records
from ..shapes import bound_points

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Node
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "one JSON per image, `ann/NAME.json` for `img/NAME`"
COORDINATES = "pixels, edges, two corners"
SIZE = "in the file"
EMPTY = "`objects: []`"


def recognises(document: Document) -> bool:
    """Whether `document` is Supervisely's annotation of an image."""
    if document.kind != "json":
        return False
    root = document.parse_json()
    if "objects" not in root or "size" not in root or not root["objects"].is_list:
        return False
    first = next(iter(root["objects"]), None)
    return first is None or ("classTitle" in first and "geometryType" in first)


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of the annotation of an image."""
    root = document.parse_json_of("Supervisely")
    found = (_read_object(node, options) for node in root["objects"].as_list())
    folder = document.path.parent
    if folder.name == "ann":
        folder = folder.with_name("img")
    # Files of old projects have no extension of an image before their own.
    image = PlacedImage(document.path.stem, folder)
    return make_records(root, image, found, root["size"].read_size())


def _read_object(node: Node, options: Options) -> FoundBox:
    return node, node["classTitle"].as_text(), _read_box(node, options), {}


def _read_box(node: Node, options: Options) -> Box | None:
    kind = node["geometryType"].as_text()
    if kind in ("bitmap", "alpha_mask"):
        bitmap = node["bitmap"]
        x, y = bitmap["origin"].as_numbers(2)
        width, height = _read_size(bitmap["data"])
        return options.bound_shape(node, kind, (x, x + width, y, y + height))
    if kind == "graph":
        vertices = [vertex["loc"].as_numbers(2) for vertex in node["nodes"]]
        return options.bound_shape(node, "keypoints", [(x, y) for x, y in vertices])
    corners = node["points"]["exterior"].as_points()
    if kind != "rectangle":
        return options.bound_shape(node, kind, corners)
    box = bound_points(corners)
    if box is None:
        node["points"].fail(f"expected the two corners of a rectangle. Received {len(corners)}.")
    return box


def _read_size(data: Node) -> tuple[int, int]:
    """Width and height of a compressed PNG; its pixels are not decoded."""
    try:
        start = zlib.decompressobj().decompress(base64.b64decode(data.as_text()), 24)
        width, height = struct.unpack(">8x8xII", start)
    except (binascii.Error, zlib.error, struct.error) as error:
        data.fail(f"expected a compressed PNG: {error}.")
    return width, height
