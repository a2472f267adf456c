"""CVAT: its XML for images and for video, and its exports as VOC, COCO and YOLO."""

from xml.etree import ElementTree

from ..documents import Element, known_size
from ..record import AnyEnding, BoxRecord, of_image
from ..shapes import around_circle, rotated, split_pairs
from . import coco, pascal_voc, yolo

__all__ = ["read", "recognises", "write"]

FILES = "XML for images or video; exports as VOC, COCO, YOLO"
COORDINATES = "pixels, edges"
SIZE = "in the file"
EMPTY = "`<image>` without shapes"
NEEDS_SIZES = True


def recognises(document):
    """Whether `document` is CVAT's XML, or VOC's that shows it is CVAT's."""
    if document.kind != "xml":
        return False
    if pascal_voc.is_voc(document):
        return pascal_voc.writer(document) == "cvat"
    return document.xml().tag == "annotations"


def read(document, options):
    """Records of a file that CVAT wrote."""
    if document.kind == "json":
        return coco.read(document, options)
    if document.kind != "xml":
        return yolo.read(document, options)
    if pascal_voc.is_voc(document):
        return pascal_voc.read_voc(document, options, "edges")
    if document.xml().tag != "annotations":
        document.fail("this is not XML with the root <annotations>, which is CVAT's.")
    return _read_xml(document, options)


def write(images):
    """Text of CVAT's XML for images."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    for number, image in enumerate(images):
        width, height = (str(round(side)) for side in image.size)
        attributes = {"id": str(number), "name": image.name, "width": width, "height": height}
        element = ElementTree.SubElement(root, "image", attributes)
        for class_name, (x_min, x_max, y_min, y_max), _ in image.in_pixels():
            corners = {"xtl": x_min, "ytl": y_min, "xbr": x_max, "ybr": y_max}
            attributes = {"label": class_name, "occluded": "0", "source": "manual"}
            attributes |= {name: repr(value) for name, value in corners.items()}
            ElementTree.SubElement(element, "box", attributes | {"z_order": "0"})
    ElementTree.indent(root)
    declaration = '<?xml version="1.0" encoding="utf-8"?>\n'
    return {"": declaration + ElementTree.tostring(root, encoding="unicode") + "\n"}


def _read_xml(document, options):
    root = document.xml()
    for image in root.children("image"):
        found = (_object(shape, options) for shape in image.children() if shape.tag in SHAPES)
        extra = {"image_id": image.element.get("id"), "subset": image.element.get("subset")}
        extra = {name: value for name, value in extra.items() if value is not None}
        if tags := [tag.attribute("label") for tag in image.children("tag")]:
            extra["tags"] = ",".join(tags)
        yield from of_image(image, image.attribute("name"), found, _size(image), extra)
    yield from _read_tracks(root, options)


def _read_tracks(root, options):
    """Records of a video, frame by frame; boxes that have left the picture are none."""
    sizes = [
        Element(element, root.path, "original_size").size()
        for element in root.element.iter("original_size")
    ]
    if len(sizes) > 1:
        root.fail(
            "this is a project of several videos, whose frames have the same names. Export each "
            "task by itself."
        )
    records = []
    for track in root.children("track"):
        label = track.attribute("label")
        extra = {"track_id": track.attribute("id")} if track.element.get("id") else {}
        for shape in track.children():
            if shape.tag not in SHAPES or _is_outside(shape):
                continue
            frame = shape.attribute("frame")
            if not (frame.isascii() and frame.isdigit() and len(frame) < 10):
                shape.fail(f"frame is not a whole number. Received: {frame[:80]!r}.")
            place, _, box, more = _object(shape, options, label)
            if box is not None:
                name = AnyEnding(f"frame_{frame.zfill(6)}", otherwise="")
                record = BoxRecord(place, name, label, box, (sizes or [None])[0], extra | more)
                records.append((int(frame), record))
    return [record for _, record in sorted(records, key=lambda found: found[0])]


def _is_outside(shape):
    """Whether a shape has left the picture; a skeleton, if all of its points have."""
    points = list(shape.children("points"))
    if shape.tag == "skeleton" and points:
        return all(_is_outside(point) for point in points)
    return shape.element.get("outside") == "1"


def _object(shape, options, label=None):
    extra = {}
    if shape.element.get("occluded") in ("0", "1"):
        extra["occluded"] = int(shape.element.get("occluded"))
    label = shape.attribute("label") if label is None else label
    return shape, label, SHAPES[shape.tag](shape, options), extra


def _box(shape, options):
    box = tuple(shape.attribute_number(side) for side in ("xtl", "xbr", "ytl", "ybr"))
    degrees = _degrees(shape)
    return options.around(shape, "rotated box", rotated(box, degrees)) if degrees else box


def _ellipse(shape, options):
    x, y, radius_x, radius_y = map(shape.attribute_number, ("cx", "cy", "rx", "ry"))
    box = around_circle(x, y, radius_x, radius_y, _degrees(shape))
    return options.around(shape, "ellipse", box)


def _points(shape, options):
    points = split_pairs(shape.attribute("points"), shape)
    return options.around(shape, shape.tag, points)


def _mask(shape, options):
    left, top, width, height = map(shape.attribute_number, ("left", "top", "width", "height"))
    return options.around(shape, "mask", (left, left + width, top, top + height))


def _cuboid(shape, options):
    corners = [(f"x{side}{n}", f"y{side}{n}") for n in (1, 2) for side in ("tl", "bl", "tr", "br")]
    points = [tuple(map(shape.attribute_number, corner)) for corner in corners]
    return options.around(shape, "cuboid", points)


def _skeleton(shape, options):
    points = []
    for child in shape.children("points"):
        if not _is_outside(child):
            points += split_pairs(child.attribute("points"), child)
    return options.around(shape, "skeleton", points)


def _degrees(shape):
    return shape.attribute_number("rotation") if shape.element.get("rotation") else 0.0


def _size(image):
    return known_size(image.attribute_number("width"), image.attribute_number("height"))


#: The box of each kind of shape.
SHAPES = {
    "box": _box,
    "ellipse": _ellipse,
    "polygon": _points,
    "polyline": _points,
    "points": _points,
    "mask": _mask,
    "cuboid": _cuboid,
    "skeleton": _skeleton,
}
