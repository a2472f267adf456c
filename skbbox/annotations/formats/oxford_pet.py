"""Oxford-IIIT Pet: XML with the head of a cat or dog, and ``list.txt`` with the breeds.

References
----------
.. [1] O. M. Parkhi et al., "Cats and Dogs", 2012, and the README of the annotations: XML with the
   head in Pascal VOC's format; ``list.txt`` with ``image class_id species breed_id``, where species
   1 is a cat and 2 a dog. The breed is the name of the image without its number.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..documents import Document
from ..record import BoxRecord
from . import pascal_voc

if TYPE_CHECKING:
    from ..options import Options

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "one XML per image, or `list.txt` with `xmls/` next to it"
COORDINATES = "pixels, 1-based inclusive"
SIZE = "in the XML"
EMPTY = "XML without objects"

SPECIES = {"1": "cat", "2": "dog"}
ATTRIBUTES = ("species", "breed")
#: Names of images have no folder: they are not to lead outside ``xmls/``.
_ROW = re.compile(r"[^\s/\\]+_[0-9]+ [0-9]+ [12] [0-9]+")


def recognises(document: Document) -> bool:
    """Whether `document` names the data set, or is its list of images."""
    if document.path.name == "list.txt":
        first = document.first_line
        return first.startswith("#Image CLASS-ID SPECIES") or bool(_ROW.fullmatch(first.strip()))
    return "OXFORD-IIIT Pet" in pascal_voc.read_database(document)


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of an XML file, or of the images of the list.

    The class is the species; with ``class_attribute="breed"``, the breed. Images of the list
    without XML have a class and no box.
    """
    attribute = options.class_attribute or "species"
    if attribute not in ATTRIBUTES:
        document.fail(
            f"class_attribute must be one of {list(ATTRIBUTES)}. Received: {attribute!r}."
        )
    records = _read_list(document, options) if document.kind == "text" else None
    if records is None:
        records = _read_xml(document, options)
    for record in records:
        is_named = record.class_name is not None and attribute == "breed"
        yield record._replace(class_name=record.extra["breed"]) if is_named else record


def _read_xml(document: Document, options: Options) -> Iterator[BoxRecord]:
    breed = document.path.stem.rpartition("_")[0]
    return pascal_voc.read_voc(document, options, "voc", breed=breed)


def _read_list(document: Document, options: Options) -> Iterator[BoxRecord]:
    for line, text in document.iter_lines():
        if text.startswith("#"):
            continue
        fields = text.split()
        if not _ROW.fullmatch(" ".join(fields)):
            line.fail(
                "expected an image, the numbers of its class, of its species (1 or 2) and of its "
                f"breed. Received: {text[:80]!r}."
            )
        path = document.path.parent / "xmls" / f"{fields[0]}.xml"
        # Unlike Path.is_file, False for a name that is too long.
        if os.path.isfile(path):
            yield from _read_xml(Document(path), options)
        else:
            breed = fields[0].rpartition("_")[0]
            image, extra = f"{fields[0]}.jpg", {"breed": breed}
            yield BoxRecord(line, image, SPECIES[fields[2]], None, extra=extra)
