"""VoTT: the JSON of its export, of one asset, and of version 1.

References
----------
.. [1] VoTT, ``src/models/applicationState.ts`` (``IAssetMetadata``, ``IRegion``) and
   ``src/providers/export/vottJson.ts``, https://github.com/microsoft/VoTT.
.. [2] VoTT 1, https://github.com/microsoft/VoTT/tree/v1: corners, and the size that they are
   relative to.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ..record import ServedImage, make_records

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Node
    from ..options import Options
    from ..record import BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "JSON of an export, of an asset, or of version 1"
COORDINATES = "pixels, edges, left, top, width, height"
SIZE = "in the file"
EMPTY = "`regions: []`"


def recognises(document: Document) -> bool:
    """Whether `document` is an export of VoTT, or one of its assets."""
    if document.kind != "json":
        return False
    root = document.parse_json()
    if ("asset" in root and "regions" in root) or ("frames" in root and "inputTags" in root):
        return True
    if "assets" not in root or not root["assets"].is_object:
        return False
    first = next(iter(root["assets"]), None)
    return first is not None and "asset" in first and "regions" in first


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a JSON file that VoTT wrote."""
    root = document.parse_json_of("VoTT")
    if "frames" in root:
        yield from _read_frames(root["frames"], options)
        return
    for item in [root] if "asset" in root else root["assets"]:
        asset = item["asset"]
        size = asset["size"].read_size() if "size" in asset else None
        found = [box for region in item["regions"] for box in _read_region(region, options)]
        # Characters such as spaces are written as in a URL.
        name = asset["name"].as_text()
        image = ServedImage(name, unquote(name)) if "%" in name else name
        yield from make_records(item, image, found, size)


def _read_frames(frames: Node, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of version 1."""
    for frame in frames:
        name = str(frame.key)
        if name.isdigit():
            frame.fail("VoTT 1 named this image by its number; only images with names can be read.")
        found: list[FoundBox] = []
        for region in frame.as_list():
            width, height = region["width"].as_number(), region["height"].as_number()
            if width <= 0 or height <= 0:
                region.fail(f"the size must be positive. Received: {width:g} x {height:g}.")
            x_1, x_2 = (region[key].as_number() / width for key in ("x1", "x2"))
            y_1, y_2 = (region[key].as_number() / height for key in ("y1", "y2"))
            box = min(x_1, x_2), max(x_1, x_2), min(y_1, y_2), max(y_1, y_2)
            tags = [tag.as_text() for tag in region["tags"].as_list()]
            found += [(region, tag, box, {}) for tag in tags or [""]]
        yield from make_records(frame, name, found, (1.0, 1.0))


def _read_region(region: Node, options: Options) -> Iterator[FoundBox]:
    """One box for each tag, as in VoTT's other exports; without a tag, one without a class."""
    if region["type"].as_text() in ("RECTANGLE", "SQUARE"):
        box = region["boundingBox"].read_corner_box("left", "top", "width", "height")
    else:
        kind = region["type"].as_text().lower()
        bound = options.bound_shape(region, kind, region["points"].as_points())
        if bound is None:
            return
        box = bound
    tags = [tag.as_text() for tag in region["tags"].as_list()]
    for tag in tags or [""]:
        yield region, tag, box, {}
