"""Read boxes of any accepted type into arrays."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
import pandas as pd

from ..exceptions import BoxError
from .tables import as_pandas, describe_type, suggest_conversion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..typing import BoxesLike, FloatArray

__all__ = [
    "COORDINATES",
    "TARGET_COLUMNS",
    "RowNames",
    "as_boxes",
    "as_class_names",
    "as_float",
    "has_names",
    "is_single_box",
    "read_table",
]

COORDINATES = ("x_min", "x_max", "y_min", "y_max")
TARGET_COLUMNS = ("class_name", *COORDINATES)

#: Types of coordinates, labels and rows that have no names.
PLAIN = frozenset({float, int, str, np.float64, tuple, list, np.ndarray})

#: Packages whose tensors are read as arrays.
TENSORS = ("jax", "jaxlib", "keras", "tensorflow", "torch")


def read_table(boxes: Any, name: str = "boxes") -> Any:
    """Convert boxes of any accepted type to one that keeps the names of columns.

    Parameters
    ----------
    boxes : table of boxes
        A table of pandas, polars, pyarrow or Dask, a structured array, rows with names (dicts,
        Series or named tuples), or numbers without names: lists, arrays and tensors.
    name : str, default="boxes"
        What the user calls them.

    Returns
    -------
    DataFrame, Series or ndarray
        A Series is one box. Lists of boxes without names stay lists.

    Raises
    ------
    BoxError
        If the type is another one, whose names could be lost, or a column of ``TARGET_COLUMNS``
        is there twice.
    """
    # The most frequent types first, because the rest takes a while.
    if type(boxes) is np.ndarray:
        return boxes
    if type(boxes) in (list, tuple) and PLAIN.issuperset(map(type, boxes)):
        return boxes
    if isinstance(boxes, np.ma.MaskedArray) and not _is_structured(boxes):
        return np.ma.filled(boxes.astype(object), np.nan)
    received = boxes
    if not isinstance(boxes, (pd.DataFrame, pd.Series, np.ndarray)):
        boxes = _read_rows(as_pandas(boxes))
    if isinstance(boxes, (pd.DataFrame, pd.Series)):
        labels = boxes.columns if isinstance(boxes, pd.DataFrame) else boxes.index
        if not labels.is_unique:
            _refuse_duplicates(labels, name)
        return boxes
    is_tensor = type(boxes).__module__.partition(".")[0] in TENSORS and hasattr(boxes, "__array__")
    if isinstance(boxes, (list, tuple, np.ndarray, np.void)) or is_tensor:
        return boxes
    raise BoxError(
        "Boxes are a table with named columns, or a list or array of numbers x_min, x_max, y_min, "
        f"y_max. Received: {describe_type(received)}.{suggest_conversion(name, received)}"
    )


def as_boxes(boxes: BoxesLike, images: Sequence[Any] | None = None) -> FloatArray:
    """Read a table, or numbers in the order ``x_min, x_max, y_min, y_max``, into an array.

    Values are not checked or changed.

    Parameters
    ----------
    boxes : table of boxes
        A table with the columns ``x_min, x_max, y_min, y_max``, as :func:`read_table` accepts it;
        or boxes as sequences of four numbers. A fifth entry is a label and is ignored. Rows of
        an object array may begin with the class, as ``cross_val_predict`` returns
        them.
    images : sequence of length n_boxes, default=None
        The image of each row; errors name those that are paths. None takes the column ``image``.

    Returns
    -------
    ndarray of shape (n_boxes, 4), float64

    Raises
    ------
    BoxError
        If a column is missing or an entry is not a number.
    """
    boxes = read_table(boxes)
    if has_names(boxes):
        names = _column_names(boxes)
        missing = [name for name in COORDINATES if name not in names]
        if missing:
            raise BoxError(
                f"A table of boxes needs the columns {list(COORDINATES)}; missing: "
                f"{missing}. Received: {list(names)}."
            )
        columns = [np.atleast_1d(_read_column(boxes[name])) for name in COORDINATES]
        return as_float(np.stack(columns, axis=1), RowNames(boxes, images))
    if _is_numeric(boxes) and boxes.ndim == 2 and boxes.shape[1] == 4:
        return as_float(boxes)
    rows = np.asarray(boxes, dtype=object)
    if rows.ndim == 1 and rows.size and not _is_nested(rows):
        rows = rows[None]
    if rows.size == 0:
        return np.empty((0, 4))
    if rows.ndim != 2 or rows.shape[1] < 4:
        raise BoxError(
            "A box is four numbers x_min, x_max, y_min, y_max. "
            f"Received an array of shape {rows.shape}."
        )
    first = int(_begins_with_class(rows))
    return as_float(rows[:, first : first + 4])


def as_class_names(boxes: BoxesLike) -> NDArray[np.object_] | None:
    """Read the classes of a table of boxes into an object array; None if it has none.

    Accepts the same types as :func:`as_boxes`.
    """
    boxes = read_table(boxes)
    if has_names(boxes):
        if "class_name" not in _column_names(boxes):
            return None
        return np.atleast_1d(np.asarray(boxes["class_name"], dtype=object))
    rows = np.asarray(boxes, dtype=object)
    if rows.ndim == 2 and len(rows) and _begins_with_class(rows):
        return rows[:, 0]
    return None


def is_single_box(boxes: BoxesLike) -> bool:
    """Whether `boxes` is one box and not a table, for example one row of a DataFrame."""
    boxes = read_table(boxes)
    if isinstance(boxes, pd.DataFrame):
        return False
    if isinstance(boxes, pd.Series) or _is_structured(boxes):
        return np.ndim(boxes) == 0 or (isinstance(boxes, pd.Series) and "x_min" in boxes.index)
    rows = boxes if _is_numeric(boxes) else np.asarray(boxes, dtype=object)
    return rows.ndim == 1 and rows.size > 0 and not _is_nested(rows)


class RowNames:
    """Names the rows of a table in messages: position, index label and image."""

    def __init__(self, table: Any = None, images: Sequence[Any] | None = None) -> None:
        self.index = table.index if isinstance(table, pd.DataFrame) else None
        self.images: Any = images
        if images is None and isinstance(table, pd.DataFrame) and list(table).count("image") == 1:
            self.images = table["image"].array

    def __call__(self, row: int) -> str:
        details = []
        if self.index is not None and (label := self.index[row]) != row:
            details.append(f"index {label.item() if isinstance(label, np.generic) else label!r}")
        image = None if self.images is None else self.images[row]
        if isinstance(image, (str, os.PathLike)):
            details.append(os.fspath(image))
        return f"Row {row} ({', '.join(details)})" if details else f"Row {row}"


def _read_rows(boxes: Any) -> Any:
    """A table of rows that have names, or a Series of a single one; others unchanged."""
    if isinstance(boxes, Mapping):
        if all(np.ndim(value) == 0 for value in boxes.values()):
            return pd.Series(boxes, dtype=object)
        return boxes
    if _is_named_tuple(type(boxes)):
        return pd.Series(boxes._asdict(), dtype=object)
    if not isinstance(boxes, (list, tuple)):
        return boxes
    kinds = set(map(type, boxes))
    if any(issubclass(kind, np.void) for kind in kinds):
        boxes = [
            dict(zip(row.dtype.names or (), row, strict=True)) if _is_structured(row) else row
            for row in boxes
        ]
        kinds = set(map(type, boxes))
    if not any(issubclass(kind, (pd.Series, Mapping)) or _is_named_tuple(kind) for kind in kinds):
        return boxes
    if len(kinds) > 1:
        names = sorted(kind.__name__ for kind in kinds)
        raise BoxError(f"Rows of boxes must be of one type. Received: {names}.")
    return pd.DataFrame(boxes)


def _is_named_tuple(kind: type) -> bool:
    return issubclass(kind, tuple) and hasattr(kind, "_fields")


def _refuse_duplicates(labels: pd.Index, name: str) -> None:
    for column in TARGET_COLUMNS:
        if (number := (labels == column).sum()) > 1:
            raise BoxError(
                f"{name} has the column {column} {number} times. Keep one of them, for example "
                f"the first: {name}.loc[:, ~{name}.columns.duplicated()]."
            )


def _is_structured(boxes: object) -> TypeGuard[NDArray[np.void]]:
    return getattr(getattr(boxes, "dtype", None), "names", None) is not None


def has_names(boxes: object) -> TypeGuard[Any]:
    """Whether boxes have named columns."""
    return isinstance(boxes, (pd.DataFrame, pd.Series)) or _is_structured(boxes)


def _read_column(column: Any) -> NDArray[Any]:
    """A column of numbers as it is, any other as objects."""
    if isinstance(column, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(column.astype(object), np.nan))
    values = column.to_numpy() if isinstance(column, pd.Series) else column
    return values if _is_numeric(values) else np.asarray(column, dtype=object)


def _is_numeric(values: object) -> TypeGuard[NDArray[Any]]:
    return type(values) is np.ndarray and values.dtype.kind in "fiu"


def _column_names(boxes: pd.DataFrame | pd.Series | NDArray[np.void]) -> list[Any]:
    if isinstance(boxes, pd.DataFrame):
        return list(boxes.columns)
    return list(boxes.index) if isinstance(boxes, pd.Series) else list(boxes.dtype.names or ())


def _is_nested(rows: NDArray[Any]) -> bool:
    return isinstance(rows[0], (tuple, list, np.ndarray))


def _begins_with_class(rows: NDArray[Any]) -> bool:
    """Whether rows are (class_name, four coordinates, ...) and not (four coordinates, ...).

    The coordinates may be followed by a label, or by the further columns of ``predict``: numbers,
    and perhaps an error.
    """
    n_columns = rows.shape[1]
    if n_columns < 5:
        return False
    # An error is text or missing, and pandas stores a missing text as NaN.
    if n_columns == 6 and not (_is_number(rows[0, 5]) and np.isfinite(rows[0, 5])):
        return not _is_number(rows[0, 0])
    return n_columns > 5 or not _is_number(rows[0, 0])


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))


def as_float(rows: NDArray[Any], names: RowNames | None = None) -> FloatArray:
    """Coordinates of shape (n, 4) as float64; missing ones are NaN."""
    if _is_numeric(rows):
        return rows.astype(np.float64)
    try:
        return np.where(pd.isna(rows), np.nan, rows).astype(np.float64)
    except (TypeError, ValueError):
        number, name, value = next(
            (number, name, value)
            for number, row in enumerate(rows)
            for name, value in zip(COORDINATES, row, strict=True)
            if not _is_convertible(value)
        )
        row = (names or RowNames())(number)
        raise BoxError(f"{row}: {name} is not a number. Received: {value!r}.") from None


def _is_convertible(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
