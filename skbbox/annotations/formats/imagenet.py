"""ImageNet's boxes (CLS-LOC): XML per image, or Kaggle's ``LOC_train_solution.csv``.

References
----------
.. [1] O. Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", 2015, and its
   development kit: XML as in Pascal VOC, whose file names lack their extension, ``.JPEG``. Corners
   of 0 occur, so corners are edges between pixels, as in TensorFlow's script
   ``process_bounding_boxes.py``.
.. [2] Kaggle, "ImageNet Object Localization Challenge", data: columns ``ImageId`` and
   ``PredictionString`` with ``class x_min y_min x_max y_max`` for each box.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from ..nodes import Line, parse_numbers
from ..record import BoxRecord, ImageStem
from . import pascal_voc

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "one XML per image, or CSV `ImageId, PredictionString`"
COORDINATES = "pixels, edges"
SIZE = "in the XML; from the image"
EMPTY = "XML without objects, empty `PredictionString`"

COLUMNS = ("ImageId", "PredictionString")
SIDES = ("x_min", "y_min", "x_max", "y_max")

#: WordNet's number of a class, and whether a file name is one that was never filled in.
_WNID = re.compile(r"n[0-9]{8}")


def recognises(document: Document) -> bool:
    """Whether `document` names ImageNet as its source, or has the columns of Kaggle's CSV."""
    if document.kind == "csv":
        if document.parse_header() != list(COLUMNS):
            return False
        row = next(islice(document.iter_rows(), 1, 2), (0, ["", ""]))[1]
        return bool(_WNID.match(row[-1].strip())) or not row[-1].strip()
    database = pascal_voc.read_database(document)
    return database.startswith(("ILSVRC", "ImageNet")) and document.path.suffix != ""


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of an XML file or of the CSV; classes are WordNet's numbers.

    ``class_names`` may be the file ``LOC_synset_mapping.txt`` with their names.
    """
    if document.kind == "xml":
        # Some files contain "%s" in place of the name of the image.
        image = ImageStem(document.path.stem, ".JPEG", document.path)
        for record in pascal_voc.read_voc(document, options, "edges", image):
            name = record.class_name
            if name is not None:
                name = options.get_class_name(name, record.place)
            yield record._replace(class_name=name)
    elif document.kind == "csv":
        yield from _read_csv(document, options)
    else:
        document.fail("expected XML or CSV, ImageNet's kinds of file.")


def _read_csv(document: Document, options: Options) -> Iterator[BoxRecord]:
    for line, (image_id, text) in document.iter_table(COLUMNS):
        image = ImageStem(image_id.strip(), ".JPEG", document.path)
        extra = {"image_id": image_id}
        fields = text.split()
        if len(fields) % 5:
            line.fail(
                "PredictionString must hold a class and four numbers for each box. "
                f"Received {len(fields)} fields."
            )
        for start in range(0, len(fields), 5):
            box = _parse_box(fields[start + 1 : start + 5], line)
            class_name = options.get_class_name(fields[start], line)
            yield BoxRecord(line, image, class_name, box, None, extra)
        if not fields:
            yield BoxRecord(line, image, extra=extra)


def _parse_box(texts: list[str], line: Line) -> tuple[float, float, float, float]:
    x_min, y_min, x_max, y_max = parse_numbers(texts, line, SIDES)
    return x_min, x_max, y_min, y_max
