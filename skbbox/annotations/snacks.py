"""The CSV of the chapter's snacks: normalised boxes, images at ``folder/image_id.jpg``."""

import os

from ..boxes import COORDINATES as SIDES
from .documents import parse_numbers
from .record import BoxRecord

__all__ = ["read", "recognises"]

FILES = "CSV `image_id, x_min, x_max, y_min, y_max, class_name, folder`"
COORDINATES = "normalised, edges"
SIZE = "not needed"
EMPTY = "no row"

COLUMNS = ("image_id", "class_name", "folder", *SIDES)


def recognises(document):
    """Whether the first line of `document` has the chapter's columns."""
    return document.kind == "csv" and set(COLUMNS) <= set(document.header())


def read(document, options):
    """Records of the CSV; the folder of an image may differ from the class of a box in it."""
    if document.kind != "csv":
        document.fail("this is not CSV.")
    for line, (image_id, class_name, folder, *values) in document.table(COLUMNS):
        image = os.path.join(folder, f"{image_id}.jpg")
        box = parse_numbers(values, line, SIDES)
        extra = {"image_id": image_id, "folder": folder}
        yield BoxRecord(line, image, class_name, box, extra=extra)
