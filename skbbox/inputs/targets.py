"""Check y, and convert it to one type."""

from __future__ import annotations

import enum
import re
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ..boxes import COORDINATES, TARGET_COLUMNS, RowNames, check_boxes, read_table
from ..boxes.hugging_face import find_other_count
from ..boxes.tables import describe_type, warn_of_order
from ..exceptions import BoxError, SkbboxWarning
from .images import get_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..typing import FloatArray, TargetsLike
    from .images import Images

__all__ = [
    "Targets",
    "check_any_object",
    "check_targets",
    "encode_classes",
    "find_classes",
    "find_wrong_class_name",
    "make_table",
    "warn_of_unseen_classes",
]


@dataclass(frozen=True)
class Targets:
    """The boxes of a y, and its classes if it has them.

    Attributes
    ----------
    boxes : ndarray of shape (n, 4), float64
        NaN in rows without a box.
    class_names : ndarray of shape (n,) or None
        Numbers and booleans in the dtype of y, others as object. If some rows have no class, the
        dtype is object, and their entries are None. None if no row has a class.
    """

    boxes: FloatArray
    class_names: NDArray[Any] | None

    def __len__(self) -> int:
        return len(self.boxes)

    @cached_property
    def has_box(self) -> NDArray[np.bool_]:
        """Which rows have a box."""
        return ~np.isnan(self.boxes[:, 0])

    @cached_property
    def has_class(self) -> NDArray[np.bool_]:
        """Which rows have a class."""
        if self.class_names is None:
            return np.zeros(len(self), dtype=bool)
        return ~pd.isna(self.class_names)

    @cached_property
    def is_empty(self) -> NDArray[np.bool_]:
        """Which rows have neither, that is, are images without an object."""
        return ~(self.has_box | self.has_class)

    @property
    def is_complete(self) -> bool:
        """Whether each row has a box and, if any has, a class."""
        has_classes = self.class_names is None or bool(self.has_class.all())
        return has_classes and bool(self.has_box.all())

    def to_table(self) -> pd.DataFrame:
        """The boxes and classes with the names of their columns."""
        table = pd.DataFrame(self.boxes, columns=COORDINATES)
        if self.class_names is not None:
            table.insert(0, TARGET_COLUMNS[0], self.class_names)
        return table

    def take(self, rows: NDArray[np.int_]) -> Targets:
        """Select rows."""
        return Targets(
            self.boxes[rows], None if self.class_names is None else self.class_names[rows]
        )


def check_targets(y: TargetsLike, n_images: int, images: Images | None = None) -> Targets:
    """Check any accepted y and convert it to arrays.

    Parameters
    ----------
    y : table of boxes
        With the columns ``class_name, x_min, x_max, y_min, y_max`` in any order;
        others are ignored. Without ``class_name``: boxes only. In a row, the class, the box or
        both may be missing.
    n_images : int
        Length of X.
    images : Images, default=None
        The images of X, which errors name, and whose index y should have.

    Returns
    -------
    Targets

    Raises
    ------
    BoxError
        If y has no named columns, a column is missing, the length differs from `n_images`, or a
        box is invalid or half missing.

    Warns
    -----
    SkbboxWarning
        If X and y have the same index labels in another order, or classes seem to be in a column
        of another name.
    """
    if y is None:
        raise BoxError(
            "This estimator requires y to be passed, but the target y is None. " + ADVICE
        )
    table = _read_targets(y)
    names = list(table.columns) if isinstance(table, pd.DataFrame) else list(table.dtype.names)
    missing = [name for name in COORDINATES if name not in names]
    if missing and "objects" in names and (other := find_other_count(table)) is not None:
        raise BoxError(
            f"Each image may have one object, but row {other[0]} of y has {other[1]}. Keep the "
            "other rows: data.filter(lambda row: len(row['objects']['bbox']) <= 1)."
        )
    if missing:
        raise BoxError(f"y is missing the columns {missing}. Received: {names}. {ADVICE}")
    if len(table) != n_images:
        raise BoxError(
            f"X and y differ in length: {n_images} images and {len(table)} rows of boxes. "
            "Rows are paired by position."
        )
    warn_of_order(("X", "y"), images.index if images else None, get_index(y, table))
    items = images.items if images else None
    boxes = check_boxes(table, items, allow_missing=True)
    if "class_name" not in names:
        _warn_of_unread_classes(names)
        return Targets(boxes, None)
    class_names = np.asarray(table["class_name"], dtype=object)
    rows = np.flatnonzero(~pd.isna(class_names))
    if not rows.size:
        return Targets(boxes, None)
    known = class_names[rows]
    wrong = find_wrong_class_name(known)
    if wrong is not None:
        row, name = RowNames(table, items)(int(rows[wrong])), known[wrong]
        raise BoxError(
            f"{row}: class_name must be text in UTF-8, a number or a bool, because a model file "
            f"can hold nothing else. Received: {name!r} of type {type(name).__name__}. Convert it: "
            f"y['class_name']{_suggest_conversion(name)}."
        )
    kinds = {isinstance(name, str) for name in known}
    if len(kinds) > 1:
        raise BoxError(
            "class_name mixes text with other types; use one type, for example "
            "y['class_name'].astype(str)."
        )
    known = _as_plain_classes(known, table["class_name"])
    if len(rows) == len(class_names):
        return Targets(boxes, known)
    class_names = np.full(len(class_names), None, dtype=object)
    class_names[rows] = known
    return Targets(boxes, class_names)


def check_any_object(targets: Targets) -> None:
    """Raise a BoxError if no row has a class or a box, so that there is nothing to learn."""
    if targets.is_empty.all():
        raise BoxError(
            f"None of the {len(targets)} images has an object: class and box are missing in each "
            "row of y. Add images with a class or a box, of which a model can learn."
        )


def find_wrong_class_name(class_names: NDArray[Any]) -> int | None:
    """The row of the first name that is not text in UTF-8, a number or a bool, or None."""
    for row, name in enumerate(class_names):
        value = name.item() if isinstance(name, np.generic) else name
        # Of a subclass, such as an enumeration, a file would hold only the value.
        if type(value) not in (str, int, float, bool) or not _is_encodable(value):
            return row
    return None


def _is_encodable(value: object) -> bool:
    """Whether a value is not a text with parts that are no characters."""
    return not (isinstance(value, str) and any("\ud800" <= part <= "\udfff" for part in value))


def _suggest_conversion(class_name: object) -> str:
    if isinstance(class_name, enum.Enum):
        return ".map(lambda name: name.value)"
    if isinstance(class_name, str):
        return ".map(lambda name: name.encode('utf-8', 'replace').decode())"
    return ".str.decode('utf-8')" if isinstance(class_name, bytes) else ".astype(str)"


def _read_targets(y: Any) -> Any:
    """A y of any accepted type as DataFrame or structured array."""
    if isinstance(y, pd.DataFrame):
        return read_table(y, "y")
    try:
        table = read_table(y, "y")
    except BoxError as error:
        raise BoxError(f"y needs named columns. {error} {ADVICE}") from None
    if isinstance(table, pd.DataFrame) or getattr(table, "dtype", np.dtype("O")).names is not None:
        return table
    raise BoxError(f"y needs named columns. {_explain_unnamed(y)}{ADVICE}")


def _explain_unnamed(y: Any) -> str:
    """What a y without names is."""
    try:
        shape = np.shape(y)
    except ValueError:  # Parts of different shapes.
        shape = (len(y),)
    received = f"Received: {describe_type(y)} of shape {shape}. "
    if isinstance(y, (list, tuple)) and len(y) == 2 and 2 in (np.ndim(y[0]), np.ndim(y[1])):
        return f"{received}For a pair of classes and boxes: {PAIR} "
    if isinstance(y, np.ndarray) and y.ndim == 2 and y.dtype.kind in "iu" and y.shape[1] > 4:
        return f"{received}{ENCODED} "
    return received


#: How to build y.
ADVICE = (
    f"Build y as pandas.DataFrame(rows, columns={list(TARGET_COLUMNS)}), coordinates normalised "
    "to 0..1."
)

#: How to build y from two arrays.
PAIR = f"pandas.DataFrame(boxes, columns={list(COORDINATES)}).assign(class_name=classes)."

#: Why y is an array of integers.
ENCODED = (
    "With method='predict_proba', cross_val_predict of scikit-learn replaces the columns of y by "
    "numbers before fit. Use cross_validate(..., return_estimator=True, return_indices=True) and "
    "call predict_proba of each estimator on its test rows."
)

#: Names of columns that are likely to hold classes.
LIKE_CLASSES = re.compile(
    r"(object|target|y)?_?(class|classes|label|labels|category|categories|species|tag)"
    r"_?(name|names|label|id|ids|text)?"
)


def _warn_of_unread_classes(names: list[Any]) -> None:
    """Warn about columns that seem to hold the classes under another name."""
    found = [name for name in names if LIKE_CLASSES.fullmatch(str(name).strip().lower())]
    if found:
        warnings.warn(
            f"y has no column class_name, so only boxes are used. Its column {found[0]!r} is "
            f"ignored; if it holds the classes, pass y.rename(columns={{{found[0]!r}: "
            "'class_name'}), else drop it.",
            SkbboxWarning,
            stacklevel=4,
        )


def _as_plain_classes(class_names: NDArray[np.object_], column: Any) -> NDArray[Any]:
    """Classes in the dtype of their column, if they are numbers or booleans."""
    dtype = getattr(column, "dtype", None)
    dtype = getattr(dtype, "numpy_dtype", dtype)  # Of pandas' types that have missing values.
    is_plain = isinstance(dtype, np.dtype) and dtype.kind in "biuf"
    return class_names.astype(dtype) if is_plain else class_names


def encode_classes(
    class_names: NDArray[Any] | None, classes: Sequence[Any] | NDArray[Any] | None = None
) -> tuple[NDArray[Any] | None, NDArray[np.int32] | None]:
    """Convert class names to class indices 0..n_classes-1.

    Parameters
    ----------
    class_names : ndarray of shape (n,), or None
        As in :class:`Targets`.
    classes : sequence, default=None
        Class names in the order of their indices; None sorts those in `class_names`.

    Returns
    -------
    classes : ndarray of shape (n_classes,), or None
    class_indices : ndarray of shape (n,), int32, or None
        -1 in rows without a class.

    Raises
    ------
    ValueError
        If a name is not among `classes`.
    """
    if class_names is None:
        return None, None
    is_known = ~pd.isna(class_names)
    if classes is None:
        classes = find_classes(class_names)
    class_indices = pd.Index(classes).get_indexer(pd.Index(class_names))
    unknown = np.flatnonzero((class_indices < 0) & is_known)
    if unknown.size:
        raise ValueError(
            f"Row {unknown[0]}: class {class_names[unknown[0]]!r} is not one of the known classes "
            f"{list(classes)}."
        )
    return np.asarray(classes), class_indices.astype(np.int32)


def find_classes(class_names: NDArray[Any]) -> NDArray[Any]:
    """The sorted names of the classes, in their own dtype."""
    known = class_names[~pd.isna(class_names)]
    if class_names.dtype == object and not isinstance(known[0], str):
        known = np.array(known.tolist())
    return np.unique(known)


def make_table(images: list[Any], targets: Targets) -> pd.DataFrame:
    """Join checked images and targets into a table for BoundingBoxGenerator."""
    return targets.to_table().assign(image=pd.Series(images, dtype=object))


def warn_of_unseen_classes(targets: Targets, classes: NDArray[Any] | None) -> None:
    """Warn about classes in y that were not in training."""
    if classes is None or targets.class_names is None:
        return
    known = find_classes(targets.class_names)
    unseen = sorted(set(known.tolist()) - set(classes.tolist()), key=str)
    if unseen:
        warnings.warn(
            f"y has classes that were not in training: {unseen}. Their boxes are scored, but their "
            "class cannot be predicted. In cross-validation, rows sorted by class and an "
            "unshuffled cv=3 cause this; pass cv=StratifiedBoxKFold(3).",
            SkbboxWarning,
            stacklevel=4,
        )
