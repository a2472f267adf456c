"""Labelbox: lines of JSON that it imports as labels or predictions."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

from ...exceptions import AnnotationError
from ..record import choose_confidence

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["IN_FOLDER", "NEEDS_SIZES", "write"]

IN_FOLDER = False
NEEDS_SIZES = True


def write(images: list[ImageWithBoxes]) -> dict[str, str]:
    """Text of the JSON lines that Labelbox imports as labels or predictions."""
    lines = []
    for image in images:
        if not image.boxes:
            raise AnnotationError(
                "Labelbox cannot import an image without an object. "
                f"Received: {image.name}; leave it out."
            )
        for number, (name, (x_min, x_max, y_min, y_max), confidences) in enumerate(
            image.iter_pixel_boxes()
        ):
            box = {"top": y_min, "left": x_min, "height": y_max - y_min, "width": x_max - x_min}
            # Derived from the content, so that writing a box again gives the same identifier.
            key = uuid.uuid5(uuid.NAMESPACE_URL, f"{image.name}#{number}#{name}#{box}")
            line: dict[str, Any] = {"uuid": str(key), "dataRow": {"globalKey": image.name}}
            line |= {"name": name, "bbox": box}
            if (confidence := choose_confidence(confidences)) is not None:
                line["confidence"] = confidence
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return {"": "".join(lines)}
