"""Checks of what `search` passes on to Keras' `fit`, before anything is trained."""

from collections.abc import Iterator
from typing import Any, NoReturn

import keras

from keras_trainkit._checks import check_count, check_number

_BY_POSITION = ("x", "y", "batch_size", "epochs")
_PURPOSE = "`search` trains on the rows of `x`, so"
_COUNTS = {
    "epochs": "is the number of epochs of a training",
    "batch_size": "is the number of rows per step",
    "steps_per_epoch": "is the number of steps of an epoch",
    "validation_batch_size": "is the number of validated rows at a time",
    "validation_steps": "is the number of steps of a validation",
}


def has_own_fit(hypermodel: Any) -> bool:
    """True for a hypermodel of the user's whose `fit` may take other arguments."""
    module = getattr(type(hypermodel).fit, "__module__", "") or ""
    return module.partition(".")[0] not in ("keras_tuner", "keras_trainkit")


def check_fit_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuses what no training could take, or what Keras would take for another value.

    Args:
        args: Positional arguments of the search.
        kwargs: Its keyword arguments, as `fit` gets them.

    Raises:
        ValueError: No data, arrays of no rows or of unlike numbers of rows, counts
            that are none (Keras trains with 32 rows per step for a batch size of 0), a
            share outside [0, 1).
    """
    given = {**dict(zip(_BY_POSITION, args, strict=False)), **kwargs}
    for name, purpose in _COUNTS.items():
        if given.get(name) is not None:
            check_count(name, given[name], purpose)
    if given.get("validation_split") is not None:
        purpose = "is the share of the last rows that are validated"
        share = given["validation_split"]
        check_number("validation_split", share, purpose, at_least=0, below=1)
    if given.get("x") is None:
        _refuse(
            "it must be given: arrays as in `Model.fit`, or a data set",
            "no `x`",
        )
    _check_rows({n: given.get(n) for n in ("x", "y", "sample_weight")})
    validation = given.get("validation_data")
    if isinstance(validation, list | tuple):
        names = ("validation x", "validation y", "validation sample_weight")
        _check_rows(dict(zip(names, validation, strict=False)))


def _check_rows(parts: dict[str, Any]) -> None:
    rows = {name: sorted(set(_rows_in(part))) for name, part in parts.items()}
    found = {name: counts for name, counts in rows.items() if counts}
    counts = {count for part in found.values() for count in part}
    if len(counts) > 1 or 0 in counts:
        told = ", ".join(
            f"{name} of {' and '.join(map(str, part))}" for name, part in found.items()
        )
        _refuse("all arrays must have as many rows, one at least", f"{told} rows")


def _rows_in(data: Any) -> Iterator[int]:
    """Rows of each array among the data; nothing for data sets and lists of numbers."""
    for leaf in keras.tree.flatten(data):
        shape = getattr(leaf, "shape", None)
        if shape and isinstance(shape[0], int):
            yield shape[0]


def _refuse(allowed: str, received: str) -> NoReturn:
    raise ValueError(f"{_PURPOSE} {allowed}. Received: {received}.")
