import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_trainkit._checks import check_choice
from keras_trainkit._serialization import serializable
from keras_trainkit._types import Shape, Tensor
from keras_trainkit.layers._classes import checked_classes, plain_classes
from keras_trainkit.layers.min_max_scaling import MinMaxScaling
from keras_trainkit.layers.robust_scaling import RobustScaling

_TASKS = {
    "values": (None, "regression"),
    "logits": (None, "classification"),
    "binary_logits": (None, "binary"),
}
_SHARES = "`shares` are those of the members in the mean and must be"
_PURPOSE = "`target_scaling` brings the targets to unit size and must be"


@serializable
class MemberMean(keras.layers.Layer):
    """The prediction of an ensemble: the mean over its members.

    | `kind`          | mean of                 | output                              |
    | --------------- | ----------------------- | ----------------------------------- |
    | "values"        | the values              | that mean                           |
    | "logits"        | softmax of the members  | its logarithm: logits again         |
    | "binary_logits" | sigmoid of the members  | its log-odds: logits again          |

    So losses and metrics with `from_logits=True` stay right. With `target_scaling` the
    mean of values is converted back to the units of the targets. It is the last layer
    of a `models.MemberModel`, which reads the outputs of the members from `last_call`.

    Args:
        kind: "values", "logits" or "binary_logits".
        target_scaling: Adapted layer with `inverse`, such as `layers.StandardScaling`,
            or None. With "values" only.
        task: What the outputs stand for: "classification" of logits, "binary" of
            binary logits, "regression" of values. None: that of logits; of values
            unknown.
        classes: Sequence of names, as in `layers.Head`, or None. With logits only.
        shares: Sequence of floats > 0 that sum to 1: the share of each member in the
            mean. None: all count alike.
        **kwargs: Passed to `keras.layers.Layer` (`name`, `dtype`, ...).

    Input shape: `(batch, members, ..., outputs)`.
    Output shape: `(batch, ..., outputs)`.

    Example:

    ```python
    members = np.array([[[1.0], [2.0], [6.0]]])  # one row, three members
    MemberMean()(members)  # [[3]]
    ```

    Source: Gorishniy, Kotelnikov and Babenko, 2024, arXiv:2410.24210 (the mean of
    probabilities, not of logits).
    """

    def __init__(
        self,
        kind: str = "values",
        target_scaling: keras.layers.Layer | None = None,
        task: str | None = None,
        classes: Sequence | None = None,
        shares: Sequence[float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        check_choice("kind", kind, "says what the members give", tuple(_TASKS))
        check_choice(
            "task", task, f"says what the outputs, {kind}, stand for", _TASKS[kind]
        )
        check_target_scaling(target_scaling)
        _check_shares(shares)
        if target_scaling is not None and kind != "values":
            raise ValueError(
                "`target_scaling` brings values back to their units and must be None "
                f"for logits. Received: kind={kind!r}."
            )
        self.kind = kind
        self.target_scaling = target_scaling
        self.task = task
        known = _TASKS[kind][-1]
        self.classes = None if classes is None else plain_classes(classes, known)
        self.shares = None if shares is None else list(map(float, shares))
        self.last_call = LastCall()

    def build(self, input_shape: Shape) -> None:
        scaling, outputs = self.target_scaling, input_shape[-1]
        checked_classes(self.classes, _TASKS[self.kind][-1], outputs)
        if self.shares is not None and len(self.shares) != input_shape[1]:
            raise ValueError(
                f"{_SHARES} one for each of the {input_shape[1]} members. "
                f"Received: {len(self.shares)} shares."
            )
        if scaling is None:
            return
        if not scaling.built:
            scaling.build((None, outputs))
        targets = getattr(scaling.input_spec, "axes", {}).get(-1, outputs)
        if targets != outputs:
            raise ValueError(
                "`target_scaling` brings the targets to unit size and must be adapted "
                f"on one per output, {outputs}. Received: {scaling!r}, of {targets}."
            )

    def call(self, inputs: Tensor) -> Tensor:
        inputs = ops.cast(inputs, self.compute_dtype)  # integers and bools too
        outputs = self.mean(inputs)
        if self.target_scaling is not None:
            outputs = self.target_scaling.inverse(outputs)
        self.last_call.put(inputs, outputs)
        return outputs

    def mean(self, members: Tensor) -> Tensor:
        """The mean over the members, before `target_scaling`."""
        if self.kind == "logits":
            return self._log_mean(ops.log_softmax(members, axis=-1))
        if self.kind == "binary_logits":
            yes = self._log_mean(ops.log_sigmoid(members))
            no = self._log_mean(ops.log_sigmoid(-members))
            return yes - no
        if self.shares is None:
            return ops.mean(members, axis=1)
        return ops.sum(members * self._per_member(members, self.shares), axis=1)

    def _log_mean(self, logs: Tensor) -> Tensor:
        """Logarithm of the mean of what has these logarithms."""
        if self.shares is None:
            return ops.logsumexp(logs, axis=1) - math.log(logs.shape[1])
        shares = [math.log(share) for share in self.shares]
        return ops.logsumexp(logs + self._per_member(logs, shares), axis=1)

    def _per_member(self, members: Tensor, numbers: Sequence[float]) -> Tensor:
        """A number for each member, shaped to be multiplied with or added to them."""
        shape = (1, len(numbers), *(1,) * (len(members.shape) - 2))
        return ops.reshape(ops.convert_to_tensor(numbers, members.dtype), shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (input_shape[0], *input_shape[2:])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kind": self.kind,
            "target_scaling": keras.saving.serialize_keras_object(self.target_scaling),
            "task": self.task,
            "classes": None if self.classes is None else list(self.classes),
            "shares": None if self.shares is None else list(self.shares),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MemberMean":
        scaling = keras.saving.deserialize_keras_object(config["target_scaling"])
        return cls(**{**config, "target_scaling": scaling})


class LastCall:
    """Inputs and outputs of the last call of a layer. A copy starts empty."""

    def __init__(self) -> None:
        self._pair: tuple[Tensor, Tensor] = None, None

    def put(self, inputs: Tensor, outputs: Tensor) -> None:
        """Remembers a call in place of the one before."""
        self._pair = inputs, outputs

    def take(self) -> tuple[Tensor, Tensor]:
        """Inputs and outputs, which are then forgotten; None for both if none."""
        pair, self._pair = self._pair, (None, None)
        return pair

    def __reduce__(self) -> tuple:
        return LastCall, ()


def _check_shares(shares: Any) -> None:
    if shares is None:
        return
    fine = isinstance(shares, list | tuple) and len(shares) > 0
    fine = fine and all(isinstance(s, int | float) and 0 < s <= 1 for s in shares)
    if not fine or not math.isclose(sum(shares), 1, rel_tol=1e-6):
        raise ValueError(
            f"{_SHARES} None or a list of numbers above 0 that sum to 1. "
            f"Received: shares={shares!r}."
        )


def check_target_scaling(scaling: Any) -> None:
    """Accepts None, or a layer that takes any target and inverts any value."""
    if scaling is None:
        return
    if not isinstance(scaling, keras.layers.Layer) or not hasattr(scaling, "inverse"):
        raise ValueError(
            f"{_PURPOSE} an adapted layer with `inverse`, or None. "
            f"Received: target_scaling={scaling!r}."
        )
    if scaling.compute_dtype in ("float16", "bfloat16"):
        raise ValueError(
            f"{_PURPOSE} with all digits of a loss, which half precision has not: "
            f'`{type(scaling).__name__}(dtype="float32")`. '
            f"Received: {scaling!r}, which computes in {scaling.compute_dtype}."
        )
    if isinstance(scaling, RobustScaling) and scaling.clip is not None:
        raise ValueError(
            f"{_PURPOSE} without a bound, beyond which its inverse is infinite: "
            "`RobustScaling(clip=None)`. "
            f"Received: RobustScaling(clip={scaling.clip})."
        )
    if isinstance(scaling, MinMaxScaling) and scaling.outside == "clip":
        raise ValueError(
            f"{_PURPOSE} without a bound, beyond which targets are not told apart: "
            '`MinMaxScaling(outside="extend")`. '
            f"Received: MinMaxScaling(outside={scaling.outside!r})."
        )
