"""Parts of the split, such as train and val, in the names of folders and files."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from .documents import Document

__all__ = ["FolderSplits"]

#: Folders of the parts of a data set; CVAT's for YOLO begin with obj_.
_SPLIT = re.compile(
    r"(?:obj_)?(train|training|val|valid|validation|test|testing)(?:_data|[0-9]{4})?",
    re.IGNORECASE,
)


class FolderSplits:
    """Finds the part of the split of each file of a folder.

    Parameters
    ----------
    root : Path or None
        Absolute path of the folder that is read; without it, no split is found.
    """

    def __init__(self, root: Path | None) -> None:
        self._root = root
        self._by_folder: dict[str, str | None] = {}

    def find(self, document: Document) -> str | None:
        """The part that YAML, a folder above the file or the name of a file of images shows."""
        if self._root is None or document.split is not None:
            return document.split
        folder, name = os.path.split(document.path)
        if folder not in self._by_folder:
            parts = os.path.relpath(folder or ".", self._root).split(os.sep)
            found = [match[1].lower() for part in parts if (match := _SPLIT.fullmatch(part))]
            self._by_folder[folder] = found[0] if found else None
        split = self._by_folder[folder]
        if split is not None or document.kind not in ("csv", "json"):
            return split
        parts = re.split(r"[_.\-]", name.rpartition(".")[0])
        in_name = {match[1].lower() for part in parts if (match := _SPLIT.fullmatch(part))}
        return in_name.pop() if len(in_name) == 1 else None
