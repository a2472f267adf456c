"""Sizes that annotation files state, compared with those of the upright images."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from ..exceptions import ImageError
from ..files import as_path
from ..images import upright_size

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["StatedSizes"]

#: Number of images after which no more are opened if none was transposed.
MAX_OPENED = 1000
#: Number of boxes after which images are not looked for if none of them exists.
MAX_MISSING = 2000
#: Relative difference of two aspect ratios that are the same but for rounding.
TOLERANCE = 0.02
#: Kinds of chunks of a PNG that may hold the orientation, and the names of those of text.
TEXT_CHUNKS, TEXT_NAMES = (b"tEXt", b"zTXt", b"iTXt"), (b"XML:com.adobe.xmp", b"Raw profile type")


class StatedSizes:
    """Finds images whose width and height are exchanged in the annotation file.

    A program that ignores the EXIF orientation shows and stores such images before they are turned
    upright, and other programs after it; the file does not tell which of them drew the boxes.

    Attributes
    ----------
    transposed : dict of str to str
        Both sizes as text, by the path of the image.
    is_active : bool
        Whether further images may be found to be transposed.
    """

    def __init__(self) -> None:
        self.transposed: dict[str, str] = {}
        self.is_active = True
        self._n_missing = 0
        self._opened: set[str] = set()
        self._folder = ""
        self._names: set[str] = set()
        self._names_by_folder: dict[str, set[str]] = {}

    def find(self, path: str, size: tuple[float, float]) -> str | None:
        """Both sizes as text if the image exists and its size is transposed, else None."""
        folder, _, name = path.rpartition("/")
        if folder != self._folder or not self._names_by_folder:
            self._folder, self._names = folder, self._list_names(folder)
        if name not in self._names:
            self._n_missing += 1
            # The images are somewhere else.
            self.is_active = bool(self._opened) or self._n_missing < MAX_MISSING
            return None
        if path not in self._opened:
            if len(self._opened) >= MAX_OPENED and not self.transposed:
                self.is_active = False
                return None
            self._opened.add(path)
            if text := _describe(as_path(path), *size):
                self.transposed[path] = text
        return self.transposed.get(path)

    def _list_names(self, folder: str) -> set[str]:
        """Names of the files in a folder, which cost less than to look for each of them."""
        if folder not in self._names_by_folder:
            try:
                names = set(os.listdir(as_path(folder or ".")))
            except OSError:
                names = set()
            self._names_by_folder[folder] = names
        return self._names_by_folder[folder]


def _describe(path: Path, width: float, height: float) -> str | None:
    if width == height:
        return None
    try:
        upright_width, upright_height = _read_size(path)
    except (ImageError, OSError):
        return None  # `check_annotations` finds images that cannot be read.
    is_turned = (width > height) == (upright_width < upright_height)
    difference = abs(width * upright_width - height * upright_height)
    if not is_turned or difference > TOLERANCE * width * upright_width:
        return None
    return (
        f"{width:g} x {height:g} in the annotation file, {upright_width} x {upright_height} upright"
    )


def _read_size(path: Path) -> tuple[int, int]:
    """Width and height of the upright image; of a PNG, mostly without decoding it."""
    with path.open("rb") as file:
        start = file.read(24)
        if start.startswith(b"\x89PNG\r\n\x1a\n") and len(start) == 24 and not _is_turned(file):
            width, height = struct.unpack(">II", start[16:])
            return width, height
    return upright_size(path)


def _is_turned(file: BinaryIO) -> bool:
    """Whether a PNG may have an orientation, in a chunk before or after its pixels."""
    file.seek(8)
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        if kind == b"eXIf":
            return True
        start = file.read(min(length, 32)) if kind in TEXT_CHUNKS else b""
        if start.startswith(TEXT_NAMES):
            return True
        file.seek(length - len(start) + 4, os.SEEK_CUR)
    return False
