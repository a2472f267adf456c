"""Simple Image Annotator: CSV without quotes, in which names may hold commas."""

from ..documents import parse_numbers
from ..image_files import ENDINGS
from ..record import BoxRecord

__all__ = ["read", "recognises"]

FILES = "CSV, also without a header"
COORDINATES = "pixels, edges"
SIZE = "of the image"
EMPTY = "no row"

HEADER = "image,id,name,xMin,xMax,yMin,yMax"


def recognises(document):
    """Whether the first line of `document` is the tool's header, or one of its rows."""
    if document.kind != "csv":
        return False
    line = document.first_line
    return line.strip() == HEADER or _is_row(line.split(","))


def read(document, options):
    """Records of the CSV; with ``--out``, the tool writes no header, and appends."""
    for place, text in document.lines():
        if text.strip() == HEADER:
            continue
        fields = text.split(",")
        if len(fields) < 7:
            place.fail(f"7 fields or more are wanted. Received {len(fields)}.")
        # Names of images and of classes may hold commas; the number between them has none.
        of_id = _place_of_id(fields)
        if of_id is None:
            place.fail(f"the number of the box, {HEADER.split(',')[1]}, is missing.")
        image, name = ",".join(fields[:of_id]), ",".join(fields[of_id + 1 : -4])
        box = parse_numbers(fields[-4:], place, HEADER.split(",")[-4:])
        yield BoxRecord(place, image, name, box, None)


def _place_of_id(fields):
    """Which field is the number of the box: the first number, behind the name of an image."""
    numbers = [i for i in range(1, len(fields) - 5) if fields[i].isdigit()]
    behind_names = [i for i in numbers if fields[i - 1].lower().endswith(ENDINGS)]
    return next(iter(behind_names or numbers), None)


def _is_row(fields):
    """Whether these are the fields of a row: no number stands beside that of the box."""
    if len(fields) < 7 or not all(text.strip().lstrip("-").isdigit() for text in fields[-4:]):
        return False
    of_id = _place_of_id(fields)
    return of_id is not None and not fields[of_id + 1].isdigit()
