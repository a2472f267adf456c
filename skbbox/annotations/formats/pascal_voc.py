"""Pascal VOC: one XML file per image, as RectLabel, LabelImg and CVAT also write it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ..record import make_records
from .labelme_xml import is_labelme
from .pascal_voc_objects import SHAPES, find_shape, read_object

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Element
    from ..options import Options
    from ..record import BoxRecord, ImageStem

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
        child.find_child("occluded") is not None or find_shape(child) is not None
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
    found = (read_object(child, options, tool_corners) for child in root.iter_children("object"))
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
