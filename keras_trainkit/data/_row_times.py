"""Times of rows, which must sort as they follow each other."""

import re
from typing import Any, NoReturn

import numpy as np

from keras_trainkit._tables.notation import MOMENT, PLAIN
from keras_trainkit._tables.recognition import DATE_LIKE
from keras_trainkit.data._rows import column_of

_PURPOSE = "gives the times of the rows"
_YEAR_FIRST = re.compile("[0-9]{4}([./-])[0-9]{2}\\1[0-9]{2}(?![0-9]).*")


def times_of(order: Any, rows: int) -> np.ndarray:
    """Times `(rows,)`, none of them missing; their order is that of `np.argsort`.

    Raises:
        ValueError: Another shape, missing times, texts that sort otherwise than what
            they stand for.
    """
    times = column_of("order", by_category(order), rows, _PURPOSE)
    if times.ndim != 1:
        raise ValueError(
            f"`order` {_PURPOSE} and must hold one for each. Received: order of shape "
            f"{times.shape}."
        )
    if all(isinstance(time, str) for time in times.tolist()):
        _check_texts(times)
    return times


def by_category(order: Any) -> Any:
    """Ordered categories of pandas as their numbers, NaN where missing."""
    if not getattr(getattr(order, "dtype", None), "ordered", False):
        return order
    codes = np.asarray(getattr(order, "cat", order).codes)
    return np.where(codes < 0, np.nan, codes)


def _check_texts(times: np.ndarray) -> None:
    rows = np.argsort(times, kind="stable")
    remedies = ((PLAIN, "`.astype(float)`"), (MOMENT, "`pandas.to_datetime`"))
    for notation, remedy in remedies:
        meant = notation.values(times)
        if np.isfinite(meant).all():
            back = np.flatnonzero(np.diff(meant[rows]) < 0)
            if len(back):
                _refuse(times[rows[back[0]]], times[rows[back[0] + 1]], remedy)
            return
    of_dates = re.compile(DATE_LIKE)
    if all(of_dates.fullmatch(time) for time in times.tolist()):
        odd = [time for time in times.tolist() if not _YEAR_FIRST.fullmatch(time)]
        if odd:
            _refuse(odd[0], times[rows[-1]], "`pandas.to_datetime` with a `format`")


def _refuse(earlier: str, later: str, remedy: str) -> NoReturn:
    raise ValueError(
        f"`order` {_PURPOSE} and must sort as these do (texts sort by their "
        f"characters: {remedy} reads them). "
        f"Received: texts such as {str(earlier)!r} and {str(later)!r}."
    )
