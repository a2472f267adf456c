"""Names of classes from the files that lie beside annotations."""

import csv
import re

import yaml

from .documents import Line, Node

__all__ = ["find_class_names", "read_class_names"]

#: Largest file that is read for names, in bytes.
LARGEST = 2**20
_NAMES = re.compile(rb"^names\s*:", re.MULTILINE)


def read_class_names(path):
    """Names of classes in a file.

    Parameters
    ----------
    path : Path
        YAML that has ``names``; CSV with what stands for a class and its name, as Open Images'
        ``class-descriptions``; or text with one name in a line.

    Returns
    -------
    list of str, or dict of int or str to str
    """
    if path.suffix.lower() in (".yaml", ".yml"):
        names = _in_yaml(path)
        if names is None:
            Node(None, path).fail("there is no key names.")
        return names
    if path.suffix.lower() == ".csv":
        return _in_csv(path)
    return _in_lines(path)


def find_class_names(folder):
    """Names of classes in a folder of boxes or in the two above it.

    Parameters
    ----------
    folder : Path
        Looked for are ``classes.txt``, ``obj.names`` or other ``.names``, and YAML files that
        have ``names``.

    Returns
    -------
    list of str, dict of int to str, or None
    """
    for place in (folder, *folder.parents[:2]):
        for candidate in (place / "classes.txt", *sorted(place.glob("*.names"))):
            if candidate.is_file():
                return _in_lines(candidate)
        for candidate in sorted((*place.glob("*.yaml"), *place.glob("*.yml"))):
            # Others than those of data sets may lie above: they hold no line with names.
            if candidate.is_file() and _NAMES.search(candidate.read_bytes()[:LARGEST]):
                names = _in_yaml(candidate)
                if names is not None:
                    return names
    return None


def _in_lines(path):
    names = [line.strip() for line in _small_text(path).rstrip().splitlines()]
    if "" in names:
        Line(path, names.index("") + 1).fail("the name of a class is missing.")
    return names


def _in_csv(path):
    try:
        rows = list(csv.reader(_small_text(path).splitlines()))
    except csv.Error as error:
        Node(None, path).fail(f"{error}.")
    wrong = next((number for number, row in enumerate(rows, 1) if len(row) != 2), None)
    if wrong is not None:
        Line(path, wrong).fail("a class and its name are wanted.")
    # Files of version 6 and later have a header, those before have none.
    return {key: name for key, name in rows if key != "LabelName"}


def _in_yaml(path):
    """What a YAML file has at ``names``, or None."""
    place = Node(None, path)
    try:
        content = yaml.safe_load(_small_text(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        place.fail(f"this is not whole YAML: {error}.")
    names = content.get("names") if isinstance(content, dict) else None
    if names is None:
        return None
    values = names.values() if isinstance(names, dict) else names
    if isinstance(names, (list, dict)) and all(_is_name(name) for name in values):
        return names
    return place.fail(
        "names is a list of names, or a whole number: name for each; yes, no, on and off need "
        "quotation marks."
    )


def _is_name(value):
    return isinstance(value, (str, int, float)) and not isinstance(value, bool)


def _small_text(path):
    place = Node(None, path)
    try:
        if path.stat().st_size > LARGEST:
            place.fail(f"names of classes in more than {LARGEST} bytes are refused.")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return place.fail(f"this is not UTF-8: {error}; save it as UTF-8.")
    except OSError as error:
        return place.fail(f"this cannot be read: {error.strerror}.")
