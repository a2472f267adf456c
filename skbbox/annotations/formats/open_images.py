"""Open Images: CSV with normalised corners, and classes by codes such as /m/031n1."""

from ..documents import parse_numbers
from ..record import BoxRecord

__all__ = ["read", "recognises"]

FILES = "CSV"
COORDINATES = "normalised, edges"
SIZE = "not needed"
EMPTY = "no row"

SIDES = ("XMin", "XMax", "YMin", "YMax")
#: Columns that say something of a box, and what they become; -1 is not known.
FLAGS = {
    "IsOccluded": "occluded",
    "IsTruncated": "truncated",
    "IsGroupOf": "group_of",
    "IsDepiction": "depiction",
    "IsInside": "inside",
}


def recognises(document):
    """Whether the first line of `document` has the columns."""
    return document.kind == "csv" and {"ImageID", "LabelName", *SIDES} <= set(document.header())


def read(document, options):
    """Records of the CSV; ``class_names`` takes the file of class descriptions."""
    if document.kind != "csv":
        document.fail("this is not CSV.")
    flags = [name for name in FLAGS if name in document.header()]
    for line, (image, label, *values) in document.table(["ImageID", "LabelName", *SIDES, *flags]):
        box = parse_numbers(values[:4], line, SIDES)
        extra = {"image_id": image}
        for name, text in zip(flags, values[4:], strict=True):
            if text not in ("0", "1", "-1"):
                line.fail(f"{name} is 0, 1 or -1. Received: {text[:80]!r}.")
            extra[FLAGS[name]] = None if text == "-1" else int(text)
        yield BoxRecord(line, f"{image}.jpg", options.class_name(label, line), box, extra=extra)
