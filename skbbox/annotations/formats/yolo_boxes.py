"""Boxes in the rows of YOLO's files, which may be polygons or have keypoints."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import TYPE_CHECKING, NoReturn

from ..class_names import FoundNames, find_class_names
from ..nodes import Line, parse_numbers
from ..yolo_rows import (
    choose_rows,
    count_scores,
    fits_keypoints,
    has_visibilities,
    is_outline,
    is_scored_outline,
)

if TYPE_CHECKING:
    from ..documents import Document
    from ..options import Options
    from ..record import Box

__all__ = ["find_names", "read_box"]


def read_box(
    fields: list[str],
    place: Line,
    document: Document,
    options: Options,
    kpt_shape: tuple[int, int] | None,
) -> Box | None:
    """The box of a row; None if it is a polygon that is left out."""
    numbers = parse_numbers(fields[1:], place, map("field {}".format, count(2)))
    if len(numbers) < 4:
        place.fail(f"expected a class and four numbers. Received {len(fields)} fields.")
    if len(numbers) < 6 or _begins_with_box(numbers, place, document, options, kpt_shape):
        x, y, width, height = numbers[:4]
        return x - width / 2, x + width / 2, y - height / 2, y + height / 2
    n_scores = 0
    if "scored_polygon" in (options.yolo_rows, options.decided_rows):
        n_scores = count_scores(numbers)
    end = len(numbers) - n_scores
    points = list(zip(numbers[:end:2], numbers[1:end:2], strict=True))
    return options.bound_shape(place, "polygon", points)


def _begins_with_box(
    numbers: tuple[float, ...],
    place: Line,
    document: Document,
    options: Options,
    kpt_shape: tuple[int, int] | None,
) -> bool:
    """Whether a row of six numbers or more begins with a box, and is not a polygon."""
    if options.yolo_rows is not None:
        if options.yolo_rows == "polygon" and len(numbers) % 2:
            place.fail(
                f"expected pairs of x and y, as yolo_rows='polygon' says. Received {len(numbers)} "
                "numbers."
            )
        return options.yolo_rows == "box" or (
            options.yolo_rows == "scored_polygon" and len(numbers) == 6
        )
    if fits_keypoints(numbers, kpt_shape):
        return True
    if options.decided_rows is None:
        options.decided_rows = choose_rows(_iter_open_rows(document, options))
    rows = options.decided_rows
    if rows is None:
        _refuse_row(place, "can be read in several ways")
    if rows == "box":
        return True
    if rows == "scored_polygon":
        return len(numbers) == 6
    # Some programs write polygons, and boxes with keypoints, into one file.
    if rows == "polygon" and (not has_visibilities(numbers) or is_outline(numbers)):
        if len(numbers) % 2:
            _refuse_row(place, "has an odd number of values, though other rows are polygons")
        return False
    if is_outline(numbers) and not has_visibilities(numbers) and not is_scored_outline(numbers):
        return False
    if not has_visibilities(numbers) or is_outline(numbers):
        _refuse_row(place, "does not show whether it is a box or a polygon")
    return True


def _refuse_row(place: Line, reason: str) -> NoReturn:
    place.fail(
        f"the row {reason}: pass yolo_rows='box' if rows begin with a box, whatever follows it "
        "(keypoints, a confidence, a track), 'polygon' if they are the points of polygons, or "
        "'scored_polygon' if a confidence or a track follows the points."
    )


def _iter_open_rows(document: Document, options: Options) -> Iterator[list[float]]:
    """Yield the numbers of the rows of all files, without those whose keypoints are declared."""
    for other in options.documents or [document]:
        if other.kind != "text" or other.path.suffix.lower() != ".txt":
            continue
        kpt_shape = find_names(other, options).kpt_shape
        for _, text in other.iter_lines():
            try:
                numbers = [float(field) for field in text.split()[1:]]
            except ValueError:
                continue  # Reading the row raises an error that names it.
            if len(numbers) >= 4 and not fits_keypoints(numbers, kpt_shape):
                yield numbers


def find_names(document: Document, options: Options) -> FoundNames:
    """Class names and shape of keypoints for a file, unless the user passed names."""
    if options.class_names is not None:
        return FoundNames(None, options.kpt_shape)
    folder = document.path.absolute().parent
    if folder not in options.names_by_folder:
        options.names_by_folder[folder] = find_class_names(folder, options.root)
    return options.names_by_folder[folder]
