"""Drawn pictures, small public data sets, and a loader for annotated folders."""

from .folders import load_annotated_folder
from .public import fetch_asl_letters, fetch_microcontrollers, fetch_raccoons
from .shapes import make_shapes

__all__ = [
    "fetch_asl_letters",
    "fetch_microcontrollers",
    "fetch_raccoons",
    "load_annotated_folder",
    "make_shapes",
]
