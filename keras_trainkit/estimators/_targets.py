"""Targets, weights and class weights as arrays, with an entry for each row."""

import reprlib
from decimal import Decimal
from numbers import Real
from typing import Any, NoReturn

import narwhals.stable.v2 as nw
import numpy as np
from keras import ops
from sklearn.exceptions import DataConversionWarning

from keras_trainkit._arrays import as_numpy, without_masks
from keras_trainkit._libraries import is_lazy, readable
from keras_trainkit._resolution import Spread
from keras_trainkit._tables.levels import by_frequency, variants_remark
from keras_trainkit._tables.objects import (
    is_missing,
    numbers_in,
    real_numbers,
)
from keras_trainkit._warnings import warn_user
from keras_trainkit.layers._classes import can_be_saved

PURPOSE = "`y` is what is learned to be predicted and"
NO_CLASSES = ("", "?", "nan", "nat", "<na>", "n/a", "#n/a")  # "none" may be one
MOST_CHARACTERS = 100_000  # of the name of a class
LEAST_SHARE = 1e-30  # of the largest weight: float32 ends at 1e-38


def read_target(y: Any, rows: int, owner: str) -> np.ndarray:
    """`y` as an array of one entry, or one row, for each of the rows; none missing.

    Args:
        owner: Name of the estimator, for the message where there is no `y`.
    """
    if y is None:
        _refuse(
            "must be given",
            f"this {owner} estimator requires y to be passed, but the target y is None",
        )
    if is_lazy(y):
        _refuse("must hold its rows (`.collect()` reads them)", type(y).__name__)
    array = as_array(y)
    if array.ndim not in (1, 2) or len(array) != rows:
        _refuse(
            f"must have an entry for each of the {rows} rows of `X`, a value or a row "
            "of values",
            f"y of shape {array.shape}",
        )
    if array.dtype.kind in "OmM":
        missing = sum(map(is_missing, array.ravel()))
    else:
        missing = int(np.isnan(array).sum()) if array.dtype.kind == "f" else 0
    if missing:
        _refuse("must miss none (leave these rows out)", f"{missing} missing, or NaN")
    return _of_one_type(array)


def read_classes(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different classes, sorted, and the code of each row's class.

    Raises:
        ValueError: One class, several targets, or values that name no class.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        warn_user(
            "A column-vector y was passed when a 1d array was expected; "
            "`y.ravel()` makes one.",
            DataConversionWarning,
        )
        y = y[:, 0]
    if y.ndim != 1:
        _refuse("must be a class for each row, (rows,)", f"y of shape {y.shape}")
    allowed = "must be classes: texts, integers, True and False, or whole numbers"
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.round(y)).all()):
        _refuse(allowed, f"continuous numbers, or infinite ones, such as {y[:3]}")
    if y.dtype.kind in "mM":  # of nanoseconds, whose `tolist` gives integers
        received = f"y with values of dates or durations, {y.dtype}"
        _refuse(f"{allowed} (`y.astype(str)` of dates)", received)
    types = {type(value) for value in y.tolist()}
    if len(types) > 1 or not types <= {str, int, bool, float}:
        names = sorted(found.__name__ for found in types)
        _refuse(f"{allowed}, all of one type", f"y with values of {', '.join(names)}")
    classes, codes = np.unique(y, return_inverse=True)
    lost = [name for name in classes.tolist() if not can_be_saved(name)]
    if lost:
        _refuse(
            "must be classes that a file can hold: integers of 64 bits with a sign "
            "(longer ones as texts, `.astype(str)`), texts of whole characters",
            f"{reprlib.repr(lost[0])} and {len(lost) - 1} more",
        )
    longest = max(map(len, classes.tolist())) if types == {str} else 0
    if longest > MOST_CHARACTERS:
        most = f"of at most {MOST_CHARACTERS:,} characters each"
        _refuse(f"must be classes {most}", f"one of {longest:,}")
    if len(classes) < 2:
        _refuse("must have two classes or more", f"one class, {classes.tolist()[0]!r}")
    if types == {str}:
        _tell_variants(classes.tolist(), codes)
        _tell_missing(classes.tolist())
    return classes, codes


def _tell_variants(classes: list[str], codes: np.ndarray) -> None:
    rows = dict(zip(classes, np.bincount(codes).tolist(), strict=True))
    remark = variants_remark(by_frequency(rows), "classes")
    if remark:
        warn_user(f"`y` {remark}.")


def _tell_missing(classes: list[str]) -> None:
    """Warns of classes such as "nan", which `astype(str)` makes of missing values."""
    found = [name for name in classes if name.strip().lower() in NO_CLASSES]
    if found:
        warn_user(
            f"`y` has the class {found[0]!r}, which most often stands for a missing "
            "value: leave these rows out, or give the class another name.",
        )


def read_numbers(y: np.ndarray) -> np.ndarray:
    """The targets as float64 `(rows, outputs)`."""
    allowed = "must be finite numbers, (rows,) or (rows, outputs)"
    if y.dtype.kind in "mM":
        unit = "divide a duration by its unit, `y / np.timedelta64(1, 'h')`"
        _refuse(f"{allowed} ({unit})", f"y of dtype {y.dtype}")
    if y.dtype.kind not in "biuf":
        values = y.ravel().tolist()
        if not all(map(_is_number, values)):
            _refuse(allowed, f"y of dtype {y.dtype}, such as {values[0]!r}")
    numbers = np.reshape(real_numbers(y.ravel()), y.shape)
    with np.errstate(over="ignore"):
        if not np.isfinite(numbers.astype("float32")).all():
            _refuse(allowed, "infinite ones, or over 3.4e38")
    if numbers.ndim == 2 and not numbers.shape[1]:
        _refuse(allowed, f"y of shape {numbers.shape}")
    return numbers[:, None] if numbers.ndim == 1 else numbers


def _is_number(value: Any) -> bool:
    """False for NumPy's durations, which count as integers."""
    return isinstance(value, Real | Decimal) and not isinstance(value, np.timedelta64)


def check_resolution(numbers: np.ndarray) -> None:
    """Refuses targets whose differences float32, in which networks compute, loses."""
    spread = Spread()
    spread.update(numbers)
    spread.check(PURPOSE)


def read_weights(sample_weight: Any, rows: int) -> np.ndarray | None:
    """Weights `(rows,)`, float64, the largest from 0.5 to 1; None stays None.

    Only their ratios count, and these stay what they were: all are multiplied by a
    power of 2, so that no sum of them is infinite.
    """
    if sample_weight is None:
        return None
    allowed = f"must be {rows} finite numbers of at least 0, not all of them zero"
    weights = _as_numbers(as_array(sample_weight))
    if weights is None:
        _refuse_weights(allowed, reprlib.repr(sample_weight))
    if weights.shape != (rows,):
        _refuse_weights(allowed, f"weights of shape {weights.shape}")
    strange = int((~np.isfinite(weights)).sum())
    if strange:
        _refuse_weights(allowed, f"{strange} NaN or infinite ones")
    if weights.min() < 0:
        _refuse_weights(allowed, f"the lowest {weights.min()}")
    if not weights.any():
        _refuse_weights(allowed, "weights that are all zero")
    if _is_lost(weights, weights.max()).any():
        _refuse_weights(
            f"must be 0, or at least {LEAST_SHARE:g} of the largest, beside which "
            "float32 takes it for 0",
            f"{weights[weights > 0].min():.3g} beside {weights.max():.3g}",
        )
    return _near_one(weights)


def _near_one(weights: np.ndarray) -> np.ndarray:
    """Weights times the power of 2 that brings the largest from 0.5 to 1."""
    return np.ldexp(weights, -np.frexp(weights.max())[1])


def _is_lost(weights: np.ndarray, largest: float) -> np.ndarray:
    """True for weights above 0 that are as good as 0 beside the largest."""
    return (weights > 0) & (weights < LEAST_SHARE * largest)


def _as_numbers(array: np.ndarray) -> np.ndarray | None:
    """Numbers of any type as float64, NaN where missing; None for other values."""
    if array.dtype.kind in "biuf":
        return array.astype("float64")
    if array.dtype.kind != "O":
        return None
    numbers, wrong = numbers_in(array.ravel())
    return None if wrong else numbers.reshape(array.shape)


def relative_weights(weights: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Weights whose mean over the training rows is 1, whatever their unit.

    Keras divides the sum of weighted losses by the rows, so a training with small
    weights would be one at a small rate.
    """
    weights = _near_one(weights)
    mean = weights[training].mean()
    if not mean > 0:
        _refuse_weights(
            "must be above 0, times that of its class, for a training row",
            "weights of 0 in all training rows",
        )
    far = _is_lost(weights, mean) | (LEAST_SHARE * weights > mean)
    if far.any():
        _refuse_weights(
            f"must be 0, times that of its class, or from {LEAST_SHARE:g} to "
            f"{1 / LEAST_SHARE:g} of the mean of the training rows, for float32",
            f"{weights[far][0] / mean:.3g} of the mean",
        )
    return weights / mean


def weights_of_classes(
    class_weight: Any, classes: np.ndarray, codes: np.ndarray
) -> np.ndarray | None:
    """Weight of each class, or None: "balanced" lets each count as much as the others.

    Args:
        class_weight: None, "balanced", or dict of class to weight; 1 for others.
        codes: Codes of the training rows.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str) and class_weight == "balanced":
        counts = np.bincount(codes, minlength=len(classes))
        return len(codes) / len(classes) / np.maximum(counts, 1)
    purpose = "`class_weight` says how much a class counts in training and"
    if not isinstance(class_weight, dict):
        raise ValueError(
            f'{purpose} must be None, "balanced" or a dict of classes to weights. '
            f"Received: class_weight={class_weight!r}."
        )
    numbers = {name: number for number, name in enumerate(classes.tolist())}
    unknown = [name for name in class_weight if name not in numbers]
    if unknown:
        raise ValueError(
            f"{purpose} must name classes of {list(numbers)}. Received: {unknown}."
        )
    weights = np.ones(len(classes))
    for name, weight in class_weight.items():
        real = isinstance(weight, int | float | np.number)
        if not real or not np.isfinite(weight) or weight < 0:
            raise ValueError(
                f"{purpose} must be finite numbers of at least 0. "
                f"Received: {weight!r} for {name!r}."
            )
        weights[numbers[name]] = weight
    if _is_lost(weights, weights.max()).any():
        raise ValueError(
            f"{purpose} must be 0, or at least {LEAST_SHARE:g} of the largest, beside "
            "which float32 takes it for 0. "
            f"Received: {weights[weights > 0].min():.3g} beside {weights.max():.3g}."
        )
    return weights


def as_array(values: Any) -> np.ndarray:
    """An array, in which a masked value is missing, and only texts are texts."""
    if ops.is_tensor(values):
        return as_numpy(values)
    values = readable(without_masks(values))
    if hasattr(values, "set_axis") and values.ndim == 2:  # pandas: any names will do
        values = values.set_axis([str(n) for n in range(values.shape[1])], axis=1)
    native = nw.from_native(
        values, eager_only=True, allow_series=True, pass_through=True
    )
    if isinstance(native, nw.DataFrame) and _has_long_integers(native):
        columns = [as_array(column.to_native()) for column in native.iter_columns()]
        return np.stack(columns, axis=1)
    if isinstance(native, nw.Series | nw.DataFrame):
        return np.asarray(native.to_numpy())
    if isinstance(values, list | tuple) and any(map(_is_object, values)):
        return np.array(values, object)
    try:
        array = np.asarray(values)
    except ValueError:  # rows of unequal lengths
        array = np.empty(len(values), object)
        for number, row in enumerate(values):
            array[number] = row.tolist() if isinstance(row, np.ndarray) else row
        return array
    if array.dtype.kind in "US" and isinstance(values, list | tuple):
        return np.array(values, object)
    if array.dtype.kind == "T":  # NumPy's strings of any length
        return array.astype(object)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _has_long_integers(frame: nw.DataFrame) -> bool:
    """True for integers of 128 bits, of which polars makes no array."""
    return any(dtype in (nw.Int128, nw.UInt128) for dtype in frame.schema.values())


def _is_object(value: Any) -> bool:
    """None, and integers that floats beside them would not tell apart."""
    return value is None or (isinstance(value, int) and abs(value) > 2**53)


def _of_one_type(array: np.ndarray) -> np.ndarray:
    """Objects that are all bools, integers or floats as such an array."""
    if array.dtype.kind != "O":
        return array
    types = {type(value) for value in array.ravel()}
    if types <= {str, np.str_}:
        if any("\0" in text for text in array.ravel()):
            _refuse("must be texts without NUL characters", "some with them")
        return array.astype(str)
    alike = any(
        all(issubclass(found, kinds) for found in types)
        for kinds in ((bool, np.bool_), (int, np.integer), (float, np.floating))
    )
    if not alike or (bool in types and len(types) > 1):
        return array
    found = np.array(array.tolist())
    return array if found.dtype.kind == "f" and int in types else found


def _refuse(allowed: str, received: str) -> NoReturn:
    raise ValueError(f"{PURPOSE} {allowed}. Received: {received}.")


def _refuse_weights(allowed: str, received: str) -> NoReturn:
    raise ValueError(
        f"`sample_weight` says how much each row counts and {allowed}. "
        f"Received: {received}."
    )
