"""COCO: one JSON file with images, categories and boxes as x, y, width, height."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..nodes import parse_degrees
from ..record import make_records
from ..shapes import rotate_box

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Node
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = [
    "COORDINATES",
    "EMPTY",
    "FILES",
    "SIZE",
    "read",
    "recognises",
    "turn_box",
]

FILES = "JSON"
COORDINATES = "pixels, edges, `[x, y, width, height]`"
SIZE = "in `images`"
EMPTY = "image without annotations"


def recognises(document: Document) -> bool:
    """Whether `document` is an object with images and annotations."""
    if document.kind != "json" or not document.parse_json().is_object:
        return False
    root = document.parse_json()
    return "images" in root and "annotations" in root


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a JSON file in COCO's format."""
    root = document.parse_json_of("COCO")
    categories = root["categories"].as_list() if "categories" in root else []
    names = {key: node["name"].as_text() for key, node in _index_by_id(categories).items()}
    images = _index_by_id(root["images"].as_list())
    annotations: dict[str | float, list[Node]] = {key: [] for key in images}
    for annotation in root["annotations"].as_list():
        key = _read_id(annotation, "image_id")
        if key not in images:
            annotation.fail(f"image_id {key!r} is not among the {len(images)} images.")
        annotations[key].append(annotation)
    for key, image in images.items():
        found = (_read_annotation(node, names, options) for node in annotations[key])
        extra = {"image_id": str(key)}
        name = image["file_name"].as_text()
        yield from make_records(image, name, found, image.read_size(), extra)


def _read_annotation(annotation: Node, names: dict[str | float, str], options: Options) -> FoundBox:
    key = _read_id(annotation, "category_id")
    if key not in names:
        annotation.fail(f"category_id {key!r} is not among the {len(names)} categories.")
    extra: dict[str, Any] = {}
    if "iscrowd" in annotation:
        extra["iscrowd"] = annotation["iscrowd"].as_flag()
    if "score" in annotation:
        extra["confidence"] = annotation["score"].as_number()
    return annotation, names[key], _read_box(annotation, options), extra


def _read_box(annotation: Node, options: Options) -> Box | None:
    bbox = annotation.get("bbox")
    if bbox is not None and bbox.value != []:
        return turn_box(annotation, bbox, options)
    outlines = annotation.get("segmentation")
    if outlines is None or not outlines.is_list:
        return options.bound_shape(annotation, "mask", [])
    points = [point for outline in outlines for point in outline.as_points()]
    return options.bound_shape(annotation, "polygon", points)


def turn_box(annotation: Node, bbox: Node, options: Options) -> Box | None:
    """A box ``[x, y, width, height]``, turned by CVAT's attribute ``rotation``.

    CVAT stores the corners of a rotated box as they were before the rotation.
    """
    x, y, width, height = bbox.as_numbers(4)
    box = x, x + width, y, y + height
    attributes = annotation.get("attributes")
    if attributes is not None and attributes.is_object:
        rotation = attributes.value.get("rotation")
        # As text, it is an attribute of the user.
        if not isinstance(rotation, str) and (degrees := parse_degrees(rotation)):
            return options.bound_shape(annotation, "rotated box", rotate_box(box, degrees))
    return box


def _index_by_id(nodes: Iterable[Node]) -> dict[str | float, Node]:
    found: dict[str | float, Node] = {}
    for node in nodes:
        key = _read_id(node)
        if key in found:
            node.fail(f"duplicate id {key!r}.")
        found[key] = node
    return found


def _read_id(node: Node, name: str = "id") -> str | float:
    """An identifier: a number or text."""
    key = node[name]
    if isinstance(key.value, str):
        return key.value
    return key.as_number() if isinstance(key.value, float) else int(key.as_text())
