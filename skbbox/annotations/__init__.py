"""Reading, checking, cleaning and writing bounding boxes in the formats of annotation tools."""

from .checking import check_annotations
from .cleaning import clean_annotations
from .reading import read_annotations
from .selection import one_box_per_image
from .writing import write_annotations

__all__ = [
    "check_annotations",
    "clean_annotations",
    "one_box_per_image",
    "read_annotations",
    "write_annotations",
]
