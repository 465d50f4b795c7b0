import reprlib
from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy, float_array
from keras_trainkit._checks import check_count, check_number, check_seed
from keras_trainkit._resolution import (
    Spread,
    check_finite,
    check_spread,
    keeps_all,
    weights_as,
)
from keras_trainkit._row_labels import check_row_orders
from keras_trainkit._tensorflow.mixup import mixed_data_set


def mixup(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    num_classes: int | None = None,
    alpha: float = 0.2,
    seed: int | None = 0,
) -> Any:
    """Mixtures of two rows each: inputs and targets on the line between them.

    Row r of the result is `share * x[r] + (1 - share) * x[other]`, and its target
    likewise; `other` is a row at random, and each row has a share of its own, from
    Beta(alpha, alpha). For training rows alone; each call with another seed gives
    other mixtures of the same rows. Scale inputs and fill gaps first.

    Of a `tf.data.Dataset` the rows of each batch are mixed with each other, anew in
    every epoch: put it behind `.shuffle(...).batch(...)`.

    Args:
        x: Features, `(rows, ...)`, numbers of which a mean makes sense: no token ids,
            no codes of categories. Or a `tf.data.Dataset` of batches (x, y) or (x, y,
            sample_weight), where x may be a dict or a tuple of such features.
        y: Targets, floats `(rows,)` or `(rows, outputs)`: numbers, probabilities or
            one-hot rows; or, with `num_classes`, class numbers. None with a data set.
        sample_weight: Weights >= 0, `(rows,)`. The result has the mean of two, and a
            target to which each row adds in proportion to its share times its weight.
            None with a data set.
        num_classes: Int >= 2. Makes class numbers, ints `(rows,)`, one-hot; the loss
            is then `CategoricalCrossentropy`. None: `y` is mixed as it is.
        alpha: Float > 0. Small values leave most rows nearly as they are; 0.1 to 0.4
            suits most tasks, 1 makes all shares alike likely.
        seed: Int >= 0; the same seed gives the same mixtures. None: a random one.

    Returns:
        `(x, y)`, or `(x, y, sample_weight)` if weights were given, in
        `keras.config.floatx()`, with as many rows. Of a data set a data set, whose
        numbers keep their types; one-hot rows are float32.

    Raises:
        ValueError: Unequal rows, integers that a mean would spoil, class numbers or
            weights outside their range, numbers that Keras' float type does not tell
            apart, or an argument outside its range. Class numbers and weights of a data
            set are read when it is gone through, and raise
            `tf.errors.InvalidArgumentError`.

    Example:

    >>> x, y = mixup([[0.0], [1.0]], [0, 1], num_classes=2, seed=0)
    >>> x.shape, y.shape
    ((2, 1), (2, 2))

    Source: Zhang et al., 2018, arXiv:1710.09412, equation 1. There a batch has one
    share, in the authors' code. Weights: the cross-entropy of the result is that of
    both targets with their weights; the paper has none.
    """
    check_number("alpha", alpha, "is how far rows are mixed", above=0)
    check_seed("seed", seed)
    if num_classes is not None:
        purpose = "is the width of one-hot rows"
        check_count("num_classes", num_classes, purpose, at_least=2)
    if hasattr(x, "element_spec"):  # a tf.data.Dataset
        _check_alone(y=y, sample_weight=sample_weight)
        return mixed_data_set(x, num_classes, alpha, seed)
    return _mixed_arrays(x, y, sample_weight, num_classes, alpha, seed)


def _check_alone(**arguments: Any) -> None:
    given = [name for name, value in arguments.items() if value is not None]
    if given:
        raise ValueError(
            f"`{given[0]}` comes with the elements of a data set and must be None "
            f"beside one. Received: {given[0]} of the type "
            f"{type(arguments[given[0]]).__name__}."
        )


def _mixed_arrays(
    x: Any,
    y: Any,
    sample_weight: Any,
    num_classes: int | None,
    alpha: float,
    seed: int | None,
) -> tuple[np.ndarray, ...]:
    check_row_orders(x, "x", y=y, sample_weight=sample_weight)
    x, y = _numbers("x", x), _targets(y, num_classes)
    weight = None if sample_weight is None else _weights(sample_weight)
    rows = {len(part) for part in (x, y, weight) if part is not None}
    if len(rows) != 1:
        raise ValueError(
            "`x`, `y` and `sample_weight` are mixed row by row and must have as many "
            f"rows. Received: {sorted(rows)} rows."
        )
    rng = np.random.default_rng(seed)
    other = rng.permutation(len(x))
    share = rng.beta(alpha, alpha, len(x))
    _check_spread("x", x)
    _check_spread("y", y)
    inputs = _floatx("x", _mixed(x, other, share))
    if weight is None:
        return inputs, _floatx("y", _mixed(y, other, share))
    mean = _mixed(weight, other, share)
    of_target = share * weight / np.where(mean > 0, mean, 1)
    of_target = np.where(mean > 0, of_target, share)
    purpose = "`sample_weight` is what a row counts, the mean of two, and"
    weights = weights_as(keras.config.floatx(), mean, purpose)
    return inputs, _floatx("y", _mixed(y, other, of_target)), weights


def _mixed(values: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return share * values + (1 - share) * values[other]


def _check_spread(name: str, values: np.ndarray) -> None:
    """Refuses columns whose differences Keras' float type loses, or takes for 0."""
    if not values.size or keeps_all(values.dtype):
        return
    finite = np.where(np.isfinite(values), values, values.dtype.type(0))
    spread = Spread()
    spread.update(finite.reshape(-1, values.shape[-1] if values.ndim > 1 else 1))
    purpose = f"`{name}` is mixed by a weighted mean and"
    check_spread(spread, purpose, keras.config.floatx(), is_whole=False)


def _floatx(name: str, values: np.ndarray) -> np.ndarray:
    purpose = f"`{name}` is mixed by a weighted mean and"
    check_finite(values, purpose, keras.config.floatx())
    return values.astype(keras.config.floatx())


def _numbers(name: str, values: Any) -> np.ndarray:
    array = _array(values)
    if array is None or array.ndim < 1 or array.dtype.kind != "f":
        raise ValueError(
            f"`{name}` is mixed by a weighted mean and must be an array of floats, one "
            "row each; class numbers need `num_classes`. "
            f"Received: {_described(name, values, array)}."
        )
    return array


def _array(values: Any) -> np.ndarray | None:
    """The values as an array; None for lists of unequal lengths."""
    try:
        return as_numpy(values)
    except ValueError:
        return None


def _targets(y: Any, num_classes: int | None) -> np.ndarray:
    if num_classes is None:
        found = _array(y)
        return _numbers("y", y if found is None else _one_hot_as_floats(found))
    found = _array(y)
    if found is None or not _are_classes(found, num_classes):
        raise ValueError(
            "`y` holds class numbers, as `num_classes` is given, and must be integers "
            f"from 0 to {num_classes - 1} of shape (rows,). "
            f"Received: {_described('y', y, found)}."
        )
    return np.asarray(keras.utils.to_categorical(found, num_classes))


def _are_classes(y: np.ndarray, num_classes: int) -> bool:
    whole = y.ndim == 1 and y.dtype.kind in "iu"
    return whole and not ((y < 0) | (y >= num_classes)).any()


def _described(name: str, values: Any, array: np.ndarray | None) -> str:
    if array is None:
        return f"{name}={reprlib.repr(values)}"
    return f"{name}.dtype={array.dtype}, {name}.shape={array.shape}"


def _one_hot_as_floats(y: np.ndarray) -> np.ndarray:
    is_one_hot = y.ndim == 2 and y.dtype.kind in "biu" and np.isin(y, (0, 1)).all()
    return y.astype(keras.config.floatx()) if is_one_hot else y


def _weights(sample_weight: Any) -> np.ndarray:
    purpose = "`sample_weight` is what a row counts"
    weight = float_array(sample_weight, purpose)
    if weight.ndim != 1 or not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError(
            f"{purpose} and must be finite numbers of at least 0, of shape (rows,). "
            f"Received: shape {weight.shape}."
        )
    return weight
