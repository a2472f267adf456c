"""Labelbox: lines of JSON (version 2), JSON and CSV of version 1, and exports of 2018 and 2019."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ...exceptions import AnnotationError
from ..image_files import has_image_ending, is_url
from ..nodes import Node
from ..record import choose_confidence, make_records
from ..shapes import parse_wkt_polygons

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox, ImageWithBoxes

__all__ = ["COORDINATES", "EMPTY", "FILES", "NEEDS_SIZES", "SIZE", "read", "recognises", "write"]

FILES = "NDJSON v2 and of imports, JSON v1, CSV; WKT and points of 2018-19"
COORDINATES = "pixels, edges, top, left, height, width"
SIZE = "in NDJSON; otherwise from the image"
EMPTY = '`objects: []`, `{}`, `"Skip"`'
NEEDS_SIZES = True

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


def write(images: list[ImageWithBoxes]) -> dict[str, str]:
    """Text of the JSON lines that Labelbox imports as labels or predictions."""
    lines = []
    for image in images:
        if not image.boxes:
            raise AnnotationError(
                "Labelbox cannot import an image without an object. "
                f"Received: {image.name}; leave it out."
            )
        for number, (name, (x_min, x_max, y_min, y_max), confidences) in enumerate(
            image.iter_pixel_boxes()
        ):
            box = {"top": y_min, "left": x_min, "height": y_max - y_min, "width": x_max - x_min}
            # Derived from the content, so that writing a box again gives the same identifier.
            key = uuid.uuid5(uuid.NAMESPACE_URL, f"{image.name}#{number}#{name}#{box}")
            line: dict[str, Any] = {"uuid": str(key), "dataRow": {"globalKey": image.name}}
            line |= {"name": name, "bbox": box}
            if (confidence := choose_confidence(confidences)) is not None:
                line["confidence"] = confidence
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return {"": "".join(lines)}


def _read_import(line: Node, options: Options) -> FoundBox:
    extra = {"confidence": line["confidence"].as_number()} if "confidence" in line else {}
    return line, line["name"].as_text(), _read_box(line, "bbox", options), extra


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
    name = _read_image_name(node, data_row, "row_data")
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
                found.append((item, class_name, _read_box(item, "bounding_box", options), more))
    return make_records(row, name, found, _read_size(row.get("media_attributes")), extra)


def _read_version_1(row: Node, options: Options) -> Iterator[BoxRecord]:
    node = row.get("External ID")
    name = _read_image_name(node, row, "Labeled Data")
    label = row.get("Label")
    found: list[FoundBox] = []
    if label is None or label.is_text:
        if label is not None and label.value.strip() not in ("Skip", ""):
            label.fail(f"expected an object or Skip. Received: {label.value[:80]!r}.")
    elif "objects" in label:
        for item in label["objects"].as_list():
            class_name = _get_first(item, "title", "value").as_text()
            found.append((item, class_name, _read_box(item, "bbox", options), {}))
    else:
        for class_node in label:
            for shape, box in _iter_early_boxes(class_node, options):
                found.append((shape, str(class_node.key), box, {}))
    return make_records(row, name, found, _read_size(row.get("Media Attributes")))


def _read_box(item: Node, key: str, options: Options) -> Box | None:
    if key in item:
        return item[key].read_corner_box("left", "top", "width", "height")
    for kind in ("polygon", "line"):
        if kind in item:
            return options.bound_shape(item, kind, item[kind].as_points())
    if "point" in item:
        return options.bound_shape(item, "point", [item["point"].as_point()])
    return options.bound_shape(item, "mask", [])


def _iter_early_boxes(node: Node, options: Options) -> Iterator[tuple[Node, Box | None]]:
    """Yield the shapes of a class and their boxes, in an export of 2018 or 2019."""
    if node.is_text:
        if not node.value.lstrip().startswith(("POLYGON", "MULTIPOLYGON")):
            return  # The answer to a question, not a shape.
        rings = parse_wkt_polygons(node.value, node)
        if not rings:
            node.fail(f"not valid well-known text. Received: {node.value[:80]!r}.")
    elif _is_point(node.value):
        yield node, options.bound_shape(node, "point", [node.as_point()])
        return
    elif node.is_list and node.value and all(_is_point(value) for value in node.value):
        rings = [node.as_points()]
    else:
        for child in [node["geometry"]] if node.is_object else node.as_list():
            yield from _iter_early_boxes(child, options)
        return
    if options.y_origin is None:
        node.fail(
            "Labelbox exports of 2018 measure y from the bottom and later ones from the top, but "
            "do not store which; pass y_origin='bottom' or y_origin='top'."
        )
    for ring in rings:
        x, y = ({point[i] for point in ring} for i in (0, 1))
        if len(x) == len(y) == 2 and len(set(ring)) == 4:
            yield node, (min(x), max(x), min(y), max(y))
        else:
            yield node, options.bound_shape(node, "polygon", ring)


def _is_point(value: object) -> bool:
    return isinstance(value, dict) and {"x", "y"} <= value.keys()


def _read_size(attributes: Node | None) -> tuple[float, float] | None:
    return None if attributes is None else attributes.read_size()


def _get_first(node: Node, *keys: str) -> Node:
    """The value at the first of the keys that exists."""
    return node[next((key for key in keys if key in node), keys[0])]


def _read_image_name(node: Node | None, row: Node, key: str) -> str:
    """Name of an image: the user's, or its URL, which also has the ending of a name without one."""
    if node is None:
        name = _get_name_from_url(row[key])
        url = row[key].as_text()
        return url if is_url(url) else name
    name = node.as_text()
    if not has_image_ending(name) and key in row and row[key].is_text and is_url(row[key].value):
        last = _get_name_from_url(row[key])
        return last if last.lower().startswith(f"{name.lower()}.") else name
    return name


def _get_name_from_url(node: Node) -> str:
    """Last part of a URL's path, without the signature that may follow it."""
    try:
        path = unquote(urlsplit(node.as_text()).path)
    except ValueError as error:
        node.fail(f"not a valid URL: {error}.")
    name = path.rstrip("/").rpartition("/")[2]
    if not name:
        node.fail(f"the URL contains no image name. Received: {node.value[:80]!r}.")
    return name
