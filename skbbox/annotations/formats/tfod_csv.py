"""The CSV from which people make TF Object Detection's records: pixels, one row for each box."""

from ..documents import known_size, parse_numbers
from ..record import BoxRecord

__all__ = ["read", "recognises"]

FILES = "CSV"
COORDINATES = "pixels, edges"
SIZE = "columns"
EMPTY = "no row"

SIDES = ("xmin", "xmax", "ymin", "ymax")
COLUMNS = ("filename", "class", "width", "height", *SIDES)


def recognises(document):
    """Whether the first line of `document` has the columns."""
    return document.kind == "csv" and set(COLUMNS) <= set(document.header())


def read(document, options):
    """Records of the CSV."""
    if document.kind != "csv":
        document.fail("this is not CSV.")
    for line, (image, class_name, *values) in document.table(COLUMNS):
        width, height, *box = parse_numbers(values, line, COLUMNS[2:])
        yield BoxRecord(line, image, class_name, tuple(box), known_size(width, height))
