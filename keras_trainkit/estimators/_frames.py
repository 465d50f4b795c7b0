"""Tables of any library as columns by name, whose rows are taken by number."""

import dataclasses
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
from keras import ops
from sklearn.utils import check_array

from keras_trainkit._arrays import without_masks
from keras_trainkit._libraries import is_lazy, names_of, readable
from keras_trainkit._row_labels import check_columns_in_order
from keras_trainkit._tables.column_learner import refuse_infinite
from keras_trainkit._tables.columns import is_table, number_of_infinite, read
from keras_trainkit._tables.objects import object_array

PURPOSE = "`X` is the table, a row per sample, and"


@dataclasses.dataclass(frozen=True)
class Table:
    """Columns of equal length.

    Args:
        columns: Dict of name to column: a NumPy array, or a series of the library that
            the table came from, so that categories and dates stay what they are.
        rows: Int. Length of each column.
        named: Bool. False where the names are only positions, `x0`, `x1`, ...
    """

    columns: dict[str, Any]
    rows: int
    named: bool

    def take(self, rows: np.ndarray) -> "Table":
        """The rows of these numbers, in this order, whatever the table's index says."""
        columns = {name: taken(c, rows) for name, c in self.columns.items()}
        return Table(columns, len(rows), self.named)

    def without(self, names: Sequence[str]) -> "Table":
        """The table without these columns."""
        kept = {n: c for n, c in self.columns.items() if n not in names}
        return Table(kept, self.rows, self.named)

    def ordered_as(self, names: list[str], named: bool, owner: str) -> "Table":
        """The table with these columns in this order; ValueError where it has others.

        Args:
            named: Bool. False where the columns are known by their position alone.
            owner: Name of the estimator, for messages.
        """
        purpose = f"`X` is read by the {len(names)} columns that {owner} learned and"
        found = list(self.columns)
        if not named:
            if len(found) != len(names):
                raise ValueError(
                    f"{purpose} must have as many. Received: X has {len(found)} "
                    f"features, but {owner} is expecting {len(names)} features as "
                    "input."
                )
            columns = dict(zip(names, self.columns.values(), strict=True))
            return Table(columns, self.rows, False)
        if not self.named:
            raise ValueError(
                f"{purpose} must name them (a DataFrame, or a dict of columns): "
                f"{names}. Received: X has {len(found)} features without names."
            )
        missing = [name for name in names if name not in self.columns]
        known = set(names)
        unknown = [name for name in found if name not in known]
        if missing or unknown:
            raise ValueError(
                f"{purpose} must have exactly these, in any order. "
                f"Received: {missing} missing, {unknown} unknown."
            )
        return Table({name: self.columns[name] for name in names}, self.rows, True)

    def without_value(self, words: Any) -> list[str]:
        """Names of the columns in which every value is missing.

        Args:
            words: Function of a name: the texts that stand for a missing value there.
        """
        return [n for n, c in self.columns.items() if _is_empty(n, c, words(n))]

    def check_finite(self) -> None:
        """Refuses infinite numbers, as the encoder does in rows that it learns from."""
        for name, column in self.columns.items():
            if number_of_infinite(read(name, column)):
                refuse_infinite(name)


def taken(column: Any, rows: np.ndarray) -> Any:
    """The entries of a column with these numbers."""
    if isinstance(column, np.ndarray):
        return column[rows]
    if hasattr(column, "iloc"):  # of thousands of columns narwhals takes seconds
        return column.iloc[rows].reset_index(drop=True)
    found = nw.from_native(column, series_only=True)[rows]
    return nw.maybe_reset_index(found).to_native()


def read_table(data: Any, owner: str) -> Table:
    """The columns of a DataFrame, a dict of columns, or an array `(rows, columns)`.

    Args:
        owner: Name of the estimator, for scikit-learn's messages on arrays.

    Raises:
        ValueError: No rows, columns of unequal lengths, names that are no names.
        TypeError: A sparse matrix.
    """
    if isinstance(data, Table):
        return data
    frame = _frame_of(data)
    if frame is not None:
        return _of_frame(frame)
    is_sparse = hasattr(type(data), "toarray")  # SciPy's by keys are dicts
    if isinstance(data, Mapping) and not is_sparse:
        check_columns_in_order(data, PURPOSE)
        columns = {name: _column(name, data[name]) for name in data}
        return _table(_checked_names(list(columns)), list(columns.values()), True)
    return _of_array(data, owner)


def _frame_of(data: Any) -> nw.DataFrame | None:
    """The narwhals frame of a DataFrame; None for other data."""
    if is_lazy(data):
        _refuse("must hold its rows (`.collect()` reads them)", type(data).__name__)
    data = readable(data)
    names = names_of(data) if hasattr(data, "columns") else []
    if len(set(map(str, names))) < len(names):
        _refuse("must have columns of different names", f"columns {names}")
    frame = nw.from_native(data, eager_only=True, pass_through=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def _of_frame(frame: nw.DataFrame) -> Table:
    names: list[Any] = list(frame.columns)
    columns = [readable(column.to_native()) for column in frame.iter_columns()]
    named = any(isinstance(name, str) for name in names)
    return _table(_checked_names(names) if named else _positions(names), columns, named)


def _of_array(data: Any, owner: str) -> Table:
    if ops.is_tensor(data):
        data = ops.convert_to_numpy(data)
    _check_is_array(data)
    if isinstance(data, list | tuple):
        data = _of_rows(without_masks(data))
    _check_axes(data)
    array = data if isinstance(data, np.ma.MaskedArray) else None
    checked = check_array(
        data, dtype=None, ensure_all_finite=False, estimator=owner, input_name="X"
    )
    array = checked if array is None else array
    columns = [array[:, number] for number in range(array.shape[1])]
    return _table(_positions(columns), columns, False)


def _check_is_array(data: Any) -> None:
    """Refuses what is neither an array nor a list of rows; sparse ones pass."""
    if isinstance(data, list | tuple):
        parts = [part for part in data if is_table(part)]
        if parts:
            _refuse(
                "must be one table (`pandas.DataFrame(rows)` makes it of dicts, "
                "`pandas.concat(tables)` or `pyarrow.Table.from_batches(batches)` of "
                "parts)",
                f"a list of {type(parts[0]).__name__}",
            )
    elif not hasattr(data, "__array__") and not hasattr(data, "toarray"):
        arrays = "an array (rows, columns)"
        reader = " (`.read_all()` of a reader)" * hasattr(data, "read_all")
        is_text = isinstance(data, str | bytes)
        _refuse(
            f"must be a DataFrame, a dict of columns or {arrays}{reader}",
            reprlib.repr(data) if is_text else type(data).__name__,
        )


def _check_axes(data: Any) -> None:
    """Refuses arrays of other axes than rows and columns."""
    shape = data.shape if hasattr(data, "shape") else np.asarray(data).shape
    fields = getattr(getattr(data, "dtype", None), "names", None)
    if fields:
        _refuse(
            "must have its columns as an axis, or by name "
            "(`pandas.DataFrame.from_records(X)`)",
            f"X of shape {shape}, with the fields {list(fields)}",
        )
    if len(shape) != 2 and not hasattr(data, "toarray"):
        _refuse(
            "must have two axes, rows and columns (Reshape your data: "
            "`.reshape(-1, 1)` makes one column, `.reshape(1, -1)` one row)",
            f"X of shape {shape}",
        )


def _of_rows(rows: list | tuple) -> Any:
    """Rows of numbers as they are; other values as objects, which keep types."""
    if not all(isinstance(row, list | tuple) for row in rows):
        return rows
    lengths = {len(row) for row in rows}
    if len(lengths) > 1:
        _refuse("must have as many values in each row", f"rows of {sorted(lengths)}")
    if all(isinstance(value, int | float) for row in rows for value in row):
        return rows
    return np.array(rows, dtype=object)


def _positions(columns: Sequence) -> list[str]:
    return [f"x{number}" for number in range(len(columns))]


def _column(name: Any, values: Any) -> Any:
    if ops.is_tensor(values):
        values = ops.convert_to_numpy(values)
    values = readable(values)
    if isinstance(values, np.ndarray):
        return values
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        return object_array(values)
    if hasattr(getattr(values, "dtype", None), "categories"):  # pandas.Categorical
        import pandas as pd

        values = values if isinstance(values, pd.Series) else pd.Series(values)
    series = nw.from_native(values, series_only=True, pass_through=True)
    if isinstance(series, nw.Series) or hasattr(values, "__array__"):
        return values if isinstance(series, nw.Series) else np.asarray(values)
    _refuse("must hold a sequence of one value per row", f"{values!r} for {name!r}")


def _checked_names(names: list) -> list[str]:
    if any(not isinstance(name, str) or not name for name in names):
        _refuse(
            "must have texts that are not empty as names (`frame.rename(columns=str)`)",
            f"columns {names}",
        )
    return names


def _table(names: list[str], columns: list, named: bool) -> Table:
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        found = dict(zip(names, lengths, strict=True))
        _refuse("must have columns of equal length", f"rows {found}")
    if not lengths or not lengths[0]:
        _refuse(
            "must have at least one column and one row",
            f"n_samples={lengths[0] if lengths else 0}, {len(names)} columns",
        )
    for name, column in zip(names, columns, strict=True):
        if np.ndim(column) != 1:
            shape = np.asarray(column).shape
            _refuse("must hold one value per row", f"{shape} for {name!r}")
    return Table(dict(zip(names, columns, strict=True)), lengths[0], named)


def _is_empty(name: str, column: Any, words: list[str]) -> bool:
    found = read(name, column)
    if found.holds != "text":
        return found.holds is None
    texts = {str(text).strip().lower() for text in set(found.values)}
    return texts <= {"", *(word.lower() for word in words)}


def _refuse(allowed: str, received: str) -> Any:
    raise ValueError(f"{PURPOSE} {allowed}. Received: {received}.")
