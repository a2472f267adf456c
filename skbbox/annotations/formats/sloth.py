"""Sloth: JSON with a list of images and their shapes."""

from ..documents import parse_number
from ..record import of_image

__all__ = ["read", "recognises"]

FILES = "JSON"
COORDINATES = "pixels, edges, x, y, width, height"
SIZE = "of the image"
EMPTY = "`annotations: []`"


def recognises(document):
    """Whether `document` is a list of images by file name, with annotations."""
    if document.kind != "json" or not document.json().is_list:
        return False
    first = next(iter(document.json()), None)
    return first is not None and "filename" in first and "annotations" in first


def read(document, options):
    """Records of a JSON file that Sloth wrote."""
    if document.kind != "json":
        document.fail("this is not JSON, which is the form of Sloth.")
    for item in document.json().list():
        found = (_thing(thing, options) for thing in item["annotations"].list())
        yield from of_image(item, item["filename"].text(), found, None)


def _thing(thing, options):
    if options.class_attribute is not None:
        name = thing[options.class_attribute].text()
    else:
        name = thing["class"].text()
    return thing, name, _box(thing, options), {}


def _box(thing, options):
    if "width" in thing:
        x, y, width, height = (thing[name].number() for name in ("x", "y", "width", "height"))
        return x, x + width, y, y + height
    if "xn" in thing:
        x, y = (_numbers(thing[name]) for name in ("xn", "yn"))
        if len(x) != len(y):
            thing.fail(f"as many x as y are wanted. Received {len(x)} and {len(y)}.")
        return options.around(thing, "polygon", list(zip(x, y, strict=True)))
    point = [(thing["x"].number(), thing["y"].number())]
    return options.around(thing, "point", point)


def _numbers(node):
    texts = node.text().split(";")
    return [parse_number(text, node, "a number") for text in texts if text.strip()]
