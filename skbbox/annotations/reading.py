"""One function for every format: recognise it, then hand over to the tool's own module."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

from ..exceptions import AnnotationError, SkbboxWarning
from .class_names import read_class_names
from .documents import Document
from .formats import (
    coco,
    createml,
    cvat,
    labelbox,
    labelimg,
    open_images,
    pascal_voc,
    rectlabel,
    simple_image_annotator,
    sloth,
    snacks,
    tfod_csv,
    via,
    yolo,
)
from .image_files import ImageFiles
from .options import CORNERS, SHAPES, Y_ORIGINS, Options, check_choice
from .record import to_frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

    import pandas as pd

    from ..typing import PathLikeStr, Sizes
    from .record import Box, BoxRecord, Row

__all__ = ["FORMATS", "is_passed_over", "read_annotations"]

#: Readers by the name of their format. A reader has ``recognises(document)`` and
#: ``read(document, options)``, and says of itself what the table of formats in the
#: documentation shows: ``FILES``, ``COORDINATES``, ``SIZE``, ``EMPTY``.
FORMATS = {
    "snacks": snacks,
    "rectlabel": rectlabel,
    "labelbox": labelbox,
    "simple_image_annotator": simple_image_annotator,
    "sloth": sloth,
    "cvat": cvat,
    "labelimg": labelimg,
    "pascal_voc": pascal_voc,
    "coco": coco,
    "yolo": yolo,
    "createml": createml,
    "tfod_csv": tfod_csv,
    "via": via,
    "open_images": open_images,
}

#: Formats of the tools that write XML in Pascal VOC's form.
VOC_TOOLS = ("rectlabel", "cvat", "labelimg", "pascal_voc")

#: Ends of names of annotation files in a folder.
ENDINGS = (".csv", ".json", ".jsonl", ".ndjson", ".txt", ".xml")
#: Names of files in a folder, up to their first dot, that are about the others.
ABOUT = ("readme", "license", "licence", "changelog")


def read_annotations(
    source: PathLikeStr,
    *,
    images_dir: PathLikeStr | None = None,
    format: str | None = None,
    corners: Literal["edges", "voc"] | None = None,
    y_origin: Literal["top", "bottom"] | None = None,
    shapes: Literal["hull", "skip", "error"] = "hull",
    sizes: Sizes | None = None,
    class_attribute: str | None = None,
    class_names: Sequence[str] | Mapping[Any, str] | PathLikeStr | None = None,
) -> pd.DataFrame:
    r"""Read the boxes that an annotation tool wrote.

    Parameters
    ----------
    source : str or Path
        An annotation file, a folder with files of one format (searched with the folders in
        it), or a pattern such as ``"labels/*.xml"``.
    images_dir : str or Path, default=None
        Folder that the image names in the files are relative to. None takes the folder of
        each annotation file. With ``"yolo"``, images in it without a file of boxes become
        rows without an object.
    format : str, default=None
        Name of the format, a key of the table of formats in the documentation; None recognises
        it from the content. A tool's name means that tool's conventions in each kind of file
        that it writes.
    corners : {"edges", "voc"}, default=None
        What corners in pixels are: edges between pixels, or numbers of the first and last pixel
        inside, counted from 1, as in Pascal VOC. None is what the tool writes.
    y_origin : {"top", "bottom"}, default=None
        Where y is measured from. None is the top, and has to be said for exports of Labelbox
        of 2018 and 2019, which do not say it.
    shapes : {"hull", "skip", "error"}, default="hull"
        Polygons, ellipses, masks and turned boxes are replaced by the box around them, left
        out, or refused.
    sizes : dict of str to (width, height), default=None
        Sizes of images in pixels, for those of which neither the file nor the image itself
        (upright, that is after EXIF orientation) says it. By the image's name.
    class_attribute : str, default=None
        Name of the attribute that holds the class, where a file has several (``"via"``,
        ``"sloth"``).
    class_names : list, dict, str or Path, default=None
        Names of classes where the file has numbers or codes (``"yolo"``, ``"open_images"``):
        in the order of the numbers, by number or code, or in a file: a name in each line,
        YAML with ``names``, or CSV with code and name. None looks for ``classes.txt``,
        ``obj.names`` and YAML beside the files of YOLO, and leaves numbers and codes as they
        are, as text, where there is none.

    Returns
    -------
    DataFrame
        One row per box, with the columns ``image`` (path as str), ``class_name``,
        ``x_min, x_max, y_min, y_max`` (normalised, half-open) and what the format adds, such
        as ``image_id``, ``folder``, ``difficult``, ``truncated``, ``occluded``, ``iscrowd``.
        An image without an object is a row in which class and coordinates are missing. Boxes
        are given as the file has them, also outside of the image; ``fit`` refuses those that
        cannot be.

    Warns
    -----
    SkbboxWarning
        If nothing in XML of Pascal VOC's form shows which tool wrote it, so that its corners
        are taken for edges; if shapes have no box around them, such as points, and are left out.

    Raises
    ------
    FileNotFoundError
        If `source` does not exist.
    AnnotationError
        If the format is not recognised, or a record cannot be read: names file, record and
        field; a ValueError.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> from skbbox import read_annotations
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "train.csv").write_text(
    ...     "image_id,x_min,x_max,y_min,y_max,class_name,folder\n"
    ...     "007,0.1,0.5,0.2,0.9,cake,dessert\n")
    >>> boxes = read_annotations(folder / "train.csv")
    >>> boxes[["class_name", "x_min", "x_max", "image_id"]].values.tolist()
    [['cake', 0.1, 0.5, '007']]
    """
    check_choice("format", format, (None, *FORMATS))
    check_choice("corners", corners, (None, *CORNERS))
    check_choice("y_origin", y_origin, (None, *Y_ORIGINS))
    check_choice("shapes", shapes, SHAPES)
    options = Options(corners, y_origin, shapes, class_attribute, _names(class_names))
    images = ImageFiles(images_dir, sizes)
    documents = _documents(Path(source))
    if format is None:
        readers, options = _readers(documents, options)
    else:
        readers = [FORMATS[format]] * len(documents)
    frame = to_frame(_rows(documents, readers, options, images))
    if options.left_out:
        kinds = ", ".join(f"{n} {kind}" for kind, n in options.left_out.items())
        warnings.warn(
            f"Shapes without a box around them were left out: {kinds}.",
            SkbboxWarning,
            stacklevel=2,
        )
    return frame


def _names(
    class_names: Sequence[str] | Mapping[Any, str] | PathLikeStr | None,
) -> list[str] | Mapping[Any, str] | None:
    if isinstance(class_names, (str, os.PathLike)):
        path = Path(class_names)
        if not path.is_file():
            raise FileNotFoundError(
                f"class_names: {path} does not exist (working directory: {Path.cwd()})."
            )
        return read_class_names(path)
    if class_names is None or isinstance(class_names, Mapping):
        return class_names
    return list(class_names)


def _documents(source: Path) -> list[Document]:
    """The annotation files of a file, a folder or a pattern, in order of their names."""
    if source.is_dir():
        paths = [path for path in sorted(source.rglob("*")) if not is_passed_over(path, source)]
        paths = [path for path in paths if path.is_file()]
        documents = [document for document in map(Document, paths) if not _is_beside(document)]
        if not documents:
            raise AnnotationError(
                f"{source} holds no annotation file, that is none which ends in "
                f"{', '.join(ENDINGS)}."
            )
    elif source.exists():
        documents = [Document(source)]
    else:
        paths = [Path(path) for path in sorted(glob.glob(str(source), recursive=True))]
        paths = [path for path in paths if path.is_file()]
        if not paths:
            raise FileNotFoundError(
                f"{source} does not exist (working directory: {Path.cwd()}); give the path of "
                "the annotation file, of a folder of them, or a pattern."
            )
        documents = [Document(path) for path in paths]
        if len(documents) > 1:
            documents = [document for document in documents if not _is_beside(document)]
    return documents


def is_passed_over(path: PurePath, folder: PurePath | str = ".") -> bool:
    """Whether a file in a folder is not one of boxes, by its name.

    Parameters
    ----------
    path : PurePath
        Of the file, in the folder.
    folder : PurePath or str
    """
    name, folders = path.name.lower(), path.relative_to(folder).parts[:-1]
    about = name.split(".")[0] in ABOUT or name.startswith((".", "class-descriptions"))
    # Pascal VOC lists in ImageSets which images are for what; the others are not the user's.
    about = about or any(part in ("ImageSets", "__MACOSX") or part[0] == "." for part in folders)
    return about or not name.endswith(ENDINGS)


def _is_beside(document: Document) -> bool:
    """Whether a document is a list of names that lies beside the boxes, not one of boxes."""
    return yolo.is_side_file(document.path) and not yolo.holds_boxes(document)


def _readers(documents: list[Document], options: Options) -> tuple[list[ModuleType], Options]:
    """The reader of each document, by what they hold; and options, with corners where told."""
    names = []
    for document in documents:
        names.append(_recognised(document))
        if len(documents) > 1:
            document.forget()
    shown = {name: str(documents[names.index(name)].path) for name in names if name is not None}
    if None in names and set(shown) <= set(VOC_TOOLS):
        # Files that do not show their tool go with those beside them that do.
        shown = shown or {"pascal_voc": ""}
        if set(shown.values()) == {""} and options.corners is None:
            options = replace(options, corners="edges")
            warnings.warn(
                f"{documents[names.index(None)].path} does not show which tool wrote it; its "
                f"corners are taken for edges between pixels. Say format=, one of "
                f"{list(VOC_TOOLS)}, or corners='voc' if they are numbers of pixels.",
                SkbboxWarning,
                stacklevel=3,
            )
        names = [next(iter(shown)) if name is None else name for name in names]
    if None in names:
        shown["VOC of an unknown tool"] = str(documents[names.index(None)].path)
    if len(shown) > 1:
        raise AnnotationError(
            f"There are files of several formats, such as {shown}; name the one that counts with "
            "format=, or give a pattern such as 'folder/*.xml'."
        )
    return [FORMATS[name] for name in names if name is not None], options


def _recognised(document: Document) -> str | None:
    """Name of the format of a document; None of one in VOC's form that does not show its tool."""
    if document.is_empty and document.path.suffix.lower() != ".txt":
        document.fail("this file is empty, which is in none of the known formats.")
    for name, reader in FORMATS.items():
        if reader.recognises(document):
            return name
    if pascal_voc.is_voc(document):
        return None
    raise AnnotationError(
        f"{document.path} is in none of the known formats {list(FORMATS)}. If it is in one of "
        "them, name it with format=."
    )


def _rows(
    documents: list[Document], readers: list[ModuleType], options: Options, images: ImageFiles
) -> Iterator[Row]:
    """Path of the image, class, normalised box and further columns of each record."""
    paths = []
    for document, reader in zip(documents, readers, strict=True):
        for record in _records(document, reader, options):
            path = images.path(record, document.path)
            box = _normalised(record, path, document, options, images)
            yield path, record.class_name, box, record.extra
            if reader is yolo:
                paths.append(path)
        document.forget()
    if yolo in readers and images.images_dir is not None:
        yield from ((path, None, None, {}) for path in images.others(paths))


def _records(document: Document, reader: ModuleType, options: Options) -> Iterator[BoxRecord]:
    """Records of a document; what its damage makes Python raise becomes an AnnotationError."""
    try:
        yield from reader.read(document, options)
    except (RecursionError, OverflowError, ValueError) as error:
        if isinstance(error, AnnotationError):
            raise
        document.fail(f"a number or the nesting is beyond all bounds: {error}.")


def _normalised(
    record: BoxRecord, path: str, document: Document, options: Options, images: ImageFiles
) -> Box | None:
    if record.box is None:
        return None
    width, height = record.size or images.size(record, path, document.path)
    x_min, x_max, y_min, y_max = record.box
    if options.y_origin == "bottom":
        y_min, y_max = height - y_max, height - y_min
    return x_min / width, x_max / width, y_min / height, y_max / height
