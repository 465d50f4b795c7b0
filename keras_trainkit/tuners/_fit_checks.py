"""Checks of what `search` passes on to Keras' `fit`, before anything is trained."""

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import keras
import keras_tuner

from keras_trainkit._checks import check_count, check_number
from keras_trainkit.tuners._cross_validation import check_folds
from keras_trainkit.tuners._search import Search, Tuner

_BY_POSITION = ("x", "y", "batch_size", "epochs")
_PURPOSE = "`search` trains on the rows of `x`, so"
_SHARE = "is the share of the last rows that are validated"
_IN_0_1 = {"at_least": 0, "below": 1}
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


def checked_search_arguments(
    tuner: Tuner, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any]:
    """Keyword arguments of `search`, with the callbacks in a list.

    The `fit` of a user's hypermodel may take others than Keras', so these are left to
    it.
    """
    if "callbacks" in kwargs:
        kwargs = {**kwargs, "callbacks": _listed_callbacks(kwargs["callbacks"])}
    if not has_own_fit(tuner.hypermodel):
        _check_fit_arguments(args, tuner.fit_arguments(dict(kwargs)))
    return kwargs


def _listed_callbacks(callbacks: Any) -> list[Any]:
    """The callbacks of `search` as a list; classes and other objects are refused."""
    if callbacks is None:
        return []
    listed = list(callbacks) if isinstance(callbacks, list | tuple) else [callbacks]
    for callback in listed:
        if isinstance(callback, type) or not hasattr(callback, "set_model"):
            raise ValueError(
                "`callbacks` watch every training and must be a list of "
                "`keras.callbacks.Callback` objects, or one of them. "
                f"Received: {callback!r} among them."
            )
    return listed


def _check_fit_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuses what no training could take, or what Keras would take for another value.

    Args:
        args: Positional arguments of the search.
        kwargs: Its keyword arguments, as `fit` gets them.

    Raises:
        ValueError: No data, arrays of no rows or of unlike numbers of rows, counts
            that are none (Keras trains with 32 rows per step for a batch size of 0), a
            share outside [0, 1) or of what Keras cannot cut, a generator, which the
            first trial would use up.
    """
    given = {**dict(zip(_BY_POSITION, args, strict=False)), **kwargs}
    for name, purpose in _COUNTS.items():
        if given.get(name) is not None:
            check_count(name, given[name], purpose)
    if given.get("validation_split") is not None:
        check_number("validation_split", given["validation_split"], _SHARE, **_IN_0_1)
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
    _check_read_again({"x": given["x"], "validation_data": validation})
    if given.get("validation_split") and validation is None:
        _check_can_be_cut({n: given.get(n) for n in ("x", "y", "sample_weight")})


def check_validation(search: Search) -> None:
    """Refuses folds that cannot be cut, and an objective of no validation rows.

    The `fit` of a user's hypermodel may bring rows of its own.
    """
    tuner, args = search.tuner, search.args
    kwargs = tuner.fit_arguments(dict(search.kwargs))
    if tuner.folds > 1:
        check_folds(args, kwargs, tuner.folds)
    elif not has_own_fit(tuner.hypermodel):
        _check_is_validated(tuner.oracle.objective, kwargs)


def _check_is_validated(
    objective: keras_tuner.Objective, kwargs: dict[str, Any]
) -> None:
    """Refuses an objective of validation rows where there are none."""
    names = [one.name for one in getattr(objective, "objectives", [objective])]
    lacking = [name for name in names if name.startswith("val_")]
    given = [kwargs.get(name) for name in ("validation_data", "validation_split")]
    has_rows = given[0] is not None or given[1]
    if lacking and not has_rows and logs_are_known(kwargs.get("callbacks", [])):
        raise ValueError(
            "`validation_data` (or `validation_split`, or `folds` of the tuner) are "
            f"the rows that {lacking[0]!r} is measured on and must be given where that "
            "is the `objective`. Received: none of them."
        )


def logs_are_known(callbacks: Sequence[Any]) -> bool:
    """True where no callback may add a result of its own to the logs."""
    return all(
        type(one).__module__.partition(".")[0] in ("keras", "keras_trainkit")
        and not isinstance(one, keras.callbacks.LambdaCallback)
        for one in callbacks
    )


def _check_read_again(data: dict[str, Any]) -> None:
    for name, part in data.items():
        if hasattr(part, "__next__"):
            raise ValueError(
                f"`{name}` is read anew for every training and must be arrays, or a "
                "data set that begins anew, such as a `keras.utils.PyDataset` or "
                "`tf.data.Dataset.from_generator`. "
                f"Received: a {type(part).__name__}, which is read once."
            )


def _check_can_be_cut(parts: dict[str, Any]) -> None:
    for name, part in parts.items():
        uncut = [leaf for leaf in keras.tree.flatten(part) if leaf is not None]
        uncut = [leaf for leaf in uncut if not hasattr(leaf, "shape")]
        if uncut:
            raise ValueError(
                f"`validation_split` {_SHARE}, which Keras cuts off arrays and tables "
                "alone: `validation_data` must be given in its place. "
                f"Received: `{name}` of type {type(part).__name__}."
            )


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
