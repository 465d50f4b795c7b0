"""Data that `fit` cannot learn from, refused before the first step.

Arrays, tensors, tables and sparse matrices are read once, in one pass. Data sets,
generators and other objects that are read batch by batch are left alone, and so are
arrays in a file (`numpy.memmap`), whose shapes alone are looked at.
"""

from collections.abc import Iterator
from typing import Any, NoReturn

import keras
import numpy as np

from keras_trainkit._checks import check_count
from keras_trainkit._row_labels import check_row_orders
from keras_trainkit.layers import SequenceTruncation
from keras_trainkit.models._compile_arguments import named
from keras_trainkit.models._data_arrays import (
    is_array,
    is_table,
    leaves_of,
    refuse,
    row_count,
    values_of,
)
from keras_trainkit.models._nan_reading import nan_is_read
from keras_trainkit.models._target_checks import check_targets
from keras_trainkit.models._validation_split import check_validation_split
from keras_trainkit.models._weight_checks import check_class_weight, check_kept

INPUTS = "holds the inputs of"


def check_fit_data(
    model: keras.Model,
    x: Any = None,
    y: Any = None,
    batch_size: Any = None,
    epochs: Any = 1,
    initial_epoch: Any = 0,
    validation_split: Any = None,
    validation_data: Any = None,
    class_weight: Any = None,
    sample_weight: Any = None,
    **_: Any,
) -> None:
    """Refuses (ValueError) arguments of `fit` that `model` cannot learn from."""
    if batch_size is not None:
        check_count("batch_size", batch_size, "is the number of rows per step")
    purpose = "is the number of the last epoch, counted from 1,"
    check_count("epochs", epochs, purpose, at_least=0)
    purpose = "is the number of epochs that are over already"
    check_count("initial_epoch", initial_epoch, purpose, at_least=0)
    check_class_weight(class_weight)
    _check_rows(model, "", x, y, sample_weight)
    check_validation_split(validation_split, x, validation_data)
    if isinstance(validation_data, list | tuple):
        _check_validation(model, validation_data)
    elif _has_loss(model) and (
        is_array(validation_data) or isinstance(validation_data, dict)
    ):
        _refuse_validation(f"{type(validation_data).__name__} alone")


def _check_validation(model: keras.Model, data: list | tuple) -> None:
    if not 2 - (not _has_loss(model)) <= len(data) <= 3:
        _refuse_validation(f"{len(data)} of them")
    x, y, weights = (*data, None, None)[:3]
    _check_rows(model, "validation_data: ", x, y, weights)


def _refuse_validation(received: str) -> NoReturn:
    raise ValueError(
        "`validation_data` holds the rows that the model is judged by and must be "
        f"(x, y), (x, y, sample_weight) or a data set. Received: {received}."
    )


def _check_rows(model: keras.Model, of: str, x: Any, y: Any, weights: Any) -> None:
    """Refuses rows that do not fit the model or each other.

    Args:
        of: The beginning of messages: "" or "validation_data: ".
    """
    if isinstance(x, str | bytes) or isinstance(_first(x), str | bytes | int | float):
        refuse(of, "x", f"{INPUTS} {model.name}", "be arrays", f"{_shown(x)}")
    if isinstance(_first(y), str | bytes | int | float):
        purpose = "is what the model learns to predict"
        refuse(of, "y", purpose, "be an array", f"{_shown(y)}")
    if isinstance(_first(weights), str | bytes | int | float):
        purpose = "says how much each row counts"
        refuse(of, "sample_weight", purpose, "be an array", f"{_shown(weights)}")
    leaves = list(leaves_of("x", x))
    if not leaves or not all(is_array(leaf) for _, leaf in leaves):
        return
    for name, leaf, wanted in with_inputs(model, of, x, leaves):
        purpose = f"{INPUTS} {model.name}"
        if wanted is not None:
            _check_shape(of, name, leaf, purpose, tuple(wanted.shape))
            _check_token_ids(model, of, name, leaf, wanted)
        if wanted is None or wanted.dtype != "string":
            check_numbers(of, name, leaf, purpose, nan_is_read(model, leaf))
    rows = row_count(leaves[0][1])
    if rows == 0:
        refuse(of, "x", f"{INPUTS} {model.name}", "have a row", "x of no rows")
    _check_lengths(of, leaves, y, weights)
    check_row_orders(x, "x", y=y, sample_weight=weights)
    losses = _keras_losses(model)
    if losses is None:
        return  # a loss of one's own may read NaN, and any shape
    _check_y(model, of, y, losses, weights)
    for name, leaf in leaves_of("sample_weight", weights):
        if is_array(leaf):
            _check_weights(model, of, name, leaf)


def _first(x: Any) -> Any:
    """The innermost first entry of a list, which Keras does not take for an array."""
    while isinstance(x, list | tuple) and x:
        x = x[0]
    return x


def with_inputs(
    model: keras.Model, of: str, x: Any, leaves: list[tuple[str, Any]]
) -> Iterator[tuple[str, Any, Any]]:
    """Each array with the input that it is for, or with None where Keras decides."""
    inputs = model.input
    if isinstance(x, dict) and not isinstance(inputs, dict):
        named = {one.name for one in model.inputs}
        if named <= set(x):  # Keras picks these
            leaves = [(f"x[{name!r}]", x[name]) for name in x if name in named]
    if isinstance(inputs, dict) and len(inputs) > 1:
        names = ", ".join(map(repr, inputs))
        allowed = f"be a dict with the entries {names}"
        if not isinstance(x, list | tuple | dict):
            refuse(of, "x", f"{INPUTS} {model.name}", allowed, f"{_described(x)}")
        if isinstance(x, dict) and not set(inputs) <= set(x):
            received = f"one with {', '.join(map(repr, x)) or 'no entries'}"
            refuse(of, "x", f"{INPUTS} {model.name}", allowed, received)
    if isinstance(inputs, dict) and isinstance(x, dict):
        for key in inputs:
            parts = list(leaves_of(f"x[{key!r}]", x.get(key)))  # no optional one
            single = len(parts) == 1 and hasattr(inputs[key], "shape")
            yield from ((*leaf, inputs[key] if single else None) for leaf in parts)
    elif len(model.inputs) == len(leaves) == 1:
        yield (*leaves[0], model.inputs[0])
    elif not any(one.dtype == "string" for one in model.inputs):
        yield from ((name, leaf, None) for name, leaf in leaves)


def _check_shape(
    of: str, name: str, leaf: Any, purpose: str, wanted: tuple[int | None, ...]
) -> None:
    shape = tuple(leaf.shape)
    fitted = shape
    if len(shape) == len(wanted) + 1 and shape[-1] == 1:
        fitted = shape[:-1]  # Keras leaves the last axis out
    elif len(shape) == len(wanted) - 1 and wanted[-1] == 1:
        fitted = (*shape, 1)  # and puts it in
    fits = len(fitted) == len(wanted) and all(
        size in (None, given)
        for size, given in zip(wanted[1:], fitted[1:], strict=True)
    )
    if not fits:
        sizes = ["any" if size is None else str(size) for size in wanted[1:]]
        allowed = f"have the shape ({', '.join(['rows', *sizes])})"
        refuse(of, name, purpose, allowed, f"{name} of the shape {shape}")
    if 0 in shape[1:] and 0 not in wanted[1:]:  # no categories: an axis of 0
        allowed = "have a step and a channel in each row"
        refuse(of, name, purpose, allowed, f"{name} of the shape {shape}")


def check_numbers(
    of: str, name: str, leaf: Any, purpose: str, nan_is_read: bool
) -> None:
    """Refuses texts and other objects, and unless NaN is read also that."""
    values = values_of(leaf)
    if values is None:
        return
    if values.dtype.kind == "O" and not _are_numbers(leaf):
        allowed = "be numbers, in an array of a number type"
        refuse(of, name, purpose, allowed, f"{_sample(values)}")
    if values.dtype.kind in "USMmcT":
        refuse(of, name, purpose, "be numbers", f"{_sample(values)}")
    if values.dtype.kind != "f" or nan_is_read or _is_finite(values):
        return
    bad = ~np.isfinite(values)
    row = np.argwhere(bad)[0].tolist()
    refuse(
        of,
        name,
        purpose,
        "be finite (fill these values, or leave the rows out)",
        f"{int(bad.sum())} NaN or infinite, the first at {name}{row}",
    )


def _are_numbers(leaf: Any) -> bool:
    """True if it is a table of columns of numbers, of several types."""
    if not is_table(leaf):
        return False
    try:
        np.asarray(leaf).astype("float64")
    except (TypeError, ValueError):
        return False
    return True


def _check_weights(model: keras.Model, of: str, name: str, leaf: Any) -> None:
    purpose, shape = "says how much each row counts", tuple(leaf.shape)
    outputs = [len(output.shape) for output in model.outputs]
    if outputs == [2] and shape[1:] not in ((), (1,)):
        allowed = "have the shape (rows,)"
        refuse(of, name, purpose, allowed, f"{name} of the shape {shape}")
    check_numbers(of, name, leaf, purpose, False)
    check_kept(values_of(leaf), f"{of}`{name}` {purpose} and")


def _check_token_ids(
    model: keras.Model, of: str, name: str, leaf: Any, wanted: Any
) -> None:
    """Refuses numbers that an embedding of Keras has no vector for."""
    tables = [
        one
        for one in model.layers
        if isinstance(one, keras.layers.Embedding) and _reads_ids(one, model)
    ]
    if len(model.inputs) > 1 or not tables or "int" not in wanted.dtype:
        return
    values = values_of(leaf)
    if values is None or not values.size or values.dtype.kind not in "iuf":
        return
    highest = tables[0].input_dim - 1
    allowed = f"be whole numbers from 0 to {highest}, ids of the vocabulary"
    lowest, largest = values.min(), values.max()
    if not (lowest >= 0 and largest <= highest):
        received = f"ids from {lowest} to {largest}"
    elif values.dtype.kind == "f" and not (values == np.floor(values)).all():
        received = "numbers with a fraction"
    else:
        return
    refuse(of, name, f"{INPUTS} {model.name}", allowed, received)


def _reads_ids(layer: keras.layers.Layer, model: keras.Model) -> bool:
    """True if a layer is called on the input itself, whole or truncated."""
    sources = [model.inputs[0]]
    truncations = (one for one in model.layers if isinstance(one, SequenceTruncation))
    try:
        sources += [
            one.output
            for one in truncations
            if keras.tree.flatten(one.input)[0] is sources[0]  # before its mask
        ]
        return any(layer.input is source for source in sources)
    except (AttributeError, ValueError):  # called several times, or not at all
        return False


def _is_finite(values: np.ndarray) -> bool:
    """True if all values are finite.

    The sum is finite only if they are, and takes a third of the time and no memory;
    that of finite values may be too large, so then each is looked at.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        total = values.sum()
    return bool(np.isfinite(total)) or bool(np.isfinite(values).all())


def _check_lengths(
    of: str, leaves: list[tuple[str, Any]], y: Any, weights: Any
) -> None:
    rows = row_count(leaves[0][1])
    others = [*leaves[1:], *leaves_of("y", y), *leaves_of("sample_weight", weights)]
    for name, leaf in others:
        if is_array(leaf) and row_count(leaf) != rows:
            raise ValueError(
                f"{of}`{name}` has an entry for each row and must have as many as "
                f"`x`, {rows}. Received: {name} of the shape {tuple(leaf.shape)}."
            )


def _keras_losses(model: keras.Model) -> list[tuple[str, dict]] | None:
    """Names and options of the losses; None without, or where one is not Keras'."""
    given = keras.tree.flatten(getattr(model, "loss", None))
    losses = [named(loss, keras.losses.get) for loss in given if loss is not None]
    return losses if losses and all(name for name, _ in losses) else None


def _has_loss(model: keras.Model) -> bool:
    given = keras.tree.flatten(getattr(model, "loss", None))
    return any(loss is not None for loss in given)


def _check_y(
    model: keras.Model,
    of: str,
    y: Any,
    losses: list[tuple[str, dict]],
    weights: Any,
) -> None:
    purpose = "is what the model learns to predict"
    if y is None:
        refuse(of, "y", purpose, "be given beside a loss", "y=None")
    if isinstance(y, dict) and isinstance(model.loss, dict):
        y = {name: y[name] for name in y if model.loss.get(name) is not None}
    leaves = list(leaves_of("y", y))
    for name, leaf in leaves:
        if not is_array(leaf):
            return
        check_numbers(of, name, leaf, purpose, False)
    if len(leaves) == len(losses) == len(model.outputs) == 1:
        values = values_of(leaves[0][1])
        if values is not None:
            counted = values[_counted(values, weights)]
            check_targets(of, leaves[0][0], counted, losses[0], model)


def _counted(values: np.ndarray, weights: Any) -> Any:
    """Index of the rows that have a weight, where each has one."""
    rows = values_of(weights) if is_array(weights) else None
    if rows is None or rows.shape != values.shape[:1] or not (rows != 0).any():
        return slice(None)
    return rows != 0


def _sample(values: np.ndarray) -> str:
    kind = "objects" if values.dtype.kind == "O" else str(values.dtype)
    return f"{kind}, such as {values.ravel()[0]!r}" if values.size else kind


def _described(x: Any) -> str:
    return f"{type(x).__name__} of the shape {tuple(x.shape)}"


def _shown(x: Any) -> str:
    return f"{type(x).__name__}, such as {_first(x)!r}"
