"""VGG Image Annotator: JSON of versions 1 and 2, its project file, and CSV."""

import json
import math

from ..documents import Node
from ..record import of_image
from ..shapes import around_circle

__all__ = ["read", "recognises"]

FILES = "JSON, CSV, project file"
COORDINATES = "pixels, edges, x, y, width, height"
SIZE = "of the image"
EMPTY = "no regions; in CSV `region_count` 0"

COLUMNS = ("filename", "region_shape_attributes", "region_attributes")


def recognises(document):
    """Whether `document` has regions of VIA."""
    if document.kind == "csv":
        header = [name.lstrip("#") for name in document.header()]
        return set(COLUMNS) <= set(header)
    if document.kind != "json" or not document.json().is_object:
        return False
    root = document.json()
    first = next(iter(root), None)
    return "_via_img_metadata" in root or (
        first is not None and "filename" in first and "regions" in first
    )


def read(document, options):
    """Records of a file that VIA wrote."""
    images = _images_of_csv(document) if document.kind == "csv" else _images_of_json(document)
    # Looked at twice: the attribute that names the class must be the same everywhere.
    images = list(images)
    attribute = _class_attribute(document, images, options.class_attribute)
    for place, name, regions in images:
        found = (_region(region, attribute, options) for region in regions)
        yield from of_image(place, name, found, None)


def _images_of_json(document):
    if document.kind != "json":
        document.fail("this is neither JSON nor CSV, which are the forms of VIA.")
    root = document.json()
    if not root.is_object:
        root.fail("an object of images is wanted.")
    for image in root.get("_via_img_metadata") or root:
        # A dict in version 1, a list in version 2.
        yield image, image["filename"].text(), list(image["regions"])


def _images_of_csv(document):
    images = {}
    header = document.header()
    mark = "#" if header and header[0].startswith("#") else ""
    columns = [mark + COLUMNS[0], *COLUMNS[1:]]
    for line, (name, shape, attributes) in document.table(columns):
        _, regions = images.setdefault(name, (line, []))
        shape = _cell(shape, line, "region_shape_attributes")
        if shape:
            attributes = _cell(attributes, line, "region_attributes")
            value = {"shape_attributes": shape, "region_attributes": attributes}
            regions.append(Node(value, document.path, key=str(line)))
    return ((place, name, regions) for name, (place, regions) in images.items())


def _cell(text, line, name):
    try:
        return json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return line.fail(f"{name} is not JSON. Received: {text[:80]!r}.")


def _class_attribute(document, images, given):
    """The attribute that names the class: the one that is given, or the only one."""
    names = {}
    for _, _, regions in images:
        for region in regions:
            attributes = region.get("region_attributes")
            if attributes is not None and attributes.is_object:
                names |= dict.fromkeys(attributes.value)
    if given is not None:
        if names and given not in names:
            document.fail(f"no region has the attribute {given!r}; there are {list(names)}.")
        return given
    if len(names) > 1:
        document.fail(
            f"regions have the attributes {list(names)}; say which one is the class by "
            f"class_attribute={next(iter(names))!r}."
        )
    return next(iter(names), None)


def _region(region, attribute, options):
    name = ""
    attributes = region.get("region_attributes")
    if attribute is not None and attributes is not None and attribute in attributes:
        value = attributes[attribute]
        # A checkbox gives an object of what is ticked.
        if value.is_object:
            name = ",".join(key for key, ticked in value.value.items() if ticked)
        else:
            name = value.text()
    return region, name, _box(region["shape_attributes"], options), {}


def _box(shape, options):
    kind = shape["name"].text()

    def numbers(*names):
        return [shape[name].number() for name in names]

    if kind == "rect":
        x, y, width, height = numbers("x", "y", "width", "height")
        return x, x + width, y, y + height
    if kind == "circle":
        x, y, radius = numbers("cx", "cy", "r")
        return options.around(shape, kind, around_circle(x, y, radius, radius))
    if kind == "ellipse":
        x, y, radius_x, radius_y = numbers("cx", "cy", "rx", "ry")
        degrees = math.degrees(shape["theta"].number()) if "theta" in shape else 0.0
        return options.around(shape, kind, around_circle(x, y, radius_x, radius_y, degrees))
    if kind in ("polygon", "polyline"):
        x = [value.number() for value in shape["all_points_x"].list()]
        y = [value.number() for value in shape["all_points_y"].list()]
        if len(x) != len(y):
            shape.fail(f"as many x as y are wanted. Received {len(x)} and {len(y)}.")
        return options.around(shape, kind, list(zip(x, y, strict=True)))
    if kind == "point":
        return options.around(shape, kind, [tuple(numbers("cx", "cy"))])
    return shape.fail(f"the shape {kind!r} is not known.")
