"""Hugging Face's folders of images: ``metadata.jsonl`` or ``metadata.csv`` next to the images.

References
----------
.. [1] Hugging Face, "Create an image dataset", section "ImageFolder",
   https://huggingface.co/docs/datasets/image_dataset: ``file_name``, and ``objects`` with the lists
   ``bbox`` (as in COCO: x, y, width, height in pixels) and ``categories``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..box_readings import to_edges
from ..nodes import Node, shorten_repr
from ..record import make_records

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options
    from ..record import BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "`metadata.jsonl` or `metadata.csv`"
COORDINATES = "pixels, edges, `[x, y, width, height]`"
SIZE = "from `width` and `height`, or the image"
EMPTY = "empty lists"

#: Keys of the classes in ``objects``.
CATEGORIES = ("categories", "category", "labels", "label")
#: Width and height that boxes in other units than pixels are divided by.
SCALES = {"normalised": (1.0, 1.0), "percent": (100.0, 100.0)}


def recognises(document: Document) -> bool:
    """Whether records have a file name, and objects with boxes."""
    if document.kind == "csv":
        header = document.parse_header()
        return "file_name" in header and bool({"objects", "objects.bbox"} & set(header))
    if document.kind != "json":
        return False
    root = document.parse_json()
    first = root if root.is_object else next(iter(root), None)
    if first is None or "file_name" not in first:
        return False
    objects = first.get("objects")
    return objects is not None and "bbox" in objects


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of the file; numbers of classes need ``class_names``."""
    scale = SCALES.get(options.units or "")
    for record in _iter_records(document):
        objects = record["objects"]
        boxes = objects["bbox"].as_list()
        key = next((key for key in CATEGORIES if key in objects), None)
        if key is None:
            objects.fail(f"one of {list(CATEGORIES)} is missing.")
        classes = objects[key].as_list()
        if len(classes) != len(boxes):
            objects.fail(f"{len(boxes)} boxes, but {len(classes)} {key}.")
        pairs = zip(boxes, classes, strict=True)
        found = (_read_object(box, name, options) for box, name in pairs)
        size = scale or record.read_size()
        yield from make_records(record, record["file_name"].as_text(), found, size)


def _read_object(box: Node, name: Node, options: Options) -> FoundBox:
    values = [value.as_number() for value in box.as_list()]
    if len(values) != 4:
        box.fail(f"expected four numbers. Received {len(values)}.")
    x_min, x_max, y_min, y_max = to_edges(np.array([values]), options.box_format or "xywh")[0]
    edges = float(x_min), float(x_max), float(y_min), float(y_max)
    return box, options.get_class_name(name.as_text(), name), edges, {}


def _iter_records(document: Document) -> Iterator[Node]:
    if document.kind == "json":
        root = document.parse_json()
        yield from [root] if root.is_object else root.as_list()
        return
    if document.kind != "csv":
        document.fail("expected JSON lines or CSV, Hugging Face's kinds of file.")
    header = document.parse_header()
    if "file_name" not in header:
        document.fail(f"the column file_name is missing. Received: {header}.")
    sizes = [name for name in ("width", "height") if name in header]
    parts = [name for name in header if name.startswith("objects.")]
    columns = ["file_name", *sizes, *(parts or ["objects"])]
    for line, (file_name, *texts) in document.iter_table(columns):
        value: dict[str, Any] = {"file_name": file_name}
        for name, text in zip(columns[1:], texts, strict=True):
            place = Node(text, document.path, None, line)
            if name in sizes and not text.strip():
                continue
            cell = _parse_cell(text, name, place)
            if name in parts:
                value.setdefault("objects", {})[name.partition(".")[2]] = cell
            else:
                value[name] = cell
        yield Node(value, document.path, None, line)


def _parse_cell(text: str, name: str, place: Node) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        place.fail(f"{name} is not valid JSON. Received: {shorten_repr(text)}.")
