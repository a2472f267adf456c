"""Finding errors and oddities in a table of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, OVERSHOOT, iou, look_like_pixels
from ..boxes.tables import as_pandas
from ..exceptions import AnnotationError
from ..templates import Markup, render
from .image_checks import check_images
from .table import (
    BoxTable,
    Problem,
    find_lookalikes,
    format_box,
    group_spellings,
    is_blank,
    make_columns,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..typing import FloatArray

__all__ = ["Problems", "check_annotations"]

#: A box that covers at least this share of its image covers everything.
EVERYTHING = 0.99

#: Severity and description of each kind of problem.
KINDS = {
    "missing image": ("error", "the file does not exist"),
    "unreadable image": ("error", "the file is damaged or not an image"),
    "blank class": ("error", "the class is blank text; it should be missing, or a name"),
    "missing coordinate": ("error", "half a box, or a coordinate is not finite"),
    "pixel coordinates": ("error", "coordinates are in pixels, not in 0..1"),
    "inverted box": ("error", "an edge is beyond the opposite edge"),
    "empty box": ("error", "the box has no width or no height"),
    "outside image": ("error", "an edge is outside the image"),
    "transposed size": ("error", "width and height of the upright image are exchanged"),
    "conflicting classes": ("error", "nearly the same box has another class"),
    "contradicted by a row": ("error", "no class and no box, but another row has an object"),
    "tiny box": ("warning", "a side is only a few pixels long"),
    "covers everything": ("warning", "the box covers the whole image"),
    "duplicate": ("warning", "the same box appears again"),
    "near duplicate": ("warning", "nearly the same box appears again"),
    "similar class names": ("warning", "names differ only by case or white space, or by a letter"),
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

    A DataFrame with a summary: ``print(problems.summary())``. Its attribute ``kinds`` is the number
    of rows with ``"class and box"``, ``"class only"``, ``"box only"`` and ``"no object"``.
    """

    _metadata = ["kinds"]
    kinds: dict[str, int]

    @property
    def _constructor(self) -> type[Problems]:
        return Problems

    def summary(self) -> str:
        """Number of rows with each problem as text, most severe first.

        If a row has no class or no box, the number of rows of each kind comes before.
        """
        lines = [f"{'rows':8}{count:>7}  {kind}" for kind, count in self._get_partial_kinds()]
        lines += [
            f"{severity:8}{count:>7}  {kind}: {description}"
            for severity, kind, count, description in self._count_problems()
        ]
        return "\n".join(lines + ["No problems found."] * self.empty)

    def _repr_html_(self) -> str:
        # The type stubs of pandas lack this method.
        table: str = super()._repr_html_() or ""  # type: ignore[misc]
        # A selection of the columns has no severities to count.
        if list(self.columns) != COLUMNS:
            return table
        return render(
            "label_problems.html",
            kinds=list(self._get_partial_kinds()),
            counts=list(self._count_problems()),
            n_rows=len(self),
            table=Markup(table),
        )

    def _get_partial_kinds(self) -> list[tuple[str, int]]:
        """Number of rows of each kind, or nothing if all have class and box."""
        # Operations of pandas that join tables lose attributes.
        kinds = list((getattr(self, "kinds", None) or {}).items())
        return kinds if any(count for _, count in kinds[1:]) else []

    def _count_problems(self) -> Iterator[tuple[str, str, int, str]]:
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
        ``TARGET_COLUMNS``. It is not changed. In a row, the class, the box or both may be missing;
        only half a box is a problem.
    split : array-like of shape (n_boxes,), default=None
        Name of the part of the split that each row belongs to, such as train and val; None uses
        the column ``split`` if there is one. Near-duplicate images in different parts are
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
        class is reported at its first row. ``summary()`` counts the problems and, if classes or
        boxes are missing, the rows of each kind, which the attribute ``kinds`` holds.

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
    warning       1  similar class names: names differ only by case or white space, or by a letter
    """
    boxes = as_pandas(boxes)
    table = BoxTable(boxes)
    parts = _get_parts(boxes, split)
    problems = list(_check_boxes(table))
    problems += _check_pairs(table, duplicate_iou)
    problems += _check_classes(table, min_images)
    problems += _check_split(table, parts)
    problems += _check_sizes(table)
    problems += [
        Problem(row, "contradicted by a row", "another row of the image has an object")
        for row in table.find_contradictions()
    ]
    if open_images:
        problems += check_images(table, parts, min_side)
    problems.sort(key=lambda problem: problem.row)
    rows = [
        (row, table.images[row], kind, detail, KINDS[kind][0]) for row, kind, detail in problems
    ]
    found = Problems(make_columns(rows, COLUMNS))
    found.kinds = table.count_kinds()
    return found


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
    folders = _get_class_folders(table)
    for row, box in enumerate(table.values):
        if table.is_empty[row]:
            continue
        name, folder = table.classes[row], folders[row]
        if name is not None and is_blank(name):
            yield Problem(row, "blank class", f"class_name is {name!r}")
        if isinstance(folder, str) and folder and name is not None and folder != name:
            yield Problem(row, "folder differs", f"folder {folder!r}, class {name!r}")
        if not table.has_box[row]:
            continue
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
        if table.in_pixels[row] and look_like_pixels(box):
            yield Problem(row, "pixel coordinates", detail)
        elif (box < -OVERSHOOT).any() or (box > 1 + OVERSHOOT).any():
            yield Problem(row, "outside image", f"{detail}; {_describe_overshoot(box)}")
        elif table.is_valid[row] and (x_max - x_min) * (y_max - y_min) >= EVERYTHING:
            yield Problem(row, "covers everything", detail)


def _describe_overshoot(box: FloatArray) -> str:
    """How far each edge is outside the image, in percent of the side of the image."""
    parts = []
    for side, value in zip(COORDINATES, box, strict=True):
        length = "width" if side.startswith("x") else "height"
        beyond = max(-value, value - 1)
        if beyond > OVERSHOOT:
            parts.append(f"{side} is {beyond:.3g} times the {length} beyond the image")
    return ", ".join(parts)


def _get_class_folders(table: BoxTable) -> list[Any]:
    """The folder of each row if folders are named after classes, else None.

    The folder in Pascal VOC's files is that of the photographs, which says nothing of the class.
    """
    nothing = [None] * len(table.images)
    if table.folders is None:
        return nothing
    named = [
        folder == name
        for folder, name in zip(table.folders, table.classes, strict=True)
        if isinstance(folder, str) and folder and name is not None
    ]
    return table.folders if 2 * sum(named) >= len(named) else nothing


def _check_pairs(table: BoxTable, duplicate_iou: float) -> Iterator[Problem]:
    """Yield the problems of several boxes on one image."""
    usable = np.flatnonzero(table.is_valid & ~table.in_pixels)
    for rows in table.group_by_image(usable).values():
        if len(rows) < 2:
            continue
        yield Problem(rows[0], "several boxes", f"{len(rows)} boxes")
        names = [table.classes[row] for row in rows]
        classes = list(dict.fromkeys(name for name in names if name is not None))
        if len(classes) > 1:
            yield Problem(rows[0], "several classes", ", ".join(map(str, classes)))
        for number, row in enumerate(rows[1:], start=1):
            earlier = rows[:number]
            overlaps = iou(table.values[row], table.values[earlier])
            name = table.classes[row]
            for other, overlap in zip(earlier, overlaps, strict=True):
                # A class that is missing may be that of the other box.
                same_class = name is None or table.classes[other] in (None, name)
                if same_class and (table.values[row] == table.values[other]).all():
                    yield Problem(row, "duplicate", f"of row {other}")
                    break
                if overlap >= duplicate_iou:
                    kind = "near duplicate" if same_class else "conflicting classes"
                    detail = f"IoU {overlap:.3f} with row {other}"
                    if not same_class:
                        detail += f", {name!r} and {table.classes[other]!r}"
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
    for name, usual in find_lookalikes(rows_by_class):
        rows, n_usual = rows_by_class[name], len(rows_by_class[usual])
        detail = f"{name!r} ({len(rows)} rows) looks like {usual!r} ({n_usual} rows)"
        yield Problem(rows[0], "similar class names", detail)
    for name, rows in rows_by_class.items():
        n_images = len({table.images[row] for row in rows})
        if n_images < min_images:
            yield Problem(rows[0], "rare class", f"{name!r} is on {n_images} images")


def _check_sizes(table: BoxTable) -> list[Problem]:
    """Images whose size in the annotation file is transposed, each at its first row."""
    problems: dict[str, Problem] = {}
    for row, text in enumerate(table.transposed_sizes or ()):
        if isinstance(text, str) and text:
            problems.setdefault(table.images[row], Problem(row, "transposed size", text))
    return list(problems.values())


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
