"""Writing boxes in the formats of annotation tools."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..boxes import RowNames, check_boxes, find_boxes
from ..boxes.tables import as_pandas
from ..exceptions import AnnotationError
from ..files import as_path, atomic_write, check_overwrite
from .folders import is_ignored
from .image_files import ImageFiles
from .options import check_choice
from .record import CONFIDENCES, UNWRITABLE, ImageWithBoxes, check_columns
from .writers import (
    coco,
    cvat,
    hugging_face,
    label_studio,
    labelbox,
    labelme,
    pascal_voc,
    snacks,
    ultralytics,
    yolo,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from ..typing import PathLikeStr, Sizes
    from .writers import Writer

__all__ = ["FOLDER_FORMATS", "WRITTEN_FORMATS", "choose_images_dir", "write_annotations"]

#: Writers by the name of their format. Each is a module; see :class:`writers.Writer`.
WRITTEN_FORMATS: dict[str, Writer] = {
    "snacks": snacks,
    "labelbox": labelbox,
    "cvat": cvat,
    "pascal_voc": pascal_voc,
    "coco": coco,
    "yolo": yolo,
    "ultralytics": ultralytics,
    "label_studio": label_studio,
    "labelme": labelme,
    "hugging_face": hugging_face,
}
#: Formats that are a folder of files.
FOLDER_FORMATS = tuple(name for name, writer in WRITTEN_FORMATS.items() if writer.IN_FOLDER)

#: Length of the longest name of a file that file systems store, in bytes.
MAX_NAME = 255


def write_annotations(
    boxes: pd.DataFrame,
    path: PathLikeStr,
    format: str,
    *,
    images_dir: PathLikeStr | None = None,
    sizes: Sizes | None = None,
    overwrite: bool = False,
) -> None:
    r"""Write bounding boxes in the format of an annotation tool.

    Parameters
    ----------
    boxes : DataFrame
        As returned by :func:`read_annotations`: a column ``image`` and the columns of
        ``TARGET_COLUMNS``, normalised. Rows without class and coordinates are images without
        an object, which are written as the tool does: as images without annotations, or files
        without objects. Add the column ``image`` to write the result of ``predict``. Confidences
        are the columns ``class_confidence``, ``box_confidence`` and ``confidence``. For
        Ultralytics, a column ``split`` assigns each image to train, val or test.
    path : str or Path
        The file; for ``"pascal_voc"``, ``"yolo"``, ``"ultralytics"`` and ``"labelme"``, a folder
        with one file per image. Hugging Face's library reads a file ``metadata.jsonl`` in the
        folder of the images.
    format : str
        ``"snacks"``, the chapter's CSV; ``"labelbox"``, JSON lines that Labelbox imports;
        ``"cvat"``, CVAT's XML for images; ``"pascal_voc"``, its XML; ``"coco"``, its JSON;
        ``"yolo"``, text files with ``classes.txt``; ``"ultralytics"``, a folder with
        ``data.yaml``; ``"label_studio"``, tasks that Label Studio imports; ``"labelme"``, its JSON;
        or ``"hugging_face"``, ``metadata.jsonl`` of a folder of images.
    images_dir : str or Path, default=None
        Folder that the image names in the file are relative to. None means the folder of the
        file, or `path` itself if it is a folder; for ``"ultralytics"``, the folder ``images`` in
        it. For ``"label_studio"``, the folder whose files Label Studio serves, that is its
        setting ``LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT``.
    sizes : dict of str to (width, height), default=None
        Sizes in pixels by image name, for formats in pixels and images that cannot be opened.
    overwrite : bool, default=False
        Whether to replace existing files.

    Raises
    ------
    FileExistsError
        If a file exists and `overwrite` is False; nothing is written.
    AnnotationError
        If a column is missing, an image is outside `images_dir`, its size is unknown, a row has
        only a class or only a box, or the format cannot store a value; a ValueError.
    BoxError
        If a box is half missing, inverted, empty or outside the image; see
        :func:`clean_annotations`.

    Notes
    -----
    Pascal VOC's corners are rounded to pixels and the numbers of YOLO and Ultralytics to six
    digits; the other formats are exact up to rounding errors of floats. CSV stores all confidences;
    COCO, Labelbox, Label Studio and labelme one for each box: the first known of
    ``box_confidence``, ``class_confidence`` and ``confidence``. The others store none.

    Label Studio's tasks have predictions if a box has a confidence, so that annotators can correct
    them, else annotations.

    Ultralytics looks for images in ``path/images`` and labels in ``path/labels``. Images are not
    copied: if `images_dir` is another folder, copy or link it to ``path/images``. Without a
    column ``split``, all images are for training; if none is for validation, those for training
    are used for it too, because Ultralytics requires some.

    In all formats, an object has a class and a box; a row with only one of them raises an error.
    Labelbox cannot store an image without an object, which raises an error too. So do image names
    that would not be read back unchanged: those with control characters, a backslash or bytes that
    are not UTF-8; for Pascal VOC, those that begin or end with space; for YOLO and Ultralytics,
    those without a common file extension.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import pandas as pd
    >>> from skbbox import read_annotations, write_annotations
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> boxes = pd.DataFrame({"image": ["a.jpg"], "class_name": ["cat"], "x_min": [0.1],
    ...                       "x_max": [0.3], "y_min": [0.1], "y_max": [0.5]})
    >>> write_annotations(boxes, folder / "boxes.json", "coco", images_dir=".",
    ...                   sizes={"a.jpg": (200, 100)})
    >>> again = read_annotations(folder / "boxes.json", images_dir=".")
    >>> again[["image", "class_name", "x_max"]].values.tolist()
    [['a.jpg', 'cat', 0.3]]
    """
    check_choice("format", format, tuple(WRITTEN_FORMATS))
    writer = WRITTEN_FORMATS[format]
    path = as_path(path)
    folder = path if writer.IN_FOLDER else path.parent
    images_dir = choose_images_dir(path, format) if images_dir is None else as_path(images_dir)
    images = _group_by_image(boxes, images_dir, folder, sizes, format)
    texts = writer.write(images)
    if writer.IN_FOLDER:
        _check_files(texts, format)
    files = {path / name if writer.IN_FOLDER else path: text for name, text in texts.items()}
    check_overwrite(files, overwrite)
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as unfinished:
            unfinished.write(text.encode())


def choose_images_dir(path: Path, format: str) -> Path:
    """The folder that image names are relative to by default."""
    if format == "ultralytics":
        return path / ultralytics.IMAGES
    return path if format in FOLDER_FORMATS else path.parent


def _check_files(names: Iterable[str], format: str) -> None:
    """Raise if a file of an image cannot be written, or is not read again."""
    for path in map(PurePosixPath, names):
        # YAML describes the other files.
        is_lost = path.suffix != ".yaml" and is_ignored(path)
        if is_lost or len(path.name.encode()) > MAX_NAME:
            problem = (
                f"read_annotations ignores files named {path}"
                if is_lost
                else f"{path} is longer than {MAX_NAME} bytes"
            )
            raise AnnotationError(
                f"{format} names each file after its image, but {problem}. Rename the image."
            )


def _group_by_image(
    boxes: pd.DataFrame, images_dir: Path, folder: Path, sizes: Sizes | None, format: str
) -> list[ImageWithBoxes]:
    """Images in order of their first rows, each with its boxes; `folder` is written to."""
    boxes = as_pandas(boxes)
    check_columns(boxes)
    values = check_boxes(boxes, allow_missing=True)
    has_box, has_class = find_boxes(values), boxes["class_name"].notna().to_numpy()
    row_names = RowNames(boxes)
    _check_kinds(has_box, has_class, row_names, format)
    needs_sizes = WRITTEN_FORMATS[format].NEEDS_SIZES
    columns = {name: boxes[name].tolist() for name in CONFIDENCES if name in boxes}
    splits = boxes["split"].tolist() if "split" in boxes else [None] * len(boxes)
    rows = zip(boxes["image"], boxes["class_name"], values.tolist(), strict=True)
    image_files = ImageFiles(images_dir, sizes)
    images: dict[str, ImageWithBoxes] = {}
    for row, (path, class_name, box) in enumerate(rows):
        path = os.fspath(path)
        if path not in images:
            try:
                name = image_files.name(path)
            except AnnotationError as error:
                raise AnnotationError(f"{row_names(row)}: {error}") from None
            size = image_files.read_size(path, name) if needs_sizes else None
            images[path] = ImageWithBoxes(name, size, [], _make_relative(path, folder), [])
        split = splits[row]
        if pd.notna(split) and str(split) not in images[path].splits:
            images[path].splits.append(str(split))
        if not has_box[row]:
            continue
        if not isinstance(class_name, str):
            raise AnnotationError(
                f"{row_names(row)}: class_name must be text. Received: {class_name!r}."
            )
        if UNWRITABLE.search(class_name):
            raise AnnotationError(
                f"{row_names(row)}: class_name contains a character that annotation files cannot "
                f"store. Received: {class_name!r}."
            )
        confidences = {
            name: float(column[row]) for name, column in columns.items() if pd.notna(column[row])
        }
        images[path].boxes.append((class_name, tuple(box), confidences))
    return list(images.values())


def _make_relative(path: str, folder: Path) -> str:
    """Path of an image from a folder; absolute if it is on another drive."""
    path = os.path.expanduser(path)
    try:
        return os.path.relpath(path, folder).replace(os.sep, "/")
    except ValueError:
        return os.path.abspath(path).replace(os.sep, "/")


def _check_kinds(
    has_box: NDArray[np.bool_], has_class: NDArray[np.bool_], row_names: RowNames, format: str
) -> None:
    """Raise if a row has a class and no box, or a box and no class."""
    for wrong, kind, advice in (
        (has_class & ~has_box, "a class but no box", "Add its box"),
        (has_box & ~has_class, "a box but no class", "Add its class"),
    ):
        rows = np.flatnonzero(wrong)
        if rows.size:
            more = f" ({rows.size - 1} more rows like it)" if rows.size > 1 else ""
            raise AnnotationError(
                f"{row_names(int(rows[0]))}: it has {kind}{more}, and an object in the format "
                f"{format!r} has both. {advice}, or leave such rows out; boxes.to_csv "
                "of pandas stores all rows."
            )
