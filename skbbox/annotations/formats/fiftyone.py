"""FiftyOne: ``samples.json`` of a dataset, and ``labels.json`` of a dataset of detections.

References
----------
.. [1] FiftyOne, "Exporting datasets", sections "FiftyOneDataset" and
   "FiftyOneImageDetectionDataset", https://docs.voxel51.com/user_guide/export_datasets.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..record import PlacedImage, make_records

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Node
    from ..options import Options
    from ..record import BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "`samples.json`, `labels.json`"
COORDINATES = "normalised, x, y, width, height"
SIZE = "not needed"
EMPTY = "`detections: []`; in `labels.json`, `[]` or `null`"

#: Fields of a sample with boxes or polygons, by the key of their lists.
LISTS = {"Detections": "detections", "Polylines": "polylines"}


def recognises(document: Document) -> bool:
    """Whether `document` has samples with a file path, or lists of detections by image."""
    if document.kind != "json":
        return False
    root = document.parse_json()
    if "samples" in root and root["samples"].is_list:
        first = next(iter(root["samples"]), None)
        return first is not None and "filepath" in first
    if "labels" not in root or not root["labels"].is_object:
        return False
    return any(
        labels.is_list and all("bounding_box" in label for label in labels)
        for labels in root["labels"]
    )


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a file that FiftyOne exported."""
    root = document.parse_json_of("FiftyOne")
    if "samples" in root:
        yield from _read_samples(document, root["samples"].as_list(), options)
        return
    names = None
    if "classes" in root:
        names = [name.as_text() for name in root["classes"].as_list()]
    for labels in root["labels"]:
        nodes = [] if labels.value is None else labels.as_list()
        found = (_read_label(node, options, names) for node in nodes)
        image = PlacedImage(str(labels.key), document.path.parent / "data")
        yield from make_records(labels, image, found, (1.0, 1.0))


def _read_samples(document: Document, samples: list[Node], options: Options) -> Iterator[BoxRecord]:
    fields: dict[str, None] = {}
    for sample in samples:
        if sample.is_object:
            fields |= dict.fromkeys(str(value.key) for value in sample if _holds_shapes(value))
    field = options.choose_attribute(document, "sample", list(fields))
    for sample in samples:
        extra = {"split": split} if (split := _find_split(sample)) else {}
        shapes = sample[field] if field is not None and field in sample else None
        nodes: list[Node] = []
        if shapes is not None:
            key = LISTS[shapes["_cls"].as_text()] if _holds_shapes(shapes) else "detections"
            nodes = shapes[key].as_list()
        found = (_read_label(node, options, None) for node in nodes)
        yield from make_records(sample, sample["filepath"].as_text(), found, (1.0, 1.0), extra)


def _holds_shapes(value: Node) -> bool:
    return value.is_object and value.value.get("_cls") in LISTS


def _find_split(sample: Node) -> str | None:
    """The tag of a sample that is the name of a split, if it has one."""
    tags = sample["tags"].as_list() if "tags" in sample else []
    splits = [tag.value for tag in tags if tag.value in ("train", "val", "validation", "test")]
    return splits[0] if len(splits) == 1 else None


def _read_label(node: Node, options: Options, names: list[str] | None) -> FoundBox:
    label = node["label"]
    name = label.as_text()
    if not label.is_text:
        name = options.get_class_name(name, label, names)
    extra: dict[str, Any] = {}
    if "confidence" in node:
        extra["confidence"] = node["confidence"].as_number()
    if "bounding_box" not in node:
        points = [point for outline in node["points"].as_list() for point in outline.as_points()]
        return node, name, options.bound_shape(node, "polygon", points), extra
    x, y, width, height = node["bounding_box"].as_numbers(4)
    return node, name, (x, x + width, y, y + height), extra
