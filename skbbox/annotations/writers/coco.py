"""COCO: one JSON file with images, categories and boxes as x, y, width, height."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..record import choose_confidence

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["IN_FOLDER", "NEEDS_SIZES", "write"]

IN_FOLDER = False
NEEDS_SIZES = True


def write(images: list[ImageWithBoxes]) -> dict[str, str]:
    """Text of the JSON file; the confidence becomes the score, as in COCO's results."""
    names = sorted({class_name for image in images for class_name, _, _ in image.boxes})
    categories = {name: number for number, name in enumerate(names, start=1)}
    root: dict[str, list[dict[str, Any]]] = {"images": [], "annotations": [], "categories": []}
    for number, image in enumerate(images, start=1):
        width, height = map(round, image.get_size())
        root["images"].append(
            {"id": number, "file_name": image.name, "width": width, "height": height}
        )
        for class_name, (x_min, x_max, y_min, y_max), confidences in image.iter_pixel_boxes():
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
            if (confidence := choose_confidence(confidences)) is not None:
                annotation["score"] = confidence
            root["annotations"].append(annotation)
    root["categories"] = [{"id": number, "name": name} for name, number in categories.items()]
    return {"": json.dumps(root, ensure_ascii=False)}
