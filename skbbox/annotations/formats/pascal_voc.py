"""Pascal VOC: one XML file per image, as RectLabel, LabelImg and CVAT also write it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ..nodes import parse_degrees
from ..record import make_records
from ..shapes import rotate_box
from .labelme_xml import is_labelme

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Element
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox, ImageStem, Point

__all__ = [
    "COORDINATES",
    "EMPTY",
    "FILES",
    "SIZE",
    "detect_tool",
    "has_corner_of_zero",
    "is_voc",
    "read",
    "read_database",
    "read_voc",
    "recognises",
]

FILES = "one XML per image"
COORDINATES = "pixels, 1-based inclusive"
SIZE = "in the file"
EMPTY = "XML without objects"

#: Optional children of an object that become columns.
FLAGS = ("pose", "truncated", "difficult", "occluded")
#: Shapes that RectLabel writes instead of a box.
SHAPES = ("polygon", "cubic_bezier", "line", "keypoints", "pixels")

#: Tags of the points of a shape, and the text of a corner in 0..1.
_POINT, _ZERO = re.compile(r"[xy][0-9]{1,9}"), re.compile(r"\s*0+(\.[0-9]*)?\s*")


def recognises(document: Document) -> bool:
    """Whether `document` is XML that shows it is from the Pascal VOC challenge."""
    return is_voc(document) and detect_tool(document) == "pascal_voc"


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of an XML file of the Pascal VOC challenge."""
    return read_voc(document, options, "voc")


def is_voc(document: Document) -> bool:
    """Whether `document` is XML in Pascal VOC's format, from any tool."""
    if document.kind != "xml" or document.parse_xml().tag != "annotation":
        return False
    return not is_labelme(document)


def detect_tool(document: Document) -> str | None:
    """Format name of the tool that wrote an XML file in Pascal VOC's format, or None."""
    root = document.parse_xml()
    source = root.find_child("source")
    owner = root.find_child("owner")
    if owner is not None and owner.read_text("name", default="") == "Label Studio":
        return "label_studio"
    # The children of <source>, which labelme's converter writes without it.
    if source is None and root.find_child("database") is not None:
        return "labelme"
    texts = [child.element.text or "" for child in source.iter_children()] if source else []
    if any("VOC2" in text or "PASCAL" in text for text in texts):
        return "pascal_voc"
    if texts == ["Unknown"] * 3:
        return "cvat"
    if root.find_child("path") is not None and source is not None:
        return "labelimg"
    if source is None and any(
        child.find_child("occluded") is not None or _find_shape(child) is not None
        for child in root.iter_children("object")
    ):
        return "rectlabel"
    return None


def has_corner_of_zero(document: Document) -> bool:
    """Whether a first corner is 0, which is no number of a pixel that is counted from 1."""
    if not is_voc(document):
        return False
    element = document.parse_xml().element
    corners = [*element.iter("xmin"), *element.iter("ymin")]
    for tag in SHAPES:
        for shape in element.iter(tag):
            corners += [child for child in shape if _POINT.fullmatch(child.tag)]
    return any(_ZERO.fullmatch(corner.text or "") for corner in corners)


def read_database(document: Document) -> str:
    """Name of the data set in ``<source>``, as the files of public data sets have it."""
    if not is_voc(document):
        return ""
    source = document.parse_xml().find_child("source")
    return "" if source is None else source.read_text("database", default="")


def read_voc(
    document: Document,
    options: Options,
    tool_corners: str,
    image: str | ImageStem | None = None,
    **extra: object,
) -> Iterator[BoxRecord]:
    """Yield the records of an XML file in Pascal VOC's format.

    Parameters
    ----------
    document : Document
    options : Options
    tool_corners : {"edges", "voc"}
        Meaning of corners in the tool that wrote the file.
    image : str or ImageStem, default=None
        Name of the image; None reads it from the file.
    **extra : object
        Further columns.
    """
    if not is_voc(document):
        document.fail("expected XML with the root <annotation>, Pascal VOC's kind of file.")
    root = document.parse_xml()
    size = root.find_child("size")
    folder = root.read_text("folder", default="")
    found = (_read_object(child, options, tool_corners) for child in root.iter_children("object"))
    return make_records(
        root,
        _read_image_name(root) if image is None else image,
        found,
        size.read_size() if size is not None else None,
        ({"folder": folder} if folder else {}) | extra,
    )


def _read_image_name(root: Element) -> str:
    """Name of the image; some programs write its extension only in the path."""
    name, path = root.read_text("filename"), root.read_text("path", default="")
    extension = PurePosixPath(path.replace("\\", "/")).suffix
    if name and extension and not PurePosixPath(name).suffix:
        return name + extension
    return name


def _read_object(element: Element, options: Options, tool_corners: str) -> FoundBox:
    name = element.read_text("name")
    extra = {
        flag: _parse_flag(element.read_text(flag))
        for flag in FLAGS
        if element.find_child(flag) is not None
    }
    corners = element.find_child("bndbox")
    box: Box | None
    if corners is not None:
        x_min, x_max, y_min, y_max = map(corners.read_number, ("xmin", "xmax", "ymin", "ymax"))
        box = x_min, x_max, y_min, y_max
        if degrees := _read_rotation(element):
            box = options.bound_shape(element, "rotated box", rotate_box(box, degrees))
    elif (shape := _find_shape(element)) is not None:
        box = options.bound_shape(shape, shape.tag, _read_points(shape))
    else:
        box = options.bound_shape(element, "object without <bndbox>", [])
    if box is not None:
        if options.corners is None and tool_corners == "voc" and 0 <= min(box[0], box[2]) < 1:
            element.fail(
                "a corner is 0, though this format counts pixels from 1. Pass corners='edges' if "
                "corners are edges between pixels, as most programs write them, or corners='voc' "
                "if this box is wrong."
            )
        box = options.convert_corners(box, tool_corners)
    return element, name, box, extra


def _read_rotation(element: Element) -> float:
    """Rotation of a box of CVAT, which stores the corners before the rotation."""
    attributes = element.find_child("attributes")
    for attribute in attributes.iter_children("attribute") if attributes is not None else []:
        if attribute.read_text("name", default="") == "rotation":
            return parse_degrees(attribute.read_text("value", default=""))
    return 0.0


def _find_shape(element: Element) -> Element | None:
    return next(element.iter_children(*SHAPES), None)


def _read_points(shape: Element) -> list[Point]:
    """Corners of a shape, without the control points of curves, such as ``x1_c1``."""
    points: dict[int, dict[str, float]] = {}
    for child in shape.iter_children():
        axis, number = child.tag[:1], child.tag[1:]
        if axis in ("x", "y") and number.isascii() and number.isdigit() and len(number) < 10:
            points.setdefault(int(number), {})[axis] = shape.read_number(child.tag)
    for point_number, point in points.items():
        if len(point) < 2:
            shape.fail(f"point {point_number} has no {'xy'.strip(next(iter(point)))}.")
    return [(point["x"], point["y"]) for point in points.values()]


def _parse_flag(text: str) -> int | str:
    return int(text) if text in ("0", "1") else text
