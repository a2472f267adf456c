"""Labelbox: lines of JSON (version 2), JSON and CSV of version 1, and exports of 2018 and 2019."""

import json
import uuid
from urllib.parse import unquote, urlsplit

from ...exceptions import AnnotationError
from ..documents import Node
from ..record import of_image
from ..shapes import wkt_polygons

__all__ = ["read", "recognises", "write"]

FILES = "NDJSON v2 and of imports, JSON v1, CSV; WKT and points of 2018-19"
COORDINATES = "pixels, edges, top, left, height, width"
SIZE = "in NDJSON; else of the image"
EMPTY = '`objects: []`, `{}`, `"Skip"`'
NEEDS_SIZES = True

#: What lines of an import have that answer a question and hold no shape.
ANSWERS = ("answer", "answers")
#: Columns that tell the CSV.
COLUMNS = ("Labeled Data", "Label", "External ID")


def recognises(document):
    """Whether `document` is one of Labelbox's exports."""
    if document.kind == "csv":
        return set(COLUMNS) <= set(document.header())
    if document.kind != "json":
        return False
    first = next(iter(_rows(document)), None)
    return first is not None and (
        ("data_row" in first and "projects" in first)
        or ("Labeled Data" in first and "Label" in first)
        or "dataRow" in first
    )


def read(document, options):
    """Records of a file that Labelbox exported."""
    if document.kind == "csv":
        rows = _rows_of_csv(document)
    elif document.kind == "json":
        rows = _rows(document)
    else:
        document.fail("this is neither JSON nor CSV, which are the forms of Labelbox.")
    imported = {}
    for row in rows:
        if "dataRow" in row:
            name = _first(row["dataRow"], "globalKey", "id").text()
            imported.setdefault(name, []).append(row)
        else:
            yield from _version_2(row, options) if "data_row" in row else _version_1(row, options)
    for name, of_name in imported.items():
        # Lines that answer a question are of an image, and have no box.
        found = [_imported(line, options) for line in of_name if not {*ANSWERS} & {*line.value}]
        yield from of_image(of_name[0], name, found, None)


def write(images):
    """Text of the lines of JSON that Labelbox imports as labels or predictions."""
    lines = []
    for image in images:
        if not image.boxes:
            raise AnnotationError(
                f"Labelbox imports no image without an object, as {image.name} is; leave it out."
            )
        for number, (name, (x_min, x_max, y_min, y_max), confidence) in enumerate(
            image.in_pixels()
        ):
            box = {"top": y_min, "left": x_min, "height": y_max - y_min, "width": x_max - x_min}
            # The same box has the same identifier, however often it is written.
            key = uuid.uuid5(uuid.NAMESPACE_URL, f"{image.name}#{number}#{name}#{box}")
            line = {"uuid": str(key), "dataRow": {"globalKey": image.name}, "name": name}
            line["bbox"] = box
            if confidence is not None:
                line["confidence"] = confidence
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return {"": "".join(lines)}


def _imported(line, options):
    """Class and box of a line that Labelbox imports."""
    extra = {"confidence": line["confidence"].number()} if "confidence" in line else {}
    return line, line["name"].text(), _box(line, "bbox", options), extra


def _rows(document):
    root = document.json()
    return root if root.is_list else [root]


def _rows_of_csv(document):
    for line, (url, label, external_id) in document.table(COLUMNS):
        if label.strip() not in ("Skip", ""):
            try:
                label = json.loads(label)
            except (ValueError, RecursionError):
                line.fail(f"Label is neither JSON nor Skip. Received: {label[:80]!r}.")
        value = {"Labeled Data": url, "Label": label, "External ID": external_id or None}
        yield Node(value, document.path, key=str(line))


def _version_2(row, options):
    data_row = row["data_row"]
    name = next((data_row[key] for key in ("external_id", "global_key") if key in data_row), None)
    name = _name_in_url(data_row["row_data"]) if name is None else name.text()
    extra = {"image_id": data_row["id"].text()} if "id" in data_row else {}
    found = []
    for project in row["projects"]:
        for label in project["labels"].list():
            more = {"label_id": label["id"].text()} if "id" in label else {}
            annotations = label["annotations"]
            if "frames" in annotations:
                annotations.fail("this is of a video; only annotations of images are read.")
            for thing in annotations["objects"].list() if "objects" in annotations else []:
                class_name = _first(thing, "name", "value").text()
                box = _box(thing, "bounding_box", options)
                found.append((thing, class_name, box, more))
    return of_image(row, name, found, _size(row.get("media_attributes")), extra)


def _version_1(row, options):
    external = row.get("External ID")
    name = _name_in_url(row["Labeled Data"]) if external is None else external.text()
    label = row.get("Label")
    if label is None or label.is_text:
        if label is not None and label.value.strip() not in ("Skip", ""):
            label.fail(f"an object or Skip is wanted. Received: {label.value[:80]!r}.")
        found = []
    elif "objects" in label:
        found = [
            (thing, _first(thing, "title", "value").text(), _box(thing, "bbox", options), {})
            for thing in label["objects"].list()
        ]
    else:
        found = [
            (shape, str(class_node.key), box, {})
            for class_node in label
            for shape, box in _early_boxes(class_node, options)
        ]
    return of_image(row, name, found, _size(row.get("Media Attributes")))


def _box(thing, key, options):
    if key in thing:
        top, left, height, width = (
            thing[key][side].number() for side in ("top", "left", "height", "width")
        )
        return left, left + width, top, top + height
    for kind in ("polygon", "line"):
        if kind in thing:
            return options.around(thing, kind, [_point(point) for point in thing[kind].list()])
    if "point" in thing:
        return options.around(thing, "point", [_point(thing["point"])])
    return options.around(thing, "mask", [])


def _early_boxes(node, options):
    """Shapes and their boxes of an export of 2018 or 2019, below the name of a class."""
    if node.is_text:
        if not node.value.lstrip().startswith(("POLYGON", "MULTIPOLYGON")):
            return  # The answer to a question, not a shape.
        rings = wkt_polygons(node.value, node)
        if not rings:
            node.fail(f"this is not whole well-known text. Received: {node.value[:80]!r}.")
    elif _is_point(node.value):
        yield node, options.around(node, "point", [_point(node)])
        return
    elif node.is_list and node.value and all(_is_point(value) for value in node.value):
        rings = [[_point(point) for point in node]]
    else:
        for child in [node["geometry"]] if node.is_object else node.list():
            yield from _early_boxes(child, options)
        return
    if options.y_origin is None:
        node.fail(
            "exports of 2018 measure y from the bottom and later ones from the top, and the file "
            "does not say which; pass y_origin='bottom' or y_origin='top'."
        )
    for ring in rings:
        x, y = ({point[i] for point in ring} for i in (0, 1))
        if len(x) == len(y) == 2 and len(set(ring)) == 4:
            yield node, (min(x), max(x), min(y), max(y))
        else:
            yield node, options.around(node, "polygon", ring)


def _is_point(value):
    return isinstance(value, dict) and {"x", "y"} <= value.keys()


def _point(node):
    return node["x"].number(), node["y"].number()


def _size(attributes):
    return None if attributes is None else attributes.size()


def _first(node, *keys):
    """The value at the first of the keys that is there."""
    return node[next((key for key in keys if key in node), keys[0])]


def _name_in_url(node):
    """The last part of a URL's path; a signature behind it is none of it."""
    try:
        path = unquote(urlsplit(node.text()).path)
    except ValueError as error:
        node.fail(f"this is no URL: {error}.")
    name = path.rstrip("/").rpartition("/")[2]
    if not name:
        node.fail(f"no name of an image is in {node.value[:80]!r}.")
    return name
