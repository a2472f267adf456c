"""Pascal VOC: one XML file for each image; RectLabel, LabelImg and CVAT write it as well."""

from pathlib import PurePosixPath
from xml.etree import ElementTree

from ...exceptions import AnnotationError
from ..record import of_image
from ..shapes import rotated

__all__ = ["is_voc", "read", "read_voc", "recognises", "write", "writer"]

FILES = "XML for each image"
COORDINATES = "pixels, 1-based inclusive"
SIZE = "in the file"
EMPTY = "XML without objects"
NEEDS_SIZES = True

#: What an object may hold beside its box, and the column it becomes.
FLAGS = ("pose", "truncated", "difficult", "occluded")
#: Shapes that RectLabel writes in place of a box.
SHAPES = ("polygon", "cubic_bezier", "line", "keypoints", "pixels")


def recognises(document):
    """Whether `document` is XML that shows that it is of the challenge."""
    return is_voc(document) and writer(document) == "pascal_voc"


def read(document, options):
    """Records of an XML file of the Pascal VOC challenge."""
    return read_voc(document, options, "voc")


def is_voc(document):
    """Whether `document` is XML in the form of Pascal VOC, whoever wrote it."""
    return document.kind == "xml" and document.xml().tag == "annotation"


def writer(document):
    """The tool that wrote an XML file in this form, by its format's name; None if none shows."""
    root = document.xml()
    source = root.child("source")
    texts = [child.element.text or "" for child in source.children()] if source else []
    if any("VOC2" in text or "PASCAL" in text for text in texts):
        return "pascal_voc"
    if texts == ["Unknown"] * 3:
        return "cvat"
    if root.child("path") is not None and source is not None:
        return "labelimg"
    if source is None and any(
        thing.child("occluded") is not None or _shape(thing) is not None
        for thing in root.children("object")
    ):
        return "rectlabel"
    return None


def read_voc(document, options, tool_corners):
    """Records of an XML file in the form of Pascal VOC.

    Parameters
    ----------
    document : Document
    options : Options
    tool_corners : {"edges", "voc"}
        What the tool that wrote it means by a corner.
    """
    if not is_voc(document):
        document.fail("this is not XML with the root <annotation>, which is the form of VOC.")
    root = document.xml()
    size = root.child("size")
    folder = root.text("folder", default="")
    found = (_object(child, options, tool_corners) for child in root.children("object"))
    return of_image(
        root,
        _image_name(root),
        found,
        size.size() if size is not None else None,
        {"folder": folder} if folder else {},
    )


def write(images):
    """Text of the XML for each image, by its name; corners are whole pixels."""
    files = {}
    stems = [PurePosixPath(image.name).stem for image in images]
    unique = len({stem.lower() for stem in stems}) == len(stems)
    for image, stem in zip(images, stems, strict=True):
        # Images of the same name in several folders are told apart by these.
        path = PurePosixPath(image.name)
        file = f"{stem if unique else '_'.join([*path.parent.parts, stem])}.xml"
        if file in files:
            raise AnnotationError(
                f"VOC names a file like its image, and {file} is taken. Rename {image.name}."
            )
        for text in (image.name, *(class_name for class_name, _, _ in image.boxes)):
            if text != text.strip():
                raise AnnotationError(
                    "VOC's names of images and classes have no space around them. "
                    f"Received: {text!r}."
                )
        files[file] = _xml(image)
    return files


def _xml(image):
    width, height = map(round, image.size)
    root = ElementTree.Element("annotation")

    def add(parent, **texts):
        for tag, text in texts.items():
            ElementTree.SubElement(parent, tag).text = str(text)

    add(root, folder="", filename=image.name)
    # By this the corners are known for numbers of pixels.
    add(ElementTree.SubElement(root, "source"), database="skbbox", annotation="PASCAL VOC")
    add(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
    add(root, segmented=0)
    for class_name, (x_min, x_max, y_min, y_max), _ in image.in_pixels():
        thing = ElementTree.SubElement(root, "object")
        add(thing, name=class_name, pose="Unspecified", truncated=0, difficult=0)
        (left, right), (top, bottom) = _pixels(x_min, x_max, width), _pixels(y_min, y_max, height)
        box = ElementTree.SubElement(thing, "bndbox")
        add(box, xmin=left, ymin=top, xmax=right, ymax=bottom)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _pixels(low, high, side):
    """Numbers of the first and the last pixel between two edges, one at least."""
    first = min(round(low) + 1, side)
    return first, max(first, min(round(high), side))


def _image_name(root):
    """Name of the image; some programs leave its end to the path."""
    name, path = root.text("filename"), root.text("path", default="")
    end = PurePosixPath(path.replace("\\", "/")).suffix
    return name + end if name and end and not PurePosixPath(name).suffix else name


def _object(thing, options, tool_corners):
    name = thing.text("name")
    extra = {flag: _flag(thing.text(flag)) for flag in FLAGS if thing.child(flag) is not None}
    corners = thing.child("bndbox")
    if corners is not None:
        box = tuple(corners.number(side) for side in ("xmin", "xmax", "ymin", "ymax"))
        if degrees := _degrees(thing):
            box = options.around(thing, "rotated box", rotated(box, degrees))
    elif (shape := _shape(thing)) is not None:
        box = options.around(shape, shape.tag, _points(shape))
    else:
        box = options.around(thing, "object without <bndbox>", [])
    return thing, name, None if box is None else options.edges(box, tool_corners), extra


def _degrees(thing):
    """How far CVAT says that a box is turned, whose corners are those before the turn."""
    attributes = thing.child("attributes")
    for attribute in attributes.children("attribute") if attributes is not None else []:
        if attribute.text("name", default="") == "rotation":
            return attribute.number("value")
    return 0.0


def _shape(thing):
    return next(thing.children(*SHAPES), None)


def _points(shape):
    """Corners of a shape; the control points of curves, as in ``x1_c1``, are none."""
    points = {}
    for child in shape.children():
        axis, number = child.tag[:1], child.tag[1:]
        if axis in ("x", "y") and number.isascii() and number.isdigit() and len(number) < 10:
            points.setdefault(int(number), {})[axis] = shape.number(child.tag)
    for number, point in points.items():
        if len(point) < 2:
            shape.fail(f"point {number} has no {'xy'.strip(next(iter(point)))}.")
    return [(point["x"], point["y"]) for point in points.values()]


def _flag(text):
    return int(text) if text in ("0", "1") else text
