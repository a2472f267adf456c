"""CreateML, also as written by LabelImg: JSON with the centres of boxes in pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..record import make_records

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Node
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "read_centred_box", "recognises"]

FILES = "JSON"
COORDINATES = "pixels, centre"
SIZE = "from the image"
EMPTY = "`annotations: []`"


def recognises(document: Document) -> bool:
    """Whether `document` is a list of images with annotations."""
    if document.kind != "json" or not document.parse_json().is_list:
        return False
    first = next(iter(document.parse_json()), None)
    return (
        first is not None
        and ("image" in first or "imagefilename" in first)
        and ("annotations" in first or "annotation" in first)
    )


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a JSON file in CreateML's format."""
    for image in document.parse_json_of("CreateML").as_list():
        name = (image.get("imagefilename") or image["image"]).as_text()
        annotations = (image.get("annotation") or image["annotations"]).as_list()
        found = (_read_annotation(annotation) for annotation in annotations)
        yield from make_records(image, name, found, None)


def _read_annotation(annotation: Node) -> FoundBox:
    box = read_centred_box(annotation["coordinates"])
    return annotation, annotation["label"].as_text(), box, {}


def read_centred_box(coordinates: Node) -> Box:
    """Edges of a box that is stored as the x and y of its centre, width and height."""
    x, y, width, height = (coordinates[name].as_number() for name in ("x", "y", "width", "height"))
    return x - width / 2, x + width / 2, y - height / 2, y + height / 2
