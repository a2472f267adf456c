"""Reading annotation files: find them, recognise their format and normalise the boxes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import replace
from itertools import chain, compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, cast

import pandas as pd

from ..boxes.tables import as_pandas, describe_type, suggest_conversion
from ..exceptions import AnnotationError, SkbboxWarning
from ..files import as_path
from ..progress import progress_bar
from .box_readings import BOX_FORMATS, UNITS
from .class_names import read_class_names, read_kpt_shape
from .columns import check_columns_option
from .documents import Document, FrameDocument
from .folders import GONE, UNKNOWN, Found, describe_unknown, find_documents
from .formats import hugging_face, pascal_voc, table, yolo
from .image_files import ImageFiles
from .options import CORNERS, SHAPES, Y_ORIGINS, Options, check_choice
from .record import to_frame
from .registry import COUNTED_FROM_1, FORMATS, VOC_TOOLS
from .splits import FolderSplits
from .stated_sizes import StatedSizes
from .yolo_rows import ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

    from tqdm import tqdm

    from ..typing import PathLikeStr, Sizes
    from .class_names import ClassNames
    from .formats import Format, Reader
    from .record import Box, BoxRecord, Row

__all__ = ["FORMATS", "read_annotations"]

#: Size of a record whose box is normalised.
NORMALISED = (1.0, 1.0)


def read_annotations(
    source: PathLikeStr | pd.DataFrame,
    *,
    images_dir: PathLikeStr | None = None,
    format: str | None = None,
    corners: Literal["edges", "voc"] | None = None,
    y_origin: Literal["top", "bottom"] | None = None,
    shapes: Literal["hull", "skip", "error"] = "hull",
    sizes: Sizes | None = None,
    class_attribute: str | None = None,
    class_names: Sequence[str] | Mapping[Any, str] | PathLikeStr | None = None,
    yolo_rows: Literal["box", "polygon", "scored_polygon"] | None = None,
    columns: Mapping[str, Any] | None = None,
    box_format: Literal["xyxy", "xxyy", "yxyx", "xywh", "cxcywh"] | None = None,
    units: Literal["pixels", "normalised", "percent"] | None = None,
    verbose: bool | int = 0,
) -> pd.DataFrame:
    r"""Read bounding boxes from the files of an annotation tool.

    Parameters
    ----------
    source : str, Path or DataFrame
        An annotation file, a folder with files of one format (searched recursively), a
        pattern such as ``"labels/*.xml"``, the YAML of a YOLO data set, or a table with named
        columns (``"table"``).
    images_dir : str or Path, default=None
        Folder that the image names in the files are relative to. None means the folder of each
        annotation file or, if its first image is not there, one where tools and data sets have
        their images, such as ``images`` next to it. With ``"yolo"``, images in it without an
        annotation file become rows without an object.
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
        ``"sloth"``); ``"species"`` or ``"breed"`` for ``"oxford_pet"``; or the job or field that
        holds the boxes (``"ground_truth"``, ``"fiftyone"``).
    class_names : list, dict, str or Path, default=None
        Class names for files that contain numbers or codes, as of YOLO and ImageNet: a
        list in the order of the numbers, a dict by number or code, or a file with one name per
        line, YAML with ``names``, or CSV with code and name. None searches for ``classes.txt``,
        ``obj.names`` and YAML next to YOLO's files and above them; if there are none, numbers and
        codes are returned as text.
    yolo_rows : {"box", "polygon", "scored_polygon"}, default=None
        What the rows of YOLO's files hold: ``"box"`` if they begin with a box, which keypoints, a
        confidence and the number of a track may follow; ``"polygon"`` if they are the points of
        polygons; ``"scored_polygon"`` if a confidence or a track follows the points. None decides
        it from all files, and raises an error if they can be read in several ways.
    columns : dict, default=None
        Names of columns of a table (``"table"``): ``"image"``; ``"class_name"``, or None if all
        objects are of one class; ``"box"``, a column whose cells hold four numbers, or a list of
        four columns; ``"image_size"``, a list of two; ``"split"``. Columns with usual names, such
        as filename, label and xmin, are found without it.
    box_format : {"xyxy", "xxyy", "yxyx", "xywh", "cxcywh"}, default=None
        What the four numbers of a box in a table are: two corners, or the top left corner or the
        centre with width and height. None decides it from the names of the columns and the
        numbers, and raises an error if they can be read in two ways.
    units : {"pixels", "normalised", "percent"}, default=None
        Units of the numbers in a table. None decides it from the numbers and the sizes of the
        images, and raises an error if they can be read in two ways.
    verbose : bool or {0, 1}, default=0
        Whether to show progress bars that count files.

    Returns
    -------
    DataFrame
        One row per box, with the columns ``image`` (path as str), ``class_name``,
        ``x_min, x_max, y_min, y_max`` (normalised, half-open) and those of the format, such as
        ``image_id``, ``folder``, ``difficult``, ``truncated``, ``occluded``, ``iscrowd``,
        ``annotator``. In the
        row of an image without an object, class and coordinates are missing. If the file states a
        size whose width and height are exchanged relative to the upright image, the column
        ``transposed_size`` describes it. Files in folders such as ``train`` and ``valid`` of a
        folder that is read have the column ``split``, and ``attrs["skipped"]`` is then a dict of
        the files that were skipped and the reasons. Boxes are returned
        as stored, even if they are outside the image; ``fit`` raises an error for invalid boxes.

    Warns
    -----
    SkbboxWarning
        If the tool that wrote Pascal VOC's XML is unknown, or counts pixels from 1 although a
        corner is 0, so that corners are read as edges; if shapes without a bounding box, such as
        points, are left out; if the only class names next to YOLO's files are in YAML that lists
        other folders; if a file of a folder has none of the known formats; if a size in the file is
        transposed relative to the upright image. For the last, up to 1,000 images that exist are
        opened, and all of them if one is transposed.

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
    check_choice("yolo_rows", yolo_rows, (None, *ROWS))
    check_choice("box_format", box_format, (None, *BOX_FORMATS))
    check_choice("units", units, (None, *UNITS))
    names, kpt_shape = _load_class_names(class_names)
    options = Options(corners, y_origin, shapes, class_attribute, names, yolo_rows, kpt_shape)
    options.columns, options.box_format, options.units = (
        check_columns_option(columns),
        box_format,
        units,
    )
    if isinstance(source, (str, os.PathLike)):
        found = find_documents(as_path(source))
    else:
        found = Found([FrameDocument(_check_frame(source))])
    documents, skipped = found.documents, dict(found.skipped)
    options.root = found.root
    images = ImageFiles(images_dir, sizes, found.root)
    if class_names is None:
        options.class_names, options.kpt_shape = found.names, found.kpt_shape
    if format is None and (columns is not None or isinstance(documents[0], FrameDocument)):
        format = "table"
    if format is None:
        known, options = _choose_readers(documents, options, verbose)
        documents, readers = list(known), list(known.values())
        is_read = set(map(id, documents))
        unknown = [document for document in found.documents if id(document) not in is_read]
        skipped |= {str(document.path): describe_unknown(document) for document in unknown}
    else:
        readers = [FORMATS[format]] * len(documents)
    options.documents = documents
    _check_table_options(readers, options)
    stated = StatedSizes()
    with progress_bar(len(documents), "annotations", verbose, "files") as progress:
        if readers[0] is table:
            frame = table.read_frame(documents, options, images, stated)
            progress.update(len(documents))
        else:
            one_by_one = cast("list[Reader]", readers)
            rows = _iter_rows(documents, one_by_one, options, images, stated, progress)
            frame = to_frame(chain(rows, _iter_empty(found)))
    if stated.transposed:
        path, text = next(iter(stated.transposed.items()))
        warnings.warn(
            f"The annotations state width and height of {len(stated.transposed)} images exchanged; "
            f"the first is {path}: {text}. Boxes that were drawn before the image was turned (EXIF "
            "orientation) are wrong: look at some with plot_image. If they are, save the images as "
            "they were shown, without the orientation. The column transposed_size names these "
            "images.",
            SkbboxWarning,
            stacklevel=2,
        )
    if options.n_unbounded:
        kinds = ", ".join(f"{n} {kind}" for kind, n in options.n_unbounded.items())
        warnings.warn(
            f"Shapes without a bounding box were left out: {kinds}.", SkbboxWarning, stacklevel=2
        )
    unused = {
        str(path): None for found in options.names_by_folder.values() for path in found.unused
    }
    if unused:
        warnings.warn(
            f"The class names of {', '.join(unused)} were not used, because the file lists other "
            "folders of images. If they are the right ones, pass the file with class_names=.",
            SkbboxWarning,
            stacklevel=2,
        )
    for reason in (UNKNOWN, GONE):
        paths = [path for path in skipped if skipped[path] == reason]
        if paths:
            more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
            warnings.warn(
                f"Skipped ({reason}): {', '.join(paths[:3])}{more}. The table's "
                "attrs['skipped'] lists everything that was skipped.",
                SkbboxWarning,
                stacklevel=2,
            )
    if found.root is not None:
        frame.attrs["skipped"] = skipped
    return frame


def _check_frame(source: object) -> pd.DataFrame:
    frame = as_pandas(source)
    if isinstance(frame, pd.DataFrame):
        return frame
    raise AnnotationError(
        "source must be a path or a table with named columns. "
        f"Received: {describe_type(source)}.{suggest_conversion('source', source)}"
    )


def _check_table_options(readers: list[Format], options: Options) -> None:
    """Raise if options of tables are passed for another format, which would ignore them."""
    passed = {"columns": options.columns, "box_format": options.box_format, "units": options.units}
    read = ("box_format", "units") if readers[0] is hugging_face else ()
    names = [name for name, value in passed.items() if value and name not in read]
    if names and readers[0] is not table:
        name = next(name for name, reader in FORMATS.items() if reader is readers[0])
        raise AnnotationError(
            f"{', '.join(names)} can be passed for tables only, and this is the format {name!r}. "
            "Pass format='table' to read the file as a table."
        )


def _load_class_names(
    class_names: Sequence[str] | Mapping[Any, str] | PathLikeStr | None,
) -> tuple[ClassNames | None, tuple[int, int] | None]:
    """Class names, and the shape of keypoints if they are in YAML."""
    if isinstance(class_names, (str, os.PathLike)):
        path = as_path(class_names)
        if not path.is_file():
            raise FileNotFoundError(
                f"class_names: {path} does not exist (working directory: {Path.cwd()})."
            )
        return read_class_names(path), read_kpt_shape(path)
    if class_names is None or isinstance(class_names, Mapping):
        return class_names, None
    return list(class_names), None


def _choose_readers(
    documents: list[Document], options: Options, verbose: bool | int
) -> tuple[dict[Document, Format], Options]:
    """The reader of each document; and the options, with corners if no tool determines them.

    Documents of a folder that have no known format are left out if others have one.
    """
    names: list[str | None] = []
    from_zero = None
    with progress_bar(len(documents), "formats", verbose, "files") as progress:
        for document in documents:
            names.append(_recognise_format(document))
            if from_zero is None and names[-1] in (*COUNTED_FROM_1, None):
                from_zero = document.path if pascal_voc.has_corner_of_zero(document) else None
            if len(documents) > 1:
                document.forget()
            progress.update()
    if UNKNOWN in names:
        if options.root is None or set(names) == {UNKNOWN}:
            _fail_unknown(documents[names.index(UNKNOWN)])
        known = [name != UNKNOWN for name in names]
        documents = list(compress(documents, known))
        names = [name for name in names if name != UNKNOWN]
    # Empty files do not show their format.
    of_content = {name for name, doc in zip(names, documents, strict=True) if not doc.is_empty}
    if of_content in ({"kitti"}, {"roboflow"}):
        names = [*of_content] * len(names)
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
    if from_zero is not None and options.corners is None and names[0] in COUNTED_FROM_1:
        options = replace(options, corners="edges")
        warnings.warn(
            f"{from_zero} has a corner of 0, so corners are not counted from 1, as in the format "
            f"{names[0]}; they are read as edges between pixels. Pass corners='voc' if they are "
            "numbers of pixels.",
            SkbboxWarning,
            stacklevel=3,
        )
    readers = [FORMATS[name] for name in names if name is not None]
    return dict(zip(documents, readers, strict=True)), options


def _recognise_format(document: Document) -> str | None:
    """Name of the format of a document, or UNKNOWN; None for VOC's XML of an unknown tool."""
    if document.is_empty and document.path.suffix.lower() != ".txt":
        document.fail("the file is empty, so its format cannot be recognised.")
    for name, reader in FORMATS.items():
        if reader.recognises(document):
            return name
    if pascal_voc.is_voc(document):
        return None
    if yolo.holds_other_numbers(document):
        document.fail(
            "a table of numbers, but not YOLO's: the numbers after the class are not in 0..1. "
            "Pass format='yolo' if they should be."
        )
    return UNKNOWN


def _fail_unknown(document: Document) -> NoReturn:
    raise AnnotationError(
        f"{document.path} has none of the known formats {list(FORMATS)}. If it does have one of "
        "them, pass its name with format=. If it is a table with other names of columns, pass "
        "columns={'image': ..., 'class_name': ..., 'box': ...}."
    )


def _iter_rows(
    documents: list[Document],
    readers: list[Reader],
    options: Options,
    images: ImageFiles,
    stated: StatedSizes,
    progress: tqdm[NoReturn],
) -> Iterator[Row]:
    """Yield image path, class, normalised box and further columns of each record."""
    paths = []
    splits = FolderSplits(options.root)
    for document, reader in zip(documents, readers, strict=True):
        split = splits.find(document)
        more = {} if split is None else {"split": split}
        for record in _read_records(document, reader, options):
            path = images.find_path(record, document.path)
            box = _normalise_box(record, path, document, options, images)
            extra = more | record.extra if more else record.extra
            if (
                stated.is_active
                and box is not None
                and record.size is not None
                and record.size != NORMALISED
                and (sizes := stated.find(path, record.size))
            ):
                extra = extra | {"transposed_size": sizes}
            yield path, record.class_name, box, extra
            if reader is yolo:
                paths.append(path)
        document.forget()
        progress.update()
    if yolo in readers and images.images_dir is not None:
        yield from ((path, None, None, {}) for path in images.list_others(paths))


def _iter_empty(found: Found) -> Iterator[Row]:
    """Yield the rows of images that YAML lists and that have no file of boxes."""
    for path, split in found.empty_images:
        yield path, None, None, {"split": split}


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
