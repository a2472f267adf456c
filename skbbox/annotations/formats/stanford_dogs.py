"""Stanford Dogs: one XML per image in a file without an extension.

References
----------
.. [1] A. Khosla et al., "Novel Dataset for Fine-Grained Image Categorization", 2011,
   http://vision.stanford.edu/aditya86/ImageNetDogs/: ``Annotation/CLASS/NAME`` describes
   ``Images/CLASS/NAME.jpg``, as XML of ImageNet whose classes are breeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..record import BoxRecord, ImageStem
from . import pascal_voc

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options

__all__ = ["COORDINATES", "EMPTY", "FILES", "SIZE", "read", "recognises"]

FILES = "one XML per image, without a file extension"
COORDINATES = "pixels, edges"
SIZE = "in the XML"
EMPTY = "XML without objects"


def recognises(document: Document) -> bool:
    """Whether `document` is ImageNet's XML in a file without an extension."""
    is_plain = document.path.suffix == ""
    return is_plain and pascal_voc.read_database(document).startswith("ImageNet")


def read(document: Document, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of an XML file; a name such as ``%s`` in it is not used."""
    image = ImageStem(document.path.name, ".jpg", document.path)
    return pascal_voc.read_voc(document, options, "edges", image)
