"""SageMaker Ground Truth: the manifest of a job, with one line of JSON per image.

References
----------
.. [1] Amazon SageMaker AI Developer Guide, "Labeling job output data", section "Bounding box job
   output".
.. [2] Amazon Rekognition Custom Labels Developer Guide, "Object localization in manifest files".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..record import make_records

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Node
    from ..options import Options
    from ..record import BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "manifest: lines of JSON"
COORDINATES = "pixels, edges, left, top, width, height"
SIZE = "in the file"
EMPTY = "`annotations: []`; a line without labels has `skipped` 1"

METADATA = "-metadata"


def recognises(document: Document) -> bool:
    """Whether `document` has lines with an image and the labels of a job for bounding boxes."""
    if document.kind != "json":
        return False
    root = document.parse_json()
    lines = list(root)[:100] if root.is_list else [root]
    return any("source-ref" in line and _list_attributes(line) for line in lines)


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a manifest."""
    root = document.parse_json_of("Ground Truth")
    lines = root.as_list() if root.is_list else [root]
    names = dict.fromkeys(name for line in lines for name in _list_attributes(line))
    attribute = options.choose_attribute(document, "line", list(names))
    for line in lines:
        image = line["source-ref"].as_text()
        if attribute is None or attribute not in line:
            yield from make_records(line, image, [], None, {"skipped": 1})
            continue
        labels = line[attribute]
        sizes = labels["image_size"].as_list() if "image_size" in labels else []
        found = _iter_boxes(labels, line.get(attribute + METADATA), options)
        yield from make_records(line, image, found, sizes[0].read_size() if sizes else None)


def _list_attributes(line: Node) -> list[str]:
    """Names of the jobs for bounding boxes whose labels a line has."""
    if not line.is_object:
        return []
    return [
        str(value.key)
        for value in line
        if "annotations" in value and f"{value.key}{METADATA}" in line
    ]


def _iter_boxes(labels: Node, metadata: Node | None, options: Options) -> Iterator[FoundBox]:
    names: dict[str, Any] | None = None
    scores: list[Node] = []
    if metadata is not None:
        if "class-map" in metadata:
            names = {str(name.key): name.as_text() for name in metadata["class-map"]}
        scores = metadata["objects"].as_list() if "objects" in metadata else []
    for number, node in enumerate(labels["annotations"].as_list()):
        key = node["class_id"].as_text()
        box = node.read_corner_box("left", "top", "width", "height")
        extra = {}
        if number < len(scores) and "confidence" in scores[number]:
            extra["confidence"] = scores[number]["confidence"].as_number()
        yield node, options.get_class_name(key, node, names), box, extra
