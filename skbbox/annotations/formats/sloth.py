"""Sloth: JSON with a list of images and their shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..nodes import parse_number
from ..record import make_records

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Node
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "JSON"
COORDINATES = "pixels, edges, x, y, width, height"
SIZE = "from the image"
EMPTY = "`annotations: []`"


def recognises(document: Document) -> bool:
    """Whether `document` is a list of images with file name and annotations."""
    if document.kind != "json" or not document.parse_json().is_list:
        return False
    first = next(iter(document.parse_json()), None)
    return first is not None and "filename" in first and "annotations" in first


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a JSON file that Sloth wrote."""
    for image in document.parse_json_of("Sloth").as_list():
        annotations = image["annotations"].as_list()
        found = (_read_annotation(annotation, options) for annotation in annotations)
        yield from make_records(image, image["filename"].as_text(), found, None)


def _read_annotation(annotation: Node, options: Options) -> FoundBox:
    attribute = "class" if options.class_attribute is None else options.class_attribute
    name = annotation[attribute].as_text()
    return annotation, name, _read_box(annotation, options), {}


def _read_box(annotation: Node, options: Options) -> Box | None:
    if "width" in annotation:
        return annotation.read_corner_box("x", "y", "width", "height")
    if "xn" in annotation:
        xs, ys = (_parse_coordinates(annotation[name]) for name in ("xn", "yn"))
        if len(xs) != len(ys):
            annotation.fail(
                f"expected the same number of x and y. Received {len(xs)} and {len(ys)}."
            )
        return options.bound_shape(annotation, "polygon", list(zip(xs, ys, strict=True)))
    point = annotation["x"].as_number(), annotation["y"].as_number()
    return options.bound_shape(annotation, "point", [point])


def _parse_coordinates(node: Node) -> list[float]:
    texts = node.as_text().split(";")
    return [parse_number(text, node, "a coordinate") for text in texts if text.strip()]
