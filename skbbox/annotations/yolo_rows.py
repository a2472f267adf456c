"""What follows the class in the rows of YOLO's files: a box or a polygon, and further values.

Rows do not say what they hold. A label is a box, a box and keypoints, or a polygon; a prediction
may end in a confidence and the number of a track. All rows of a data set have the same layout, so
it is decided from all of them, by ruling out the layouts that a row contradicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, TypeAlias

__all__ = [
    "ROWS",
    "choose_rows",
    "count_scores",
    "fits_keypoints",
    "has_visibilities",
    "is_outline",
    "is_scored_outline",
]

#: Values of the option ``yolo_rows``: the row begins with a box; or it is a polygon, with or
#: without values after its points.
ROWS = ("box", "polygon", "scored_polygon")

#: Numbers of a row, without its class.
Numbers: TypeAlias = Sequence[float]
#: Number of keypoints, values of each, and whether a confidence or a track follows.
_BoxLayout: TypeAlias = tuple[int, int, bool]

#: A layout is not decided from fewer rows if more follow.
MIN_ROWS = 20
#: How far boxes, in sides of the image, and keypoints, in sides of their box, may be outside.
BOX_MARGIN, KEYPOINT_MARGIN = 0.02, 0.25
#: How far points of a polygon may be outside the image.
POINT_MARGIN = 0.1


def choose_rows(
    rows: Iterable[Numbers],
) -> Literal["box", "polygon", "scored_polygon", "mixed"] | None:
    """Decide what the rows of a data set hold.

    Parameters
    ----------
    rows : iterable of sequence of float
        Numbers of each row, without its class; not read to its end if the first are polygons.

    Returns
    -------
    {"box", "polygon", "scored_polygon", "mixed"} or None
        ``"mixed"`` if no layout fits all rows, so that each row has to show its own; None if
        several layouts fit and give different boxes.
    """
    layouts: set[_BoxLayout] | None = None
    are_scored: set[bool] = set()
    is_possible = dict.fromkeys(ROWS, True)
    outlines: list[Numbers] = []
    n_seen, longest, is_same = 0, 0, True
    for numbers in rows:
        n = len(numbers)
        if n < 6:
            # Labels have four numbers, boxes of predictions five.
            are_scored.add(n == 5)
            continue
        n_seen, longest = n_seen + 1, max(n, longest)
        found = set() if _is_rectilinear(numbers) else _list_box_layouts(numbers)
        layouts = found if layouts is None else layouts & found
        is_possible["polygon"] &= is_outline(numbers)
        is_possible["scored_polygon"] &= is_scored_outline(numbers)
        if is_possible["polygon"] and is_possible["scored_polygon"]:
            is_same &= n > 6 and _bound(numbers) == _bound(numbers[: -count_scores(numbers)])
        if n >= 8 and len(outlines) < MIN_ROWS:
            outlines.append(numbers)
        is_possible["box"] = bool(layouts)
        if n_seen >= MIN_ROWS and not layouts and sum(is_possible.values()) < 2:
            break
    if are_scored:
        # Beside boxes without keypoints, no row has keypoints.
        layouts = {
            layout for layout in layouts or () if layout[0] == 0 and {layout[2]} >= are_scored
        }
    is_possible["box"] = bool(layouts)
    is_possible["polygon"] &= True not in are_scored
    # A box with two values is no polygon with two values.
    is_possible["scored_polygon"] &= False not in are_scored and longest > 6
    for name in ("polygon", "scored_polygon"):
        if is_possible[name] and outlines:
            n_scores = [count_scores(row) if name == "scored_polygon" else 0 for row in outlines]
            points = [row[: len(row) - n] for row, n in zip(outlines, n_scores, strict=True)]
            points = sorted((row for row in points if len(row) >= 8), key=len)
            # Keypoints that are read as an outline cross it.
            is_possible[name] = not points or not all(map(_crosses_itself, points))
    left = [name for name in ROWS if is_possible[name]]
    if not left:
        return "mixed"
    if len(left) == 1 or (left == ["polygon", "scored_polygon"] and is_same):
        return left[0]  # type: ignore[return-value]
    return None


def fits_keypoints(numbers: Numbers, shape: tuple[int, int] | None) -> bool:
    """Whether a row is a box and keypoints of a shape (keypoints, values of each)."""
    if shape is None:
        return False
    n_scores = len(numbers) - 4 - shape[0] * shape[1]
    return 0 <= n_scores <= 2 and _are_scores(numbers[len(numbers) - n_scores :])


def has_visibilities(numbers: Numbers) -> bool:
    """Whether a box is followed by keypoints: x, y and a visibility of 0, 1 or 2."""
    return len(numbers) > 4 and (len(numbers) - 4) % 3 == 0 and {*numbers[6::3]} <= {0, 1, 2}


def count_scores(numbers: Numbers) -> int:
    """Number of values after the points of a polygon of a prediction, whose points are pairs."""
    return 1 if len(numbers) % 2 else 2


def is_outline(numbers: Numbers) -> bool:
    """Whether numbers can be the points of a polygon: at least three pairs within the image."""
    return (
        len(numbers) >= 6
        and len(numbers) % 2 == 0
        and min(numbers) >= -POINT_MARGIN
        and max(numbers) <= 1 + POINT_MARGIN
    )


def is_scored_outline(numbers: Numbers) -> bool:
    """Whether numbers can be the points of a polygon, followed by a confidence or a track."""
    n_scores = count_scores(numbers)
    if not _are_scores(numbers[-n_scores:]):
        return False
    return len(numbers) == 6 or is_outline(numbers[:-n_scores])


def _are_scores(values: Numbers) -> bool:
    """Whether values are nothing, a confidence, the number of a track, or both in this order."""
    is_confidence = [0 < value <= 1 for value in values]
    is_track = [value >= 1 and float(value).is_integer() for value in values]
    if len(values) == 2:
        return is_confidence[0] and is_track[1]
    return len(values) == 0 or is_confidence[0] or is_track[0]


def _list_box_layouts(numbers: Numbers) -> set[_BoxLayout]:
    """Layouts in which a row begins with a box, which is within the image as are its keypoints."""
    x, y, width, height = numbers[:4]
    low, high = -BOX_MARGIN, 1 + BOX_MARGIN
    is_inside = low <= x - width / 2 and x + width / 2 <= high
    is_inside &= low <= y - height / 2 and y + height / 2 <= high
    if not (is_inside and width > 0 and height > 0):
        return set()
    found = set()
    for n_scores in range(3):
        end = len(numbers) - n_scores
        if not _are_scores(numbers[end:]):
            continue
        if end == 4:
            found.add((0, 0, True))
        for n_values in (2, 3):
            keypoints = numbers[4:end]
            if keypoints and len(keypoints) % n_values == 0:
                n_keypoints = len(keypoints) // n_values
                if _are_keypoints(keypoints, n_values, numbers[:4]):
                    found.add((n_keypoints, n_values, n_scores > 0))
    return found


def _are_keypoints(values: Numbers, n_values: int, box: Numbers) -> bool:
    x, y, width, height = box
    for i in range(0, len(values), n_values):
        dx, dy = abs(values[i] - x) / width, abs(values[i + 1] - y) / height
        visibility = values[i + 2] if n_values == 3 else 1.0
        if not (0 <= visibility <= 1 or visibility == 2):
            return False
        # A keypoint that is not visible may be anywhere, and is often at 0, 0.
        is_shown = visibility > 0 and (values[i] != 0 or values[i + 1] != 0)
        if is_shown and max(dx, dy) > 0.5 + KEYPOINT_MARGIN:
            return False
    return True


def _bound(numbers: Numbers) -> tuple[float, float, float, float]:
    xs, ys = numbers[::2], numbers[1::2]
    return min(xs), max(xs), min(ys), max(ys)


def _is_rectilinear(numbers: Numbers) -> bool:
    """Whether each side of an outline is horizontal or vertical, as in a rectangle."""
    if len(numbers) < 8 or len(numbers) % 2:
        return False
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    return all(a[0] == b[0] or a[1] == b[1] for a, b in pairwise([*points, points[0]]))


def _crosses_itself(numbers: Numbers) -> bool:
    """Whether two sides of an outline cross, or it has no area."""
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    sides = list(pairwise([*points, points[0]]))
    if abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in sides)) < 1e-9:
        return True

    def turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
        return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])

    return any(
        turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0
        for number, (a, b) in enumerate(sides)
        for c, d in sides[number + 2 :]
    )
