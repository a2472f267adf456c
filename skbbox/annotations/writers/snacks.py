"""The CSV of the chapter's snacks, or its variant with a column ``image``."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ...boxes import COORDINATES
from ..record import CONFIDENCES

if TYPE_CHECKING:
    from ..record import ImageWithBoxes

__all__ = ["IN_FOLDER", "NEEDS_SIZES", "write"]

IN_FOLDER = False
NEEDS_SIZES = False


def write(images: list[ImageWithBoxes]) -> dict[str, str]:
    """Text of the CSV; with the chapter's columns if all images fit its layout."""
    fit = all(image.boxes and _fits_layout(image.name) for image in images)
    known = {name for image in images for _, _, confidences in image.boxes for name in confidences}
    columns = [name for name in CONFIDENCES if name in known]
    first_columns = ["image_id"] if fit else ["image"]
    file = io.StringIO()
    # Readers strip the space before a field unless the field is in quotation marks.
    names = {image.name for image in images} | {box[0] for image in images for box in image.boxes}
    has_space = any(part.startswith(" ") for name in names for part in name.split("/"))
    writer = csv.writer(
        file,
        lineterminator="\n",
        quoting=csv.QUOTE_NONNUMERIC if has_space else csv.QUOTE_MINIMAL,
    )
    writer.writerow(
        [
            *first_columns,
            *COORDINATES,
            "class_name",
            *(["folder"] if fit else []),
            *columns,
        ]
    )
    for image in images:
        path = PurePosixPath(image.name)
        first, last = ([path.stem], [str(path.parent)]) if fit else ([image.name], [])
        for class_name, box, confidences in image.boxes:
            values = [confidences.get(name) for name in columns]
            writer.writerow([*first, *box, class_name, *last, *values])
        if not image.boxes:
            writer.writerow([*first, *[""] * (len(COORDINATES) + 1 + len(columns))])
    return {"": file.getvalue()}


def _fits_layout(name: str) -> bool:
    """Whether the name of an image is ``folder/image_id.jpg``."""
    path = PurePosixPath(name)
    return path.suffix == ".jpg" and len(path.parts) == 2
