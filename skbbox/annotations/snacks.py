"""The CSV of the chapter's snacks: normalised boxes, images at ``folder/image_id.jpg``."""

import csv
from pathlib import Path

from ..boxes import COORDINATES
from ..exceptions import AnnotationError
from .record import BoxRecord

__all__ = ["read", "recognises"]

COLUMNS = ("image_id", *COORDINATES, "class_name", "folder")


def recognises(source):
    """Whether `source` is a file whose first line has the chapter's columns."""
    if not source.is_file():
        return False
    with source.open("rb") as file:
        header = file.readline(4096).decode("utf-8-sig", errors="replace")
    return set(COLUMNS) <= {name.strip() for name in next(csv.reader([header]), [])}


def read(source, images_dir):
    """Records of the CSV `source`; None for `images_dir` is the folder of the CSV."""
    images_dir = source.parent if images_dir is None else Path(images_dir)
    with source.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        try:
            return _records(source, reader, images_dir)
        except UnicodeDecodeError as error:
            raise AnnotationError(f"{source} is not UTF-8: {error}; save it as UTF-8.") from None
        except csv.Error as error:
            raise AnnotationError(
                f"{source}, line {reader.line_num}: {error}; a quotation mark may be unclosed."
            ) from None


def _records(source, reader, images_dir):
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
    if missing:
        raise AnnotationError(
            f"{source}: the columns {missing} are missing. Received: {reader.fieldnames}."
        )
    return [_record(source, reader.line_num, row, images_dir) for row in reader]


def _record(source, line, row, images_dir):
    place = f"{source}, line {line}"
    if None in row or None in row.values():
        raise AnnotationError(f"{place}: the number of fields differs from the header's.")
    image = images_dir / row["folder"] / f"{row['image_id']}.jpg"
    if not image.is_relative_to(images_dir) or ".." in image.relative_to(images_dir).parts:
        raise AnnotationError(
            f"{place}: folder and image_id lead out of {images_dir}. "
            f"Received: {row['folder']!r} and {row['image_id']!r}."
        )
    return BoxRecord(
        image=str(image),
        class_name=row["class_name"],
        box=tuple(_number(place, name, row[name]) for name in COORDINATES),
        extra={"image_id": row["image_id"], "folder": row["folder"]},
    )


def _number(place, name, text):
    try:
        return float(text)
    except ValueError:
        raise AnnotationError(f"{place}: {name} is not a number. Received: {text!r}.") from None
