"""Writers of annotation files, one module per tool or format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["Writer"]


class Writer(Protocol):
    """A module that writes a format; ``skbbox.annotations.writing.WRITTEN_FORMATS`` lists them.

    Attributes
    ----------
    IN_FOLDER : bool
        Whether the format is a folder of files, and not a single file.
    NEEDS_SIZES : bool
        Whether boxes are written in pixels.
    """

    IN_FOLDER: bool
    NEEDS_SIZES: bool

    def write(self, images: list[ImageWithBoxes], /) -> dict[str, str]:
        """Text of each file by its name, which is "" if the format is a single file."""
