"""WIDER FACE: text with the name of an image, the number of its faces, and a row for each.

References
----------
.. [1] S. Yang et al., "WIDER FACE: A Face Detection Benchmark", 2016, and ``readme.txt`` of the
   annotations: ``x1, y1, w, h, blur, expression, illumination, invalid, occlusion, pose``. An image
   with 0 faces is followed by a row of zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from ..image_files import has_image_ending
from ..nodes import parse_numbers
from ..record import BoxRecord, make_records

if TYPE_CHECKING:
    from ..documents import Document
    from ..nodes import Line
    from ..options import Options
    from ..record import FoundBox

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "`wider_face_*_bbx_gt.txt`"
COORDINATES = "pixels, edges, x, y, width, height"
SIZE = "from the image"
EMPTY = "number of faces 0"

NAMES = (
    *("x1", "y1", "w", "h", "blur", "expression", "illumination", "invalid", "occlusion"),
    "pose",
)
#: The only class.
CLASS = "face"


def recognises(document: Document) -> bool:
    """Whether `document` begins with an image, a number of faces and a row of ten numbers."""
    if document.kind != "text" or not has_image_ending(document.first_line.strip()):
        return False
    lines = [text.split() for _, text in islice(document.iter_lines(), 3)]
    counts = [len(fields) for fields in lines[1:]]
    return counts in ([1], [1, 10]) and lines[1][0].isdigit()


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of the file."""
    if document.kind != "text":
        document.fail("expected text, WIDER FACE's kind of file.")
    lines = document.iter_lines()
    for line, text in lines:
        image = text.strip()
        if not has_image_ending(image):
            line.fail(f"expected the name of an image. Received: {image[:80]!r}.")
        place, number = next(lines, (line, ""))
        if not (number.strip().isascii() and number.strip().isdigit() and len(number) < 10):
            place.fail(f"expected the number of faces of {image}. Received: {number[:80]!r}.")
        found = []
        # An image without faces has a row of zeros.
        for i in range(max(int(number), 1)):
            row, values = next(lines, (place, ""))
            if len(values.split()) != len(NAMES):
                row.fail(
                    f"expected {len(NAMES)} numbers of face {i + 1} of {int(number)} on {image}. "
                    f"Received: {values[:80]!r}."
                )
            found.append(_read_face(row, values.split()))
        yield from make_records(line, image, found if int(number) else [], None)


def _read_face(line: Line, fields: list[str]) -> FoundBox:
    x, y, width, height, *flags = parse_numbers(fields, line, NAMES)
    extra = dict(zip(NAMES[4:], map(int, flags), strict=True))
    return line, CLASS, (x, x + width, y, y + height), extra
