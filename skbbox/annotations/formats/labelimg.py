"""LabelImg: VOC XML with corners as edges, YOLO, or CreateML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import createml, pascal_voc, yolo

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options
    from ..record import BoxRecord

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "XML, YOLO, CreateML"
COORDINATES = "pixels, edges"
SIZE = "in the XML"
EMPTY = "XML without objects, empty txt, `annotations: []`"


def recognises(document: Document) -> bool:
    """Whether `document` is LabelImg's XML; its other files do not show the tool."""
    return pascal_voc.is_voc(document) and pascal_voc.detect_tool(document) == "labelimg"


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a file that LabelImg wrote."""
    if document.kind == "xml":
        return pascal_voc.read_voc(document, options, "edges")
    if document.kind == "json":
        return createml.read(document, options)
    return yolo.read(document, options)
