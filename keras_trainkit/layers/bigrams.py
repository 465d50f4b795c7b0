from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from keras_trainkit._arrays import as_numpy
from keras_trainkit._checks import check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import valid_steps
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._adapted import add_adapted_weight, check_adapted
from keras_trainkit.layers._lost_mask import warn_of_lost_mask

COUNTED_AT_ONCE = 2**23  # pairs
SMALL_TYPES = ("int8", "int16", "uint8", "uint16")  # which do not hold every size


@serializable
class Bigrams(keras.layers.Layer):
    """Numbers of the different words, and pairs of words, in each text.

    So an `EmbeddingBag` behind it is a linear function of which words a text has, and
    of which stand side by side, as "not good". The edges of a text pair with its first
    and its last word.

    | number                      | stands for                                       |
    | --------------------------- | ------------------------------------------------ |
    | 0                           | nothing: what was there before, and padding      |
    | 1 to `vocabulary_size - 1`  | the word of this token id                        |
    | from `vocabulary_size` on   | a pair that `adapt` has kept; of others there is |
    |                             | no number                                        |

    Each number is there once, the numbers of a row ascend, and 0 stands in the places
    that are left. Words on both sides of padding are no pair: there are edges.

    Args:
        vocabulary_size: Int in [2, 46340]. Token ids, 0 for padding and 1 for unknown
            words included, as `keras.layers.TextVectorization` gives them. Larger ids
            count as 1.
        num_bigrams: Int >= 1. Pairs that `adapt` keeps, at most.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: Token ids; 0 is padding, wherever it stands.
        mask: Bools, `(batch, time)`, False where an id counts as padding. None: the
            mask of Keras' masking layers, where there is one.

    Input shape: `(batch, time)`; `time` may be unknown.
    Output shape: `(batch, 2 * time + 1)`, int32.

    Example:

    ```python
    ids = np.array([[2, 3, 2, 3, 0], [3, 4, 0, 0, 0]])
    bigrams = Bigrams(vocabulary_size=5, num_bigrams=100)
    bigrams.adapt(ids)
    bigrams(ids)  # (2, 11)
    ```

    Source: Wang and Manning, 2012, Baselines and Bigrams, ACL P12-2018; the pairs with
    the edges are ours.
    """

    max_vocabulary_size: ClassVar[int] = 46_340  # whose pairs have numbers of 32 bits

    def __init__(self, vocabulary_size: int, num_bigrams: int = 50_000, **kwargs: Any):
        check_count(
            "vocabulary_size",
            vocabulary_size,
            "is the number of token ids, padding's 0 included,",
            at_least=2,
            at_most=self.max_vocabulary_size,
        )
        check_count("num_bigrams", num_bigrams, "is the most pairs of words")
        super().__init__(autocast=False, **kwargs)
        self.vocabulary_size = int(vocabulary_size)
        self.num_bigrams = int(num_bigrams)
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=2)
        self._is_adapted = False

    def build(self, input_shape: Shape) -> None:
        # Ids up to 46,340 are exact in float32. Rows of 0 stand for no pair.
        self.bigrams = add_adapted_weight(self, "bigrams", (self.num_bigrams, 2))

    def adapt(self, data: Any) -> None:
        """Keeps the pairs that most rows have, afresh at every call.

        Of pairs that as many rows have, those of lower ids are kept.

        Args:
            data: Token ids, ints `(rows, time)`, 0 where there is no word.

        Raises:
            ValueError: No row, or what are no ids.
        """
        ids = _checked_ids(data)
        if not self.built:
            self.build(ids.shape)
        size = self.vocabulary_size
        at_once = max(1, COUNTED_AT_ONCE // (ids.shape[1] + 1))
        found = [
            _different_pairs(ids[start : start + at_once], size)
            for start in range(0, len(ids), at_once)
        ]
        pairs, counts = np.unique(np.concatenate(found), return_counts=True)
        kept = np.sort(pairs[np.argsort(-counts, kind="stable")[: self.num_bigrams]])
        table = np.zeros((self.num_bigrams, 2))
        table[self.num_bigrams - len(kept) :] = np.stack(np.divmod(kept, size), axis=1)
        self.bigrams.assign(table)
        self._is_adapted = True

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        if not self._is_adapted:
            purpose = "has pairs of words that it takes from texts"
            self._is_adapted = check_adapted(self, self.bigrams, purpose)
        size = self.vocabulary_size
        ids = inputs
        if keras.backend.standardize_dtype(ids.dtype) in SMALL_TYPES:
            ids = ops.cast(ids, "int32")
        # Before the others are of 32 bits, in which larger ids would be small ones.
        ids = ops.where(ids < size, ids, 1)
        ids = ops.cast(ops.where(ids > 0, ids, 0), "int32")
        if mask is not None:
            ids = ops.where(valid_steps(inputs, mask), ids, 0)
        codes = _pair_codes(ids, size, ops)
        table = ops.cast(self.bigrams, "int32")
        kept = table[:, 0] * size + table[:, 1]
        at = ops.cast(ops.searchsorted(kept, ops.reshape(codes, (-1,))), "int32")
        at = ops.reshape(ops.minimum(at, self.num_bigrams - 1), ops.shape(codes))
        is_kept = (codes > 0) & ops.equal(ops.take(kept, at), codes)
        pairs = ops.where(is_kept, size + at, 0)
        numbers = ops.sort(ops.concatenate([ids, pairs], axis=1), axis=1)
        is_first = ops.not_equal(numbers, _before(numbers, ops))
        return ops.where(is_first, numbers, 0)

    def compute_mask(self, inputs: Tensor, previous_mask: Any) -> None:
        return None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        batch, time = input_shape
        return (batch, None if time is None else 2 * time + 1)

    def compute_output_spec(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        warn_of_lost_mask(self, inputs, mask)
        shape = self.compute_output_shape(inputs.shape)
        return keras.KerasTensor(shape, dtype="int32")

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary_size": self.vocabulary_size,
            "num_bigrams": self.num_bigrams,
        }


def _pair_codes(ids: Any, size: int, numpy: Any) -> Any:
    """Of each step and the one before `(rows, time + 1)`; 0 between two paddings.

    Args:
        numpy: NumPy, or `keras.ops`.
    """
    ends = numpy.pad(ids, ((0, 0), (0, 1)))
    return _before(ends, numpy) * size + ends


def _before(numbers: Any, numpy: Any) -> Any:
    """The number one step before, 0 before the first."""
    return numpy.pad(numbers, ((0, 0), (1, 0)))[:, :-1]


def _different_pairs(ids: np.ndarray, size: int) -> np.ndarray:
    """Codes of the pairs of each row, each once, one row behind the other."""
    known, most = np.where(ids < size, ids, 1).astype("int64"), size**2
    codes = _pair_codes(known, size, np)
    of_rows = np.unique(codes + most * np.arange(len(codes))[:, None]) % most
    return of_rows[of_rows > 0]


def _checked_ids(data: Any) -> np.ndarray:
    try:
        ids = as_numpy(data)
    except ValueError:
        received = "lists of different lengths"
    else:
        if ids.dtype.kind not in "iu" or ids.ndim != 2 or not len(ids):
            received = f"{ids.dtype} of the shape {ids.shape}"
        elif ids.min(initial=0) < 0:
            received = f"an id of {ids.min()}"
        else:
            return ids
    raise ValueError(
        "`data` holds the words whose pairs are counted and must be integers of at "
        f"least 0, (rows, time), with a row. Received: {received}."
    )
