"""LabelMe's XML, one file per image, as CVAT also exports it; read as one of CVAT's formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..nodes import make_size, parse_degrees
from ..record import make_records
from ..shapes import bound_points, rotate_box

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Element
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = ["is_labelme", "read"]

OCCLUDED = {"no": 0, "yes": 1}


def is_labelme(document: Document) -> bool:
    """Whether `document` is LabelMe's XML, whose root has the same name as Pascal VOC's."""
    if document.kind != "xml" or document.parse_xml().tag != "annotation":
        return False
    element = document.parse_xml().element
    if element.find("size") is not None:  # The size in Pascal VOC's files.
        return False
    paths = ("imagesize", "source/sourceAnnotation", "object/polygon/pt", "object/segm")
    return any(element.find(path) is not None for path in paths)


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of LabelMe's XML."""
    root = document.parse_xml()
    objects = [
        child
        for child in root.iter_children("object")
        if child.read_text("deleted", default="0") != "1"
    ]
    size = root.find_child("imagesize")
    sides = (0.0, 0.0)
    if size is not None:
        sides = size.read_number("ncols"), size.read_number("nrows")
    folder = root.read_text("folder", default="")
    return make_records(
        root,
        root.read_text("filename"),
        (_read_object(child, options) for child in objects),
        make_size(*sides),
        {"folder": folder} if folder else {},
    )


def _read_object(element: Element, options: Options) -> FoundBox:
    occluded = element.read_text("occluded", default="")
    extra: dict[str, Any] = {"occluded": OCCLUDED[occluded]} if occluded in OCCLUDED else {}
    return element, element.read_text("name"), _read_box(element, options), extra


def _read_box(element: Element, options: Options) -> Box | None:
    polygon, mask = element.find_child("polygon"), element.find_child("segm")
    if polygon is not None:
        points = [
            (point.read_number("x"), point.read_number("y"))
            for point in polygon.iter_children("pt")
        ]
        if element.read_text("type", default="") != "bounding_box":
            return options.bound_shape(polygon, "polygon", points)
        box = bound_points(points)
        if box is not None and (degrees := _read_rotation(element)):
            return options.bound_shape(polygon, "rotated box", rotate_box(box, degrees))
        return box
    corners = mask.find_child("box") if mask is not None else None
    if corners is None:
        return options.bound_shape(element, "object without <polygon>", [])
    x_min, x_max, y_min, y_max = map(corners.read_number, ("xmin", "xmax", "ymin", "ymax"))
    return options.bound_shape(corners, "mask", (x_min, x_max, y_min, y_max))


def _read_rotation(element: Element) -> float:
    """Rotation of a box of CVAT, which stores the corners before the rotation."""
    pairs = [pair.partition("=") for pair in element.read_text("attributes", "").split(",")]
    return next((parse_degrees(value) for name, _, value in pairs if name.strip() == "rotation"), 0)
