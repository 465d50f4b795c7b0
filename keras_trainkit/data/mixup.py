from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._checks import check_count, check_number, check_seed
from keras_trainkit._resolution import check_finite
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
            weights outside their range, or an argument outside its range. Class numbers
            and weights of a data set are read when it is gone through, and raise
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
    inputs = _mixed(x, other, share)
    if weight is None:
        return _floatx("x", inputs), _floatx("y", _mixed(y, other, share))
    mean = _mixed(weight, other, share)
    of_target = share * weight / np.where(mean > 0, mean, 1)
    of_target = np.where(mean > 0, of_target, share)
    targets = _mixed(y, other, of_target)
    return _floatx("x", inputs), _floatx("y", targets), _floatx("sample_weight", mean)


def _mixed(values: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    share = share.reshape(-1, *[1] * (values.ndim - 1))
    return share * values + (1 - share) * values[other]


def _floatx(name: str, values: np.ndarray) -> np.ndarray:
    purpose = f"`{name}` is mixed by a weighted mean and"
    check_finite(values, purpose, keras.config.floatx())
    return values.astype(keras.config.floatx())


def _numbers(name: str, values: Any) -> np.ndarray:
    values = as_numpy(values)
    if values.ndim < 1 or not np.issubdtype(values.dtype, np.floating):
        raise ValueError(
            f"`{name}` is mixed by a weighted mean and must be an array of floats, "
            "one row each; class numbers need `num_classes`. Received: "
            f"{name}.dtype={values.dtype}, {name}.shape={values.shape}."
        )
    return values


def _targets(y: Any, num_classes: int | None) -> np.ndarray:
    if num_classes is None:
        return _numbers("y", _one_hot_as_floats(as_numpy(y)))
    y = as_numpy(y)
    whole = y.ndim == 1 and np.issubdtype(y.dtype, np.integer)
    if not whole or ((y < 0) | (y >= num_classes)).any():
        raise ValueError(
            "`y` holds class numbers, as `num_classes` is given, and must be integers "
            f"from 0 to {num_classes - 1} of shape (rows,). Received: "
            f"y.dtype={y.dtype}, y.shape={y.shape}."
        )
    return np.asarray(keras.utils.to_categorical(y, num_classes))


def _one_hot_as_floats(y: np.ndarray) -> np.ndarray:
    is_one_hot = y.ndim == 2 and y.dtype.kind in "biu" and np.isin(y, (0, 1)).all()
    return y.astype(keras.config.floatx()) if is_one_hot else y


def _weights(sample_weight: Any) -> np.ndarray:
    weight = np.asarray(as_numpy(sample_weight), "float64")
    if weight.ndim != 1 or not (np.isfinite(weight) & (weight >= 0)).all():
        raise ValueError(
            "`sample_weight` is what a row counts and must be finite numbers of at "
            f"least 0, of shape (rows,). Received: shape {weight.shape}."
        )
    return weight
