"""CVAT: its XML for images and for video, and its exports as VOC, COCO, YOLO and LabelMe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..nodes import Element, make_size
from ..record import BoxRecord, ImageStem, make_records
from . import coco, labelme_xml, pascal_voc, yolo
from .cvat_shapes import SHAPES, is_outside

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options
    from ..record import FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "XML for images or video; exports as VOC, COCO, YOLO, LabelMe"
COORDINATES = "pixels, edges"
SIZE = "in the file"
EMPTY = "`<image>` without shapes"


def recognises(document: Document) -> bool:
    """Whether `document` is CVAT's XML, or an XML file of Pascal VOC that shows CVAT wrote it."""
    if document.kind != "xml":
        return False
    if pascal_voc.is_voc(document):
        return pascal_voc.detect_tool(document) == "cvat"
    return document.parse_xml().tag == "annotations" or labelme_xml.is_labelme(document)


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a file that CVAT wrote."""
    if document.kind == "json":
        return coco.read(document, options)
    if document.kind != "xml":
        return yolo.read(document, options)
    if pascal_voc.is_voc(document):
        return pascal_voc.read_voc(document, options, "edges")
    if labelme_xml.is_labelme(document):
        return labelme_xml.read(document, options)
    if document.parse_xml().tag != "annotations":
        document.fail("expected XML with the root <annotations>, as CVAT writes it.")
    return _read_xml(document, options)


def _read_xml(document: Document, options: Options) -> Iterator[BoxRecord]:
    root = document.parse_xml()
    names = Counter(image.get("name") for image in root.element.iter("image"))
    seen: set[tuple[str, str | None]] = set()
    for image in root.iter_children("image"):
        found = (
            _read_shape(shape, options) for shape in image.iter_children() if shape.tag in SHAPES
        )
        attributes = {"image_id": image.element.get("id"), "subset": image.element.get("subset")}
        extra = {name: value for name, value in attributes.items() if value is not None}
        if tags := [tag.read_attribute("label") for tag in image.iter_children("tag")]:
            extra["tags"] = ",".join(tags)
        name = image.read_attribute("name")
        if names[name] > 1:
            # In a project, images of several subsets, and frames of several videos, may have the
            # same name. CVAT exports the images of each subset in a folder of its own.
            if (name, extra.get("subset")) in seen:
                image.fail(
                    f"several images are called {name!r}, as in a project of several videos. "
                    "Export each task separately."
                )
            seen.add((name, extra.get("subset")))
            name = f"{extra['subset']}/{name}" if extra.get("subset") else name
        yield from make_records(image, name, found, _read_size(image), extra)
    yield from _read_tracks(root, options)


def _read_tracks(root: Element, options: Options) -> list[BoxRecord]:
    """Records of a video, sorted by frame; objects outside the frame are left out."""
    sizes = [
        Element(element, root.path, "original_size").read_size()
        for element in root.element.iter("original_size")
    ]
    tracks = list(root.iter_children("track"))
    if tracks and len(sizes) > 1:
        root.fail(
            "this is a project of several videos, whose frames have the same names. Export each "
            "task separately."
        )
    records = []
    for track in tracks:
        label = track.read_attribute("label")
        extra = {"track_id": track.read_attribute("id")} if track.element.get("id") else {}
        for shape in track.iter_children():
            if shape.tag not in SHAPES or is_outside(shape):
                continue
            frame = shape.read_attribute("frame")
            if not (frame.isascii() and frame.isdigit() and len(frame) < 10):
                shape.fail(f"frame must be an integer. Received: {frame[:80]!r}.")
            place, _, box, more = _read_shape(shape, options, label)
            if box is not None:
                name = ImageStem(f"frame_{frame.zfill(6)}", default_extension="")
                record = BoxRecord(place, name, label, box, (sizes or [None])[0], extra | more)
                records.append((int(frame), record))
    return [record for _, record in sorted(records, key=lambda found: found[0])]


def _read_shape(shape: Element, options: Options, label: str | None = None) -> FoundBox:
    extra: dict[str, Any] = {}
    occluded = shape.element.get("occluded")
    if occluded in ("0", "1"):
        extra["occluded"] = int(occluded)
    label = shape.read_attribute("label") if label is None else label
    return shape, label, SHAPES[shape.tag](shape, options), extra


def _read_size(image: Element) -> tuple[float, float] | None:
    return make_size(image.read_attribute_number("width"), image.read_attribute_number("height"))
