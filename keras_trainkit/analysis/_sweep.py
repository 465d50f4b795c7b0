"""The batches and the training steps of a learning rate range test."""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_trainkit._arrays import as_numpy
from keras_trainkit._ewa import RunningAverage
from keras_trainkit._optimizer_access import learning_rate_object, steps_taken
from keras_trainkit._tensorflow.custom_gradients import release_graphs
from keras_trainkit._types import Optimizer, Tensor
from keras_trainkit.analysis._suggestions import num_early


def sweep(
    model: keras.Model,
    batches: Iterator[tuple],
    rates: list[float],
    *,
    class_weight: dict | None,
    smoothing: float,
    divergence_factor: float,
) -> tuple[list[float], list[float], float | None]:
    """Trains one batch per rate until the loss diverges.

    Returns:
        `(rates, losses, diverged_at)`: two lists of equal length with the finite part,
        and the rate that ended it or None.
    """
    used: list[float] = []
    losses: list[float] = []
    averages: list[float] = []
    early = num_early(len(rates))
    average = RunningAverage(smoothing)
    release_graphs()
    model.train_function = None  # a schedule may be compiled into it
    set_rate = _rate_setter(model.optimizer, rates)
    with _batches_as_in_fit(model):
        for planned in rates:
            rate = set_rate(planned)
            loss = _loss_of_one_step(model, next(batches), class_weight)
            if not math.isfinite(loss):
                return used, losses, rate
            used.append(rate)
            losses.append(loss)
            averages.append(average.update(loss))
            if _has_diverged(losses, averages, divergence_factor, early):
                return used, losses, rate
    return used, losses, None


@contextlib.contextmanager
def _batches_as_in_fit(model: keras.Model) -> Iterator[None]:
    """Hands a custom `train_step` the tuple that `fit` would: `x, y = data` works.

    `train_on_batch` hands on `(x, y, None)` where there are no weights.
    """
    own, replaced = model.train_step, vars(model).get("train_step")

    def train_step(*arguments: Any) -> Any:  # with the state before the data on JAX
        *state, data = arguments
        return own(*state, keras.utils.pack_x_y_sample_weight(*data))

    model.train_step = train_step
    try:
        yield
    finally:
        del model.train_step
        if replaced is not None:
            model.train_step = replaced


def _rate_setter(optimizer: Optimizer, rates: list[float]) -> Callable[[float], float]:
    """A function that sets the planned rate and returns the one in use."""
    if isinstance(learning_rate_object(optimizer), keras.Variable):

        def set_rate(rate: float) -> float:
            optimizer.learning_rate = rate
            return rate

        return set_rate

    first = steps_taken(optimizer)
    optimizer.learning_rate = _Rates(rates, first)
    # Under mixed precision a step whose gradients overflow is skipped and keeps the
    # schedule's clock where it was: the rate in use is the one by the clock.
    return lambda planned: rates[min(steps_taken(optimizer) - first, len(rates) - 1)]


class _Rates(keras.optimizers.schedules.LearningRateSchedule):
    """A table of rates from the step `first` on, in place of another schedule."""

    def __init__(self, rates: list[float], first: int):
        self.rates = rates
        self.first = first

    def __call__(self, step: Tensor) -> Tensor:
        table = ops.convert_to_tensor(self.rates, "float32")
        index = ops.clip(ops.cast(step, "int32") - self.first, 0, len(self.rates) - 1)
        return ops.take(table, index)

    def get_config(self) -> dict[str, Any]:
        return {"rates": self.rates, "first": self.first}


def _loss_of_one_step(
    model: keras.Model, batch: tuple, class_weight: dict | None
) -> float:
    x, y, sample_weight = batch
    logs = model.train_on_batch(
        x, y, sample_weight, class_weight=class_weight, return_dict=True
    )
    if "loss" not in logs:
        raise ValueError(
            "`model` is what to train and must report its 'loss' from `train_step`. "
            f"Received: a model that reports {sorted(logs)}."
        )
    return float(logs["loss"])


def _has_diverged(
    losses: list[float], averages: list[float], factor: float, early: int
) -> bool:
    """True if `average > factor * best`, in a form for negative losses too.

    A loss that harmless rates have shown is no divergence, however low the best is.
    """
    if len(losses) <= early:
        return False
    best = min(averages[early:])
    scale = best if best > 0 else max(abs(best), abs(averages[0]))
    limit = best + (factor - 1) * scale
    return averages[-1] > max(limit, *losses[:early])


def endless_batches(
    x: Any, y: Any, sample_weight: Any, *, batch_size: int, seed: int | None
) -> Iterator[tuple]:
    """Yields `(x, y, sample_weight)` without end, from what `fit` takes.

    Arrays are drawn in a new random order each round, whole batches only (unless
    there are fewer rows than one batch). Anything else is a collection of batches and
    is gone through as it comes.
    """
    if _are_arrays(x):
        data, num_rows = _checked_rows((x, y, sample_weight))
        return _draw(data, num_rows, batch_size, np.random.default_rng(seed))
    _check_collection(x, y, sample_weight)
    return _from_batches(x)


def batches_in_order(
    x: Any, y: Any, sample_weight: Any, *, batch_size: int
) -> Callable[[], Iterator[tuple]]:
    """A function that yields every row once, from what `endless_batches` takes."""
    if not _are_arrays(x):
        _check_collection(x, y, sample_weight)
        return lambda: _one_round(x, 0)
    data, num_rows = _checked_rows((x, y, sample_weight))
    parts = [
        slice(start, start + batch_size) for start in range(0, num_rows, batch_size)
    ]

    def batches() -> Iterator[tuple]:
        for rows in parts:
            yield keras.tree.map_structure(
                lambda leaf, rows=rows: _taken(leaf, rows), data
            )

    return batches


def _check_collection(x: Any, y: Any, sample_weight: Any) -> None:
    if isinstance(x, list | tuple | dict):
        raise ValueError(
            "`x` is what to learn from and must be arrays, or a list or dict of them, "
            "as in `fit`: np.asarray makes an array of numbers in a list. "
            f"Received: a {type(x).__name__} with entries that are no arrays."
        )
    if y is not None or sample_weight is not None:
        raise ValueError(
            "`y` and `sample_weight` belong to arrays in `x` and must be None where "
            "`x` yields batches that hold them. Received: "
            f"x of type {type(x).__name__}, y of type {type(y).__name__}, "
            f"sample_weight of type {type(sample_weight).__name__}."
        )
    if not hasattr(x, "__iter__") or hasattr(x, "__next__"):
        raise ValueError(
            "`x` is what to learn from and must be arrays, or a collection of batches "
            "that can be gone through again (tf.data.Dataset, keras.utils.PyDataset, "
            f"torch DataLoader). Received: x of type {type(x).__name__}."
        )


def _are_arrays(x: Any) -> bool:
    leaves = keras.tree.flatten(x)
    return bool(leaves) and all(hasattr(leaf, "shape") for leaf in leaves)


def _checked_rows(data: tuple) -> tuple[tuple, int]:
    """The arrays, and how many rows they all have."""
    data = keras.tree.map_structure(_as_rows, data)
    leaves = [leaf for leaf in keras.tree.flatten(data) if leaf is not None]
    lengths = {leaf.shape[0] for leaf in leaves}
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(
            "`x`, `y` and `sample_weight` are the rows to learn from and must have "
            f"the same number of rows, at least 1. Received: {sorted(lengths)} rows."
        )
    return data, lengths.pop()


def _draw(
    data: tuple, num_rows: int, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple]:
    whole = max(num_rows // batch_size, 1) * batch_size
    while True:
        order = rng.permutation(num_rows)[:whole]
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            yield keras.tree.map_structure(
                lambda leaf, rows=rows: _taken(leaf, rows), data
            )


def _from_batches(batches: Iterable) -> Iterator[tuple]:
    for round_ in itertools.count():
        yield from _one_round(batches, round_)


def _one_round(batches: Iterable, round_: int) -> Iterator[tuple]:
    batch = None
    for batch in batches:
        parts = keras.utils.unpack_x_y_sample_weight(batch)
        yield keras.tree.map_structure(_as_tensor, parts)
    if batch is None:
        raise ValueError(
            "`x` is what to learn from and must yield at least one batch each "
            f"time it is gone through. Received: none in round {round_ + 1}."
        )


def _taken(leaf: Any, rows: np.ndarray) -> Any:
    if leaf is None:
        return None
    taken = leaf[rows]
    return taken.toarray() if hasattr(taken, "toarray") else taken


def _as_rows(leaf: Any) -> Any:
    """An array; floats as `fit` makes them of arrays. SciPy's sparse rows stay so."""
    if leaf is None:
        return None
    if not getattr(leaf, "shape", ()):
        raise ValueError(
            "`x`, `y` and `sample_weight` are the rows to learn from and must be "
            "arrays, as in `fit`: np.asarray makes an array of numbers in a list. "
            f"Received: {leaf!r} of type {type(leaf).__name__} among them."
        )
    if hasattr(leaf, "tocsr"):
        rows = leaf.tocsr()
        return rows.astype(keras.config.floatx()) if rows.dtype == "float64" else rows
    array = as_numpy(leaf)
    if array.dtype == "float64":
        array = array.astype(keras.config.floatx())
    return array


def _as_tensor(leaf: Any) -> Any:
    """A form that the backend reads: its own tensors, otherwise NumPy."""
    if leaf is None or keras.ops.is_tensor(leaf):
        return leaf
    return np.asarray(leaf)
