"""Mixtures of two rows within each batch of a `tf.data.Dataset`."""

from typing import Any

import keras


def mixed_data_set(
    data_set: Any, num_classes: int | None, alpha: float, seed: int | None
) -> Any:
    """The data set with the rows of each batch mixed, anew in every epoch."""
    import tensorflow as tf

    _check_elements(data_set, num_classes)
    numbers = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
    seeds = numbers.batch(2, drop_remainder=True)

    def mix(element: tuple, key: Any) -> tuple:
        x, y, *weight = element
        if num_classes is not None:
            y = _one_hot(y, num_classes)
        rows = tf.shape(y)[0]
        keys = tf.random.split(key, 3)
        other = tf.random.experimental.stateless_shuffle(tf.range(rows), keys[0])
        share = _beta(alpha, rows, keys[1], keys[2])
        x = tf.nest.map_structure(lambda part: _mixed(part, other, share), x)
        if not weight:
            return x, _mixed(y, other, share)
        weight = _checked_weight(weight[0])
        mean = _mixed(weight, other, share)
        of_target = tf.where(
            mean > 0, tf.math.divide_no_nan(share * weight, mean), share
        )
        return x, _mixed(y, other, of_target), mean

    return tf.data.Dataset.zip(data_set, seeds).map(mix, tf.data.AUTOTUNE)


def _beta(alpha: float, rows: Any, first: Any, second: Any) -> Any:
    """Draws of Beta(alpha, alpha), from the logarithms of two gamma variates.

    The variates themselves are 0 in float32 for most small values of alpha. Source:
    Gamma(alpha) is Gamma(alpha + 1) times U ** (1 / alpha), Marsaglia and Tsang, 2000.
    """
    import tensorflow as tf

    def log_gamma_variates(key: Any) -> Any:
        ours = tf.random.split(key, 2)
        larger = tf.random.stateless_gamma([rows], ours[0], alpha + 1.0)
        smallest = 2.0**-24
        uniform = tf.random.stateless_uniform([rows], ours[1], smallest, 1.0)
        return tf.math.log(larger) + tf.math.log(uniform) / alpha

    return tf.sigmoid(log_gamma_variates(first) - log_gamma_variates(second))


def _one_hot(y: Any, num_classes: int) -> Any:
    import tensorflow as tf

    words = f"class numbers of `y` must be from 0 to {num_classes - 1}"
    largest = tf.cast(num_classes - 1, y.dtype)
    in_range = tf.debugging.assert_less_equal(y, largest, words)
    from_zero = tf.debugging.assert_non_negative(y, words)
    with tf.control_dependencies([in_range, from_zero]):
        return tf.one_hot(tf.cast(y, "int32"), num_classes)


def _checked_weight(weight: Any) -> Any:
    import tensorflow as tf

    weight = tf.cast(weight, "float32")
    words = "weights of rows must be finite numbers of at least 0"
    valid = tf.math.is_finite(weight) & (weight >= 0)
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(valid), [words])]):
        return tf.identity(weight)


def _mixed(values: Any, other: Any, share: Any) -> Any:
    import tensorflow as tf

    shape = tf.concat([tf.shape(share), tf.ones(tf.rank(values) - 1, "int32")], 0)
    share = tf.cast(tf.reshape(share, shape), values.dtype)
    mixed = share * values + (1 - share) * tf.gather(values, other)
    mixed.set_shape(values.shape)
    return mixed


def _check_elements(data_set: Any, num_classes: int | None) -> None:
    purpose = "`x` is a data set whose rows are mixed batch by batch and must give"
    spec = data_set.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(
            f"{purpose} pairs (x, y) or triples (x, y, sample_weight). "
            f"Received: {spec!r}."
        )
    x, y, *weight = spec
    floats = [*keras.tree.flatten(x), *([] if num_classes else [y])]
    if not all(_is_batch(part) for part in (*floats, y, *weight)):
        raise ValueError(
            f"{purpose} batches, arrays whose first axis is rows: call `.batch` "
            f"before. Received: {spec!r}."
        )
    if not all(part.dtype.is_floating for part in floats):
        raise ValueError(
            f"{purpose} floats, of which a mean makes sense; class numbers in y need "
            f"`num_classes`. Received: {spec!r}."
        )
    if num_classes and not (y.dtype.is_integer and y.shape.rank == 1):
        raise ValueError(
            f"{purpose} class numbers as y, integers (rows,), as `num_classes` is "
            f"given. Received: {y!r}."
        )
    if weight and weight[0].shape.rank != 1:
        raise ValueError(f"{purpose} one weight for each row. Received: {weight[0]!r}.")


def _is_batch(part: Any) -> bool:
    """True for a dense tensor of one axis or more."""
    if type(part).__name__ != "TensorSpec":  # ragged, sparse, ...
        return False
    return part.shape.rank is not None and part.shape.rank >= 1
