"""COCO: one JSON file with images, categories and boxes as x, y, width, height."""

import json

from ..record import of_image
from ..shapes import rotated

__all__ = ["read", "recognises", "write"]

FILES = "JSON"
COORDINATES = "pixels, edges, `[x, y, width, height]`"
SIZE = "in `images`"
EMPTY = "image without annotations"
NEEDS_SIZES = True


def recognises(document):
    """Whether `document` is an object with images and annotations."""
    if document.kind != "json" or not document.json().is_object:
        return False
    root = document.json()
    return "images" in root and "annotations" in root


def read(document, options):
    """Records of a JSON file in COCO's form."""
    if document.kind != "json":
        document.fail("this is not JSON, which is the form of COCO.")
    root = document.json()
    categories = root["categories"].list() if "categories" in root else []
    names = {key: node["name"].text() for key, node in _by_id(categories).items()}
    images = _by_id(root["images"].list())
    of_images = {key: [] for key in images}
    for annotation in root["annotations"].list():
        key = _id(annotation, "image_id")
        if key not in images:
            annotation.fail(f"image_id {key!r} is not among the {len(images)} images.")
        of_images[key].append(annotation)
    for key, image in images.items():
        found = (_object(annotation, names, options) for annotation in of_images[key])
        extra = {"image_id": str(key)}
        yield from of_image(image, image["file_name"].text(), found, image.size(), extra)


def _object(annotation, names, options):
    key = _id(annotation, "category_id")
    if key not in names:
        annotation.fail(f"category_id {key!r} is not among the {len(names)} categories.")
    extra = {}
    if "iscrowd" in annotation:
        extra["iscrowd"] = int(annotation["iscrowd"].number())
    if "score" in annotation:
        extra["confidence"] = annotation["score"].number()
    return annotation, names[key], _box(annotation, options), extra


def _box(annotation, options):
    values = annotation["bbox"].list() if "bbox" in annotation else []
    if values:
        if len(values) != 4:
            annotation["bbox"].fail(f"four numbers are wanted. Received {len(values)}.")
        x, y, width, height = (value.number() for value in values)
        box = x, x + width, y, y + height
        # CVAT gives the corners of a turned box as they were before the turn.
        attributes = annotation.get("attributes")
        turned = attributes is not None and attributes.is_object and attributes.get("rotation")
        if turned and (degrees := turned.number()):
            return options.around(annotation, "rotated box", rotated(box, degrees))
        return box
    outlines = annotation.get("segmentation")
    if outlines is None or not outlines.is_list:
        return options.around(annotation, "mask", [])
    points = []
    for outline in outlines:
        values = [value.number() for value in outline.list()]
        if len(values) % 2:
            outline.fail(f"pairs of x and y are wanted. Received {len(values)} numbers.")
        points += zip(values[::2], values[1::2], strict=True)
    return options.around(annotation, "polygon", points)


def write(images):
    """Text of the JSON; boxes with a confidence have a score, as results have."""
    names = sorted({class_name for image in images for class_name, _, _ in image.boxes})
    categories = {name: number for number, name in enumerate(names, start=1)}
    root = {"images": [], "annotations": [], "categories": []}
    for number, image in enumerate(images, start=1):
        width, height = map(round, image.size)
        root["images"].append(
            {"id": number, "file_name": image.name, "width": width, "height": height}
        )
        for class_name, (x_min, x_max, y_min, y_max), confidence in image.in_pixels():
            sides = x_max - x_min, y_max - y_min
            annotation = {
                "id": len(root["annotations"]) + 1,
                "image_id": number,
                "category_id": categories[class_name],
                "bbox": [x_min, y_min, *sides],
                "area": sides[0] * sides[1],
                "iscrowd": 0,
                "segmentation": [],
            }
            if confidence is not None:
                annotation["score"] = confidence
            root["annotations"].append(annotation)
    root["categories"] = [{"id": number, "name": name} for name, number in categories.items()]
    return {"": json.dumps(root, ensure_ascii=False)}


def _by_id(nodes):
    """Nodes by their identifiers, each of which may be there once."""
    found = {}
    for node in nodes:
        key = _id(node)
        if key in found:
            node.fail(f"the id {key!r} is there twice.")
        found[key] = node
    return found


def _id(node, name="id"):
    """An identifier, which is a number or a text."""
    key = node[name]
    if key.is_text:
        return key.value
    return key.number() if isinstance(key.value, float) else int(key.text())
