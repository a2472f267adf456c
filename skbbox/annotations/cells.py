"""The columns of a table in CSV, JSON or memory, with numbers as arrays."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

import numpy as np
import pandas as pd

from ..exceptions import AnnotationError
from .columns import find_layout, match_row
from .documents import FrameDocument
from .nodes import Line, shorten_repr

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from ..typing import FloatArray
    from .columns import Layout
    from .documents import Document
    from .nodes import Node, Place

__all__ = ["Cells", "Column", "find_header", "flatten_records", "read_cells"]

DELIMITERS = (",", "\t", ";", "|")
#: Rows that are parsed at a time, so that their text is not kept.
N_BATCH = 50_000

Column: TypeAlias = "Sequence[Any] | NDArray[Any] | pd.Series"

_BRACKETS = re.compile(r"[\[\](){}]")


class Cells:
    """Columns of a table, and where its rows are.

    Attributes
    ----------
    document : Document
    layout : Layout
    columns : dict of str to list or ndarray
        Columns without numbers, by name.
    box : ndarray of shape (n_rows, 4)
        The four numbers of each box; missing for rows without a box.
    size : ndarray of shape (n_rows, 2) or None
    """

    def __init__(self, document: Document, layout: Layout, find_place: Callable[[int], Place]):
        self.document, self.layout, self._find_place = document, layout, find_place
        self.columns: dict[str, Column] = {}
        self.box: FloatArray = np.empty((0, 4))
        self.size: FloatArray | None = None

    def place(self, row: int) -> Place:
        """Position of a row, which is found when it is needed for a message."""
        return _RowPlace(self._find_place, row)

    def add(self, names: Sequence[str], values: Sequence[Column], start: int = 0) -> None:
        """Append rows, of which the first is row `start` of the table."""
        layout, columns = self.layout, dict(zip(names, values, strict=True))
        box = [columns.pop(name) for name in layout.box]
        if len(box) == 1:
            numbers = self._split_boxes(box[0], start)
        else:
            pairs = zip(box, layout.box, strict=True)
            numbers = np.stack([self._to_floats(*pair, start) for pair in pairs], axis=1)
        self.box = np.concatenate([self.box, numbers])
        if layout.size:
            pairs = zip([columns.pop(name) for name in layout.size], layout.size, strict=True)
            size = np.stack([self._to_floats(*pair, start, "px") for pair in pairs], axis=1)
            self.size = size if self.size is None else np.concatenate([self.size, size])
        for name, column in columns.items():
            if name.startswith("_"):
                continue
            if start == 0:
                self.columns[name] = column if isinstance(column, pd.Series) else list(column)
            else:
                cast("list[Any]", self.columns[name]).extend(column)

    def _to_floats(self, values: Column, name: str, start: int, unit: str = "") -> FloatArray:
        """Finite numbers, and missing ones where nothing is stored."""
        if isinstance(values, pd.Series):
            values = values.to_numpy() if values.dtype.kind == "f" else values.tolist()
        if isinstance(values, np.ndarray) and values.dtype.kind in "iuf":
            numbers = values.astype(np.float64)
            if np.isinf(numbers).any():
                self._fail(start + int(np.isinf(numbers).argmax()), name, np.inf)
            return numbers
        try:
            text = "".join(values)
            # Python also accepts 1_000 and digits of other scripts.
            if text.isascii() and "_" not in text:
                numbers = np.array(values, dtype=np.float64)
                if np.isfinite(numbers).all():
                    return numbers
        except (TypeError, ValueError):
            pass
        numbers = np.full(len(values), np.nan)
        for row, value in enumerate(values):
            if isinstance(value, str):
                value = value.strip().removesuffix(unit)
                if value == "":
                    continue
                if not value.isascii() or "_" in value:
                    self._fail(start + row, name, value)
            elif value is None or value is pd.NA or (isinstance(value, float) and value != value):
                continue
            elif isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
                self._fail(start + row, name, value)
            try:
                numbers[row] = float(value)
            except (ValueError, OverflowError):
                numbers[row] = np.nan
            if not np.isfinite(numbers[row]):
                self._fail(start + row, name, value)
        return numbers

    def _split_boxes(self, cells: Column, start: int) -> FloatArray:
        """Four numbers in each cell, which holds text or a list; missing ones if it is empty."""
        name = self.layout.box[0]
        if isinstance(cells, pd.Series):
            found = _split_cells(cells)
            if found is not None:
                return found
        parts: list[Any] = []
        for row, cell in enumerate(cells):
            values = cell
            if isinstance(cell, str):
                values = _BRACKETS.sub(" ", cell).replace(",", " ").split()
            elif cell is None or (isinstance(cell, float) and cell != cell):
                values = []
            if not isinstance(values, (list, tuple, np.ndarray)) or len(values) not in (0, 4):
                self.place(start + row).fail(
                    f"{name} must hold four numbers. Received: {shorten_repr(cell)}."
                )
            parts.extend(values if len(values) else [None] * 4)
        return np.stack([self._to_floats(parts[i::4], name, start) for i in range(4)], axis=1)

    def _fail(self, row: int, name: str, value: object) -> NoReturn:
        self.place(row).fail(f"{name} is not a number. Received: {shorten_repr(value)}.")


class _RowPlace:
    """The position of a row of a table."""

    __slots__ = ("find_place", "row")

    def __init__(self, find_place: Callable[[int], Place], row: int) -> None:
        self.find_place, self.row = find_place, row

    def __str__(self) -> str:
        return str(self.find_place(self.row))

    def fail(self, message: str) -> NoReturn:
        self.find_place(self.row).fail(message)


class _FrameRow:
    """A row of a DataFrame, by its label."""

    def __init__(self, label: object) -> None:
        self.label = label

    def __str__(self) -> str:
        return f"row {self.label!r}"

    def fail(self, message: str) -> NoReturn:
        raise AnnotationError(f"DataFrame, {self}: {message}")


def read_cells(document: Document, columns: Mapping[str, Any]) -> Cells:
    """Read the columns of a table.

    Parameters
    ----------
    document : Document
        CSV with any of ``DELIMITERS``, with or without a header; JSON with a list of objects, or
        one per line; or a ``FrameDocument``.
    columns : dict
        The option ``columns``.
    """
    if isinstance(document, FrameDocument):
        return _read_frame(document, columns)
    if document.kind == "json":
        return _read_json(document, columns)
    if document.kind == "xml":
        document.fail("expected CSV or JSON, the kinds of file of a table.")
    return _read_csv(document, columns)


def find_header(document: Document) -> tuple[str, list[str], bool]:
    """Delimiter and columns of a CSV file, and whether its first line is a header."""
    headers = {mark: document.parse_header(mark) for mark in DELIMITERS}
    delimiter = max(headers, key=lambda mark: len(headers[mark]))
    names = match_row(headers[delimiter])
    return delimiter, list(names or headers[delimiter]), names is None


def flatten_records(document: Document) -> Iterator[tuple[Node, dict[str, Any]]]:
    """Yield position and values of each object of a JSON file, or of each in its list of objects.

    Keys of nested objects are joined by dots.
    """
    root = document.parse_json()
    for node in [root] if root.is_object else root.as_list():
        if not node.is_object:
            node.fail(f"expected an object. Received: {shorten_repr(node.value)}.")
        values, lists = _flatten(node)
        if len(lists) > 1:
            node.fail(f"expected one list of objects. Received: {[str(part) for part in lists]}.")
        if not lists:
            yield node, values
        for child in lists[0] if lists else ():
            more, deeper = _flatten(child)
            if deeper:
                child.fail("a list of objects in a list of objects is not a table.")
            yield child, values | more


def _flatten(node: Node) -> tuple[dict[str, Any], list[Node]]:
    """Values of an object and of those in it, and its lists of objects."""
    values: dict[str, Any] = {}
    lists: list[Node] = []
    for child in node:
        key = str(child.key)
        if child.is_object:
            more, deeper = _flatten(child)
            values |= {f"{key}.{name}": value for name, value in more.items()}
            lists += deeper
        elif child.is_list and child.value and all(part.is_object for part in child):
            lists.append(child)
        else:
            values[key] = None if child.value == [] else child.value
    return values, lists


def _read_csv(document: Document, columns: Mapping[str, Any]) -> Cells:
    delimiter, names, has_header = find_header(document)

    def find_place(row: int) -> Place:
        rows = document.iter_rows(delimiter)
        line, _ = next(islice(rows, row + has_header, None), (0, []))
        return Line(document.path, line)

    cells = Cells(document, find_layout(names, columns, document), find_place)
    frame = _parse_csv(document, delimiter, names, has_header, cells.layout)
    if frame is not None:
        cells.add(names, [frame[name] for name in names])
        return cells
    rows = islice(document.iter_rows(delimiter), int(has_header), None)
    start = 0
    while batch := list(islice(rows, N_BATCH)):
        for line, fields in batch:
            if len(fields) != len(names):
                Line(document.path, line).fail(
                    f"expected {len(names)} fields, as in the first line. Received {len(fields)}."
                )
        cells.add(names, list(zip(*(fields for _, fields in batch), strict=True)), start)
        start += len(batch)
    return cells


def _parse_csv(
    document: Document, delimiter: str, names: list[str], has_header: bool, layout: Layout
) -> pd.DataFrame | None:
    """A CSV file as pandas reads it, which is fast; None if a row is wrong or missing."""
    numbers = {*layout.size, *(layout.box if len(layout.box) == 4 else ())}
    dtypes = {name: "float64" if name in numbers else "str" for name in names}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                document.path,
                sep=delimiter,
                encoding=document.encoding,
                header=0 if has_header else None,
                names=names,
                index_col=False,
                dtype=dtypes,
                keep_default_na=False,
                na_values={name: [""] for name, dtype in dtypes.items() if dtype != "str"},
                skipinitialspace=True,
            )
    except (ValueError, OverflowError, pd.errors.ParserWarning):
        return None
    n_fields = (len(frame) + has_header) * len(names)
    if not len(frame) or n_fields != _count_fields(document, delimiter, len(names)):
        return None
    return None if any(np.isinf(frame[name]).any() for name in numbers) else frame


def _count_fields(document: Document, delimiter: str, n_columns: int) -> int:
    """Number of fields in a CSV file; pandas fills up rows that are too short."""
    content = document.path.read_bytes()
    if document.encoding == "utf-8-sig" and b'"' not in content:
        n_rows = sum(1 for line in content.splitlines() if line.strip())
        return n_rows + content.count(delimiter.encode())
    counts = Counter(len(fields) for _, fields in document.iter_rows(delimiter))
    return n_columns * counts.total() if set(counts) == {n_columns} else -1


def _split_cells(cells: pd.Series) -> FloatArray | None:
    """Four numbers in each cell of text; None if one is wrong."""
    text = "\n".join(cells.str.strip("[](){} ").tolist())
    if "," not in text or "\r" in text or '"' in text:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(text),
                header=None,
                names=range(4),
                index_col=False,
                dtype="float64",
                keep_default_na=False,
                na_values=[""],
                skipinitialspace=True,
                skip_blank_lines=False,
            )
    except (ValueError, OverflowError, pd.errors.ParserWarning):
        return None
    found = frame.to_numpy()
    is_missing = np.isnan(found)
    is_whole = (is_missing.all(axis=1) | ~is_missing.any(axis=1)).all()
    return found if len(found) == len(cells) and is_whole and not np.isinf(found).any() else None


def _read_json(document: Document, columns: Mapping[str, Any]) -> Cells:
    records = list(flatten_records(document))
    names = list(dict.fromkeys(name for _, values in records for name in values))
    layout = find_layout(names, columns, document)
    cells = Cells(document, layout, lambda row: records[row][0])
    if records:
        cells.add(names, [[values.get(name) for _, values in records] for name in names])
    return cells


def _read_frame(document: FrameDocument, columns: Mapping[str, Any]) -> Cells:
    frame = document.frame
    names = [str(name) for name in frame.columns]
    layout = find_layout(names, columns, document)
    cells = Cells(document, layout, lambda row: _FrameRow(frame.index[row]))
    parts = [frame.iloc[:, i] for i in range(len(names))]
    is_number = [part.dtype.kind in "iuf" for part in parts]
    arrays = [
        part.to_numpy() if plain and isinstance(part.dtype, np.dtype) else part.tolist()
        for part, plain in zip(parts, is_number, strict=True)
    ]
    if len(frame):
        cells.add(names, arrays)
    return cells
