"""Repairing a table of boxes by fixed rules."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, OVERSHOOT, PIXELS_FROM, iou
from ..boxes.tables import as_pandas, like
from ..exceptions import SkbboxWarning
from ..files import as_path
from ..images import upright_size
from .image_checks import find_unreadable_rows
from .table import BoxTable, format_box, group_spellings, is_blank, make_columns

if TYPE_CHECKING:
    from ..typing import FloatArray

__all__ = ["CleanedAnnotations", "clean_annotations"]


class CleanedAnnotations(pd.DataFrame):
    """Boxes that :func:`clean_annotations` returned.

    A DataFrame whose attribute ``actions`` is a table of the repairs and dropped rows.
    """

    _metadata = ["actions"]
    actions: pd.DataFrame

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame


class _Action(NamedTuple):
    row: int
    problem: str
    action: str
    detail: str


def clean_annotations(
    boxes: pd.DataFrame, *, open_images: bool = True, duplicate_iou: float = 0.9
) -> CleanedAnnotations:
    """Repair a table of boxes by fixed rules, and drop rows that cannot be used.

    Class names are stripped, blank names become missing, and names that differ only by case or
    white space are replaced by the most frequent of them; then boxes in pixels are divided by the
    size of their image, edges in the wrong order are swapped, and boxes are clipped to the image.
    A row is dropped if half of its box is missing, its box is empty after the repair, its box
    duplicates another one of the same image and class, its class is blank and it has no box, it
    has no object although another row of the image has one, or its image cannot be
    read. Rows with only a class, only a box or neither stay as they are.

    Parameters
    ----------
    boxes : DataFrame
        As returned by :func:`read_annotations`. It is not changed.
    open_images : bool, default=True
        Whether to read the images, to find those that are missing or damaged and to get their
        sizes. If none of them exists, they are not read.
    duplicate_iou : float, default=0.9
        Two boxes of one class on one image with at least this IoU, in 0..1, are duplicates; the
        first is kept. A box without a class is a duplicate of one with any class.

    Returns
    -------
    CleanedAnnotations
        A DataFrame of the remaining rows in their order, with their index and columns; a polars
        DataFrame if `boxes` is one. The attribute ``actions`` is a DataFrame with one row per
        repair or dropped row: ``row`` (position in `boxes`), ``image``, ``problem``, ``action``
        (``"repaired"`` or ``"dropped"``) and ``detail``.

    Warns
    -----
    SkbboxWarning
        If rows were repaired or dropped, with the number of each; if none of the images exists.

    Raises
    ------
    AnnotationError
        If a column is missing.

    Examples
    --------
    >>> import warnings
    >>> import pandas as pd
    >>> from skbbox import clean_annotations
    >>> boxes = pd.DataFrame({
    ...     "image": ["a.jpg", "a.jpg"], "class_name": ["car", "car"],
    ...     "x_min": [0.8, 0.1], "x_max": [0.2, 0.1], "y_min": [0.1, 0.0], "y_max": [1.5, 0.5]})
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     cleaned = clean_annotations(boxes, open_images=False)
    >>> cleaned[["x_min", "x_max", "y_min", "y_max"]].values.tolist()
    [[0.2, 0.8, 0.1, 1.0]]
    >>> cleaned.actions[["row", "problem", "action"]].values.tolist()
    [[0, 'inverted box', 'repaired'], [0, 'outside image', 'repaired'], [1, 'empty box', 'dropped']]
    """
    given, boxes = boxes, as_pandas(boxes)
    table = BoxTable(boxes)
    if (
        open_images
        and len(boxes)
        and not any(os.path.exists(as_path(image)) for image in table.images)
    ):
        # A wrong folder should not drop all rows.
        warnings.warn(
            f"clean_annotations: none of the images exists, the first being {table.images[0]}, so "
            "they were not read. Correct images_dir= of read_annotations, or pass "
            "open_images=False.",
            SkbboxWarning,
            stacklevel=2,
        )
        open_images = False
    actions: list[_Action] = []
    dropped: set[int] = set()
    if open_images:
        for row, kind, detail in find_unreadable_rows(table):
            actions.append(_Action(row, kind, "dropped", detail))
            dropped.add(row)
    for row in set(table.find_contradictions()) - dropped:
        detail = "another row of the image has an object"
        actions.append(_Action(row, "contradicted by a row", "dropped", detail))
    table.classes, renames = _unify_classes(table)
    actions += renames
    for row in np.flatnonzero(table.has_box).tolist():
        if row not in dropped:
            table.values[row], repairs = _repair_box(table, row, open_images)
            actions += repairs
    dropped |= {action.row for action in actions if action.action == "dropped"}
    duplicates = _find_duplicates(table, dropped, duplicate_iou)
    actions += duplicates
    dropped |= {action.row for action in duplicates}
    actions.sort(key=lambda action: action.row)

    cleaned = boxes.copy()
    cleaned["class_name"] = table.classes
    for side, values in zip(COORDINATES, table.values.T, strict=True):
        cleaned[side] = values
    kept = np.array([row not in dropped for row in range(len(boxes))], dtype=bool)
    result = like(CleanedAnnotations(cleaned[kept]), given)
    rows = [
        (row, table.images[row], problem, action, detail)
        for row, problem, action, detail in actions
    ]
    columns = ["row", "image", "problem", "action", "detail"]
    result.actions = like(pd.DataFrame(make_columns(rows, columns)), given)
    if actions:
        counts = Counter((problem, action) for _, problem, action, _ in actions)
        summary = ", ".join(f"{n} {problem} {action}" for (problem, action), n in counts.items())
        warnings.warn(
            f"clean_annotations: {summary}; the attribute actions lists them.",
            SkbboxWarning,
            stacklevel=2,
        )
    return result


def _unify_classes(table: BoxTable) -> tuple[list[Any], list[_Action]]:
    """Class of each row in its most frequent spelling, and the changes."""
    classes, actions = list(table.classes), []
    rows_by_class = table.group_by_class()
    for name in filter(is_blank, rows_by_class):
        for row in rows_by_class[name]:
            # Without a box, a row without a class would say that the image has no object.
            action = "repaired" if table.has_box[row] else "dropped"
            actions.append(_Action(row, "blank class", action, f"class_name is {name!r}"))
            classes[row] = None
    names = {name: rows for name, rows in rows_by_class.items() if not is_blank(name)}
    for spellings in group_spellings(names):
        usual = spellings[0].strip()
        for name in spellings:
            for row in names[name] if name != usual else []:
                detail = f"{name!r} became {usual!r}"
                actions.append(_Action(row, "similar class names", "repaired", detail))
                classes[row] = usual
    return classes, actions


def _repair_box(table: BoxTable, row: int, open_images: bool) -> tuple[FloatArray, list[_Action]]:
    """The repaired box of a row, and the repairs, the last of which may be to drop the row."""
    box = table.values[row]
    before = format_box(box)
    if not table.is_complete[row]:
        return box, [_Action(row, "missing coordinate", "dropped", before)]
    actions: list[_Action] = []
    if table.in_pixels[row]:
        box, action, detail = _normalise_box(box, table.images[row], open_images)
        actions.append(_Action(row, "pixel coordinates", action, f"{before}{detail}"))
        if action == "dropped":
            return box, actions
    ordered = np.array([*sorted(box[:2]), *sorted(box[2:])])
    if (ordered != box).any():
        actions.append(_Action(row, "inverted box", "repaired", before))
    clipped = np.clip(ordered, 0.0, 1.0)
    if (clipped[1] <= clipped[0]) or (clipped[3] <= clipped[2]):
        is_outside = (ordered[1] > ordered[0]) and (ordered[3] > ordered[2])
        kind = "outside image" if is_outside else "empty box"
        return box, [*actions, _Action(row, kind, "dropped", before)]
    if (np.abs(clipped - ordered) > OVERSHOOT).any():
        actions.append(_Action(row, "outside image", "repaired", before))
    return clipped, actions


def _normalise_box(box: FloatArray, image: str, open_images: bool) -> tuple[FloatArray, str, str]:
    """A box in pixels divided by the size of its image; the action and its details."""
    if not open_images:
        return box, "dropped", "; images are not opened"
    if (np.abs(box.reshape(2, 2)).max(axis=1) < PIXELS_FROM).any():
        return box, "dropped", "; only x or only y may be in pixels"
    width, height = upright_size(as_path(image))
    normalised = box / (width, width, height, height)
    if (np.abs(normalised) >= PIXELS_FROM).any():
        return box, "dropped", f"; does not fit {width} x {height} pixels"
    return normalised, "repaired", f" of {width} x {height} pixels"


def _find_duplicates(table: BoxTable, dropped: set[int], duplicate_iou: float) -> list[_Action]:
    """Rows whose box repeats that of another row of the same image and class."""
    kept: dict[str, list[int]] = {}
    actions = []
    rows = [row for row in np.flatnonzero(table.has_box).tolist() if row not in dropped]
    # Those without a class last, because they say less than a duplicate with one.
    for row in sorted(rows, key=lambda row: table.classes[row] is None):
        name = table.classes[row]
        earlier = kept.setdefault(table.images[row], [])
        others = [other for other in earlier if name is None or table.classes[other] == name]
        overlaps = iou(table.values[row], table.values[others]) if others else np.empty(0)
        if overlaps.size and overlaps.max() >= duplicate_iou:
            other = others[int(overlaps.argmax())]
            is_exact = (table.values[row] == table.values[other]).all()
            kind = "duplicate" if is_exact else "near duplicate"
            detail = f"IoU {overlaps.max():.3f} with row {other}"
            actions.append(_Action(row, kind, "dropped", detail))
        else:
            earlier.append(row)
    return actions
