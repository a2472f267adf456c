"""Labelbox: lines of JSON (version 2), JSON and CSV of version 1, and exports of 2018 and 2019."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ..nodes import Node
from ..record import make_records
from .labelbox_images import read_image_name
from .labelbox_shapes import iter_early_boxes, read_box

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options
    from ..record import BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "NDJSON v2 and of imports, JSON v1, CSV; WKT and points of 2018-19"
COORDINATES = "pixels, edges, top, left, height, width"
SIZE = "in NDJSON; otherwise from the image"
EMPTY = '`objects: []`, `{}`, `"Skip"`'

#: Keys of the lines of an import that answer a question and have no shape.
ANSWERS = ("answer", "answers")
#: Columns by which the CSV is recognised.
COLUMNS = ("Labeled Data", "Label", "External ID")


def recognises(document: Document) -> bool:
    """Whether `document` is one of Labelbox's exports."""
    if document.kind == "csv":
        return set(COLUMNS) <= set(document.parse_header())
    if document.kind != "json":
        return False
    first = next(iter(_parse_rows(document)), None)
    return first is not None and (
        ("data_row" in first and "projects" in first)
        or ("Labeled Data" in first and "Label" in first)
        or "dataRow" in first
    )


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a file that Labelbox exported."""
    rows: Iterable[Node]
    if document.kind == "csv":
        rows = _iter_csv(document)
    elif document.kind == "json":
        rows = _parse_rows(document)
    else:
        document.fail("expected JSON or CSV, Labelbox's kinds of file.")
    imported: dict[str, list[Node]] = {}
    for row in rows:
        if "dataRow" in row:
            name = _get_first(row["dataRow"], "globalKey", "id").as_text()
            imported.setdefault(name, []).append(row)
        elif "data_row" in row:
            yield from _read_version_2(row, options)
        else:
            yield from _read_version_1(row, options)
    for name, lines in imported.items():
        found = [_read_import(line, options) for line in lines if not {*ANSWERS} & {*line.value}]
        yield from make_records(lines[0], name, found, None)


def _read_import(line: Node, options: Options) -> FoundBox:
    extra = {"confidence": line["confidence"].as_number()} if "confidence" in line else {}
    return line, line["name"].as_text(), read_box(line, "bbox", options), extra


def _parse_rows(document: Document) -> Iterable[Node]:
    root = document.parse_json()
    return root if root.is_list else [root]


def _iter_csv(document: Document) -> Iterator[Node]:
    for line, (url, text, external_id) in document.iter_table(COLUMNS):
        label: Any = text
        if text.strip() not in ("Skip", ""):
            try:
                label = json.loads(text)
            except (ValueError, RecursionError):
                line.fail(f"Label is neither JSON nor Skip. Received: {text[:80]!r}.")
        value = {"Labeled Data": url, "Label": label, "External ID": external_id or None}
        yield Node(value, document.path, key=str(line))


def _read_version_2(row: Node, options: Options) -> Iterator[BoxRecord]:
    data_row = row["data_row"]
    node = next((data_row[key] for key in ("external_id", "global_key") if key in data_row), None)
    name = read_image_name(node, data_row, "row_data")
    extra = {"image_id": data_row["id"].as_text()} if "id" in data_row else {}
    found: list[FoundBox] = []
    for project in row["projects"]:
        for label in project["labels"].as_list():
            more = {"label_id": label["id"].as_text()} if "id" in label else {}
            annotations = label["annotations"]
            if "frames" in annotations:
                annotations.fail("this annotates a video; only annotations of images can be read.")
            for item in annotations["objects"].as_list() if "objects" in annotations else []:
                class_name = _get_first(item, "name", "value").as_text()
                found.append((item, class_name, read_box(item, "bounding_box", options), more))
    return make_records(row, name, found, _read_size(row.get("media_attributes")), extra)


def _read_version_1(row: Node, options: Options) -> Iterator[BoxRecord]:
    node = row.get("External ID")
    name = read_image_name(node, row, "Labeled Data")
    label = row.get("Label")
    found: list[FoundBox] = []
    if label is None or label.is_text:
        if label is not None and label.value.strip() not in ("Skip", ""):
            label.fail(f"expected an object or Skip. Received: {label.value[:80]!r}.")
    elif "objects" in label:
        for item in label["objects"].as_list():
            class_name = _get_first(item, "title", "value").as_text()
            found.append((item, class_name, read_box(item, "bbox", options), {}))
    else:
        for class_node in label:
            for shape, box in iter_early_boxes(class_node, options):
                found.append((shape, str(class_node.key), box, {}))
    return make_records(row, name, found, _read_size(row.get("Media Attributes")))


def _read_size(attributes: Node | None) -> tuple[float, float] | None:
    return None if attributes is None else attributes.read_size()


def _get_first(node: Node, *keys: str) -> Node:
    """The value at the first of the keys that exists."""
    return node[next((key for key in keys if key in node), keys[0])]
