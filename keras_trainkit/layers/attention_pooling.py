import math
from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_choice, check_count
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import step_numbers, steps_to_last, valid_steps
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._lost_mask import warn_of_lost_mask

SCORES = ("additive", "multiplicative", "dot", "scaled_dot")
QUERIES = ("final_state", "learned")
FAR_BELOW = -1e30  # score whose softmax is 0 beside any valid step


@serializable
class AttentionPooling(keras.layers.Layer):
    """Sums up a sequence by attention: one vector for all its steps.

    Each step `h` is scored against a query `q`; a softmax over the valid steps turns
    the scores into weights, and the context is the weighted sum of the steps.

    | score            | formula                    | weights of its own           |
    | ---------------- | -------------------------- | ---------------------------- |
    | `additive`       | `v . tanh(q W + h U)`      | W, U to `units` columns; v   |
    | `multiplicative` | `q W . h`                  | W                            |
    | `dot`            | `q . h`                    | none                         |
    | `scaled_dot`     | `q . h / sqrt(channels)`   | none                         |

    | query         | q                                         | output          |
    | ------------- | ----------------------------------------- | --------------- |
    | `final_state` | second input, else the last valid step    | context, then q |
    | `learned`     | one trainable vector, instead of `q W`    | context         |

    The last step of a *bidirectional* sequence is not the final state of the backward
    direction, which ends at the first step: call the layer on `[sequence, query]`
    there. A learned query starts at 0, so all scores but `additive` begin with the
    average; since W would have no effect, `multiplicative` is then the same as `dot`.

    Masked steps get the weight 0 exactly and have no influence, whatever they hold.
    A row without any valid step has the context 0. The mask ends here. Scores and
    softmax are computed in float32 at least, under mixed precision too.

    Args:
        score: `"additive"`, `"multiplicative"`, `"dot"` or `"scaled_dot"`. The last
            two need a query with as many channels as the sequence.
        query: `"final_state"` or `"learned"`.
        units: Int >= 1. Width of the additive score. None: the channels of the
            sequence; the other scores have no such width and take None only.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        inputs: The sequence, or `[sequence, query]` with `query="final_state"`.
        mask: Bools, `(batch, time)`, True where a step counts; for two inputs a list
            whose first entry is that mask. None: what Keras' masking layers found; in
            a functional model a UserWarning where a layer in between lost it.
        return_attention_scores: True returns `(output, weights)`.

    Input shape: `(batch, time, channels)`, query `(batch, query_channels)`.
    Output shape: `(batch, channels + query_channels)`, with a learned query
        `(batch, channels)`; weights `(batch, time)`, float32 at least.

    Example:

    ```python
    tokens = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(1000, 16, mask_zero=True)(tokens)
    lstm = VariationalLSTM(
        8, bidirectional=True, return_sequences=True, return_state=True
    )
    x, *states = lstm(x)
    final_state = keras.layers.Concatenate()([states[0], states[2]])
    pooled = AttentionPooling()([x, final_state])  # (batch, 32)
    model = keras.Model(tokens, keras.layers.Dense(1)(pooled))
    ```

    Source: Bahdanau et al., 2014, arXiv:1409.0473 (additive); Luong et al., 2015,
    arXiv:1508.04025 (multiplicative, there: general; dot); Vaswani et al., 2017,
    arXiv:1706.03762 (scaled_dot). There the query is a decoder's state, a new one
    for every word; here there is one. Luong's tanh layer over [context; query] is
    left to the model.
    """

    def __init__(
        self,
        score: str = "additive",
        query: str = "final_state",
        units: int | None = None,
        **kwargs: Any,
    ):
        check_choice("score", score, "compares the query with a step", SCORES)
        check_choice("query", query, "is what the steps are compared with", QUERIES)
        if units is not None:
            _check_units(units, score)
        super().__init__(**kwargs)
        self.score = score
        self.query = query
        self.units = units
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        channels, query_channels = self._channels(input_shape)
        additive = self.score == "additive"
        width = self.units or channels
        if self.query == "learned":
            self.learned_query = self.add_weight(
                name="learned_query", shape=(1, width), initializer="zeros"
            )
        elif additive or self.score == "multiplicative":
            self.query_kernel = self._kernel("query", (query_channels, width))
        if additive:
            self.sequence_kernel = self._kernel("sequence", (channels, width))
            self.score_kernel = self._kernel("score", (width, 1))

    def call(
        self, inputs: Any, mask: Any = None, return_attention_scores: bool = False
    ) -> Any:
        sequence, query = self._split(keras.tree.map_structure(self._floats, inputs))
        mask = mask[0] if isinstance(mask, (list, tuple)) else mask
        valid = valid_steps(sequence, mask)
        # Not `sequence * mask`: infinity * 0 is NaN.
        sequence = ops.where(ops.expand_dims(valid, -1), sequence, 0)
        if query is None and self.query == "final_state":
            query = _last_valid_step(sequence, valid)
        weights = _masked_softmax(self._scores(sequence, query), valid)
        output = _weighted_sum(weights, sequence)
        if self.query == "final_state":
            output = ops.concatenate([output, query], axis=-1)
        # Keras 3.15 computes float64 in float32 on JAX and torch.
        output = ops.cast(output, self.compute_dtype)
        return (output, weights) if return_attention_scores else output

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        return None

    def compute_output_shape(self, input_shape: Any) -> Shape:
        sequence_shape, _ = _shapes(input_shape)
        width = sum(self._channels(input_shape)[: 1 + (self.query == "final_state")])
        return (sequence_shape[0], width)

    def compute_output_spec(
        self, inputs: Any, mask: Any = None, return_attention_scores: bool = False
    ) -> Any:
        sequence, query = self._split(inputs)
        own = mask[0] if isinstance(mask, (list, tuple)) else mask
        warn_of_lost_mask(self, sequence, own)
        shapes = sequence.shape if query is None else [sequence.shape, query.shape]
        shape = self.compute_output_shape(shapes)
        output = keras.KerasTensor(shape, dtype=self.compute_dtype)
        if not return_attention_scores:
            return output
        weights_dtype = _at_least_float32(self.compute_dtype)
        return output, keras.KerasTensor(sequence.shape[:2], dtype=weights_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "score": self.score,
            "query": self.query,
            "units": self.units,
        }

    def _floats(self, tensor: Tensor) -> Tensor:
        """Integers and bools as numbers that weights can multiply."""
        return ops.cast(tensor, self.compute_dtype)

    def _split(self, inputs: Any) -> tuple[Tensor, Tensor | None]:
        """The sequence and the query, or None."""
        if not isinstance(inputs, (list, tuple)):
            return inputs, None
        self._check_number_of_inputs(len(inputs))
        sequence, query = inputs
        return sequence, query

    def _check_number_of_inputs(self, number: int) -> None:
        if self.query == "learned" or number != 2:
            raise ValueError(
                f"{self.name} pools one sequence and must be called on it or, with "
                "query='final_state', on [sequence, query]. Received: "
                f"{number} inputs with query={self.query!r}."
            )

    def _channels(self, input_shape: Any) -> tuple[int, int]:
        """Channels of the sequence, and of the query."""
        if _are_several(input_shape):
            self._check_number_of_inputs(len(input_shape))
        sequence_shape, query_shape = _shapes(input_shape)
        if len(sequence_shape) != 3 or len(query_shape) != 2:
            raise ValueError(
                f"{self.name} pools the steps of a sequence, which must have the shape "
                "(batch, time, channels), its query (batch, channels). Received: "
                f"input_shape={input_shape}."
            )
        channels, query_channels = sequence_shape[-1], query_shape[-1]
        if channels is None or query_channels is None:
            raise ValueError(
                f"{self.name} has weights per channel, so the last axis must have a "
                f"known size. Received: input_shape={input_shape}."
            )
        if self.score in ("dot", "scaled_dot") and channels != query_channels:
            raise ValueError(
                f"{self.name} multiplies query and step channel by channel, so with "
                f"score={self.score!r} both must have the same number of channels "
                "(score='multiplicative' takes any). Received: "
                f"{channels} channels, query with {query_channels}."
            )
        return channels, query_channels

    def _kernel(self, name: str, shape: Shape) -> Tensor:
        name = f"{name}_kernel"
        return self.add_weight(name=name, shape=shape, initializer="glorot_uniform")

    def _scores(self, sequence: Tensor, query: Tensor | None) -> Tensor:
        if self.query == "learned":
            query = ops.convert_to_tensor(self.learned_query)
        elif self.score in ("additive", "multiplicative"):
            query = ops.matmul(query, self.query_kernel)
        if self.score == "additive":
            steps = ops.matmul(sequence, self.sequence_kernel)
            hidden = ops.tanh(ops.expand_dims(query, 1) + steps)
            return _products(hidden, self.score_kernel)
        scores = _products(sequence, ops.expand_dims(query, -1))
        if self.score == "scaled_dot":
            scores = scores / math.sqrt(sequence.shape[-1])
        return scores


def _check_units(units: Any, score: str) -> None:
    purpose = "is the width of the additive score"
    check_count("units", units, purpose)
    if score != "additive":
        raise ValueError(
            f"`units` {purpose} and must be None with score={score!r}. "
            f"Received: units={units!r}."
        )


def _shapes(input_shape: Any) -> tuple[Shape, Shape]:
    """Shapes of sequence and query; alone, the query is a step of the sequence."""
    if _are_several(input_shape):
        sequence_shape, query_shape = input_shape
        return sequence_shape, query_shape
    return input_shape, (*input_shape[:1], *input_shape[2:])


def _are_several(input_shape: Any) -> bool:
    return bool(input_shape) and isinstance(input_shape[0], (list, tuple))


def _last_valid_step(sequence: Tensor, valid: Tensor) -> Tensor:
    """The last valid step, `(batch, channels)`; masked steps are 0 already."""
    last = ops.equal(step_numbers(valid), steps_to_last(valid) - 1)
    return ops.sum(ops.where(ops.expand_dims(last, -1), sequence, 0), axis=1)


def _products(steps: Tensor, column: Tensor) -> Tensor:
    """Products of steps `(batch, time, n)` and a column, `(batch, time)`."""
    dtype = _at_least_float32(steps.dtype)
    product = ops.matmul(ops.cast(steps, dtype), ops.cast(column, dtype))
    return ops.squeeze(product, -1)


def _masked_softmax(scores: Tensor, valid: Tensor) -> Tensor:
    """Softmax over the valid steps, 0 at all others."""
    scores = ops.where(valid, scores, FAR_BELOW)
    # Two more entries, since Keras warns about a softmax over a single step.
    scores = ops.pad(scores, ((0, 0), (0, 2)), constant_values=FAR_BELOW)
    return ops.where(valid, ops.softmax(scores, axis=-1)[:, :-2], 0)


def _weighted_sum(weights: Tensor, sequence: Tensor) -> Tensor:
    weights = ops.expand_dims(ops.cast(weights, sequence.dtype), 1)
    return ops.squeeze(ops.matmul(weights, sequence), 1)


def _at_least_float32(dtype: str) -> str:
    return keras.backend.result_type(dtype, "float32")
