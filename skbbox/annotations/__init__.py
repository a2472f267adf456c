"""Boxes from the files that annotation tools write, one module per tool."""

from .reading import read_annotations
from .selection import one_box_per_image

__all__ = ["one_box_per_image", "read_annotations"]
