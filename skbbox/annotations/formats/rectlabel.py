"""RectLabel: VOC XML with numbers of pixels, COCO, YOLO, or a CSV of its own."""

import ast
import csv
import json
from pathlib import PurePosixPath

from ..documents import Node
from ..record import of_image
from . import coco, pascal_voc, yolo
from .createml import centred_box

__all__ = ["read", "recognises"]

FILES = "XML, COCO, YOLO, CSV `path,annotations`"
COORDINATES = "XML: pixels, 1-based inclusive; CSV: centre"
SIZE = "in XML and COCO"
EMPTY = "XML without objects, `[]`"

HEADER = ["path", "annotations"]


def recognises(document):
    """Whether `document` is RectLabel's CSV, or XML that shows it is RectLabel's."""
    if document.kind == "csv":
        return document.header() == HEADER
    return pascal_voc.is_voc(document) and pascal_voc.writer(document) == "rectlabel"


def read(document, options):
    """Records of a file that RectLabel wrote."""
    if document.kind == "xml":
        return pascal_voc.read_voc(document, options, "voc")
    if document.kind == "json":
        return coco.read(document, options)
    if document.kind == "csv":
        return _read_csv(document, options)
    return yolo.read(document, options)


def _read_csv(document, options):
    if document.header() != HEADER:
        document.fail(
            f"the first line of RectLabel's CSV is path,annotations. Received: {document.header()}."
        )
    for number, (place, text) in enumerate(document.lines()):
        if number == 0:
            continue
        path, cell = _split(text, place)
        # The path is that of the computer on which it was written.
        path = PurePosixPath(path.replace("\\", "/"))
        name = path.name if path.is_absolute() else str(path)
        things = Node(_value(cell, place), document.path, place, "annotations").list()
        yield from of_image(place, name, (_thing(thing, options) for thing in things), None)


def _split(text, place):
    """Path and annotations of a line, of which the second is often JSON without quotes."""
    path, separator, cell = text.partition(",[")
    if separator:
        return path.strip('"'), f"[{cell}"
    try:
        fields = next(csv.reader([text]))
    except csv.Error as error:
        place.fail(f"{error}.")
    if len(fields) != 2:
        place.fail(f"a path and annotations are wanted. Received {len(fields)} fields.")
    return fields


def _thing(thing, options):
    kind = thing["type"].text() if "type" in thing else "rectangle"
    if thing["coordinates"].is_object:
        box = centred_box(thing["coordinates"])
        if kind != "rectangle":
            box = options.around(thing, kind, box)
    else:
        points = [(p["x"].number(), p["y"].number()) for p in thing["coordinates"].list()]
        box = options.around(thing, kind, points)
    return thing, thing["label"].text(), box, {}


def _value(text, place):
    """The value of a JSON text or a Python literal."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        try:
            value = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            place.fail(
                f"annotations are neither JSON nor a Python literal. Received: {text[:80]!r}."
            )
    return value
