"""The end of a network that is put beside others, or under one."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_trainkit._types import Layer, Tensor
from keras_trainkit.layers import Head, MemberMean
from keras_trainkit.models._heads import MEMBER_KINDS
from keras_trainkit.models.task_model import TaskModel


class End(NamedTuple):
    """The end of a network.

    Args:
        layer: The last layer.
        members: Its inputs, `(batch, members, ...)`.
        kind: As in `layers.MemberMean`, like the three that follow.
    """

    layer: Layer
    members: Tensor
    kind: str
    target_scaling: Layer | None
    task: str | None
    classes: Sequence | None

    def interface(self, network: TaskModel) -> dict[str, Any]:
        """Properties that two networks must share, by the words of a message."""
        return {
            "the inputs": _inputs_of(network),
            "the outputs": tuple(network.output.shape),
            "the mean": self.kind,
            "the task": self.task,
            "the classes": None if self.classes is None else tuple(self.classes),
            "the target scaling": _numbers_of(self.target_scaling),
        }


def end_of(network: Any, purpose: str) -> End:
    """The end of a network.

    Raises:
        ValueError: A model of another kind, which `purpose` and what follows it say.
    """
    last = network.layers[-1] if isinstance(network, TaskModel) else None
    if isinstance(last, MemberMean):
        scaling, task, classes = last.target_scaling, last.task, last.classes
        return End(last, last.input, last.kind, scaling, task, classes)
    if isinstance(last, Head) and last.activation is keras.activations.linear:
        shape = (1, *network.output.shape[1:])
        one = keras.layers.Reshape(shape, dtype=last.dtype_policy, name="member")
        kind = MEMBER_KINDS.get(last.task, "values")
        return End(last, one(network.output), kind, None, last.task, last.classes)
    raise ValueError(
        f"{purpose} models that end in a `layers.Head` without an activation or in a "
        f"`layers.MemberMean`, as `models.mlp` gives them with a `task`. "
        f"Received: {network!r}."
    )


def baseline_members(
    baseline: Any,
    inputs: Tensor,
    shape: tuple[int, ...],
    task: str | None,
    classes: Sequence | None,
    target_scaling: Layer | None,
) -> Tensor:
    """Outputs of a model that is to be corrected, before any scaling, frozen.

    Args:
        baseline: The model.
        inputs: Inputs of the model that corrects it.
        shape: Of its predictions, like the three that follow.

    Returns:
        `(batch, 1, ...)`.

    Raises:
        ValueError: A model of another kind, or of another task.
    """
    purpose = "`baseline` is what the model corrects and must be one of the"
    end = end_of(baseline, purpose)
    asked = {
        "the inputs": (tuple(inputs.shape), tuple(baseline.input.shape)),
        "the outputs": ((None, *shape), tuple(baseline.output.shape)),
        "the members": (1, end.members.shape[1]),
        "the task": (task, end.task),
        "the classes": (_listed(classes), _listed(end.classes)),
        "the target scaling": (
            _numbers_of(target_scaling),
            _numbers_of(end.target_scaling),
        ),
    }
    for part, (wanted, found) in asked.items():
        if wanted != found:
            raise ValueError(
                "`baseline` is what the model corrects and must predict the same from "
                f"the same. Received: {part} {found!r} of {baseline.name}, {wanted!r} "
                "of the model."
            )
    frozen = keras.Model(baseline.input, end.members, name="baseline")
    frozen.trainable = False
    return frozen(inputs)


def _listed(classes: Sequence | None) -> list | None:
    return None if classes is None else list(classes)


def _inputs_of(network: TaskModel) -> Any:
    """Shapes and types; a single input may have any name."""
    return keras.tree.map_structure(
        lambda tensor: f"{tuple(tensor.shape)} {tensor.dtype}", network.input
    )


def _numbers_of(scaling: Layer | None) -> Any:
    if scaling is None:
        return None
    config = {k: v for k, v in scaling.get_config().items() if k != "name"}
    values = (ops.convert_to_numpy(weight).tolist() for weight in scaling.weights)
    return type(scaling).__name__, config, list(values)
