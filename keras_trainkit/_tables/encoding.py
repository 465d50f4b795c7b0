"""A table by its plan, once on NumPy arrays and once on TensorFlow's tensors."""

import keras
import numpy as np
from keras import ops

from keras_trainkit._tensorflow import notation

BLOCK_CELLS = 2**17  # numbers scaled at a time, 1 MiB, so that they stay in the cache


def encode_arrays(plan, plain):
    """Dict of plain columns, see `values_as`, to NumPy arrays."""
    rows = len(next(iter(plain.values())))
    categorical = np.empty((rows, len(plan.categories)), "int32")
    for index, column in enumerate(plan.categories):
        values = plain[column.name]
        if column.has_texts:
            categorical[:, index] = plan.text_codes[column.name](values)
        else:
            categorical[:, index] = plan.number_codes[column.name](np, values)
    numbers = [plain[column.name] for column in plan.measured]
    return {"numeric": _scaled(plan, numbers, rows), "categorical": categorical}


def _scaled(plan, numbers, rows):
    scaled = np.empty((rows, len(plan.numeric_names)), "float32")
    if not numbers:
        return scaled
    step = max(1, BLOCK_CELLS // len(numbers))
    for start in range(0, rows, step):
        block = np.array([values[start : start + step] for values in numbers])
        with np.errstate(over="ignore"):
            scaled[start : start + step] = plan.numeric(np, block.T)
    return scaled


def encode_tensors(plan, tensors, lookup):
    """Dict of tensors `(rows,)` or `(rows, 1)`, to tensors.

    Args:
        lookup: StringLookup of `plan.vocabulary`, with a mask token.
    """
    tensors = {name: ops.reshape(tensors[name], (-1,)) for name in plan.names}
    rows = ops.shape(tensors[plan.names[0]])[0]
    places = _places(plan, tensors, lookup)
    codes = [
        plan.number_codes[c.name](
            ops, places[c.name] if c.name in places else _number(c, tensors[c.name])
        )
        for c in plan.categories
    ]
    numeric, categorical = ops.zeros((rows, 0)), ops.zeros((rows, 0), "int32")
    if plan.measured:
        numbers = [_number(column, tensors[column.name]) for column in plan.measured]
        numeric = plan.numeric(ops, ops.stack(numbers, axis=1))
    if codes:
        categorical = ops.stack(codes, axis=1)
    return {"numeric": numeric, "categorical": categorical}


def _places(plan, tensors, lookup):
    """Of each text in the vocabulary, as float64; NaN for "", negative for none."""
    if not plan.texts:
        return {}
    for column in plan.texts:
        if _dtype(tensors[column.name]) != "string":
            _refuse(column.name, "texts", tensors[column.name])
    names = [column.name for column in plan.texts]
    found = lookup(ops.stack([tensors[name] for name in names], axis=1))
    places = ops.cast(found, "float64") - 2.0  # mask, unknown, vocabulary
    places = ops.where(ops.equal(found, 0), float("nan"), places)
    columns = {name: places[:, index] for index, name in enumerate(names)}
    for column in plan.texts:
        if column.absent is not None:
            name = column.name
            blank = notation.are_words(tensors[name], ("", *column.absent))
            blank = ops.logical_and(blank, columns[name] < 0)
            columns[name] = ops.where(blank, float("nan"), columns[name])
    return columns


def _number(column, tensor):
    if _dtype(tensor) == "string" and column.written:
        return notation.values(tensor, column.written)
    if _dtype(tensor) == "string":
        _refuse(column.name, "numbers", tensor)
    number = ops.cast(tensor, "float64")
    if column.kind != "boolean":
        return number
    known = ops.logical_or(ops.equal(number, 0.0), ops.equal(number, 1.0))
    return ops.where(known, number, float("nan"))


def _dtype(tensor):
    return keras.backend.standardize_dtype(tensor.dtype)


def _refuse(name, wanted, tensor):
    raise ValueError(
        f"The column {name!r} is sent as its plain form and must hold {wanted}. "
        f"Received: a tensor of {_dtype(tensor)}."
    )
