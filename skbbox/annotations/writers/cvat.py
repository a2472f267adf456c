"""CVAT: its XML for images."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["IN_FOLDER", "NEEDS_SIZES", "write"]

IN_FOLDER = False
NEEDS_SIZES = True


def write(images: list[ImageWithBoxes]) -> dict[str, str]:
    """Text of CVAT's XML for images."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    for number, image in enumerate(images):
        width, height = (str(round(side)) for side in image.get_size())
        attributes = {"id": str(number), "name": image.name, "width": width, "height": height}
        element = ElementTree.SubElement(root, "image", attributes)
        for class_name, (x_min, x_max, y_min, y_max), _ in image.iter_pixel_boxes():
            corners = {"xtl": x_min, "ytl": y_min, "xbr": x_max, "ybr": y_max}
            attributes = {"label": class_name, "occluded": "0", "source": "manual"}
            attributes |= {name: repr(value) for name, value in corners.items()}
            ElementTree.SubElement(element, "box", attributes | {"z_order": "0"})
    ElementTree.indent(root)
    declaration = '<?xml version="1.0" encoding="utf-8"?>\n'
    return {"": declaration + ElementTree.tostring(root, encoding="unicode") + "\n"}
