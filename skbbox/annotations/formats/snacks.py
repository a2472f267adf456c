"""The CSV of the chapter's snacks: normalised boxes, images at ``folder/image_id.jpg``.

The same with a column ``image`` in place of ``image_id`` and ``folder`` is what a table of boxes
becomes that does not fit: other folders, other endings, images without an object.
"""

import csv
import io
import os
from pathlib import PurePosixPath

from ...boxes import COORDINATES as SIDES
from ..documents import parse_number, parse_numbers
from ..record import BoxRecord

__all__ = ["read", "recognises", "write"]

FILES = "CSV `image_id, x_min, x_max, y_min, y_max, class_name, folder`, or `image` for both"
COORDINATES = "normalised, edges"
SIZE = "not needed"
EMPTY = "no row; with `image`, a row without class and box"
NEEDS_SIZES = False

COLUMNS = ("image_id", "class_name", "folder", *SIDES)
COLUMNS_BY_IMAGE = ("image", "class_name", *SIDES)


def recognises(document):
    """Whether the first line of `document` has the chapter's columns."""
    if document.kind != "csv":
        return False
    header = set(document.header())
    return set(COLUMNS) <= header or set(COLUMNS_BY_IMAGE) <= header


def read(document, options):
    """Records of the CSV; the folder of an image may differ from the class of a box in it."""
    if document.kind != "csv":
        document.fail("this is not CSV.")
    header = document.header()
    confidence = ["confidence"] if "confidence" in header else []
    if set(COLUMNS_BY_IMAGE) <= set(header) and not set(COLUMNS) <= set(header):
        columns = [*COLUMNS_BY_IMAGE, *confidence]
        for line, (image, class_name, *values) in document.table(columns):
            if not any((class_name, *values)):
                yield BoxRecord(line, image)
            else:
                yield _record(line, image, class_name, values, {})
        return
    for line, (image_id, class_name, folder, *values) in document.table([*COLUMNS, *confidence]):
        image = os.path.join(folder, f"{image_id}.jpg")
        yield _record(line, image, class_name, values, {"image_id": image_id, "folder": folder})


def _record(line, image, class_name, values, extra):
    box = parse_numbers(values[:4], line, SIDES)
    for text in values[4:]:
        extra["confidence"] = parse_number(text, line, "confidence") if text else None
    return BoxRecord(line, image, class_name, box, extra=extra)


def write(images):
    """Text of the CSV; the chapter's where all images fit it."""
    fit = all(image.boxes and _fits(image.name) for image in images)
    sure = any(confidence is not None for image in images for _, _, confidence in image.boxes)
    place = ["image_id"] if fit else ["image"]
    file = io.StringIO()
    # Space at the beginning is read as part of a name where it is quoted.
    names = {image.name for image in images} | {box[0] for image in images for box in image.boxes}
    quoted = any(part.startswith(" ") for name in names for part in name.split("/"))
    quoting = csv.QUOTE_NONNUMERIC if quoted else csv.QUOTE_MINIMAL
    writer = csv.writer(file, lineterminator="\n", quoting=quoting)
    writer.writerow(
        [*place, *SIDES, "class_name", *(["folder"] if fit else []), *(["confidence"] * sure)]
    )
    for image in images:
        path = PurePosixPath(image.name)
        first, last = ([path.stem], [str(path.parent)]) if fit else ([image.name], [])
        for class_name, box, confidence in image.boxes or [("", [""] * 4, "")]:
            writer.writerow([*first, *box, class_name, *last, *([confidence] * sure)])
    return {"": file.getvalue()}


def _fits(name):
    """Whether an image lies at ``folder/image_id.jpg``."""
    path = PurePosixPath(name)
    return path.suffix == ".jpg" and len(path.parts) == 2
