"""Tables of pandas and of other libraries: polars, pyarrow and Dask."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pandas as pd

from ..exceptions import DataError, SkbboxWarning
from .hugging_face import to_pandas

__all__ = [
    "as_pandas",
    "describe_type",
    "is_default_index",
    "like",
    "select_like",
    "suggest_conversion",
    "warn_of_order",
]

#: Libraries other than pandas and Dask whose tables and columns are read, by the name of their
#: package. Rows of a database, which narwhals also reads, have no order.
LIBRARIES = ("polars", "pyarrow", "modin", "cudf")


def as_pandas(table: Any) -> Any:
    """Convert a table or column of another library to pandas.

    Parameters
    ----------
    table : object
        A DataFrame, LazyFrame, Table, RecordBatch or column of polars, pyarrow, Dask, Modin or
        cuDF; or a data set of Hugging Face or one of its columns.

    Returns
    -------
    DataFrame, Series or object
        Rows keep their order. Anything else is returned unchanged.

    Raises
    ------
    DataError
        If two columns have the same name.
    """
    library = _get_library(table)
    if library == "dask" and hasattr(table, "compute"):
        return table.compute()
    if library == "datasets":
        return to_pandas(table)
    if library not in LIBRARIES:
        return table
    import narwhals.stable.v2 as nw
    from narwhals.exceptions import DuplicateError

    try:
        known = nw.from_native(_as_whole(table), pass_through=True, allow_series=True)
    except DuplicateError as error:
        raise DataError(f"{describe_type(table)} with duplicate columns: {error}") from None
    if isinstance(known, nw.LazyFrame):
        known = known.collect()
    if isinstance(known, nw.Series):
        return pd.Series(known.to_numpy(), name=known.name or None)
    if isinstance(known, nw.DataFrame):
        return pd.DataFrame({name: known[name].to_numpy() for name in known.columns})
    return table


def like(table: pd.DataFrame, source: Any) -> Any:
    """Convert a pandas table to polars if `source` is of polars; its index is left out."""
    if _get_library(source) != "polars":
        return table
    import narwhals.stable.v2 as nw

    columns = {str(name): _to_plain(column) for name, column in table.items()}
    return nw.from_dict(columns, backend="polars").to_native()


def select_like(table: Any, source: Any) -> Any:
    """The part of `source`, if it is of polars, that `table` is of ``as_pandas(source)``.

    Unlike :func:`like`, keeps the types of all columns.
    """
    if _get_library(source) != "polars":
        return table
    import narwhals.stable.v2 as nw

    known = nw.from_native(source)
    if isinstance(known, nw.LazyFrame):
        known = known.collect()
    return known[table.index.tolist()].select(list(table.columns)).to_native()


def describe_type(value: object) -> str:
    """The type of a value, with its module unless it is of pandas, NumPy or Python itself."""
    kind = type(value)
    if _get_library(value) in ("builtins", "numpy", "pandas"):
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def suggest_conversion(name: str, value: object, column: str | None = None) -> str:
    """How to convert a value of an unknown type, as a sentence; or an empty text.

    Parameters
    ----------
    name : str
        What the user calls the value.
    value : object
    column : str, default=None
        The column that is needed; None needs a table.
    """
    for method in ("to_pandas", "toPandas", "df"):
        if callable(getattr(value, method, None)):
            if column and hasattr(value, "column_names"):
                return f' Pass list({name}["{column}"]), or {name}.{method}().'
            return f" Pass {name}.{method}()."
    if column is None and isinstance(value, dict):
        return f" Pass pandas.DataFrame({name})."
    if column is not None and isinstance(value, Iterable):
        item = f'{name}["{column}"]' if isinstance(value, dict) else name
        return f" Pass list({item})."
    return ""


def is_default_index(index: pd.Index) -> bool:
    """Whether an index only numbers the rows from 0 on."""
    return isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1


def warn_of_order(
    names: tuple[str, str], first: pd.Index | None, second: pd.Index | None, stacklevel: int = 4
) -> None:
    """Warn if two indexes hold the same labels in another order; rows are paired by position.

    Parameters
    ----------
    names : (str, str)
        What the user calls the two tables.
    first, second : pandas Index or None
        Their indexes; None has no labels.
    stacklevel : int, default=4
    """
    if first is None or second is None or len(first) != len(second) or first.equals(second):
        return
    if Counter(first) != Counter(second):
        return
    row = next(row for row, pair in enumerate(zip(first, second, strict=True)) if _differ(*pair))
    labels = [index[[row]].tolist()[0] for index in (first, second)]
    warnings.warn(
        f"{names[0]} and {names[1]} have the same index labels in another order, but rows are "
        f"paired by position: row {row} is {labels[0]!r} in {names[0]} and {labels[1]!r} in "
        f"{names[1]}. To pair them by label, pass {names[1]}.loc[{names[0]}.index]; if the "
        f"positions are right, pass {names[1]}.reset_index(drop=True).",
        SkbboxWarning,
        stacklevel=stacklevel,
    )


def _differ(first: Any, second: Any) -> bool:
    return bool(first is not second and first != second)


def _get_library(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _as_whole(table: Any) -> Any:
    """A table or chunked array of pyarrow in place of a part of one."""
    if _get_library(table) == "pyarrow":
        import pyarrow

        if isinstance(table, pyarrow.RecordBatch):
            return pyarrow.Table.from_batches([table])
        if isinstance(table, pyarrow.Array):
            return pyarrow.chunked_array([table])
    return table


def _to_plain(column: pd.Series[Any]) -> Any:
    """A column as an array of numbers, or as a list whose missing values are None."""
    values = column.to_numpy()
    if values.dtype.kind in "biuf":
        return values
    missing = column.isna().tolist()
    return [None if skip else value for value, skip in zip(column.tolist(), missing, strict=True)]
