"""Finding errors and oddities in a table of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, OVERSHOOT, iou
from ..exceptions import AnnotationError
from ..templates import Markup, render
from .image_checks import check_images
from .table import BoxTable, Problem, format_box, group_spellings, is_blank, make_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Problems", "check_annotations"]

#: A box that covers at least this share of its image covers everything.
EVERYTHING = 0.99

#: Severity and description of each kind of problem.
KINDS = {
    "missing image": ("error", "the file does not exist"),
    "unreadable image": ("error", "the file is damaged or not an image"),
    "missing class": ("error", "the box has no class"),
    "missing coordinate": ("error", "a coordinate is missing or not finite"),
    "pixel coordinates": ("error", "coordinates are in pixels, not in 0..1"),
    "inverted box": ("error", "an edge is beyond the opposite edge"),
    "empty box": ("error", "the box has no width or no height"),
    "outside image": ("error", "an edge is outside the image"),
    "conflicting classes": ("error", "nearly the same box has another class"),
    "tiny box": ("warning", "a side is only a few pixels long"),
    "covers everything": ("warning", "the box covers the whole image"),
    "duplicate": ("warning", "the same box appears again"),
    "near duplicate": ("warning", "nearly the same box appears again"),
    "similar class names": ("warning", "names differ only by case or white space"),
    "rare class": ("warning", "too few images to train on"),
    "folder differs": ("warning", "the folder name differs from the class name"),
    "identical images": ("warning", "the same file under another name"),
    "near-identical images": ("warning", "nearly the same picture in another part of the split"),
    "several boxes": ("info", "more than one box on an image"),
    "several classes": ("info", "boxes of more than one class on an image"),
}
SEVERITIES = ("error", "warning", "info")
COLUMNS = ["row", "image", "problem", "detail", "severity"]


class Problems(pd.DataFrame):
    """Table of problems that :func:`check_annotations` found.

    A DataFrame with a summary: ``print(problems.summary())``.
    """

    @property
    def _constructor(self) -> type[Problems]:
        return Problems

    def summary(self) -> str:
        """Number of rows with each problem as text, most severe first."""
        if self.empty:
            return "No problems found."
        return "\n".join(
            f"{severity:8}{count:>7}  {kind}: {description}"
            for severity, kind, count, description in self._count_kinds()
        )

    def _repr_html_(self) -> str:
        # The type stubs of pandas lack this method.
        table: str = super()._repr_html_() or ""  # type: ignore[misc]
        # A selection of the columns has no severities to count.
        if list(self.columns) != COLUMNS:
            return table
        return render(
            "label_problems.html",
            counts=list(self._count_kinds()),
            n_rows=len(self),
            table=Markup(table),
        )

    def _count_kinds(self) -> Iterator[tuple[str, str, int, str]]:
        """Yield severity, kind, number of rows and description, most severe first."""
        for severity in SEVERITIES:
            counts = self.loc[self["severity"] == severity, "problem"].value_counts()
            for kind, (_, description) in KINDS.items():
                if kind in counts:
                    yield severity, kind, int(counts[kind]), description


def check_annotations(
    boxes: pd.DataFrame,
    *,
    split: Sequence[Any] | pd.Series | None = None,
    open_images: bool = True,
    min_side: float = 4,
    duplicate_iou: float = 0.9,
    min_images: int = 5,
) -> Problems:
    """Find errors and oddities in a table of boxes.

    Parameters
    ----------
    boxes : DataFrame
        As returned by :func:`read_annotations`: a column ``image`` and the columns of
        ``TARGET_COLUMNS``. It is not changed.
    split : array-like of shape (n_boxes,), default=None
        Name of the part of the split that each row belongs to, such as train and val; None uses
        the column ``split`` if there is one. Images that are nearly the same in two parts are
        reported.
    open_images : bool, default=True
        Whether to read the images, to find those that are missing, damaged or identical, and
        boxes with few pixels. False checks only the table.
    min_side : float, default=4
        A box with a side of fewer pixels is reported as tiny.
    duplicate_iou : float, default=0.9
        Two boxes of an image with at least this IoU, in 0..1, are duplicates.
    min_images : int, default=5
        A class on fewer images is reported as rare.

    Returns
    -------
    Problems
        A DataFrame sorted by row, with the columns ``row`` (position in `boxes`), ``image``,
        ``problem``, ``detail`` and ``severity`` (``"error"``: wrong or cannot be trained on;
        ``"warning"``: should be checked; ``"info"``: for information). A problem of an image or a
        class is reported at its first row. ``summary()`` counts the problems.

    Raises
    ------
    AnnotationError
        If a column is missing, or `split` has another length than `boxes`.

    Examples
    --------
    >>> import pandas as pd
    >>> from skbbox import check_annotations
    >>> boxes = pd.DataFrame({
    ...     "image": ["a.jpg", "b.jpg"], "class_name": ["car", "car "],
    ...     "x_min": [0.8, 0.0], "x_max": [0.2, 0.5], "y_min": [0.1, 0.0], "y_max": [0.5, 0.5]})
    >>> problems = check_annotations(boxes, open_images=False, min_images=1)
    >>> problems[["row", "problem", "severity"]].values.tolist()
    [[0, 'inverted box', 'error'], [1, 'similar class names', 'warning']]
    >>> print(problems.summary())
    error         1  inverted box: an edge is beyond the opposite edge
    warning       1  similar class names: names differ only by case or white space
    """
    table = BoxTable(boxes)
    parts = _get_parts(boxes, split)
    problems = list(_check_boxes(table))
    problems += _check_pairs(table, duplicate_iou)
    problems += _check_classes(table, min_images)
    problems += _check_split(table, parts)
    if open_images:
        problems += check_images(table, parts, min_side)
    problems.sort(key=lambda problem: problem.row)
    rows = [
        (row, table.images[row], kind, detail, KINDS[kind][0]) for row, kind, detail in problems
    ]
    return Problems(make_columns(rows, COLUMNS))


def _get_parts(boxes: pd.DataFrame, split: Sequence[Any] | pd.Series | None) -> list[Any] | None:
    if split is None:
        return list(boxes["split"]) if "split" in boxes else None
    parts = list(split)
    if len(parts) != len(boxes):
        raise AnnotationError(
            f"split must name the part of each of the {len(boxes)} rows. "
            f"Received {len(parts)} names."
        )
    return parts


def _check_boxes(table: BoxTable) -> Iterator[Problem]:
    """Yield the problems of single rows."""
    for row, box in enumerate(table.values):
        if table.is_empty[row]:
            continue
        name = table.classes[row]
        if is_blank(name):
            yield Problem(row, "missing class", f"class_name is {name!r}")
        if not table.is_complete[row]:
            wrong = [
                side for side, value in zip(COORDINATES, box, strict=True) if not np.isfinite(value)
            ]
            yield Problem(row, "missing coordinate", ", ".join(wrong))
            continue
        detail = format_box(box)
        x_min, x_max, y_min, y_max = box
        if x_min > x_max or y_min > y_max:
            yield Problem(row, "inverted box", detail)
        elif x_min == x_max or y_min == y_max:
            yield Problem(row, "empty box", detail)
        if table.in_pixels[row]:
            yield Problem(row, "pixel coordinates", detail)
        elif (box < -OVERSHOOT).any() or (box > 1 + OVERSHOOT).any():
            yield Problem(row, "outside image", detail)
        elif table.is_valid[row] and (x_max - x_min) * (y_max - y_min) >= EVERYTHING:
            yield Problem(row, "covers everything", detail)
        folder = None if table.folders is None else table.folders[row]
        if isinstance(folder, str) and folder and name is not None and folder != name:
            yield Problem(row, "folder differs", f"folder {folder!r}, class {name!r}")


def _check_pairs(table: BoxTable, duplicate_iou: float) -> Iterator[Problem]:
    """Yield the problems of several boxes on one image."""
    usable = np.flatnonzero(table.is_valid & ~table.in_pixels)
    for rows in table.group_by_image(usable).values():
        if len(rows) < 2:
            continue
        yield Problem(rows[0], "several boxes", f"{len(rows)} boxes")
        classes = list(dict.fromkeys(table.classes[row] for row in rows))
        if len(classes) > 1:
            yield Problem(rows[0], "several classes", ", ".join(map(str, classes)))
        for number, row in enumerate(rows[1:], start=1):
            earlier = rows[:number]
            overlaps = iou(table.values[row], table.values[earlier])
            for other, overlap in zip(earlier, overlaps, strict=True):
                same_class = table.classes[row] == table.classes[other]
                if same_class and (table.values[row] == table.values[other]).all():
                    yield Problem(row, "duplicate", f"of row {other}")
                    break
                if overlap >= duplicate_iou:
                    kind = "near duplicate" if same_class else "conflicting classes"
                    detail = f"IoU {overlap:.3f} with row {other}"
                    if not same_class:
                        detail += f", {table.classes[row]!r} and {table.classes[other]!r}"
                    yield Problem(row, kind, detail)
                    break


def _check_classes(table: BoxTable, min_images: int) -> Iterator[Problem]:
    """Yield the problems of class names, each at the first row of the name."""
    rows_by_class = table.group_by_class()
    for usual, *others in group_spellings(rows_by_class):
        n_usual = len(rows_by_class[usual])
        for name in others:
            rows = rows_by_class[name]
            detail = f"{name!r} ({len(rows)} rows) and {usual!r} ({n_usual} rows)"
            yield Problem(rows[0], "similar class names", detail)
    for name, rows in rows_by_class.items():
        n_images = len({table.images[row] for row in rows})
        if n_images < min_images:
            yield Problem(rows[0], "rare class", f"{name!r} is on {n_images} images")


def _check_split(table: BoxTable, parts: list[Any] | None) -> list[Problem]:
    """Images in several parts of the split, each at the first row in another part."""
    if parts is None:
        return []
    first_part: dict[str, Any] = {}
    problems: dict[str, Problem] = {}
    for row, image in enumerate(table.images):
        part = first_part.setdefault(image, parts[row])
        if part != parts[row] and image not in problems:
            detail = f"the same path in {part!r} and {parts[row]!r}"
            problems[image] = Problem(row, "identical images", detail)
    return list(problems.values())
