"""RectLabel: VOC XML with numbers of pixels, COCO, YOLO, or its own CSV."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ..nodes import Line, Node
from ..record import make_records
from . import coco, pascal_voc, yolo
from .createml import read_centred_box

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "XML, COCO, YOLO, CSV `path,annotations`"
COORDINATES = "XML: pixels, 1-based inclusive; CSV: centre"
SIZE = "in XML and COCO"
EMPTY = "XML without objects, `[]`"

HEADER = ["path", "annotations"]


def recognises(document: Document) -> bool:
    """Whether `document` is RectLabel's CSV, or XML that shows RectLabel wrote it."""
    if document.kind == "csv":
        return document.parse_header() == HEADER
    return pascal_voc.is_voc(document) and pascal_voc.detect_tool(document) == "rectlabel"


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a file that RectLabel wrote."""
    if document.kind == "xml":
        return pascal_voc.read_voc(document, options, "voc")
    if document.kind == "json":
        return coco.read(document, options)
    if document.kind == "csv":
        return _read_csv(document, options)
    return yolo.read(document, options)


def _read_csv(document: Document, options: Options) -> Iterator[BoxRecord]:
    header = document.parse_header()
    if header != HEADER:
        document.fail(f"RectLabel's CSV has the columns path,annotations. Received: {header}.")
    for number, (place, text) in enumerate(document.iter_lines()):
        if number == 0:
            continue
        path, cell = _split_line(text, place)
        # An absolute path is that of the computer that wrote the file.
        image_path = PurePosixPath(path.replace("\\", "/"))
        name = image_path.name if image_path.is_absolute() else str(image_path)
        root = Node(None, document.path, key=place)
        annotations = Node(_parse_cell(cell, place), document.path, root, "annotations").as_list()
        found = (_read_annotation(annotation, options) for annotation in annotations)
        yield from make_records(place, name, found, None)


def _split_line(text: str, place: Line) -> tuple[str, str]:
    """Path and annotations of a line; the latter are often JSON without quotation marks."""
    path, separator, cell = text.partition(",[")
    if separator:
        return path.strip('"'), f"[{cell}"
    try:
        fields = next(csv.reader([text]))
    except csv.Error as error:
        place.fail(f"{error}.")
    if len(fields) != 2:
        place.fail(f"expected a path and annotations. Received {len(fields)} fields.")
    return fields[0], fields[1]


def _read_annotation(annotation: Node, options: Options) -> FoundBox:
    kind = annotation["type"].as_text() if "type" in annotation else "rectangle"
    coordinates = annotation["coordinates"]
    box: Box | None
    if coordinates.is_object:
        box = read_centred_box(coordinates)
        if kind != "rectangle":
            box = options.bound_shape(annotation, kind, box)
    else:
        points = [
            (point["x"].as_number(), point["y"].as_number()) for point in coordinates.as_list()
        ]
        box = options.bound_shape(annotation, kind, points)
    return annotation, annotation["label"].as_text(), box, {}


def _parse_cell(text: str, place: Line) -> Any:
    """The value of JSON or of a Python literal; RectLabel writes either."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        try:
            return ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            place.fail(
                f"annotations are neither JSON nor a Python literal. Received: {text[:80]!r}."
            )
