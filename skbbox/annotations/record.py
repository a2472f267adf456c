"""What every reader produces: one record per box."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, TARGET_COLUMNS

__all__ = ["BoxRecord", "to_frame"]


@dataclass(frozen=True)
class BoxRecord:
    """One box of one image, or an image without an object.

    Attributes
    ----------
    image : str
        Path of the image.
    class_name : str or None
        None for an image without an object.
    box : tuple of 4 floats
        ``x_min, x_max, y_min, y_max``, normalised; NaN for an image without an object.
    extra : dict
        What the format says beyond that, by column name.
    """

    image: str
    class_name: str | None = None
    box: tuple[float, float, float, float] = (np.nan,) * 4
    extra: dict = field(default_factory=dict)


def to_frame(records):
    """Table of records with the columns ``image``, ``TARGET_COLUMNS`` and the extra ones."""
    frame = pd.DataFrame(
        [
            {"image": record.image, "class_name": record.class_name}
            | dict(zip(COORDINATES, record.box, strict=True))
            | record.extra
            for record in records
        ]
    )
    if frame.empty:
        frame = pd.DataFrame(columns=["image", *TARGET_COLUMNS])
    return frame.astype(dict.fromkeys(COORDINATES, np.float64))
