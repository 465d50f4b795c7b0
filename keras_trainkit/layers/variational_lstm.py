from typing import Any, NoReturn

import keras
from keras import ops

from keras_trainkit._checks import (
    check_choice,
    check_count,
    check_flag,
    check_number,
    check_seed,
)
from keras_trainkit._recurrent import lstm, xla_compiles
from keras_trainkit._serialization import serializable
from keras_trainkit._steps import valid_steps
from keras_trainkit._types import Shape, Tensor

_RATES = {
    "dropout": "is the share of the inputs dropped while training",
    "recurrent_dropout": "is the share of the states dropped on their way into the "
    "gates while training",
    "output_dropout": "is the share of the outputs dropped while training",
    "recurrent_weight_dropout": "is the share of the recurrent weights set to 0 "
    "while training",
}
_FLAGS = {
    "bidirectional": "adds a second direction",
    "return_sequences": "keeps every step",
    "unit_forget_bias": "starts it at 1",
    "return_state": "adds the final states",
}


@serializable
class VariationalLSTM(keras.layers.Layer):
    """LSTM in one or two directions whose dropout keeps one mask per sequence.

    What is dropped stays dropped from the first step to the last, so that the
    network cannot average the noise away over time. Every batch and every direction
    draws its own masks; in inference nothing is dropped.

    | rate                       | what one mask covers            | drawn per      |
    | -------------------------- | ------------------------------- | -------------- |
    | `dropout`                  | features of the input           | sequence       |
    | `recurrent_dropout`        | units of `h` on the way to gates| sequence       |
    | `output_dropout`           | units of the output             | sequence       |
    | `recurrent_weight_dropout` | entries of the recurrent kernel | batch          |

    What is kept is divided by the share kept. With all rates 0 the layer computes
    what `keras.layers.Bidirectional(keras.layers.LSTM(units))` does (or
    `keras.layers.LSTM`), and `set_weights` takes over its `get_weights()`: forward
    kernel `(features, 4 * units)`, recurrent kernel `(units, 4 * units)` and bias
    `(4 * units,)`, then the same three backward; gates in the order i, f, c, o.
    The kernels start Glorot uniform and orthogonal, as there.

    A step where the mask is False is not read, whatever it holds (NaN included),
    leaves the state as it is and gives zeros in the sequence of outputs, as in
    `Bidirectional` (an LSTM alone repeats its last output there). Padding may be on
    the right, on the left or in between, on every device alike; a sequence without
    any valid step gives zeros, and so does one of length 0, from any
    `initial_state`, which then is the final state.

    Args:
        units: Int in [1, 8192]. Units per direction.
        bidirectional: Bool. True adds a second LSTM that reads the sequence
            backwards. Its output is appended along the last axis.
        return_sequences: Bool. True returns the output of every step instead of the
            last one read (backwards: the first step).
        dropout: Float in [0, 1).
        recurrent_dropout: Float in [0, 1).
        output_dropout: Float in [0, 1). Returned states are not dropped.
        recurrent_weight_dropout: Float in [0, 1).
        unit_forget_bias: Bool. True starts the bias of the forget gate at 1 instead
            of 0.
        return_state: Bool. True returns the final states too.
        seed: Int or None. Makes the masks repeatable; None draws a new seed.
        kernel: `"auto"`, `"fused"` or `"reference"`. The first is cuDNN where it can
            be, else the second; the last is a plain loop whose gradient the backend
            derives. See "Speed" below.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Call arguments:
        sequences: Tensor `(batch, time, features)`; integers and bools count as floats.
        initial_state: List `[h, c]`, with `bidirectional` `[h, c, h, c]` (forward
            first), each `(batch, units)`. None means zeros.
        mask: Bool tensor `(batch, time)`. None means that of `sequences`, if a layer
            before has made one (`Masking`, `Embedding(mask_zero=True)`).
        training: Bool. True drops.
        sequences_mask: Filled by Keras; takes the place of `mask` where that is None.

    `keras.layers.TimeDistributed` may wrap the layer; `keras.layers.Bidirectional` is
    refused, for `bidirectional=True` is that.

    Input shape: `(batch, time, features)`; `features` must be known.
    Output shape: `(batch, time, width)` with `return_sequences`, otherwise
    `(batch, width)`; `width` is `units`, or `2 * units` with `bidirectional`. With
    `return_state` followed by the states, in the order of `initial_state`.

    Example:

    ```python
    x = keras.Input((None, 9))
    h = VariationalLSTM(64, bidirectional=True, recurrent_dropout=0.2)(x)
    model = keras.Model(x, keras.layers.Dense(1)(h))
    ```

    Speed: on a GPU `"auto"` calls `keras.layers.LSTM`, and so cuDNN, except

    - in training with `recurrent_dropout`; in bfloat16, on JAX in float16 too;
    - with a mask on JAX and torch (TensorFlow: padding anywhere);
    - on JAX over several devices or with sizes unknown to the graph, on torch where a
      graph is traced, in `serving.export`.

    Elsewhere it is `"fused"`. XLA compiles no cuDNN, so a model compiled with
    `jit_compile=True` on TensorFlow and a GPU needs `kernel="fused"`.

    `"fused"` trains on loops whose gradient is written by hand (JAX and torch use them
    in inference too). On TensorFlow these are compiled by
    XLA, once per batch size, units and number of steps; where the number of steps
    is unknown when the graph is made, once per power of 2 of it (16 at least), so
    that batches of many lengths compile a few times. Each new batch size compiles
    anew. Inference and export on TensorFlow use an ordinary graph loop.

    Source: Gal and Ghahramani, 2016, arXiv:1512.05287, the variant with tied
    weights (one mask for all four gates; Keras draws four).
    `recurrent_weight_dropout`: Merity et al., 2017, arXiv:1708.02182.
    """

    def __init__(
        self,
        units: int,
        *,
        bidirectional: bool = False,
        return_sequences: bool = False,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        output_dropout: float = 0.0,
        recurrent_weight_dropout: float = 0.0,
        unit_forget_bias: bool = True,
        return_state: bool = False,
        seed: int | None = None,
        kernel: str = "auto",
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.units = units
        self.bidirectional = bidirectional
        self.return_sequences = return_sequences
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.output_dropout = output_dropout
        self.recurrent_weight_dropout = recurrent_weight_dropout
        self.unit_forget_bias = unit_forget_bias
        self.return_state = return_state
        self.seed = check_seed("seed", seed)
        self.kernel = kernel
        _check_arguments(self)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.input_spec = keras.InputSpec(ndim=3)
        self.supports_masking = True
        self.use_cudnn = "auto"  # `serving.export` sets False, as for Keras' own LSTM
        self.supports_jit = xla_compiles(kernel)

    def build(self, sequences_shape: Shape, initial_state_shape: Any = None) -> None:
        features = sequences_shape[-1]
        if features is None:
            raise ValueError(
                f"{self.name} has one weight per feature, so the last axis must have "
                f"a known size. Received: sequences_shape={tuple(sequences_shape)}."
            )
        self.input_spec = keras.InputSpec(ndim=3, axes={-1: features})
        self.forward_weights = self._add_direction("forward", features)
        self.backward_weights = []
        if self.bidirectional:
            self.backward_weights = self._add_direction("backward", features)

    def _add_direction(self, direction: str, features: int) -> list[Tensor]:
        def bias(shape: Shape, dtype: str | None = None) -> Tensor:
            forget = ops.full((self.units,), float(self.unit_forget_bias), dtype)
            zeros = ops.zeros((self.units,), dtype)
            return ops.concatenate([zeros, forget, zeros, zeros])

        parts = (
            ("kernel", features, keras.initializers.GlorotUniform()),
            ("recurrent_kernel", self.units, keras.initializers.Orthogonal()),
            ("bias", None, bias),
        )
        return [
            self.add_weight(
                name=f"{direction}_{name}",
                shape=(4 * self.units,) if rows is None else (rows, 4 * self.units),
                initializer=initializer,
            )
            for name, rows, initializer in parts
        ]

    def call(
        self,
        sequences: Tensor,
        initial_state: Any = None,
        mask: Tensor | None = None,
        training: bool = False,
        sequences_mask: Tensor | None = None,
    ) -> Any:
        # Keras 3.15 gives the mask that a layer before has made under this name where
        # there are states too, and under `mask` where there are none.
        mask = sequences_mask if mask is None else mask
        sequences = ops.cast(sequences, self.compute_dtype)  # integers and bools too
        states = self._initial(sequences, initial_state)
        valid = valid_steps(sequences, mask)
        mask = None if mask is None else valid
        training = bool(training)
        runs = [self._run(sequences, states[:2], mask, training, reverse=False)]
        if self.bidirectional:
            runs.append(self._run(sequences, states[2:], mask, training, reverse=True))
        states = [state for run in runs for state in run[1:]]
        if self.return_sequences:
            outputs = ops.concatenate([run[0] for run in runs], axis=-1)
        else:
            outputs = self._last(states[::2], valid)
        if training and self.output_dropout:
            outputs = outputs * self._output_mask(outputs)
        return (outputs, *states) if self.return_state else outputs

    def _initial(self, sequences: Tensor, initial_state: Any) -> list[Tensor]:
        """States that each direction starts from."""
        if initial_state is None:
            shape = (ops.shape(sequences)[0], self.units)
            zeros = ops.zeros(shape, dtype=self.compute_dtype)
            return (4 if self.bidirectional else 2) * [zeros]
        return _checked_states(self, sequences, initial_state)

    def _run(
        self,
        sequences: Tensor,
        states: list[Tensor],
        mask: Tensor | None,
        training: bool,
        reverse: bool,
    ) -> Any:
        """Outputs and final states of one direction."""
        kernel, recurrent_kernel, bias = (
            ops.convert_to_tensor(weight, dtype=self.compute_dtype)
            for weight in (self.backward_weights if reverse else self.forward_weights)
        )
        recurrent_mask = None
        if training and self.dropout:
            kept = self._kept(ops.shape(sequences)[::2], self.dropout)
            sequences = sequences * kept[:, None, :]
        if training and self.recurrent_dropout:
            recurrent_mask = self._kept(ops.shape(states[0]), self.recurrent_dropout)
        if training and self.recurrent_weight_dropout:
            shape = (self.units, 4 * self.units)
            rate = self.recurrent_weight_dropout
            recurrent_kernel = recurrent_kernel * self._kept(shape, rate)
        return lstm(
            sequences,
            states,
            (kernel, recurrent_kernel, bias),
            mask=mask,
            recurrent_mask=recurrent_mask,
            reverse=reverse,
            training=training,
            kernel=self.kernel,
            use_cudnn=bool(self.use_cudnn),
        )

    def _kept(self, shape: Shape, rate: float) -> Tensor:
        """0 with probability `rate`, otherwise 1 / (1 - rate): the mean stays 1."""
        ones = ops.ones(shape, dtype=self.compute_dtype)
        return keras.random.dropout(ones, rate, seed=self.seed_generator)

    def _last(self, outputs: list[Tensor], valid: Tensor) -> Tensor:
        """Zeros for a sequence without a valid step, as for a masked step."""
        outputs = ops.concatenate(outputs, axis=-1)
        some = ops.any(valid, axis=1, keepdims=True)
        return ops.where(some, outputs, ops.zeros_like(outputs))

    def _output_mask(self, outputs: Tensor) -> Tensor:
        shape = ops.shape(outputs)
        kept = self._kept((shape[0], shape[-1]), self.output_dropout)
        return kept[:, None, :] if self.return_sequences else kept

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        masks = previous_mask if isinstance(previous_mask, list) else [previous_mask]
        kept = masks[0] if self.return_sequences else None
        states = (4 if self.bidirectional else 2) * [None]
        return [kept, *states] if self.return_state else kept

    def compute_output_shape(
        self, sequences_shape: Shape, initial_state_shape: Any = None
    ) -> Any:
        batch, time, _ = sequences_shape
        width = 2 * self.units if self.bidirectional else self.units
        outputs = (batch, time, width) if self.return_sequences else (batch, width)
        states = (4 if self.bidirectional else 2) * ((batch, self.units),)
        return (outputs, *states) if self.return_state else outputs

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "units": self.units,
            "bidirectional": self.bidirectional,
            "return_sequences": self.return_sequences,
            "dropout": self.dropout,
            "recurrent_dropout": self.recurrent_dropout,
            "output_dropout": self.output_dropout,
            "recurrent_weight_dropout": self.recurrent_weight_dropout,
            "unit_forget_bias": self.unit_forget_bias,
            "return_state": self.return_state,
            "seed": self.seed,
            "kernel": self.kernel,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "VariationalLSTM":
        if "go_backwards" in config:  # `keras.layers.Bidirectional` puts it there
            _refuse_wrapper()
        return super().from_config(config)

    @property
    def go_backwards(self) -> bool:
        """Read by `keras.layers.Bidirectional` alone, which is refused."""
        return _refuse_wrapper()


def _refuse_wrapper() -> NoReturn:
    raise ValueError(
        "`VariationalLSTM` reads in both directions by itself and must be used as "
        "`VariationalLSTM(units, bidirectional=True)`, without a wrapper. "
        "Received: a VariationalLSTM inside `keras.layers.Bidirectional`."
    )


def _check_arguments(layer: VariationalLSTM) -> None:
    check_count("units", layer.units, "is the width of one direction", at_most=8192)
    for name, purpose in _FLAGS.items():
        check_flag(name, getattr(layer, name), purpose)
    for name, purpose in _RATES.items():
        check_number(name, getattr(layer, name), purpose, at_least=0, below=1)
    choices = ("auto", "fused", "reference")
    check_choice("kernel", layer.kernel, "picks the implementation", choices)


def _checked_states(
    layer: VariationalLSTM, sequences: Tensor, initial_state: Any
) -> list[Tensor]:
    """`initial_state` in the layer's precision."""
    count = 4 if layer.bidirectional else 2
    received = initial_state
    if isinstance(initial_state, (list, tuple)):
        states = [ops.cast(state, layer.compute_dtype) for state in initial_state]
        received = [tuple(state.shape) for state in states]
        wanted = (sequences.shape[0], layer.units)
        if len(states) == count and all(_fits(shape, wanted) for shape in received):
            return states
    raise ValueError(
        f"`initial_state` of {layer.name} is where each direction starts and must be "
        f"a list of {count} tensors of the shape (batch, {layer.units}). "
        f"Received: initial_state={received}."
    )


def _fits(shape: Shape, wanted: Shape) -> bool:
    """True if a shape is `(batch, units)`; None fits any number of rows."""
    if len(shape) != 2 or shape[1] != wanted[1]:
        return False
    return shape[0] == wanted[0] or None in (shape[0], wanted[0])
