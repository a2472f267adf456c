"""Ultralytics' NDJSON: a line about the data set and one per image; read as a form of YOLO.

References
----------
.. [1] Ultralytics, "Ultralytics NDJSON format", https://docs.ultralytics.com/datasets/detect.
.. [2] Ultralytics, ``convert_ndjson_to_yolo`` in ``ultralytics/data/converter.py``,
   https://github.com/ultralytics/ultralytics.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..record import make_records

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Node
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = ["is_ndjson", "read"]

#: Keys of lists of objects; each object is a class and numbers.
BOXES, OUTLINES = ("boxes", "bboxes", "pose"), ("segments", "obb")


def is_ndjson(document: Document) -> bool:
    """Whether the first line of `document` describes a data set."""
    if document.kind != "json":
        return False
    root = document.parse_json()
    first = next(iter(root), None) if root.is_list else root
    return first is not None and "type" in first and first["type"].value == "dataset"


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of all images."""
    root = document.parse_json()
    lines = root.as_list() if root.is_list else [root]
    names: dict[str, str] | None = None
    if "class_names" in lines[0]:
        names = {str(name.key): name.as_text() for name in lines[0]["class_names"]}
    for line in lines[1:]:
        if line["type"].as_text() != "image":
            line["type"].fail(f"expected image. Received: {line['type'].value!r}.")
        extra = {"split": line["split"].as_text()} if "split" in line else {}
        found = _iter_objects(line, options, names) if "annotations" in line else []
        yield from make_records(line, line["file"].as_text(), found, (1.0, 1.0), extra)


def _iter_objects(line: Node, options: Options, names: dict[str, str] | None) -> Iterator[FoundBox]:
    for group in line["annotations"]:
        kind = str(group.key)
        if kind == "classification":
            continue
        if kind not in BOXES + OUTLINES:
            group.fail(f"unknown annotations {kind!r}; expected {BOXES + OUTLINES}.")
        for node in group.as_list():
            key, *numbers = node.as_numbers()
            if not key.is_integer():
                node.fail(f"the class must be an integer. Received: {key}.")
            box = _read_box(node, kind, numbers, options)
            yield node, options.get_class_name(str(int(key)), node, names), box, {}


def _read_box(node: Node, kind: str, numbers: list[float], options: Options) -> Box | None:
    if kind in OUTLINES:
        if len(numbers) % 2:
            node.fail(f"expected a class and pairs of x and y. Received {len(numbers) + 1} values.")
        points = list(zip(numbers[::2], numbers[1::2], strict=True))
        return options.bound_shape(node, "rotated box" if kind == "obb" else "polygon", points)
    if len(numbers) < 4 or (len(numbers) > 4 and kind != "pose"):
        node.fail(f"expected a class and four numbers. Received {len(numbers) + 1} values.")
    x, y, width, height = numbers[:4]
    return x - width / 2, x + width / 2, y - height / 2, y + height / 2
