"""Reading annotation files: find them, recognise their format and normalise the boxes."""

from __future__ import annotations

import glob
import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Literal

from ..exceptions import AnnotationError, SkbboxWarning
from ..files import as_path
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

    import pandas as pd

    from ..typing import PathLikeStr, Sizes
    from .class_names import ClassNames
    from .formats import Reader
    from .record import Box, BoxRecord, Row

__all__ = ["FORMATS", "is_ignored", "read_annotations"]

#: Readers by the name of their format. Each is a module; see :class:`formats.Reader`.
FORMATS: dict[str, Reader] = {
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

#: Formats of the tools that write Pascal VOC's XML.
VOC_TOOLS = ("rectlabel", "cvat", "labelimg", "pascal_voc")

#: File extensions of the annotation files in a folder.
ENDINGS = (".csv", ".json", ".jsonl", ".ndjson", ".txt", ".xml")
#: Names, up to the first dot, of files in a folder that describe it and hold no boxes.
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
    r"""Read bounding boxes from the files of an annotation tool.

    Parameters
    ----------
    source : str or Path
        An annotation file, a folder with files of one format (searched recursively), or a
        pattern such as ``"labels/*.xml"``.
    images_dir : str or Path, default=None
        Folder that the image names in the files are relative to. None means the folder of each
        annotation file. With ``"yolo"``, images in it without an annotation file become rows
        without an object.
    format : str, default=None
        Name of the format, as in the table of formats in the documentation; None detects it from
        the content. The name of a tool implies its conventions for each kind of file that it
        writes.
    corners : {"edges", "voc"}, default=None
        Meaning of corners in pixels: edges between pixels, or the numbers of the first and last
        pixel inside the box, counted from 1, as in Pascal VOC. None means the convention of the
        tool.
    y_origin : {"top", "bottom"}, default=None
        Where y is measured from. None means the top, except for Labelbox exports of 2018 and
        2019: they do not store it, so it is required.
    shapes : {"hull", "skip", "error"}, default="hull"
        How to handle polygons, ellipses, masks and rotated boxes: use their bounding box, leave
        them out, or raise an error.
    sizes : dict of str to (width, height), default=None
        Sizes of images in pixels by image name, for files that do not contain them and images
        that cannot be opened. Width and height are those of the upright image, that is after EXIF
        orientation.
    class_attribute : str, default=None
        Name of the attribute that holds the class, if there are several (``"via"``,
        ``"sloth"``).
    class_names : list, dict, str or Path, default=None
        Class names for files that contain numbers or codes (``"yolo"``, ``"open_images"``): a
        list in the order of the numbers, a dict by number or code, or a file with one name per
        line, YAML with ``names``, or CSV with code and name. None searches for ``classes.txt``,
        ``obj.names`` and YAML next to YOLO's files; if there are none, numbers and codes are
        returned as text.

    Returns
    -------
    DataFrame
        One row per box, with the columns ``image`` (path as str), ``class_name``,
        ``x_min, x_max, y_min, y_max`` (normalised, half-open) and those of the format, such as
        ``image_id``, ``folder``, ``difficult``, ``truncated``, ``occluded``, ``iscrowd``. In the
        row of an image without an object, class and coordinates are missing. Boxes are returned
        as stored, even if they are outside the image; ``fit`` raises an error for invalid boxes.

    Warns
    -----
    SkbboxWarning
        If the tool that wrote Pascal VOC's XML is unknown, so that corners are read as edges; if
        shapes without a bounding box, such as points, are left out.

    Raises
    ------
    FileNotFoundError
        If `source` does not exist.
    AnnotationError
        If the format is not recognised or a record is invalid; a ValueError that names file,
        record and field.

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
    options = Options(corners, y_origin, shapes, class_attribute, _load_class_names(class_names))
    images = ImageFiles(images_dir, sizes)
    documents = _open_documents(as_path(source))
    if format is None:
        readers, options = _choose_readers(documents, options)
    else:
        readers = [FORMATS[format]] * len(documents)
    frame = to_frame(_iter_rows(documents, readers, options, images))
    if options.n_unbounded:
        kinds = ", ".join(f"{n} {kind}" for kind, n in options.n_unbounded.items())
        warnings.warn(
            f"Shapes without a bounding box were left out: {kinds}.", SkbboxWarning, stacklevel=2
        )
    return frame


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


def _load_class_names(
    class_names: Sequence[str] | Mapping[Any, str] | PathLikeStr | None,
) -> ClassNames | None:
    if isinstance(class_names, (str, os.PathLike)):
        path = as_path(class_names)
        if not path.is_file():
            raise FileNotFoundError(
                f"class_names: {path} does not exist (working directory: {Path.cwd()})."
            )
        return read_class_names(path)
    if class_names is None or isinstance(class_names, Mapping):
        return class_names
    return list(class_names)


def _open_documents(source: Path) -> list[Document]:
    """The annotation files of a file, a folder or a pattern, sorted by name."""
    if source.is_dir():
        paths = [path for path in sorted(source.rglob("*")) if not is_ignored(path, source)]
        paths = [path for path in paths if path.is_file()]
        documents = [document for document in map(Document, paths) if not _is_side_file(document)]
        if not documents:
            raise AnnotationError(
                f"{source} contains no annotation file, that is, no file that ends in one of "
                f"{', '.join(ENDINGS)}."
            )
    elif source.exists():
        documents = [Document(source)]
    else:
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
    return documents


def _is_side_file(document: Document) -> bool:
    """Whether a file next to YOLO's files holds class names or file names, not boxes."""
    return yolo.is_side_file(document.path) and not yolo.holds_boxes(document)


def _choose_readers(documents: list[Document], options: Options) -> tuple[list[Reader], Options]:
    """The reader of each document; and the options, with corners if no tool determines them."""
    names = []
    for document in documents:
        names.append(_recognise_format(document))
        if len(documents) > 1:
            document.forget()
    examples = {name: str(documents[names.index(name)].path) for name in names if name is not None}
    if None in names and set(examples) <= set(VOC_TOOLS):
        if not examples and options.corners is None:
            options = replace(options, corners="edges")
            warnings.warn(
                f"{documents[names.index(None)].path} does not show which tool wrote it; its "
                f"corners are read as edges between pixels. Pass format= with one of "
                f"{list(VOC_TOOLS)}, or corners='voc' if they are numbers of pixels.",
                SkbboxWarning,
                stacklevel=3,
            )
        # Files of an unknown tool are read like the others of the folder.
        tool = next(iter(examples), "pascal_voc")
        names = [tool if name is None else name for name in names]
    elif None in names:
        examples["VOC of an unknown tool"] = str(documents[names.index(None)].path)
    if len(examples) > 1:
        raise AnnotationError(
            f"The files have several formats, such as {examples}; pass format= with the one to "
            "read, or a pattern such as 'folder/*.xml'."
        )
    return [FORMATS[name] for name in names if name is not None], options


def _recognise_format(document: Document) -> str | None:
    """Name of the format of a document; None for Pascal VOC's XML of an unknown tool."""
    if document.is_empty and document.path.suffix.lower() != ".txt":
        document.fail("the file is empty, so its format cannot be recognised.")
    for name, reader in FORMATS.items():
        if reader.recognises(document):
            return name
    if pascal_voc.is_voc(document):
        return None
    raise AnnotationError(
        f"{document.path} has none of the known formats {list(FORMATS)}. If it does have one of "
        "them, pass its name with format=."
    )


def _iter_rows(
    documents: list[Document], readers: list[Reader], options: Options, images: ImageFiles
) -> Iterator[Row]:
    """Yield image path, class, normalised box and further columns of each record."""
    paths = []
    for document, reader in zip(documents, readers, strict=True):
        for record in _read_records(document, reader, options):
            path = images.find_path(record, document.path)
            box = _normalise_box(record, path, document, options, images)
            yield path, record.class_name, box, record.extra
            if reader is yolo:
                paths.append(path)
        document.forget()
    if yolo in readers and images.images_dir is not None:
        yield from ((path, None, None, {}) for path in images.list_others(paths))


def _read_records(document: Document, reader: Reader, options: Options) -> Iterator[BoxRecord]:
    """Yield the records of a document; errors from extreme values become AnnotationErrors."""
    try:
        yield from reader.read(document, options)
    except (RecursionError, OverflowError, ValueError) as error:
        if isinstance(error, AnnotationError):
            raise
        document.fail(f"a number is too large or the nesting too deep: {error}.")


def _normalise_box(
    record: BoxRecord, path: str, document: Document, options: Options, images: ImageFiles
) -> Box | None:
    if record.box is None:
        return None
    width, height = record.size or images.find_size(record, path, document.path)
    x_min, x_max, y_min, y_max = record.box
    if options.y_origin == "bottom":
        y_min, y_max = height - y_max, height - y_min
    return x_min / width, x_max / width, y_min / height, y_max / height
