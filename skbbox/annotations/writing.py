"""One function for every format that is written, so that predictions go back to a tool."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from ..boxes import as_boxes, check_boxes
from ..exceptions import AnnotationError
from ..files import atomic_write, check_overwrite
from .formats import coco, cvat, labelbox, pascal_voc, snacks, yolo
from .image_files import ImageFiles
from .options import check_choice
from .reading import is_passed_over
from .record import UNWRITABLE, ImageWithBoxes, check_columns

if TYPE_CHECKING:
    import pandas as pd

    from ..typing import PathLikeStr, Sizes

__all__ = ["WRITTEN_FORMATS", "write_annotations"]

#: Writers by the name of their format. A writer has ``write(images)``, which returns the text of
#: each file by its name; one name is "" where the format is a single file. ``NEEDS_SIZES`` says
#: whether boxes are written in pixels.
WRITTEN_FORMATS = {
    "snacks": snacks,
    "labelbox": labelbox,
    "cvat": cvat,
    "pascal_voc": pascal_voc,
    "coco": coco,
    "yolo": yolo,
}


def write_annotations(
    boxes: pd.DataFrame,
    path: PathLikeStr,
    format: str,
    *,
    images_dir: PathLikeStr | None = None,
    sizes: Sizes | None = None,
    overwrite: bool = False,
) -> None:
    r"""Write boxes into the file that an annotation tool reads.

    Parameters
    ----------
    boxes : DataFrame
        As :func:`read_annotations` returns it: a column ``image`` and the columns of
        ``TARGET_COLUMNS``, normalised. Rows without class and coordinates are images without
        an object. What ``predict`` returns needs the column ``image`` beside it.
    path : str or Path
        The file; for ``"pascal_voc"`` and ``"yolo"`` a folder, in which each image has a file.
    format : {"snacks", "labelbox", "cvat", "pascal_voc", "coco", "yolo"}
        The chapter's CSV, lines of JSON that Labelbox imports, CVAT's XML for images, Pascal
        VOC's XML, COCO's JSON, or YOLO's texts with ``classes.txt``.
    images_dir : str or Path, default=None
        Folder to which the names of images in the file are relative. None is the folder of
        the file, or the folder itself.
    sizes : dict of str to (width, height), default=None
        Sizes in pixels of images that cannot be opened, by name; of formats in pixels.
    overwrite : bool, default=False
        Whether files that exist are replaced.

    Raises
    ------
    FileExistsError
        If a file exists that would be replaced; nothing is written then.
    AnnotationError
        If a column is missing, an image lies outside `images_dir`, its size cannot be had, or
        the format has no place for something; a ValueError.
    BoxError
        If a box is missing in part, inverted, empty or outside of the image; see
        :func:`clean_annotations`.

    Notes
    -----
    Pascal VOC's corners are whole pixels, and YOLO has six digits; the others lose nothing. A
    confidence is written where the format has a place for it: CSV, COCO and Labelbox. Labelbox
    has no place for an image without an object, which is refused. So are names of images that
    would be read as others: with control characters, a backslash or what is not UTF-8; of space
    around them for Pascal VOC; without a usual ending for YOLO.

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
    path = Path(path)
    in_folder = writer in (pascal_voc, yolo)
    if images_dir is None:
        images_dir = path if in_folder else path.parent
    images = _images(boxes, Path(images_dir), sizes, writer.NEEDS_SIZES)
    texts = writer.write(images)
    for name in texts:
        if in_folder and is_passed_over(PurePosixPath(name)):
            raise AnnotationError(
                f"{format} names a file like its image, and {name} would be passed over when the "
                "folder is read. Rename the image."
            )
    files = {path / name if in_folder else path: text for name, text in texts.items()}
    check_overwrite(files, overwrite)
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(file) as unfinished:
            unfinished.write(text.encode())


def _images(
    boxes: pd.DataFrame, images_dir: Path, sizes: Sizes | None, needs_sizes: bool
) -> list[ImageWithBoxes]:
    """Images in order of their first rows, each with its boxes."""
    check_columns(boxes)
    values = as_boxes(boxes)
    empty = np.isnan(values).all(axis=1) & boxes["class_name"].isna().to_numpy()
    # Whole boxes stand in for those that are not there, so that a message counts all rows.
    values[empty] = (0.0, 1.0, 0.0, 1.0)
    values = check_boxes(values)
    confidences = boxes["confidence"] if "confidence" in boxes else [None] * len(boxes)
    rows = zip(boxes["image"], boxes["class_name"], values.tolist(), confidences, strict=True)
    image_files, images = ImageFiles(images_dir, sizes), {}
    for row, (path, class_name, box, confidence) in enumerate(rows):
        path = os.fspath(path)
        if path not in images:
            try:
                name = image_files.name(path)
            except AnnotationError as error:
                raise AnnotationError(f"Row {row}: {error}") from None
            size = image_files.size_in_pixels(path, name) if needs_sizes else None
            images[path] = ImageWithBoxes(name, size, [])
        if empty[row]:
            continue
        if not isinstance(class_name, str):
            raise AnnotationError(f"Row {row}: class_name is text. Received: {class_name!r}.")
        if UNWRITABLE.search(class_name):
            raise AnnotationError(
                f"Row {row}: class_name holds a character that files cannot. "
                f"Received: {class_name!r}."
            )
        sure = None if confidence is None or np.isnan(confidence) else float(confidence)
        images[path].boxes.append((class_name, tuple(box), sure))
    return list(images.values())
