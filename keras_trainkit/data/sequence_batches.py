import reprlib
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._checks import (
    check_choice,
    check_count,
    check_flag,
    check_number,
    check_seed,
)
from keras_trainkit._row_labels import check_row_orders
from keras_trainkit.data._ordered_batches import OrderedBatches
from keras_trainkit.data._step_arrays import common_dtype, step_arrays
from keras_trainkit.data._step_targets import targets_and_weights

_MOST_CUTS = 512  # places where groups may end, whose sums are compared


class SequenceBatches(OrderedBatches):
    """Batches of sequences of like length, for `fit`, on every backend.

    A batch is padded to the longest of its own sequences, not of all. Rows are put
    into `num_lengths` groups by their length, of whole batches each, and cut so that
    the batches have as few steps in all as possible; the batches of a group have the
    same shape. There are as many of them as without groups: all but one have
    `batch_size` rows, one of short sequences has what is left. Without `shuffle` the
    second batch may have a step more than its longest sequence, since TensorFlow takes
    what the first two batches share for fixed.

    Each epoch puts the rows into other batches, of their group, and the batches into
    another order, which `seed` and `epoch` alone decide; rows as long as the longest
    of a group may change it. `fit` shuffles the order of whole batches once more, by
    Python's random numbers, unless `shuffle=False` is passed to it.

    | for                              | give                                        |
    | -------------------------------- | ------------------------------------------- |
    | `fit`                            | the training rows                           |
    | `validation_data`, `evaluate`    | others; sums and means over all rows do not |
    |                                  | depend on the order                         |
    | `predict`                        | `shuffle=False`: predictions in the order   |
    |                                  | of the rows; there are no groups then       |
    | a resumed `fit`                  | `callbacks.TrainState`, or                  |
    |                                  | `batches.epoch = initial_epoch` before it   |

    Args:
        sequences: Iterable of sequences as in `pad_sequences`: token ids, `(time,)`, or
            features, `(time, features)`. Or, with `lengths`, a padded array.
        targets: Array `(rows, ...)`, or a dict of output names to such. None: inputs
            alone.
        sample_weight: Array `(rows,)` of finite numbers of at least 0, or None.
        lengths: Ints `(rows,)`, the steps of each row of a padded array that are not
            padding, as `pad_sequences` returns them. None: each sequence counts whole.
        batch_size: Int >= 1. Rows per batch.
        num_lengths: Int >= 1, the most lengths that batches are padded to. JAX
            compiles a training step for each, which takes seconds; TensorFlow compiles
            for powers of 2 alone, torch not at all.
        max_length: Int >= 1. Longer sequences are cut. None: none is cut.
        padding: `"post"` or `"pre"`: padding goes after a sequence, or before it; in a
            padded array it stands there already.
        truncating: `"pre"` or `"post"`: a sequence that is too long loses its
            beginning, or its end.
        value: Finite float. What fills the padding, as in `pad_sequences`: what
            `Embedding(mask_zero=True)` or `mask_value=` of the model masks.
        shuffle: False leaves the rows in their order.
        seed: Int >= 0 that decides the order, or None for another order in every
            object.

    Attributes:
        epoch: Int. Number of the next order; raised by 1 when all batches were read.
        num_rows: Int. Number of sequences.

    Raises:
        ValueError: No sequence, no step, unequal features, text, numbers that are
            infinite or too large for their type, or whose differences are lost in it,
            targets or weights that are missing or of another number of rows, or an
            argument outside its range.

    Example:

    >>> sequences = [[3], [4, 1], [5, 9, 2, 6], [5, 3, 5, 8, 9]]
    >>> batches = SequenceBatches(sequences, [0, 0, 1, 1], batch_size=2)
    >>> sorted(x.shape for x, y in batches)
    [(2, 2), (2, 5)]

    Source: Khomenko et al., 2016, arXiv:1708.05604 (bucketing of sequences for
    recurrent networks); there batches of sorted rows are drawn at random, here the
    rows of a group are. TensorFlow's `bucket_by_sequence_length` takes the boundaries
    from the caller and leaves a small batch in each group.
    """

    def __init__(
        self,
        sequences: Iterable,
        targets: Any = None,
        sample_weight: Any = None,
        *,
        lengths: Any = None,
        batch_size: int = 32,
        num_lengths: int = 8,
        max_length: int | None = None,
        padding: str = "post",
        truncating: str = "pre",
        value: float = 0,
        shuffle: bool = True,
        seed: int | None = 0,
    ):
        _check_sizes(batch_size, num_lengths, max_length)
        check_choice("padding", padding, "is the side that is filled", ("post", "pre"))
        check_choice(
            "truncating", truncating, "is the end that is cut", ("pre", "post")
        )
        check_number("value", value, "fills the padding")
        check_flag("shuffle", shuffle, "draws the order of the rows")
        check_seed("seed", seed)
        parts = {"targets": targets, "sample_weight": sample_weight}
        check_row_orders(sequences, "sequences", **parts)
        if lengths is not None:
            sequences = _unpadded(sequences, lengths, padding)
        arrays = step_arrays(sequences)
        self._dtype = common_dtype(arrays, value)
        arrays = _cut(arrays, max_length, truncating)
        super().__init__(len(arrays), batch_size)
        self._lengths = np.array([len(array) for array in arrays])
        self._starts = np.cumsum(self._lengths) - self._lengths
        with_steps = [array for array in arrays if len(array)]
        self._steps = np.concatenate(with_steps).astype(self._dtype)
        self._padding, self._value = padding, value
        self._others = targets_and_weights(targets, sample_weight, self.num_rows)
        ordered = np.sort(self._lengths)
        self._ends = _ends_of_groups(ordered, batch_size, num_lengths)
        self._padded_lengths = np.maximum(ordered[self._ends - 1], 1)
        self._seeds = np.random.SeedSequence(seed) if shuffle else None
        # One tuple, since threads may ask for batches at the same time.
        self._dealt: tuple[int | None, list[np.ndarray]] = None, []

    def _batch(self, index: int) -> tuple[Any, ...]:
        rows = self._rows(index)
        others = (
            keras.tree.map_structure(lambda array: array[rows], other)
            for other in self._others
        )
        return self._padded(rows, self._padded_length(index)), *others

    def _rows(self, index: int) -> np.ndarray:
        """Numbers of the rows of a batch."""
        if self._seeds is None:
            start = index * self.batch_size
            return np.arange(start, min(start + self.batch_size, self.num_rows))
        dealt_epoch, batches = self._dealt
        if dealt_epoch != self.epoch:
            own = np.random.SeedSequence(self._seeds.entropy, spawn_key=(self.epoch,))
            batches = self._deal(np.random.default_rng(own))
            self._dealt = self.epoch, batches
        return batches[index]

    def _deal(self, random: np.random.Generator) -> list[np.ndarray]:
        """The batches of an epoch, each the numbers of its rows."""
        rows = random.permutation(self.num_rows)
        rows = rows[np.argsort(self._lengths[rows], kind="stable")]
        batches = []
        for group in np.split(rows, self._ends[:-1]):
            random.shuffle(group)
            small = len(group) % self.batch_size
            edges = np.arange(small or self.batch_size, len(group), self.batch_size)
            batches += np.split(group, edges)
        batches = [batches[number] for number in random.permutation(len(batches))]
        # Keras 3.15 takes axes in which the first two batches agree for fixed, on
        # TensorFlow, so these two get different lengths, here and in `_padded_length`.
        times = [self._shared_length(batch) for batch in batches]
        other = next((n for n, time in enumerate(times) if time != times[0]), 1)
        return [batches[number] for number in _swapped(len(batches), 1, other)]

    def _padded_length(self, index: int) -> int:
        """Steps of a batch."""
        found = self._shared_length(self._rows(index))
        if self._seeds is not None or index != 1:
            return found
        times = {self._shared_length(self._rows(n)) for n in range(len(self))}
        if len(times) == 1 or found != self._shared_length(self._rows(0)):
            return found
        longer = self._padded_lengths[self._padded_lengths > found]
        return int(longer[0]) if len(longer) else found + 1

    def _shared_length(self, rows: np.ndarray) -> int:
        """The least of the lengths that batches are padded to, for these rows."""
        at = np.searchsorted(self._padded_lengths, self._lengths[rows].max())
        return int(self._padded_lengths[at])

    def _padded(self, rows: np.ndarray, time: int) -> np.ndarray:
        """The sequences of these rows, filled up to `time` steps."""
        shape = (len(rows), time, *self._steps.shape[1:])
        padded = np.full(shape, self._value, self._dtype)
        lengths = self._lengths[rows, None]
        steps = np.arange(time) - (self._padding == "pre") * (time - lengths)
        valid = (steps >= 0) & (steps < lengths)
        padded[valid] = self._steps[(self._starts[rows, None] + steps)[valid]]
        return padded


def _check_sizes(batch_size: Any, num_lengths: Any, max_length: Any) -> None:
    check_count("batch_size", batch_size, "is the number of rows per batch")
    check_count("num_lengths", num_lengths, "is the number of padded lengths")
    if max_length is not None:
        check_count("max_length", max_length, "is the most steps of a batch")


def _cut(
    arrays: list[np.ndarray], max_length: int | None, truncating: str
) -> list[np.ndarray]:
    if max_length is None:
        return arrays
    kept = slice(-max_length, None) if truncating == "pre" else slice(max_length)
    return [array[kept] for array in arrays]


def _unpadded(padded: Any, lengths: Any, padding: str) -> list[np.ndarray]:
    """The rows of a padded array without their padding."""
    try:
        padded, lengths = as_numpy(padded), as_numpy(lengths)
    except ValueError:  # sequences of unequal length
        padded = np.empty(0)
    if padded.ndim < 2 or padded.dtype.kind not in "biuf":
        raise ValueError(
            "`sequences` is cut to `lengths` and must be a padded array "
            "(rows, time, ...) of numbers where these are given. "
            f"Received: sequences={reprlib.repr(padded)}."
        )
    rows, time = padded.shape[:2]
    if (
        lengths.shape != (rows,)
        or lengths.dtype.kind not in "iu"
        or ((lengths < 0) | (lengths > time)).any()
    ):
        raise ValueError(
            "`lengths` counts the steps of each row that are no padding and must be "
            f"integers from 0 to {time}, one for each of the {rows} rows. "
            f"Received: lengths={reprlib.repr(lengths)}."
        )
    if padding == "post":
        return [row[:length] for row, length in zip(padded, lengths, strict=True)]
    return [row[time - length :] for row, length in zip(padded, lengths, strict=True)]


def _ends_of_groups(ordered: np.ndarray, batch_size: int, groups: int) -> np.ndarray:
    """Ends of groups of whole batches, for the fewest steps of all batches.

    Args:
        ordered: Lengths of the rows, ascending.
    """
    # The small batch is the first, of the shortest rows.
    ends = np.arange(len(ordered), 0, -batch_size)[::-1]
    batches = np.arange(1, len(ends) + 1)
    last = np.maximum(ordered[ends - 1], 1)
    # Within equal lengths a group need not end; of many places some will do.
    places = np.flatnonzero(np.append(last[1:] > last[:-1], True))
    if len(places) > _MOST_CUTS:
        kept = np.linspace(0, len(places) - 1, _MOST_CUTS).round().astype(int)
        places = places[kept]
    before = np.append(0, batches[places])  # batches before a place
    # steps[i, j] of the batches from place i to place j as one group
    steps = (before[None, 1:] - before[:-1, None]) * last[places]
    steps = np.where(steps > 0, steps, np.inf)
    total, came_from = steps[0], []
    for _ in range(min(groups, len(places)) - 1):
        candidates = np.append(0, total[:-1])[:, None] + steps
        came_from.append(candidates.argmin(axis=0))
        total = candidates.min(axis=0)
    place, found = len(places), []
    for number in range(len(came_from), -1, -1):
        if not place:
            break
        found.append(places[place - 1])
        place = int(came_from[number - 1][place - 1]) if number else 0
    return ends[found[::-1]]


def _swapped(count: int, one: int, other: int) -> list[int]:
    """The numbers from 0 on with two of them swapped."""
    numbers = list(range(count))
    if one < count:
        numbers[one], numbers[other] = other, one
    return numbers
