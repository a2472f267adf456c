"""Label Studio: its JSON, JSON-MIN and CSV, and its exports as COCO, VOC and YOLO.

References
----------
.. [1] Label Studio, "Export annotations", https://labelstud.io/guide/export, sections "Label
   Studio JSON format of annotated tasks" and "Units of image annotations".
.. [2] Label Studio, ``converter.py`` (JSON_MIN, CSV, COCO, VOC, YOLO),
   https://github.com/HumanSignal/label-studio-converter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..nodes import Node, shorten_repr
from . import coco, pascal_voc, yolo
from .label_studio_regions import read_parts

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options
    from ..record import BoxRecord

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "JSON, JSON-MIN, CSV; exports as COCO, VOC, YOLO"
COORDINATES = "percent, edges, x, y, width, height"
SIZE = "in the file"
EMPTY = "`result: []`; a skipped task has `skipped` 1"

#: Keys of the results of a task; `completions` is that of versions before 1.0.
RESULTS = ("annotations", "completions", "predictions")
#: Keys that are true for an annotation that was skipped.
CANCELLED = ("was_cancelled", "skipped")
#: Columns that JSON-MIN and CSV add to the user's data and the regions.
COLUMNS = ("annotator", "annotation_id", "lead_time")


def recognises(document: Document) -> bool:
    """Whether `document` contains tasks, or is VOC that shows Label Studio wrote it."""
    if document.kind == "xml":
        return pascal_voc.is_voc(document) and pascal_voc.detect_tool(document) == "label_studio"
    if document.kind == "csv":
        return set(COLUMNS) <= set(document.parse_header())
    if document.kind != "json":
        return False
    root = document.parse_json()
    first = next(iter(root), None) if root.is_list else root
    if first is None or not first.is_object:
        return False
    is_task = "data" in first and first["data"].is_object and any(key in first for key in RESULTS)
    return is_task or set(COLUMNS) <= first.value.keys()


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a file that Label Studio exported."""
    if document.kind == "xml":
        return pascal_voc.read_voc(document, options, "edges")
    if document.kind == "text":
        return yolo.read(document, options)
    if document.kind == "csv":
        return _read_short(list(_iter_csv(document)), options)
    if coco.recognises(document):
        return coco.read(document, options)
    root = document.parse_json()
    tasks = root.as_list() if root.is_list else [root]
    if tasks and all(task.is_object and set(COLUMNS) <= task.value.keys() for task in tasks):
        return _read_short(tasks, options)
    # Predictions are only read from a file that was made for an import, without annotations.
    keys = [key for key in RESULTS if any(key in task for task in tasks)]
    return _read_tasks(tasks, keys[0] if keys else RESULTS[0], options)


def _read_tasks(tasks: list[Node], key: str, options: Options) -> Iterator[BoxRecord]:
    for task in tasks:
        parts = []
        is_skipped = False
        for annotation in task[key].as_list() if key in task else []:
            if any(flag in annotation and annotation[flag].value for flag in CANCELLED):
                is_skipped = True
                continue
            if key == "predictions":
                more = _describe_prediction(annotation)
            else:
                more = _describe(annotation, "completed_by", "id")
            parts.append((annotation["result"].as_list(), more))
        extra: dict[str, Any] = {"image_id": task["id"].as_text()} if "id" in task else {}
        if is_skipped and not parts:
            extra["skipped"] = 1
        yield from read_parts(task, task["data"], parts, extra, options)


def _read_short(items: list[Node], options: Options) -> Iterator[BoxRecord]:
    """Yield the records of JSON-MIN, whose items are the annotations of tasks."""
    tasks: dict[Any, list[Node]] = {}
    for number, item in enumerate(items):
        tasks.setdefault(item["id"].as_text() if "id" in item else number, []).append(item)
    for key, task in tasks.items():
        parts = []
        for item in task:
            lists = [value for value in item if value.is_list]
            regions = [region for value in lists for region in value if region.is_object]
            parts.append((regions, _describe(item, "annotator", "annotation_id")))
        extra = {"image_id": key} if isinstance(key, str) else {}
        yield from read_parts(task[0], task[0], parts, extra, options)


def _iter_csv(document: Document) -> Iterator[Node]:
    header = list(dict.fromkeys([*document.parse_header(), *COLUMNS]))
    for line, fields in document.iter_table(header):
        item: dict[str, Any] = {}
        for name, text in zip(header, fields, strict=True):
            item[name] = text
            if text.startswith("[{"):
                try:
                    item[name] = json.loads(text)
                except (ValueError, RecursionError):
                    line.fail(f"{name} is not valid JSON. Received: {shorten_repr(text)}.")
        yield Node(item, document.path, key=str(line))


def _describe(node: Node, annotator: str, identifier: str) -> dict[str, Any]:
    """Columns that tell apart the annotations of a task, which several people may make."""
    extra = {}
    if identifier in node:
        extra["annotation_id"] = node[identifier].as_text()
    if annotator in node:
        person = node[annotator]
        if person.is_object:
            person = person["email"] if "email" in person else person["id"]
        extra["annotator"] = person.as_text()
    return extra


def _describe_prediction(prediction: Node) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if "score" in prediction:
        extra["confidence"] = prediction["score"].as_number()
    if "model_version" in prediction:
        extra["model_version"] = prediction["model_version"].as_text()
    return extra
