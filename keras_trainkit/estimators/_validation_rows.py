"""Rows kept from training: the best epoch is chosen by them, and what follows it."""

from typing import Any

import numpy as np

from keras_trainkit._checks import check_count, check_number
from keras_trainkit._tables.objects import is_missing
from keras_trainkit.data import folds, split
from keras_trainkit.data._row_times import by_category
from keras_trainkit.estimators._targets import as_array

DEFAULT_SHARE = 0.2  # of the rows, where no folds are
PURPOSE = "chooses the rows that are kept from training"


def entries_of(name: str, values: Any, count: int, rows: np.ndarray) -> Any:
    """The entries of these rows; None stays as it is."""
    if values is None:
        return None
    array = as_array(by_category(values) if name == "order" else values)
    found = f"{name} of shape {array.shape}"
    if array.ndim == 1 and len(array) == count:
        missing = sum(map(is_missing, array)) if array.dtype.kind in "OfmM" else 0
        lists = [entry for entry in array if isinstance(entry, list | dict | set)]
        if not missing and not lists:
            return array[rows]
        found = f"{missing} missing" if missing else f"a row of {lists[0]!r}"
    purpose = {"groups": "keeps rows together", "order": "gives the times of rows"}
    raise ValueError(
        f"`{name}` {purpose[name]} and must have an entry for each of the {count} "
        f"rows of `X`. Received: {found}."
    )


def group_numbers(groups: np.ndarray | None) -> np.ndarray | None:
    """Groups of any type as ints from 0."""
    if groups is None:
        return None
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(g, len(numbers)) for g in groups.tolist()])


def check_groups_to_leave_out(groups: np.ndarray | None) -> None:
    """Refuses rows of which nothing is left where a group is left out."""
    if groups is not None and len(np.unique(groups)) == 1:
        raise ValueError(
            "`groups` keeps rows together and must name two groups of the training "
            "rows, so that one can be left out. Received: one group of "
            f"{len(groups)} rows."
        )


def training_and_validation(
    validation: Any,
    rows: np.ndarray,
    table_rows: int,
    codes: np.ndarray | None,
    groups: Any,
    order: Any,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of both parts, by the rules of `data.split`.

    A class of one row or one group stays in training. A share of the rows is raised to
    a row for each class, where that is not over half of the rows.

    Args:
        validation: Float in (0, 1), int >= 1, or row numbers.
        rows: The row numbers there are to choose from, ascending.
        table_rows: Int. Rows of `X`, some of which may not be among these.
        codes: Class of each row of `X`, to stratify by; None for numbers.
        groups: Groups of `rows` by number, or None.
        order: Times of `rows`, or "rows", or None.
    """
    if len(rows) < 2:
        raise ValueError(
            "`X` holds a row per sample and must have one to train on and one for "
            f"validation. Received: n_samples={len(rows)} of weight above 0."
        )
    if not isinstance(validation, int | float | np.number) or validation is True:
        _check_alone(groups, order)
        return _as_numbered(validation, rows, table_rows)
    if isinstance(validation, int | np.integer):
        check_count("validation", validation, PURPOSE, at_most=len(rows) - 1)
    else:
        check_number("validation", validation, PURPOSE, above=0, below=1)
    if order is not None and groups is not None:
        raise ValueError(
            "`order` alone decides which rows are validated, the last, so `groups` "
            "must be None beside it. Received: order and groups."
        )
    free, codes = free_rows(rows, codes, groups, order)
    size = _size(validation, len(free), codes)
    _check_room(validation, size, len(free), codes)
    parts = split(
        len(free),
        validation=size,
        test=None,
        stratify=codes,
        groups=None if groups is None else groups[np.isin(rows, free)],
        order=order,
        seed=seed,
    )
    validated = free[parts.validation]
    if order is not None:
        return free[parts.train], validated
    return np.setdiff1d(rows, validated), validated


def folds_of(
    count: int,
    rows: np.ndarray,
    codes: np.ndarray | None,
    groups: np.ndarray | None,
    seed: int,
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Row numbers of training and validation, for each fold of `data.folds`.

    Rows of a class that one row or one group has alone are trained on in every fold.

    Args:
        rows: The row numbers there are, ascending.
        codes: Class of each row of `X`, to stratify by; None for numbers.
        groups: Groups of `rows` by number, or None.
    """
    free, of_free = free_rows(rows, codes, groups)
    if groups is not None:
        groups = groups[np.isin(rows, free)]
    parts = folds(len(free), count, stratify=of_free, groups=groups, seed=seed)
    validated = [free[part.validation] for part in parts]
    return [(np.setdiff1d(rows, part), part) for part in validated]


def free_rows(
    rows: np.ndarray,
    codes: np.ndarray | None,
    groups: np.ndarray | None,
    order: Any = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows that may go into either part, and their classes."""
    if codes is None or order is not None:
        return rows, None
    codes_of_rows = codes[rows]
    units = np.arange(len(rows)) if groups is None else groups
    kept = np.ones(len(rows), bool)
    while True:  # a group that stays may leave another class with one group
        pairs = np.unique(np.stack([codes_of_rows[kept], units[kept]]), axis=1)
        counts = np.bincount(pairs[0], minlength=codes_of_rows.max() + 1)
        lone = kept & (counts[codes_of_rows] == 1)
        if not lone.any():
            break
        kept &= ~(lone if groups is None else np.isin(groups, groups[lone]))
    free = rows[kept]
    return (free, codes[free]) if len(free) else (rows, None)


def _size(validation: Any, rows: int, codes: np.ndarray | None) -> Any:
    if codes is None or isinstance(validation, int | np.integer):
        return validation
    size, classes = round(float(validation) * rows), len(np.unique(codes))
    return classes if size < classes <= rows / 2 else validation


def _check_room(
    validation: Any, size: Any, rows: int, codes: np.ndarray | None
) -> None:
    """Refuses parts that are too small for a row of each class."""
    if codes is None:
        return
    classes = len(np.unique(codes))
    is_share = isinstance(size, float | np.floating)
    validated = round(float(size) * rows) if is_share else int(size)
    if not classes <= validated <= rows - classes:
        raise ValueError(
            f"`validation` {PURPOSE} and must leave a row of each of the {classes} "
            f"classes to both parts: {classes} to {rows - classes} rows, or such a "
            f"share, or row numbers. Received: validation={validation!r}, {validated} "
            f"of {rows} rows."
        )


def _check_alone(groups: Any, order: Any) -> None:
    if groups is not None or order is not None:
        raise ValueError(
            f"`validation` {PURPOSE} and must be a share or a number of rows beside "
            "`groups` or `order`. Received: row numbers, and "
            f"{'groups' if order is None else 'order'}."
        )


def _as_numbered(
    validation: Any, rows: np.ndarray, table_rows: int
) -> tuple[np.ndarray, np.ndarray]:
    try:
        given = np.asarray(validation)
    except ValueError:
        given = np.array(None)
    fine = given.ndim == 1 and given.dtype.kind in "iu" and len(given) > 0
    validated = np.intersect1d(given, rows) if fine else given
    if fine:
        fine = len(np.unique(given)) == len(given) and given.min() >= 0
        fine = fine and 0 < len(validated) < len(rows) and given.max() < table_rows
    if not fine:
        raise ValueError(
            f"`validation` {PURPOSE} and must be a share in (0, 1), a number of rows, "
            f"or different row numbers from 0 to {table_rows - 1}, some of weight "
            f"above 0, but not all. Received: validation={validation!r}."
        )
    return np.setdiff1d(rows, validated), validated
