"""Encoding of a table as arrays, by the states of its columns.

On NumPy arrays in a call, and on TensorFlow's tensors in a graph: `EncodingPlan` and
the codes take `xp`, which is NumPy or `keras.ops`, and their results are equal.
Everything is computed in float64 and rounded to float32 once, at the end. TensorFlow
rewrites a division by a constant, and joins two constants of one kind in a row, and
then rounds otherwise: neither may occur here.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import keras
import numpy as np
from keras import ops

from keras_trainkit._tables.column_state import CYCLES, ColumnState, numeric_names
from keras_trainkit._tables.columns import (
    Column,
    number_of_infinite,
    raw_columns,
    read_columns,
    refuse_mixed,
)
from keras_trainkit._tables.kinds import (
    DEFAULT_NOTATIONS,
    refuse_values,
    values_as_kind,
)
from keras_trainkit._tables.notation import PLAIN, compiled, words_pattern
from keras_trainkit._tables.objects import object_array
from keras_trainkit._tensorflow import text_values
from keras_trainkit._types import Layer, Tensor
from keras_trainkit._warnings import warn_user

MISSING_CODE, UNSEEN_CODE, FIRST_LEVEL_CODE = 0, 1, 2
CLIP = 3.0  # the default of `layers.RobustScaling`
BLOCK_CELLS = 2**17  # numbers scaled at a time, 1 MiB, so that they stay in the cache


def plain_table(
    table: Any, states: Sequence[ColumnState], kinds: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Values of each column, converted to its kind; see `kinds`.

    Infinite numbers, which will count as missing, are told in a warning.

    Args:
        kinds: Kinds that the user gives, by column name.
    """
    columns = _read(table, states)
    values = {s.name: _values(s, columns[s.name], kinds) for s in states}
    infinite = {n: number_of_infinite(columns[n], values[n]) for n in values}
    found = [f"{count:,} in {name!r}" for name, count in infinite.items() if count]
    if found:
        warn_user(f"Infinite numbers count as missing: {', '.join(found)}.")
    return values


def sent_table(
    table: Any, states: Sequence[ColumnState], kinds: Mapping[str, str]
) -> dict[str, np.ndarray]:
    """Values of each column as a served model takes them in.

    As `plain_table`, but texts of a column whose texts have a notation stay texts,
    missing booleans are -1, and texts that UTF-8 cannot hold are bytes.
    """
    columns = _read(table, states)
    sent = {}
    for state in states:
        column, written = columns[state.name], state.text_notation
        if written is not None and column.holds == "text" and not column.mixed:
            values = column.values
        else:
            values = _values(state, column, kinds)
            if written is not None:
                values = object_array([written.text(value) for value in values])
        if state.kind == "boolean" and written is None:
            values = np.nan_to_num(values, nan=-1).astype("int32")
        if values.dtype == object:
            values = _encodable(values)
        sent[state.name] = values
    return sent


def _read(table: Any, states: Sequence[ColumnState]) -> dict[str, Column]:
    return read_columns(raw_columns(table), [state.name for state in states])


def _values(state: ColumnState, column: Column, kinds: Mapping[str, str]) -> np.ndarray:
    name = state.name
    if column.holds == "text" and state.absent is not None:
        return _values_of_texts(state, column, state.absent)
    if column.mixed:
        refuse_mixed(name)
    return values_as_kind(name, column, state.kind, state.level_type, name in kinds)


def _values_of_texts(
    state: ColumnState, column: Column, missing_words: list[str]
) -> np.ndarray:
    texts = column.values
    if state.text_notation is not None:
        values = state.text_notation.values(texts)
        if column.mixed and state.text_notation.of == "number":
            values = np.where(np.isnan(values), PLAIN.values(texts), values)
        return values
    if state.has_text_levels:
        if column.mixed:
            refuse_mixed(state.name)
        return texts
    values = DEFAULT_NOTATIONS.get(state.kind, PLAIN).values(texts)
    is_missing = compiled(words_pattern(("", *missing_words))).fullmatch
    stray = [text for text in texts[np.isnan(values)] if not is_missing(text)]
    if stray:
        received = f"texts, such as {stray[0]!r}"
        refuse_values(state.name, state.kind, state.level_type, received)
    return values


def _encodable(texts: np.ndarray) -> np.ndarray:
    """Texts that UTF-8 cannot hold as bytes, for tensors are made of bytes."""
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return object_array([_text_or_bytes(text) for text in texts])
    return texts


def _text_or_bytes(text: str) -> str | bytes:
    is_utf8 = text == text.encode("utf-8", "ignore").decode()
    return text if is_utf8 else text.encode("utf-8", "surrogatepass")


class EncodingPlan:
    """Names and formulas of the arrays that columns are encoded as.

    Args:
        states: States of the columns, in the order of the table.
        add_flags: Bool. True adds a flag for each column that had missing numbers.
        scaling: "robust", "standard" or None.
    """

    def __init__(
        self, states: Sequence[ColumnState], add_flags: bool, scaling: str | None
    ):
        self.states = tuple(states)
        self.names = tuple(state.name for state in states)
        self.measured = [s for s in states if s.kind != "categorical"]
        self.categories = [s for s in states if s.kind == "categorical"]
        self.texts = [s for s in self.categories if s.has_text_levels]
        self.category_sizes = tuple(
            FIRST_LEVEL_CODE + len(s.levels) for s in self.categories
        )
        clipped = ("numeric", "datetime") if scaling == "robust" else ()
        self._clipped = np.array([s.kind in clipped for s in self.measured], bool)
        self._fill = np.array([s.fill for s in self.measured])
        self._center = np.array([s.center for s in self.measured])
        factor = [_inverse(s.spread) for s in self.measured]
        self._factor = np.where(self._clipped, np.array(factor) / CLIP, factor)
        self._bound = np.where(self._clipped, 1e9, np.finfo("float32").max)
        self._cycles = [
            (index, 1 / CYCLES[cycle])
            for index, state in enumerate(self.measured)
            for cycle in state.cycles
        ]
        self._flagged = np.array(
            [i for i, s in enumerate(self.measured) if add_flags and s.missing], int
        )
        flagged = [self.measured[index] for index in self._flagged]
        self.numeric_names = numeric_names(self.measured, flagged)
        self.vocabulary = sorted({level for s in self.texts for level in s.levels})
        self.text_codes = {s.name: TextCodes(s.levels, s.absent) for s in self.texts}
        self.number_codes = self._number_codes()

    def _number_codes(self) -> dict[str, "NumberCodes"]:
        """Codes of numbers; of texts, codes of their indices in `vocabulary`."""
        indices = {text: index for index, text in enumerate(self.vocabulary)}
        levels = {s.name: s.levels for s in self.categories}
        for state in self.texts:
            levels[state.name] = [indices[level] for level in state.levels]
        return {name: NumberCodes(known) for name, known in levels.items()}

    def numeric(self, xp: Any, x: Tensor) -> Tensor:
        """`(rows, measured)` float64, to `(rows, len(numeric_names))` float32.

        A missing or infinite value becomes the fill value of its column.
        """
        present = xp.isfinite(x)
        x = xp.where(present, x, self._fill)
        scaled = (x - self._center) * self._factor
        scaled = xp.minimum(xp.maximum(scaled, -self._bound), self._bound)
        clipped = scaled / xp.sqrt(1.0 + scaled * scaled) * CLIP
        parts = [xp.where(self._clipped, clipped, scaled)]
        for index, frequency in self._cycles:
            turns = x[:, index : index + 1] * frequency
            angle = (turns - xp.floor(turns)) * math.tau
            parts += [xp.sin(angle), xp.cos(angle)]
        if len(self._flagged):
            flagged = xp.take(present, self._flagged, axis=1)
            parts.append(xp.where(flagged, 0.0, 1.0))
        parts = [xp.array(part, "float32") for part in parts]
        return xp.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def _inverse(spread: float) -> float:
    """0 for a constant column, which thereby becomes 0."""
    return min(1 / spread, float(np.finfo("float64").max)) if spread else 0.0


class NumberCodes:
    """Codes of numbers: 0 missing, 1 unseen or rare, from 2 on a level each."""

    def __init__(self, levels: Sequence[float]):
        order = np.argsort(levels)
        self._sorted = np.asarray(levels, "float64")[order]
        self._codes = (FIRST_LEVEL_CODE + order).astype("int32")

    def __call__(self, xp: Any, values: Tensor) -> Tensor:
        """`(rows,)` float64, to `(rows,)` int32; NaN and infinity are missing."""
        present = xp.isfinite(values)
        last = len(self._sorted) - 1
        index = xp.minimum(xp.searchsorted(self._sorted, values), last)
        known = xp.equal(xp.take(self._sorted, index), values)
        codes = xp.where(known, xp.take(self._codes, index), UNSEEN_CODE)
        return xp.array(xp.where(present, codes, MISSING_CODE), "int32")


class TextCodes:
    """Codes of texts: 0 missing, 1 unseen or rare, from 2 on a level each."""

    def __init__(self, levels: Sequence[str], missing_words: list[str] | None = None):
        self._codes = dict(zip(levels, itertools.count(FIRST_LEVEL_CODE), strict=False))
        self._codes[""] = MISSING_CODE
        self._missing = None
        if missing_words is not None:
            self._missing = compiled(words_pattern(("", *missing_words)))

    def __call__(self, texts: np.ndarray) -> np.ndarray:
        """Objects `(rows,)`, to `(rows,)` int32."""
        found = map(self._codes.get, texts, itertools.repeat(UNSEEN_CODE))
        codes = np.fromiter(found, "int32", len(texts))
        if self._missing is not None:
            unseen = np.flatnonzero(codes == UNSEEN_CODE)
            missing = [bool(self._missing.fullmatch(texts[row])) for row in unseen]
            codes[unseen[np.array(missing, bool)]] = MISSING_CODE
        return codes


def encode_arrays(
    plan: EncodingPlan, plain: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The arrays "numeric" and "categorical" of a plain table."""
    rows = len(next(iter(plain.values())))
    categorical = np.empty((rows, len(plan.categories)), "int32")
    for index, state in enumerate(plan.categories):
        values = plain[state.name]
        if state.has_text_levels:
            categorical[:, index] = plan.text_codes[state.name](values)
        else:
            categorical[:, index] = plan.number_codes[state.name](np, values)
    numbers = [plain[state.name] for state in plan.measured]
    return {"numeric": _numeric(plan, numbers, rows), "categorical": categorical}


def _numeric(plan: EncodingPlan, numbers: list[np.ndarray], rows: int) -> np.ndarray:
    numeric = np.empty((rows, len(plan.numeric_names)), "float32")
    if not numbers:
        return numeric
    step = max(1, BLOCK_CELLS // len(numbers))
    for start in range(0, rows, step):
        block = np.array([values[start : start + step] for values in numbers])
        with np.errstate(over="ignore"):
            numeric[start : start + step] = plan.numeric(np, block.T)
    return numeric


def encode_tensors(
    plan: EncodingPlan, tensors: Mapping[str, Tensor], lookup: Layer
) -> dict[str, Tensor]:
    """The tensors "numeric" and "categorical" of a table as `sent_table` gives it.

    Args:
        tensors: By column name, `(rows,)` or `(rows, 1)`.
        lookup: StringLookup of `plan.vocabulary`, with a mask token.
    """
    tensors = {name: _flat(tensors[name]) for name in plan.names}
    rows = ops.shape(tensors[plan.names[0]])[0]
    indices = _vocabulary_indices(plan, tensors, lookup)
    codes = [
        plan.number_codes[s.name](
            ops, indices[s.name] if s.name in indices else _number(s, tensors[s.name])
        )
        for s in plan.categories
    ]
    numeric, categorical = ops.zeros((rows, 0)), ops.zeros((rows, 0), "int32")
    if plan.measured:
        numbers = [_number(state, tensors[state.name]) for state in plan.measured]
        numeric = plan.numeric(ops, ops.stack(numbers, axis=1))
    if codes:
        categorical = ops.stack(codes, axis=1)
    return {"numeric": numeric, "categorical": categorical}


def _flat(tensor: Tensor) -> Tensor:
    """The tensor with one axis; as it is, where it has one, for an operation costs."""
    rank = getattr(tensor.shape, "rank", None)  # unknown of some tensors
    return tensor if rank == 1 else ops.reshape(tensor, (-1,))


def _vocabulary_indices(
    plan: EncodingPlan, tensors: Mapping[str, Tensor], lookup: Layer
) -> dict[str, Tensor]:
    """Index of each text in the vocabulary, as float64.

    NaN for a missing text, negative for one that is not in the vocabulary.
    """
    if not plan.texts:
        return {}
    for state in plan.texts:
        if _dtype(tensors[state.name]) != "string":
            _refuse_tensor(state.name, "texts", tensors[state.name])
    names = [state.name for state in plan.texts]
    found = lookup(ops.stack([tensors[name] for name in names], axis=1))
    indices = ops.cast(found, "float64") - 2.0  # 0 and 1 are mask and unknown
    indices = ops.where(ops.equal(found, 0), float("nan"), indices)
    columns = {name: indices[:, number] for number, name in enumerate(names)}
    for state in plan.texts:
        if state.absent is not None:
            name = state.name
            missing = text_values.are_words(tensors[name], ("", *state.absent))
            missing = ops.logical_and(missing, columns[name] < 0)
            columns[name] = ops.where(missing, float("nan"), columns[name])
    return columns


def _number(state: ColumnState, tensor: Tensor) -> Tensor:
    if _dtype(tensor) == "string" and state.text_notation:
        return text_values.values(tensor, state.text_notation)
    if _dtype(tensor) == "string":
        _refuse_tensor(state.name, "numbers", tensor)
    number = ops.cast(tensor, "float64")
    if state.kind != "boolean":
        return number
    known = ops.logical_or(ops.equal(number, 0.0), ops.equal(number, 1.0))
    return ops.where(known, number, float("nan"))


def _dtype(tensor: Tensor) -> str:
    return keras.backend.standardize_dtype(tensor.dtype)


def _refuse_tensor(name: str, wanted: str, tensor: Tensor) -> NoReturn:
    raise ValueError(
        f"The column {name!r} is sent as its plain form and must hold {wanted}. "
        f"Received: a tensor of {_dtype(tensor)}."
    )
