"""Class names from the files next to annotations."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from .nodes import Line, Node

__all__ = ["ClassNames", "find_class_names", "read_class_names"]

#: Names in the order of their numbers, or by number or code.
ClassNames: TypeAlias = list[str] | Mapping[Any, str]

#: Size of the largest file that is read, in bytes.
MAX_BYTES = 2**20
_NAMES = re.compile(rb"^names\s*:", re.MULTILINE)


def read_class_names(path: Path) -> ClassNames:
    """Read class names from a file.

    Parameters
    ----------
    path : Path
        YAML with the key ``names``; CSV with a code and a name per row, as in the
        ``class-descriptions`` of Open Images; or text with one name per line.

    Returns
    -------
    list of str, or dict of int or str to str
    """
    if path.suffix.lower() in (".yaml", ".yml"):
        names = _read_yaml(path)
        if names is None:
            Node(None, path).fail("the key names is missing.")
        return names
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    return _read_lines(path)


def find_class_names(folder: Path) -> ClassNames | None:
    """Find class names in a folder of annotation files or the two folders above it.

    Parameters
    ----------
    folder : Path
        Searched for ``classes.txt``, ``obj.names`` or other ``.names`` files, and YAML files with
        the key ``names``.

    Returns
    -------
    list of str, dict of int to str, or None
    """
    for place in (folder, *folder.parents[:2]):
        for candidate in (place / "classes.txt", *sorted(place.glob("*.names"))):
            if candidate.is_file():
                return _read_lines(candidate)
        for candidate in sorted((*place.glob("*.yaml"), *place.glob("*.yml"))):
            # YAML files of other tools have no such line.
            if candidate.is_file() and _NAMES.search(candidate.read_bytes()[:MAX_BYTES]):
                names = _read_yaml(candidate)
                if names is not None:
                    return names
    return None


def _read_lines(path: Path) -> list[str]:
    names = [line.strip() for line in _read_small_file(path).rstrip().splitlines()]
    if "" in names:
        Line(path, names.index("") + 1).fail("the class name is missing.")
    return names


def _read_csv(path: Path) -> dict[str, str]:
    try:
        rows = list(csv.reader(_read_small_file(path).splitlines()))
    except csv.Error as error:
        Node(None, path).fail(f"{error}.")
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != 2), None)
    if wrong is not None:
        Line(path, wrong).fail(
            f"expected a code and a class name. Received {len(rows[wrong - 1])} fields."
        )
    # Files of Open Images have had a header since version 6.
    return {key: name for key, name in rows if key != "LabelName"}


def _read_yaml(path: Path) -> ClassNames | None:
    """The value of the key ``names`` in a YAML file, or None."""
    place = Node(None, path)
    text = _read_small_file(path)
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        place.fail(f"not valid YAML: {error}.")
    names = content.get("names") if isinstance(content, dict) else None
    if names is None:
        return None
    values = names.values() if isinstance(names, dict) else names
    if isinstance(names, (list, dict)) and all(_is_name(name) for name in values):
        return names
    place.fail(
        "names must be a list of names, or lines such as 0: name. Write the names yes, no, on and "
        "off in quotation marks."
    )


def _is_name(value: object) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _read_small_file(path: Path) -> str:
    place = Node(None, path)
    try:
        if path.stat().st_size > MAX_BYTES:
            place.fail(f"a file of class names may have at most {MAX_BYTES} bytes.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        place.fail(f"not UTF-8: {error}; save it as UTF-8.")
    except OSError as error:
        place.fail(f"cannot be read: {error.strerror}.")
