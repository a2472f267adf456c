"""Hugging Face's folders of images: ``metadata.jsonl`` with a line per image.

References
----------
.. [1] Hugging Face, "Create an image dataset", section "ImageFolder",
   https://huggingface.co/docs/datasets/image_dataset: ``file_name``, relative to the file, and
   ``objects`` with the lists ``bbox`` (x, y, width, height in pixels) and ``categories``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["IN_FOLDER", "NEEDS_SIZES", "write"]

IN_FOLDER = False
NEEDS_SIZES = True


def write(images: list[ImageWithBoxes]) -> dict[str, str]:
    """Text of the JSON lines; ``width`` and ``height`` save readers from opening the images."""
    lines = []
    for image in images:
        width, height = map(round, image.get_size())
        objects: dict[str, list[Any]] = {"bbox": [], "categories": []}
        for class_name, (x_min, x_max, y_min, y_max), _ in image.iter_pixel_boxes():
            objects["bbox"].append([x_min, y_min, x_max - x_min, y_max - y_min])
            objects["categories"].append(class_name)
        line = {"file_name": image.name, "width": width, "height": height, "objects": objects}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return {"": "".join(lines)}
