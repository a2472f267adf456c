"""Label Studio: tasks with annotations, or with predictions as a start for annotators.

Each image is a file that Label Studio serves: ``images_dir`` is the folder in its setting
``LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT``. The names of the tags are those of the template "Object
Detection with Bounding Boxes".

References
----------
.. [1] Label Studio, "Import pre-annotated data into Label Studio",
   https://labelstud.io/guide/predictions: ``predictions`` with ``model_version``, ``score`` and a
   ``result`` of regions in percent, whose identifiers differ.
.. [2] Label Studio, "Local storage", https://labelstud.io/guide/storage:
   ``/data/local-files/?d=`` is followed by a path below the folder that is served.
.. [3] Label Studio, ``annotation_templates/computer-vision/object-detection-with-bounding-boxes``,
   https://github.com/HumanSignal/label-studio.
"""

from __future__ import annotations

import json
import uuid
from statistics import fmean
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..record import choose_confidence

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["IN_FOLDER", "NEEDS_SIZES", "write"]

IN_FOLDER = False
NEEDS_SIZES = True

#: What precedes the path of a file that is served.
SERVED = "/data/local-files/?d="


def write(images: list[ImageWithBoxes]) -> dict[str, str]:
    """Text of the JSON list of tasks.

    Label Studio imports annotations and predictions; a file has predictions if one of its boxes
    has a confidence, else annotations. Never both, because readers take annotations alone then.
    """
    boxes = [box for image in images for box in image.boxes]
    is_predicted = any(choose_confidence(confidences) is not None for _, _, confidences in boxes)
    tasks = []
    for image in images:
        part: dict[str, Any] = {"result": _make_regions(image)}
        if is_predicted:
            part = {"model_version": "skbbox"} | part
            scores = [region["score"] for region in part["result"] if "score" in region]
            # Of a region without a score, the score of the prediction would be read as its own.
            if scores and len(scores) == len(part["result"]):
                part["score"] = fmean(scores)
        data = {"image": f"{SERVED}{quote(image.name)}"}
        tasks.append({"data": data, "predictions" if is_predicted else "annotations": [part]})
    return {"": json.dumps(tasks, ensure_ascii=False)}


def _make_regions(image: ImageWithBoxes) -> list[dict[str, Any]]:
    width, height = map(round, image.get_size())
    regions = []
    for number, (class_name, (x_min, x_max, y_min, y_max), confidences) in enumerate(image.boxes):
        x, y = 100 * x_min, 100 * y_min
        value = {"x": x, "y": y, "width": 100 * x_max - x, "height": 100 * y_max - y, "rotation": 0}
        # Derived from the content, so that writing a box again gives the same identifier.
        key = uuid.uuid5(uuid.NAMESPACE_URL, f"{image.name}#{number}#{class_name}#{value}")
        region: dict[str, Any] = {
            "id": str(key),
            "type": "rectanglelabels",
            "from_name": "label",
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": value | {"rectanglelabels": [class_name]},
        }
        if (confidence := choose_confidence(confidences)) is not None:
            region["score"] = confidence
        regions.append(region)
    return regions
