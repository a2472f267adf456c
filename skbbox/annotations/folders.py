"""The annotation files of a folder, of a pattern or of a data set's YAML, and what is skipped."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

from ..exceptions import AnnotationError
from .class_names import SPLITS, ClassNames, parse_yaml, read_class_names, read_kpt_shape
from .documents import Document
from .formats import (
    coco,
    cub,
    imagenet,
    labelme,
    oxford_pet,
    roboflow,
    stanford_dogs,
    wider_face,
    yolo,
)
from .image_files import get_label_path, has_image_ending

__all__ = ["GONE", "UNKNOWN", "Found", "describe_unknown", "find_documents", "is_ignored"]

#: File extensions of the annotation files in a folder.
ENDINGS = (".csv", ".json", ".jsonl", ".ndjson", ".manifest", ".tsv", ".txt", ".xml")
#: Names, up to the first dot, of files in a folder that describe it and hold no boxes.
ABOUT = ("readme", "license", "licence", "changelog")
#: File extensions of lists of classes.
NAME_ENDINGS = (".yaml", ".yml", ".names", ".data", ".labels")
#: Lists of images and classes of public data sets.
LISTS = ("wnids.txt", "words.txt", "attributes.txt", "loc_synset_mapping.txt", "groups.csv")
#: JSON of labelling tools that describes a data set or its classes.
SIDE_FILES = (
    *("notes.json", "meta.json", "key_id_map.json", "obj_class_to_machine_color.json"),
    *("classes.json", "metadata.json", "dataset_meta.json"),
)
#: Why files are skipped.
DESCRIBES, LISTED = "describes the data", "a list of classes, images or groups"
OTHER_KIND, OTHER_FILES = "not a kind of file with boxes", "other files have the same boxes"
UNKNOWN, GONE = "of no known format", "not found in or beside the folder of the YAML"


class Found(NamedTuple):
    """The files of a source.

    Attributes
    ----------
    documents : list of Document
    skipped : dict of str to str
        Files that are not read, and why; those of a pattern and images are left out.
    root : Path or None
        The folder, if the source is one, or YAML in it.
    empty_images : list of (str, str)
        Images that YAML lists without a file of boxes, and their part of the split.
    names, kpt_shape
        Class names and shape of keypoints in YAML.
    """

    documents: list[Document]
    skipped: dict[str, str] = {}
    root: Path | None = None
    empty_images: list[tuple[str, str]] = []
    names: ClassNames | None = None
    kpt_shape: tuple[int, int] | None = None


def find_documents(source: Path) -> Found:
    """The annotation files of a file, a folder, a pattern or YAML of YOLO, sorted by name."""
    if source.is_dir():
        return _search_folder(source)
    if source.suffix.lower() in (".yaml", ".yml") and source.is_file():
        return _read_data_yaml(source)
    if source.exists():
        return Found([Document(source)])
    paths = [Path(path) for path in sorted(glob.glob(str(source), recursive=True))]
    paths = [path for path in paths if path.is_file()]
    if not paths:
        raise FileNotFoundError(
            f"{source} does not exist (working directory: {Path.cwd()}); pass the path of an "
            "annotation file, a folder of them, or a pattern."
        )
    documents = [Document(path) for path in paths]
    if len(documents) > 1:
        documents = [document for document in documents if not _is_side_file(document)]
    return Found(documents)


def describe_unknown(document: Document) -> str:
    """Why a file of a folder that has none of the known formats is skipped."""
    return LISTED if document.path.name.lower() in SIDE_FILES else UNKNOWN


def is_ignored(path: PurePath, folder: PurePath | str = ".") -> bool:
    """Whether the name of a file in a folder shows that it holds no boxes.

    Parameters
    ----------
    path : PurePath
        Path of the file, which is in the folder.
    folder : PurePath or str
    """
    name, folders = path.name.lower(), path.relative_to(folder).parts[:-1]
    if name.split(".")[0] in ABOUT or name.startswith((".", "class-descriptions")):
        return True
    # ImageSets holds Pascal VOC's lists of images; the other folders are made by programs.
    if any(part in ("ImageSets", "__MACOSX") or part[0] == "." for part in folders):
        return True
    return not name.endswith(ENDINGS)


def _search_folder(folder: Path) -> Found:
    documents: list[Document] = []
    skipped: dict[str, str] = {}
    for path in sorted(folder.rglob("*")):
        if has_image_ending(path.name) or not path.is_file():
            continue
        if is_ignored(path, folder):
            document = Document(path) if path.suffix == "" and path.name[0] != "." else None
            if document is not None and stanford_dogs.recognises(document):
                documents.append(document)
            elif path.name[0] != ".":
                skipped[str(path)] = _describe_ignored(path)
            continue
        document = Document(path)
        is_list = path.name.lower() in LISTS and not yolo.holds_boxes(document)
        if is_list or _is_side_file(document):
            skipped[str(path)] = LISTED
        elif path.name.lower().startswith("sample_submission"):
            skipped[str(path)] = OTHER_KIND
        else:
            documents.append(document)
        document.forget()
    documents = _drop_repeated(documents, skipped)
    if not documents:
        raise AnnotationError(
            f"{folder} contains no annotation file, that is, no file that ends in one of "
            f"{', '.join(ENDINGS)}."
        )
    return Found(documents, skipped, folder.absolute())


def _describe_ignored(path: Path) -> str:
    name = path.name.lower()
    if name.split(".")[0] in ABOUT:
        return DESCRIBES
    return LISTED if name.endswith((*NAME_ENDINGS, ".txt")) else OTHER_KIND


def _drop_repeated(documents: list[Document], skipped: dict[str, str]) -> list[Document]:
    """Leave out files whose boxes others hold: CUB's other texts, and lists beside XML."""
    boxes = [document for document in documents if cub.recognises(document)]
    if boxes:
        # The folders below hold parts and attributes of birds.
        folders = [document.path.parent for document in boxes]
        others = [
            document
            for document in documents
            if document not in boxes
            and any(document.path.is_relative_to(folder) for folder in folders)
        ]
        skipped |= {str(document.path): LISTED for document in others}
        documents = [document for document in documents if document not in others]
    if any(document.kind == "xml" for document in documents):
        repeated = [
            document
            for document in documents
            if document.kind != "xml"
            and (oxford_pet.recognises(document) or imagenet.recognises(document))
        ]
        skipped |= {str(document.path): OTHER_FILES for document in repeated}
        documents = [document for document in documents if document not in repeated]
    return documents


def _is_side_file(document: Document) -> bool:
    """Whether a file next to YOLO's files holds class names or file names, not boxes."""
    name = document.path.name.lower()
    if name == "notes.json":
        # Label Studio's list of classes, in an export for YOLO.
        is_known = coco.recognises(document) or labelme.recognises(document)
        return document.kind == "json" and not is_known
    if yolo.is_side_file(document.path):
        return not yolo.holds_boxes(document)
    is_list = name.endswith(".txt") and yolo.lists_images(document)
    return is_list and not (wider_face.recognises(document) or roboflow.recognises(document))


def _read_data_yaml(path: Path) -> Found:
    """The files of Ultralytics' YAML: labels of the images in its folders or lists.

    References
    ----------
    .. [1] Ultralytics, "Object Detection Datasets Overview",
       https://docs.ultralytics.com/datasets/detect/: ``path``, ``train``, ``val`` and ``test`` are
       folders of images or lists of images; labels are in ``labels`` in place of ``images``.
    """
    content = parse_yaml(path)
    entries = {key: content[key] for key in SPLITS if content.get(key)}
    if not entries:
        raise AnnotationError(
            f"{path}: none of the keys {list(SPLITS)} is there, which list the images of YOLO's "
            "data sets. Pass the file or folder with the annotations instead."
        )
    skipped: dict[str, str] = {}
    # An image that is listed for several parts is of the first, train.
    splits: dict[Path, str] = {}
    for split, value in entries.items():
        for entry in value if isinstance(value, list) else [value]:
            place = _find_entry(path, content.get("path"), str(entry))
            if place is None:
                skipped[str(entry)] = GONE
                continue
            for image in _iter_images(place):
                splits.setdefault(image, split)
    documents: list[Document] = []
    empty: list[tuple[str, str]] = []
    for image, split in splits.items():
        label = get_label_path(image)
        if os.path.isfile(label):
            documents.append(Document(label, split))
        else:
            empty.append((str(image), split))
    if not documents:
        raise AnnotationError(
            f"{path}: no labels were found for the images in {list(entries.values())}. Pass the "
            "folder with the labels instead."
        )
    names = read_class_names(path) if content.get("names") is not None else None
    return Found(documents, skipped, path.parent.absolute(), empty, names, read_kpt_shape(path))


def _find_entry(path: Path, root: object, entry: str) -> Path | None:
    """The folder or list of an entry; the data set may have been moved since."""
    if "\0" in f"{root}{entry}":
        return None  # No path contains it, and resolve() fails.
    folder = path.parent
    bases = [folder / str(root), folder] if root else [folder]
    # Roboflow writes ../train/images, though train is next to the file.
    relative = re.sub(r"^(\.\./)+", "", entry.replace("\\", "/"))
    places = [base / name for base in bases for name in (entry, relative)]
    own = folder.resolve()
    # An untrusted file must not lead the search to other folders; ../datasets/birds is common.
    limit = own.parent if len(own.parents) > 1 else own
    inside = [place for place in places if place.resolve().is_relative_to(own)]
    near = [place for place in places if place.resolve().is_relative_to(limit)]
    return next((place for place in [*inside, *near] if os.path.exists(place)), None)


def _iter_images(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from (path for path in sorted(place.rglob("*")) if has_image_ending(path.name))
        return
    for line, text in Document(place).iter_lines():
        name = text.strip()
        if not has_image_ending(name) or ".." in name.split("/"):
            line.fail(f"expected the path of an image. Received: {name[:80]!r}.")
        yield place.parent / name
