"""What is wrong or odd in a table of boxes, and repairing what a rule can repair."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, OVERSHOOT, PIXELS_FROM, as_boxes, iou
from ..exceptions import AnnotationError, ImageError, SkbboxWarning
from ..files import names_to_series
from ..images import load_image, upright_size
from ..markup import Markup, joined, tag
from .record import check_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from ..typing import FloatArray, Pixels

    _Note = Callable[[int, str, str, str], None]

__all__ = ["CleanedAnnotations", "Problems", "check_annotations", "clean_annotations"]

#: Share of an image from which on a box covers all of it.
EVERYTHING = 0.99
#: Sides of the picture whose neighbours are compared for the hash of what an image looks like.
HASH_SIDE = 12
#: Bits of that hash, of 144, in which near-identical images differ at most.
NEAR_BITS = 10

#: Problems by name: how severe, and what it is.
KINDS = {
    "missing image": ("error", "there is no such file"),
    "unreadable image": ("error", "the file is damaged or no image"),
    "missing class": ("error", "a box without a class"),
    "missing coordinate": ("error", "a coordinate is missing or not finite"),
    "pixel coordinates": ("error", "in pixels, not in 0..1"),
    "inverted box": ("error", "an edge lies beyond the one opposite"),
    "empty box": ("error", "no width or no height"),
    "outside image": ("error", "an edge lies outside of the image"),
    "conflicting classes": ("error", "nearly the same box has another class"),
    "tiny box": ("warning", "a side of few pixels"),
    "covers everything": ("warning", "the box is the whole image"),
    "duplicate": ("warning", "the same box again"),
    "near duplicate": ("warning", "nearly the same box again"),
    "similar class names": ("warning", "names differ by case or white space alone"),
    "rare class": ("warning", "too few images to learn from"),
    "folder differs": ("warning", "the folder has another name than the class"),
    "identical images": ("warning", "the same file under another name"),
    "near-identical images": ("warning", "nearly the same picture on another side of the split"),
    "several boxes": ("info", "more than one box on an image"),
    "several classes": ("info", "boxes of more than one class on an image"),
}
SEVERITIES = ("error", "warning", "info")
COLUMNS = ["row", "image", "problem", "detail", "severity"]


class Problems(pd.DataFrame):
    """Table of what :func:`check_annotations` found.

    A DataFrame with a summary: ``print(problems.summary())``.
    """

    @property
    def _constructor(self) -> type[Problems]:
        return Problems

    def summary(self) -> str:
        """Number of rows of each problem, the severest first, as text."""
        if self.empty:
            return "No problems found."
        return "\n".join(
            f"{severity:8}{count:>7}  {problem}: {KINDS[problem][1]}"
            for severity, problem, count in self._counts()
        )

    def _repr_html_(self) -> str:
        # A part of the columns, or of what pandas made of them, is a table like any other.
        if list(self.columns) != COLUMNS:
            return self._as_table()
        if self.empty:
            return tag("p", "No problems found.")
        counts = [
            tag("tr", *(tag("td", cell) for cell in (*row, KINDS[row[1]][1])))
            for row in self._counts()
        ]
        titles = [tag("th", title) for title in ("severity", "problem", "rows", "what it is")]
        every = tag("summary", f"All {len(self)} rows")
        table = Markup(self._as_table())
        return joined([tag("table", tag("tr", *titles), *counts), tag("details", every, table)])

    def _as_table(self) -> str:
        # Which pandas has, and its type stubs have not.
        return super()._repr_html_() or ""  # type: ignore[misc]

    def _counts(self) -> Iterator[tuple[str, str, int]]:
        """Severity, problem and number of rows, the severest first."""
        for severity in SEVERITIES:
            counts = self.loc[self["severity"] == severity, "problem"].value_counts()
            yield from ((severity, name, int(counts[name])) for name in KINDS if name in counts)


class CleanedAnnotations(pd.DataFrame):
    """Boxes that :func:`clean_annotations` left.

    A DataFrame, whose attribute ``actions`` is the table of what was done.
    """

    _metadata = ["actions"]
    actions: pd.DataFrame

    @property
    def _constructor(self) -> type[pd.DataFrame]:
        return pd.DataFrame


class _Found(NamedTuple):
    row: int
    problem: str
    detail: str


def check_annotations(
    boxes: pd.DataFrame,
    *,
    split: Sequence[Any] | pd.Series | None = None,
    open_images: bool = True,
    min_side: float = 4,
    duplicate_iou: float = 0.9,
    min_images: int = 5,
) -> Problems:
    """Find what is wrong or odd in a table of boxes.

    Parameters
    ----------
    boxes : DataFrame
        As :func:`read_annotations` returns it: a column ``image`` and the columns of
        ``TARGET_COLUMNS``. Nothing in it is changed.
    split : array-like of shape (n_boxes,), default=None
        Name of the part that each row belongs to, such as train and val; None takes the
        column ``split``, where there is one. Images that are nearly the same in two parts are
        problems.
    open_images : bool, default=True
        Whether images are read: for those that are missing, damaged or identical, and for
        sizes in pixels. False looks at the table alone.
    min_side : float, default=4
        A box with a side of fewer pixels is tiny.
    duplicate_iou : float, default=0.9
        IoU in 0..1 from which on two boxes of an image are the same.
    min_images : int, default=5
        A class on fewer images is rare.

    Returns
    -------
    Problems
        A DataFrame in the order of the rows, with the columns ``row`` (position in `boxes`),
        ``image``, ``problem``, ``detail`` and ``severity`` (``"error"``: cannot be trained on
        or is wrong; ``"warning"``: look at it; ``"info"``: good to know). What concerns an
        image or a class is at its first row. ``summary()`` counts them.

    Raises
    ------
    AnnotationError
        If a column is missing, or `split` does not fit.

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
    error         1  inverted box: an edge lies beyond the one opposite
    warning       1  similar class names: names differ by case or white space alone
    """
    table = _Table(boxes)
    parts = _parts(boxes, split)
    found = list(_problems_of_boxes(table))
    found += _problems_of_pairs(table, duplicate_iou)
    found += _problems_of_classes(table, min_images)
    found += _problems_of_parts(table, parts)
    if open_images:
        found += _problems_of_images(table, parts, min_side)
    found.sort(key=lambda one: one.row)
    rows = [
        (row, table.images[row], problem, detail, KINDS[problem][0])
        for row, problem, detail in found
    ]
    return Problems(_columns(rows, COLUMNS))


def _columns(rows: Sequence[tuple[Any, ...]], names: Sequence[str]) -> dict[str, pd.Series]:
    return {name: names_to_series([row[i] for row in rows]) for i, name in enumerate(names)}


class _Table:
    """A table of boxes as arrays, by position."""

    def __init__(self, boxes: pd.DataFrame) -> None:
        check_columns(boxes)
        self.images = [os.fspath(image) for image in boxes["image"]]
        self.values = as_boxes(boxes)
        self.classes = [None if pd.isna(name) else name for name in boxes["class_name"]]
        self.folders = list(boxes["folder"]) if "folder" in boxes else None
        nothing = np.all(np.isnan(self.values), axis=1)
        #: Rows of images without an object.
        self.empty = nothing & np.array([name is None for name in self.classes], dtype=bool)
        self.whole: NDArray[np.bool_] = np.all(np.isfinite(self.values), axis=1)
        #: Rows of boxes in 0..1 that are neither inverted nor empty.
        self.proper = (
            self.whole
            & (self.values[:, 1] > self.values[:, 0])
            & (self.values[:, 3] > self.values[:, 2])
        )
        self.in_pixels = self.whole & np.any(np.abs(self.values) >= PIXELS_FROM, axis=1)

    def rows_by_image(self) -> dict[str, list[int]]:
        """Rows of each image that have a proper box, in order."""
        rows: dict[str, list[int]] = {}
        for row in np.flatnonzero(self.proper & ~self.in_pixels):
            rows.setdefault(self.images[row], []).append(int(row))
        return rows


def _parts(boxes: pd.DataFrame, split: Sequence[Any] | pd.Series | None) -> list[Any] | None:
    if split is None:
        return list(boxes["split"]) if "split" in boxes else None
    parts = list(split)
    if len(parts) != len(boxes):
        raise AnnotationError(
            f"split names the part of each of the {len(boxes)} rows. Received {len(parts)}."
        )
    return parts


def _problems_of_boxes(table: _Table) -> Iterator[_Found]:
    """Problems that one row has by itself."""
    for row, box in enumerate(table.values):
        if table.empty[row]:
            continue
        name = table.classes[row]
        if _is_nameless(name):
            yield _Found(row, "missing class", f"class_name is {name!r}")
        if not table.whole[row]:
            wrong = [
                side for side, value in zip(COORDINATES, box, strict=True) if not np.isfinite(value)
            ]
            yield _Found(row, "missing coordinate", ", ".join(wrong))
            continue
        shown = _shown(box)
        x_min, x_max, y_min, y_max = box
        if x_min > x_max or y_min > y_max:
            yield _Found(row, "inverted box", shown)
        elif x_min == x_max or y_min == y_max:
            yield _Found(row, "empty box", shown)
        if table.in_pixels[row]:
            yield _Found(row, "pixel coordinates", shown)
        elif (box < -OVERSHOOT).any() or (box > 1 + OVERSHOOT).any():
            yield _Found(row, "outside image", shown)
        elif table.proper[row] and (x_max - x_min) * (y_max - y_min) >= EVERYTHING:
            yield _Found(row, "covers everything", shown)
        if table.folders is not None and isinstance(table.folders[row], str):
            folder = table.folders[row]
            if folder and name is not None and folder != name:
                yield _Found(row, "folder differs", f"folder {folder!r}, class {name!r}")


def _is_nameless(name: object) -> bool:
    return name is None or (isinstance(name, str) and not name.strip())


def _problems_of_pairs(table: _Table, duplicate_iou: float) -> list[_Found]:
    """Problems of several boxes on one image."""
    found = []
    for rows in table.rows_by_image().values():
        if len(rows) < 2:
            continue
        found.append(_Found(rows[0], "several boxes", f"{len(rows)} boxes"))
        classes = list(dict.fromkeys(table.classes[row] for row in rows))
        if len(classes) > 1:
            found.append(_Found(rows[0], "several classes", ", ".join(map(str, classes))))
        for number, row in enumerate(rows[1:], start=1):
            before = rows[:number]
            overlaps = iou(table.values[row], table.values[before])
            for other, overlap in zip(before, overlaps, strict=True):
                same_class = table.classes[row] == table.classes[other]
                if same_class and (table.values[row] == table.values[other]).all():
                    found.append(_Found(row, "duplicate", f"of row {other}"))
                    break
                if overlap >= duplicate_iou:
                    kind = "near duplicate" if same_class else "conflicting classes"
                    detail = f"IoU {overlap:.3f} with row {other}"
                    if not same_class:
                        detail += f", {table.classes[row]!r} and {table.classes[other]!r}"
                    found.append(_Found(row, kind, detail))
                    break
    return found


def _problems_of_classes(table: _Table, min_images: int) -> list[_Found]:
    """Problems of names of classes, each at its first row."""
    rows: dict[Any, list[int]] = {}
    for row, name in enumerate(table.classes):
        if name is not None:
            rows.setdefault(name, []).append(row)
    found = []
    for spellings in _spellings(rows).values():
        usual = spellings[0]
        for name in spellings[1:]:
            detail = f"{name!r} ({len(rows[name])} rows) and {usual!r} ({len(rows[usual])} rows)"
            found.append(_Found(rows[name][0], "similar class names", detail))
    for name, of_class in rows.items():
        n = len({table.images[row] for row in of_class})
        if n < min_images:
            found.append(_Found(of_class[0], "rare class", f"{name!r} is on {n} images"))
    return found


def _problems_of_parts(table: _Table, parts: list[Any] | None) -> list[_Found]:
    """Images that are in several parts of the split, at the first row in another part."""
    if parts is None:
        return []
    first: dict[str, Any] = {}
    found: dict[str, _Found] = {}
    for row, image in enumerate(table.images):
        part = first.setdefault(image, parts[row])
        if part != parts[row] and image not in found:
            detail = f"the same path in {part!r} and {parts[row]!r}"
            found[image] = _Found(row, "identical images", detail)
    return list(found.values())


def _spellings(rows: dict[Any, list[int]]) -> dict[str, list[str]]:
    """Names that differ by case or white space alone, the most frequent first."""
    spellings: dict[str, list[str]] = {}
    texts = [name for name in rows if isinstance(name, str)]
    for name in sorted(texts, key=lambda name: -len(rows[name])):
        spellings.setdefault(" ".join(name.split()).casefold(), []).append(name)
    return spellings


def _problems_of_images(table: _Table, parts: list[Any] | None, min_side: float) -> list[_Found]:
    """Problems of the image files, each at its first row; and of boxes for their sizes."""
    found: list[_Found] = []
    digests: dict[bytes, str] = {}
    hashes: dict[str, NDArray[np.uint64]] = {}
    rows: dict[str, list[int]] = {}
    for row, image in enumerate(table.images):
        rows.setdefault(image, []).append(row)
    for image, of_image in rows.items():
        try:
            pixels = load_image(image)
        except ImageError as error:
            kind = "unreadable image" if os.path.exists(image) else "missing image"
            found.append(_Found(of_image[0], kind, str(error)))
            continue
        with open(image, "rb") as file:
            digest = hashlib.file_digest(file, "blake2b").digest()
        if digest in digests:
            other = digests[digest]
            apart = parts is not None and parts[of_image[0]] != parts[rows[other][0]]
            where = ", in another part of the split" if apart else ""
            found.append(_Found(of_image[0], "identical images", f"the same as {other}{where}"))
        else:
            digests[digest] = image
            if parts is not None:
                hashes[image] = _look(pixels)
        height, width = pixels.shape[:2]
        for row in of_image:
            if table.proper[row] and not table.in_pixels[row]:
                x_min, x_max, y_min, y_max = table.values[row]
                sides = (x_max - x_min) * width, (y_max - y_min) * height
                if min(sides) < min_side:
                    detail = f"{sides[0]:.1f} x {sides[1]:.1f} pixels"
                    found.append(_Found(row, "tiny box", detail))
    if parts is not None:
        found += _near_identical(rows, hashes, parts)
    return found


def _look(pixels: Pixels) -> NDArray[np.uint64]:
    """A hash of what an image looks like: whether each part is darker than the next to its right.

    References
    ----------
    .. [1] N. Krawetz, "Kind of like that", The Hacker Factor Blog, 2013 (difference hash).
    """
    small = load_image(pixels, size=(HASH_SIDE, HASH_SIDE + 1)).astype(np.int64).sum(axis=2)
    bits = np.packbits(small[:, 1:] > small[:, :-1])
    return np.concatenate([bits, np.zeros(-len(bits) % 8, np.uint8)]).view(np.uint64)


def _near_identical(
    rows: dict[str, list[int]], hashes: dict[str, NDArray[np.uint64]], parts: list[Any]
) -> list[_Found]:
    """The most alike image of an earlier part, for each image that has one."""
    images = list(hashes)
    values = np.array(list(hashes.values()))
    of_part = np.array([str(parts[rows[image][0]]) for image in images])
    found = []
    for number, image in enumerate(images):
        others = np.flatnonzero(of_part[:number] != of_part[number])
        if others.size:
            differing = np.bitwise_count(values[others] ^ values[number]).sum(axis=1)
            nearest = int(differing.argmin())
            if differing[nearest] <= NEAR_BITS:
                other = images[others[nearest]]
                detail = (
                    f"{differing[nearest]} of {HASH_SIDE**2} bits differ from {other} in "
                    f"{of_part[others[nearest]]!r}"
                )
                found.append(_Found(rows[image][0], "near-identical images", detail))
    return found


def clean_annotations(
    boxes: pd.DataFrame, *, open_images: bool = True, duplicate_iou: float = 0.9
) -> CleanedAnnotations:
    """Repair what a rule can repair in a table of boxes, and drop what cannot be used.

    In this order: names of classes lose space around them, and names that differ by case or
    white space alone become the most frequent of them; boxes in pixels are divided by the size of
    their image; edges in the wrong order change places; boxes are clipped to the image. Dropped
    are rows with a coordinate or class missing, with boxes that are empty then, that repeat
    another box of the image and class, and those of images that cannot be read.

    Parameters
    ----------
    boxes : DataFrame
        As :func:`read_annotations` returns it. It is not changed.
    open_images : bool, default=True
        Whether images are read, for those that are missing or damaged and for sizes. Where
        none of them exists, they are not looked at.
    duplicate_iou : float, default=0.9
        IoU in 0..1 from which on two boxes of one class on one image are the same; the first
        stays.

    Returns
    -------
    CleanedAnnotations
        A DataFrame with the rows that are left, their order, index and columns. Its attribute
        ``actions`` is a DataFrame of what was done: ``row`` (position in `boxes`), ``image``,
        ``problem``, ``action`` (``"repaired"`` or ``"dropped"``) and ``detail``.

    Warns
    -----
    SkbboxWarning
        If something was done, with the numbers of each; if none of the images exists.

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
    table = _Table(boxes)
    done: list[tuple[int, str, str, str, str]] = []

    def note(row: int, problem: str, action: str, detail: str) -> None:
        done.append((row, table.images[row], problem, action, detail))

    if open_images and len(boxes) and not any(map(os.path.exists, table.images)):
        # A wrong folder must not cost all the rows.
        warnings.warn(
            f"clean_annotations: none of the images exists, the first being {table.images[0]}, so "
            "they were not looked at. Correct images_dir= of read_annotations, or pass "
            "open_images=False.",
            SkbboxWarning,
            stacklevel=2,
        )
        open_images = False
    dropped = _unreadable(table, note) if open_images else set()
    _unify_classes(table, note)
    for row in range(len(boxes)):
        if (
            row not in dropped
            and not table.empty[row]
            and not _repair(table, row, open_images, note)
        ):
            dropped.add(row)
    dropped |= _repeated(table, dropped, duplicate_iou, note)
    cleaned = boxes.copy()
    cleaned["class_name"] = table.classes
    for side, values in zip(COORDINATES, table.values.T, strict=True):
        cleaned[side] = values
    kept = np.array([row not in dropped for row in range(len(boxes))], dtype=bool)
    result = CleanedAnnotations(cleaned[kept])
    columns = ["row", "image", "problem", "action", "detail"]
    done.sort(key=lambda action: action[0])
    result.actions = pd.DataFrame(_columns(done, columns))
    if done:
        counts = Counter((problem, action) for _, _, problem, action, _ in done)
        said = ", ".join(f"{n} {problem} {action}" for (problem, action), n in counts.items())
        warnings.warn(
            f"clean_annotations: {said}; the attribute actions tells each.",
            SkbboxWarning,
            stacklevel=2,
        )
    return result


def _unreadable(table: _Table, note: _Note) -> set[int]:
    """Rows of images that cannot be read."""
    reasons: dict[str, str | None] = {}
    dropped: set[int] = set()
    for row, image in enumerate(table.images):
        if image not in reasons:
            try:
                load_image(image)
                reasons[image] = None
            except ImageError as error:
                reasons[image] = str(error)
        reason = reasons[image]
        if reason is not None:
            kind = "unreadable image" if os.path.exists(image) else "missing image"
            note(row, kind, "dropped", reason)
            dropped.add(row)
    return dropped


def _unify_classes(table: _Table, note: _Note) -> None:
    rows: dict[Any, list[int]] = {}
    for row, name in enumerate(table.classes):
        if not _is_nameless(name):
            rows.setdefault(name, []).append(row)
    for spellings in _spellings(rows).values():
        usual = spellings[0].strip()
        for name in spellings:
            for row in rows[name] if name != usual else []:
                note(row, "similar class names", "repaired", f"{name!r} became {usual!r}")
                table.classes[row] = usual


def _repair(table: _Table, row: int, open_images: bool, note: _Note) -> bool:
    """Repair the box of a row in place; False where it is to be dropped."""
    name, box = table.classes[row], table.values[row]
    if _is_nameless(name):
        note(row, "missing class", "dropped", f"class_name is {name!r}")
        return False
    if not table.whole[row]:
        note(row, "missing coordinate", "dropped", _shown(box))
        return False
    before = _shown(box)
    if table.in_pixels[row]:
        if not open_images:
            note(row, "pixel coordinates", "dropped", f"{before}; images are not opened")
            return False
        if (np.abs(box.reshape(2, 2)).max(axis=1) < PIXELS_FROM).any():
            note(row, "pixel coordinates", "dropped", f"{before}; x or y alone may be in pixels")
            return False
        width, height = upright_size(table.images[row])
        box /= (width, width, height, height)
        if (np.abs(box) >= PIXELS_FROM).any():
            note(row, "pixel coordinates", "dropped", f"{before}; not on {width} x {height} pixels")
            return False
        note(row, "pixel coordinates", "repaired", f"{before} of {width} x {height} pixels")
    ordered = np.array([*sorted(box[:2]), *sorted(box[2:])])
    if (ordered != box).any():
        note(row, "inverted box", "repaired", before)
    clipped = np.clip(ordered, 0.0, 1.0)
    if (clipped[1] <= clipped[0]) or (clipped[3] <= clipped[2]):
        lies_outside = (ordered[1] > ordered[0]) and (ordered[3] > ordered[2])
        note(row, "outside image" if lies_outside else "empty box", "dropped", before)
        return False
    if (np.abs(clipped - ordered) > OVERSHOOT).any():
        note(row, "outside image", "repaired", before)
    table.values[row] = clipped
    return True


def _repeated(table: _Table, dropped: set[int], duplicate_iou: float, note: _Note) -> set[int]:
    """Rows that repeat an earlier one of the same image and class."""
    kept: dict[tuple[str, Any], list[int]] = {}
    repeated: set[int] = set()
    for row, image in enumerate(table.images):
        if row in dropped or table.empty[row]:
            continue
        others = kept.setdefault((image, table.classes[row]), [])
        overlaps = iou(table.values[row], table.values[others]) if others else np.empty(0)
        if overlaps.size and overlaps.max() >= duplicate_iou:
            other = others[int(overlaps.argmax())]
            exact = (table.values[row] == table.values[other]).all()
            kind = "duplicate" if exact else "near duplicate"
            note(row, kind, "dropped", f"IoU {overlaps.max():.3f} with row {other}")
            repeated.add(row)
        else:
            others.append(row)
    return repeated


def _shown(box: FloatArray) -> str:
    return ", ".join(f"{side}={value:g}" for side, value in zip(COORDINATES, box, strict=True))
