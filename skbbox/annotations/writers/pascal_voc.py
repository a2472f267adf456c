"""Pascal VOC: one XML file per image."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ...exceptions import AnnotationError

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["IN_FOLDER", "NEEDS_SIZES", "write"]

IN_FOLDER = True
NEEDS_SIZES = True


def write(images: list[ImageWithBoxes]) -> dict[str, str]:
    """Text of the XML of each image by file name; corners are rounded to pixels."""
    files = {}
    stems = [PurePosixPath(image.name).stem for image in images]
    unique = len({stem.lower() for stem in stems}) == len(stems)
    for image, stem in zip(images, stems, strict=True):
        # The folders distinguish images with the same name.
        path = PurePosixPath(image.name)
        file = f"{stem if unique else '_'.join([*path.parent.parts, stem])}.xml"
        if file in files:
            raise AnnotationError(
                f"Pascal VOC names each file after its image, and {file} is already used. "
                f"Rename {image.name}."
            )
        for text in (image.name, *(class_name for class_name, _, _ in image.boxes)):
            if text != text.strip():
                raise AnnotationError(
                    "Names of images and classes in Pascal VOC must not begin or end with space. "
                    f"Received: {text!r}."
                )
        files[file] = _make_xml(image)
    return files


def _make_xml(image: ImageWithBoxes) -> str:
    width, height = map(round, image.get_size())
    root = ElementTree.Element("annotation")

    def add(parent: ElementTree.Element, **texts: str | int) -> None:
        for tag, text in texts.items():
            ElementTree.SubElement(parent, tag).text = str(text)

    add(root, folder="", filename=image.name)
    # `detect_tool` recognises this source, so that the corners are read as numbers of pixels.
    add(ElementTree.SubElement(root, "source"), database="skbbox", annotation="PASCAL VOC")
    add(ElementTree.SubElement(root, "size"), width=width, height=height, depth=3)
    add(root, segmented=0)
    for class_name, (x_min, x_max, y_min, y_max), _ in image.iter_pixel_boxes():
        element = ElementTree.SubElement(root, "object")
        add(element, name=class_name, pose="Unspecified", truncated=0, difficult=0)
        left, right = _to_pixel_numbers(x_min, x_max, width)
        top, bottom = _to_pixel_numbers(y_min, y_max, height)
        box = ElementTree.SubElement(element, "bndbox")
        add(box, xmin=left, ymin=top, xmax=right, ymax=bottom)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _to_pixel_numbers(low: float, high: float, side: int) -> tuple[int, int]:
    """Numbers of the first and last pixel between two edges, at least one pixel."""
    first = min(round(low) + 1, side)
    return first, max(first, min(round(high), side))
