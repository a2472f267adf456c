"""Readers of annotation files, one module per tool or format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options
    from ..record import BoxRecord

__all__ = ["Format", "Reader"]


class Format(Protocol):
    """A module that knows a format; ``skbbox.annotations.reading.FORMATS`` lists them.

    Attributes
    ----------
    FILES, COORDINATES, SIZE, EMPTY : str
        Cells of the table of formats in the documentation: kinds of file, coordinates, where
        the size of the image is, and how an image without an object is stored.
    """

    FILES: str
    COORDINATES: str
    SIZE: str
    EMPTY: str

    def recognises(self, document: Document, /) -> bool:
        """Whether the content of a file shows this format."""


class Reader(Format, Protocol):
    """A module that reads the files of a format one by one."""

    def read(self, document: Document, options: Options, /) -> Iterator[BoxRecord]:
        """Yield the records of a file."""
