"""VGG Image Annotator: JSON of versions 1 and 2, its project file, and CSV."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TypeAlias

from ..nodes import Line, Node
from ..record import make_records
from ..shapes import bound_ellipse

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Place
    from ..options import Options
    from ..record import Box, BoxRecord, FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "JSON, CSV, project file"
COORDINATES = "pixels, edges, x, y, width, height"
SIZE = "from the image"
EMPTY = "no regions; in CSV, `region_count` 0"

COLUMNS = ("filename", "region_shape_attributes", "region_attributes")

#: Place, name and regions of an image.
_Image: TypeAlias = "tuple[Place, str, list[Node]]"


def recognises(document: Document) -> bool:
    """Whether `document` contains regions of VIA."""
    if document.kind == "csv":
        header = [name.lstrip("#") for name in document.parse_header()]
        return set(COLUMNS) <= set(header)
    if document.kind != "json" or not document.parse_json().is_object:
        return False
    root = document.parse_json()
    first = next(iter(root), None)
    return "_via_img_metadata" in root or (
        first is not None and "filename" in first and "regions" in first
    )


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a file that VIA wrote."""
    # A list, because the attribute that names the class must be found before the first record.
    images = list(_iter_csv(document) if document.kind == "csv" else _iter_json(document))
    attribute = options.choose_attribute(document, "region", _list_attributes(images))
    for place, name, regions in images:
        found = (_read_region(region, attribute, options) for region in regions)
        yield from make_records(place, name, found, None)


def _iter_json(document: Document) -> Iterator[_Image]:
    if document.kind != "json":
        document.fail("expected JSON or CSV, VIA's kinds of file.")
    root = document.parse_json()
    if not root.is_object:
        root.fail("expected an object of images.")
    for image in root.get("_via_img_metadata") or root:
        # The regions are a dict in version 1, a list in version 2.
        yield image, image["filename"].as_text(), list(image["regions"])


def _iter_csv(document: Document) -> Iterator[_Image]:
    images: dict[str, tuple[Line, list[Node]]] = {}
    header = document.parse_header()
    mark = "#" if header and header[0].startswith("#") else ""
    columns = [mark + COLUMNS[0], *COLUMNS[1:]]
    for line, (name, shape_text, attributes_text) in document.iter_table(columns):
        _, regions = images.setdefault(name, (line, []))
        shape = _parse_cell(shape_text, line, "region_shape_attributes")
        if shape:
            attributes = _parse_cell(attributes_text, line, "region_attributes")
            value = {"shape_attributes": shape, "region_attributes": attributes}
            regions.append(Node(value, document.path, key=str(line)))
    for name, (place, regions) in images.items():
        yield place, name, regions


def _parse_cell(text: str, line: Line, name: str) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        line.fail(f"{name} is not valid JSON. Received: {text[:80]!r}.")


def _list_attributes(images: list[_Image]) -> list[str]:
    names: dict[str, None] = {}
    for _, _, regions in images:
        for region in regions:
            attributes = region.get("region_attributes")
            if attributes is not None and attributes.is_object:
                names |= dict.fromkeys(attributes.value)
    return list(names)


def _read_region(region: Node, attribute: str | None, options: Options) -> FoundBox:
    name = ""
    attributes = region.get("region_attributes")
    if attribute is not None and attributes is not None and attribute in attributes:
        value = attributes[attribute]
        # Checkboxes are stored as an object of true and false.
        if value.is_object:
            name = ",".join(key for key, ticked in value.value.items() if ticked)
        else:
            name = value.as_text()
    return region, name, _read_box(region["shape_attributes"], options), {}


def _read_box(shape: Node, options: Options) -> Box | None:
    kind = shape["name"].as_text()

    def read_numbers(*names: str) -> list[float]:
        return [shape[name].as_number() for name in names]

    if kind == "rect":
        return shape.read_corner_box("x", "y", "width", "height")
    if kind == "circle":
        x, y, radius = read_numbers("cx", "cy", "r")
        return options.bound_shape(shape, kind, bound_ellipse(x, y, radius, radius))
    if kind == "ellipse":
        x, y, radius_x, radius_y = read_numbers("cx", "cy", "rx", "ry")
        degrees = math.degrees(shape["theta"].as_number()) if "theta" in shape else 0.0
        box = bound_ellipse(x, y, radius_x, radius_y, degrees)
        return options.bound_shape(shape, kind, box)
    if kind in ("polygon", "polyline"):
        xs = [value.as_number() for value in shape["all_points_x"].as_list()]
        ys = [value.as_number() for value in shape["all_points_y"].as_list()]
        if len(xs) != len(ys):
            shape.fail(f"expected the same number of x and y. Received {len(xs)} and {len(ys)}.")
        return options.bound_shape(shape, kind, list(zip(xs, ys, strict=True)))
    if kind == "point":
        x, y = read_numbers("cx", "cy")
        return options.bound_shape(shape, kind, [(x, y)])
    shape.fail(f"unknown shape {kind!r}.")
