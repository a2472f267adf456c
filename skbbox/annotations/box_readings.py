"""What four numbers of a box in a table are: their order and their units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from ..boxes import look_like_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..typing import FloatArray
    from .nodes import Place

__all__ = ["BOX_FORMATS", "UNITS", "choose_reading", "to_edges"]

#: Positions of ``x_min, x_max, y_min, y_max`` among the numbers of formats with two corners.
_CORNERS = {"xyxy": (0, 2, 1, 3), "xxyy": (0, 1, 2, 3), "yxyx": (1, 3, 0, 2)}
BOX_FORMATS = (*_CORNERS, "xywh", "cxcywh")
UNITS = ("pixels", "normalised", "percent")

#: How far a box may be outside the image in a reading that fits, as a share of its side.
TOLERANCE = 0.02
#: With this many boxes, or fractions, numbers up to 100 may be percent, if images are larger.
N_PERCENT, PERCENT_SIDE = 20, 200


def to_edges(values: FloatArray, box_format: str) -> FloatArray:
    """``x_min, x_max, y_min, y_max`` from the four numbers of each box.

    Parameters
    ----------
    values : ndarray of shape (n_boxes, 4)
    box_format : {"xyxy", "xxyy", "yxyx", "xywh", "cxcywh"}
        The order of two corners; or the top left corner or the centre, width and height.
    """
    if box_format in _CORNERS:
        return values[:, _CORNERS[box_format]]
    x, y, width, height = values.T
    if box_format == "cxcywh":
        x, y = x - width / 2, y - height / 2
    return np.stack([x, x + width, y, y + height], axis=1)


def choose_reading(
    values: FloatArray,
    find_place: Callable[[int], Place],
    formats: Sequence[str],
    units: str | None,
    get_sizes: Callable[[], FloatArray],
) -> tuple[str, str]:
    """Decide what the numbers are; raises an AnnotationError if two readings fit, or none.

    Parameters
    ----------
    values : ndarray of shape (n_boxes, 4)
        Without missing values.
    find_place : callable
        Returns the position of a box in the file, for messages.
    formats : sequence of str
        The formats that are possible.
    units : {"pixels", "normalised", "percent"} or None
        None decides it from the numbers.
    get_sizes : callable
        Returns the width and height of the image of each box, of shape (n_boxes, 2).

    Returns
    -------
    box_format, units : str
    """
    if len(values) == 0:
        return formats[0], units or "normalised"
    units = units or _choose_units(values, find_place, formats[0], get_sizes)
    if len(formats) == 1:
        return formats[0], units
    scale = {"normalised": 1.0, "percent": 100.0}.get(units)
    fits: dict[str, NDArray[np.bool_]] = {}
    for box_format in formats:
        x_min, x_max, y_min, y_max = to_edges(values, box_format).T
        is_ordered = (x_min <= x_max) & (y_min <= y_max)
        if is_ordered.all():
            sides = get_sizes() if scale is None else np.full((len(x_min), 2), scale)
            margin = TOLERANCE * sides
            low, high = np.stack([x_min, y_min], 1), np.stack([x_max, y_max], 1)
            is_ordered = ((low >= -margin) & (high <= sides + margin)).all(axis=1)
        fits[box_format] = is_ordered
    left = [box_format for box_format, rows in fits.items() if rows.all()]
    if len(left) == 1:
        return left[0], units
    if left:
        _fail_ambiguous(values[0], find_place(0), left)
    wrong = {name: int(np.flatnonzero(~rows)[0]) for name, rows in fits.items()}
    reasons = ", ".join(f"not {name} ({find_place(row)})" for name, row in wrong.items())
    find_place(next(iter(wrong.values()))).fail(
        f"the four numbers of the boxes are {reasons}, because boxes would be inverted or outside "
        f"their image. Pass box_format= with one of {list(BOX_FORMATS)}."
    )


def _choose_units(
    values: FloatArray,
    find_place: Callable[[int], Place],
    box_format: str,
    get_sizes: Callable[[], FloatArray],
) -> str:
    in_pixels = look_like_pixels(values)
    # Boxes of 0 and 1 alone can be either.
    is_normalised = ~in_pixels & (values % 1 != 0).any(axis=1)
    if in_pixels.any() and is_normalised.any():
        first, other = int(in_pixels.argmax()), int(is_normalised.argmax())
        find_place(other).fail(
            f"the numbers {_show(values[other])} look normalised, but those of "
            f"{find_place(first)}, {_show(values[first])}, like pixels. Correct one of them, or "
            "pass units='pixels' or units='normalised'."
        )
    if is_normalised.any():
        return "normalised"
    if not in_pixels.any():
        find_place(0).fail(
            f"the numbers {_show(values[0])} can be pixels or normalised. Pass units='pixels' or "
            "units='normalised'."
        )
    edges = to_edges(values, box_format)
    is_many = len(values) >= N_PERCENT or (values % 1 != 0).any()
    may_be_percent = is_many and values.min() >= 0 and edges.max() <= 100
    if may_be_percent and get_sizes().min() > PERCENT_SIDE:
        find_place(0).fail(
            f"no number is above 100, but the images are larger, so that {_show(values[0])} can "
            "be pixels or percent. Pass units='pixels' or units='percent'."
        )
    return "pixels"


def _fail_ambiguous(values: FloatArray, place: Place, formats: list[str]) -> NoReturn:
    readings = []
    for box_format in formats:
        x_min, x_max, y_min, y_max = to_edges(values[None], box_format)[0]
        readings.append(f"{box_format} (x {x_min:g} to {x_max:g}, y {y_min:g} to {y_max:g})")
    options = " or ".join(f"box_format={name!r}" for name in formats)
    place.fail(
        f"the numbers {_show(values)} can be {' or '.join(readings)}, and no other box "
        f"decides it. Pass {options}."
    )


def _show(values: FloatArray) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"
