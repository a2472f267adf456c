"""Class names from the files next to annotations."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeAlias

import yaml

from ..exceptions import AnnotationError
from .nodes import Line, Node

__all__ = [
    "NAME_FILES",
    "SPLITS",
    "ClassNames",
    "FoundNames",
    "find_class_names",
    "parse_yaml",
    "read_class_names",
    "read_kpt_shape",
]

#: Names in the order of their numbers, or by number or code.
ClassNames: TypeAlias = list[str] | Mapping[Any, str]

#: Names of files with one class name per line.
NAME_FILES = (
    *("classes.txt", "class_names.txt", "class-names.txt", "classnames.txt", "class_list.txt"),
    *("class_labels.txt", "label_names.txt", "obj_names.txt", "names.txt", "categories.txt"),
    *("predefined_classes.txt", "_classes.txt"),
)
#: Numbers of folders above the labels in which names are looked for.
N_NEAR, N_FAR = 2, 4
#: Keys of YAML files with folders of images.
SPLITS = ("train", "val", "valid", "validation", "test", "minival")
#: How sure it is that names belong to the labels: their file lists other folders; nothing
#: contradicts it; it has the usual name, or lists folders of the same names; it lists this folder.
OTHERS, POSSIBLE, OWN, LISTED = range(4)


class FoundNames(NamedTuple):
    """What the files next to YOLO's labels say about them.

    Attributes
    ----------
    names : list, dict or None
        Class names.
    kpt_shape : (int, int) or None
        Number of keypoints in each row, and of the values of each.
    unused : tuple of Path
        YAML files with class names that list other folders, if no names were found.
    """

    names: ClassNames | None
    kpt_shape: tuple[int, int] | None
    unused: tuple[Path, ...] = ()


class _Source(NamedTuple):
    rank: int
    path: Path
    names: ClassNames
    kpt_shape: tuple[int, int] | None = None


#: Size of the largest file that is read, in bytes.
MAX_BYTES = 2**20
#: A line of ImageNet's LOC_synset_mapping.txt or Tiny ImageNet's words.txt.
_CODED = re.compile(r"(n[0-9]{8})\s+(.+)")
_NAMES = re.compile(rb"^names\s*:", re.MULTILINE)


def read_class_names(path: Path) -> ClassNames:
    """Read class names from a file.

    Parameters
    ----------
    path : Path
        YAML with the key ``names``; CSV with a code and a name per row, as in the
        ``class-descriptions`` of Open Images; or text with one name per line, or with WordNet's
        number and a name per line, as for ImageNet.

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
    lines = _read_lines(path)
    coded = [match for match in map(_CODED.fullmatch, lines) if match]
    if lines and len(coded) == len(lines):
        return dict(enumerate(lines)) | {match[1]: match[2] for match in coded}
    return lines


def read_kpt_shape(path: Path) -> tuple[int, int] | None:
    """Read the key ``kpt_shape`` of a YAML file; None for other files."""
    if path.suffix.lower() not in (".yaml", ".yml"):
        return None
    return _get_kpt_shape(parse_yaml(path), path)


def find_class_names(folder: Path, root: Path | None = None) -> FoundNames:
    """Find the class names of YOLO's files in a folder, in it or above it.

    The nearest folder with a file of names that can be theirs is used. Names in the same folder as
    others that are surely theirs are ignored.

    Parameters
    ----------
    folder : Path
        Absolute. It and the two folders above it are searched for ``classes.txt``, ``.names`` and
        YAML with the key ``names``; up to four folders above it, for YAML that lists this folder.
    root : Path, default=None
        Folder above it up to which all of these are searched for.

    Returns
    -------
    FoundNames
    """
    names: ClassNames | None = None
    kpt_shape: tuple[int, int] | None = None
    unused: list[Path] = []
    for level, place in enumerate((folder, *folder.parents)):
        is_near = level <= N_NEAR or (root is not None and place.is_relative_to(root))
        if level > N_FAR and not is_near:
            break
        sources = _list_yaml(place, folder, is_near)
        unused += [source.path for source in sources if source.rank == OTHERS]
        if names is None:
            texts = _list_texts(place, folder) if is_near else []
            chosen = _choose_source(place, [*texts, *sources])
            names = None if chosen is None else chosen.names
        if kpt_shape is None:
            shapes = [source.kpt_shape for source in sources if source.rank > OTHERS]
            kpt_shape = next((shape for shape in shapes if shape is not None), None)
    return FoundNames(names, kpt_shape, tuple(unused) if names is None else ())


def _choose_source(place: Path, sources: list[_Source]) -> _Source | None:
    """The source of the highest rank; several of them must agree."""
    best = max((source.rank for source in sources), default=OTHERS)
    chosen = [source for source in sources if source.rank == best > OTHERS]
    # A program may have rewritten classes.txt, so it must not contradict a YAML of the data set.
    rivals = [source for source in sources if source.rank >= min(best, OWN)] if chosen else []
    for rival in rivals:
        if _as_dict(rival.names) != _as_dict(chosen[0].names):
            Node(None, place).fail(
                f"{chosen[0].path.name} and {rival.path.name} hold different class names; pass the "
                "right file with class_names=."
            )
    return chosen[0] if chosen else None


def _as_dict(names: ClassNames) -> dict[str, str]:
    items = names.items() if isinstance(names, Mapping) else enumerate(names)
    return {str(key): str(name) for key, name in items}


def _list_texts(place: Path, folder: Path) -> list[_Source]:
    paths = [path for name in NAME_FILES if (path := place / name).is_file()]
    sources = [_Source(OWN, path, _read_lines(path)) for path in paths]
    # Other data sets have files such as coco.names; this one's may be named after a folder.
    below = {part.lower() for part in (place.name, *folder.relative_to(place).parts)}
    for path in sorted(place.glob("*.names")):
        is_own = path.stem.lower() in ("obj", *below) or place == folder
        if path.is_file():
            sources.append(_Source(OWN if is_own else POSSIBLE, path, _read_lines(path)))
    if len(own := [source for source in sources if source.path.stem == "obj"]) == 1:
        return [source for source in sources if source.path.suffix != ".names"] + own
    return sources


def _list_yaml(place: Path, folder: Path, is_near: bool) -> list[_Source]:
    sources = []
    for path in sorted((*place.glob("*.yaml"), *place.glob("*.yml"))):
        # YAML files of other tools have no such line.
        if not path.is_file() or not _NAMES.search(path.read_bytes()[:MAX_BYTES]):
            continue
        try:
            content = parse_yaml(path)
            names = _get_names(content, path)
        except AnnotationError:
            if is_near:
                raise
            continue
        if names is None:
            continue
        rank = _rank_yaml(content, place, folder)
        if is_near or rank >= OWN:
            sources.append(_Source(rank, path, names, _get_kpt_shape(content, path)))
    return sources


def _rank_yaml(content: Mapping[Any, Any], place: Path, folder: Path) -> int:
    """Whether the images that a YAML lists are those of a folder of labels."""
    root = PurePosixPath(str(content.get("path") or ""))
    entries: list[PurePosixPath] = []
    for key in SPLITS:
        value = content.get(key)
        found = value if isinstance(value, list) else [value]
        texts = [entry.strip().replace("\\", "/") for entry in found if isinstance(entry, str)]
        entries += [PurePosixPath(text) for text in texts if text]
    # A list of images, and an address for a download, do not name a folder.
    entries = [entry for entry in entries if entry.suffix != ".txt"]
    if not entries:
        return POSSIBLE
    own = PurePosixPath(folder.as_posix())
    for entry in entries:
        listed = PurePosixPath(os.path.normpath(place / root / entry))
        if any(own.is_relative_to(labels) for labels in _list_label_folders(listed)):
            return LISTED
    # The data set may have been moved since, and with it the folders that are listed.
    has_root = root.name not in ("", ".", "..")
    for entry in entries:
        full = root / entry if has_root else entry
        parts = [part for part in full.parts if part not in ("/", ".", "..")]
        if has_root:
            parts = parts[parts.index(root.name) :] if root.name in parts else parts
        for labels in _list_label_folders(PurePosixPath(*parts)):
            n = len(labels.parts)
            if n > 1 and any(end[-n:] == labels.parts for end in _list_ends(own)):
                return OWN
    return OTHERS


def _list_ends(folder: PurePosixPath) -> list[tuple[str, ...]]:
    return [folder.parts[:i] for i in range(len(folder.parts), 0, -1)]


def _list_label_folders(images: PurePosixPath) -> list[PurePosixPath]:
    """Folders of the labels of a folder of images: itself, or labels in place of images."""
    parts = images.parts
    if "images" not in parts:
        return [images]
    last = len(parts) - 1 - parts[::-1].index("images")
    return [PurePosixPath(*parts[:last], "labels", *parts[last + 1 :]), images]


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
    return _get_names(parse_yaml(path), path)


def parse_yaml(path: Path) -> Mapping[Any, Any]:
    """Content of a YAML file; empty if it is no mapping."""
    text = _read_small_file(path)
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        Node(None, path).fail(f"not valid YAML: {error}.")
    return content if isinstance(content, dict) else {}


def _get_names(content: Mapping[Any, Any], path: Path) -> ClassNames | None:
    names = content.get("names")
    if names is None:
        return None
    values = names.values() if isinstance(names, dict) else names
    if isinstance(names, (list, dict)) and all(_is_name(name) for name in values):
        return names
    Node(None, path).fail(
        "names must be a list of names, or lines such as 0: name. Write the names yes, no, on and "
        "off in quotation marks."
    )


def _get_kpt_shape(content: Mapping[Any, Any], path: Path) -> tuple[int, int] | None:
    """Number of keypoints and of the values of each, from the key ``kpt_shape``."""
    shape = content.get("kpt_shape")
    if shape is None:
        return None
    match shape:
        case [int(n_keypoints), 2 | 3 as n_values] if n_keypoints > 0:
            return n_keypoints, n_values
    Node(None, path).fail(
        "kpt_shape must be the number of keypoints, and 2 or 3 for the values of each. "
        f"Received: {shape!r}."
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
