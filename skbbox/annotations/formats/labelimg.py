"""LabelImg: VOC XML with plain edges, YOLO, or CreateML."""

from . import createml, pascal_voc, yolo

__all__ = ["read", "recognises"]

FILES = "XML, YOLO, CreateML"
COORDINATES = "pixels, edges"
SIZE = "in the XML"
EMPTY = "XML without objects, empty txt, `annotations: []`"


def recognises(document):
    """Whether `document` is XML that shows it is LabelImg's; its other files are as others'."""
    return pascal_voc.is_voc(document) and pascal_voc.writer(document) == "labelimg"


def read(document, options):
    """Records of a file that LabelImg wrote."""
    if document.kind == "xml":
        return pascal_voc.read_voc(document, options, "edges")
    if document.kind == "json":
        return createml.read(document, options)
    return yolo.read(document, options)
