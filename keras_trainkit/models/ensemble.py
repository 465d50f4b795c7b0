from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_trainkit._types import Layer, Tensor
from keras_trainkit.layers import Head, MemberMean
from keras_trainkit.models._arguments import check_model_name
from keras_trainkit.models.member_model import MemberModel
from keras_trainkit.models.task_model import TaskModel

_PURPOSE = "`networks` are the models whose predictions are averaged and must be"
_KINDS = {"classification": "logits", "binary": "binary_logits", "regression": "values"}


def ensemble(networks: Sequence[TaskModel], name: str = "ensemble") -> MemberModel:
    """One model that trains several, and predicts their mean.

    Members of one `mlp` share all layers but the first and the last, so each learns
    from the rows of all. Networks of an ensemble share nothing: each may have been
    trained on rows of its own, such as the parts of a cross-validation. The model has
    their weights, not copies, and trains, saves and exports as any `MemberModel`.

    Args:
        networks: Models as `mlp` and `bilstm_attention` return them with a `task`,
            whose head gives logits or values. Inputs, outputs, task, classes and
            target scaling are the same in all.
        name: String. Name of the model.

    Returns:
        An uncompiled `MemberModel`. A network of m members counts m times in the mean.

    Raises:
        ValueError: No networks, one of another kind, or two that differ.

    Example:

    ```python
    x, y = np.random.normal(size=(8, 4)), np.zeros((8, 1))
    halves = [models.mlp((4,), 1, task="binary") for _ in range(2)]
    for rows, network in zip((slice(0, 4), slice(4, 8)), halves):
        network.compile("adam", models.loss_for(network))
        network.fit(x[rows], y[rows], verbose=0)
    models.ensemble(halves).predict(x, verbose=0)  # (8, 1)
    ```

    Source: Breiman, 1996, "Bagging Predictors"; parts of a cross-validation after
    Krogh and Vedelsby, 1995, "Neural Network Ensembles, Cross Validation, and Active
    Learning".
    """
    check_model_name(name)
    ends = _checked_ends(networks)
    inputs = keras.tree.map_structure(_input_like, networks[0].input)
    members = [
        keras.Model(network.input, end.members, name=f"network_{number}")(inputs)
        for number, (network, end) in enumerate(zip(networks, ends, strict=True), 1)
    ]
    if len(members) > 1:
        members = [keras.layers.Concatenate(axis=1, name="members")(members)]
    first = ends[0]
    mean = MemberMean(
        first.kind,
        first.target_scaling,
        first.task,
        first.classes,
        dtype=first.layer.dtype_policy,
        name="outputs",
    )
    return MemberModel(inputs, mean(members[0]), name=name)


class _End(NamedTuple):
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
        """What two networks must have in common, by the words of a message."""
        return {
            "the inputs": keras.tree.map_structure(
                lambda t: f"{t.name} {tuple(t.shape)} {t.dtype}", network.input
            ),
            "the outputs": tuple(network.output.shape),
            "the mean": self.kind,
            "the task": self.task,
            "the classes": self.classes,
            "the target scaling": _numbers_of(self.target_scaling),
        }


def _checked_ends(networks: Any) -> list[_End]:
    found = networks if isinstance(networks, list | tuple) else []
    ends = [_end_of(network) for network in found]
    if not ends:
        raise ValueError(f"{_PURPOSE} at least one, in a list. Received: {networks!r}.")
    first = ends[0].interface(found[0])
    for network, end in zip(found, ends, strict=True):
        for part, value in end.interface(network).items():
            if value != first[part]:
                raise ValueError(
                    f"{_PURPOSE} alike but in their weights and members. Received: "
                    f"{part} {first[part]!r} of {found[0].name}, {value!r} of "
                    f"{network.name}."
                )
    return ends


def _end_of(network: Any) -> _End:
    last = network.layers[-1] if isinstance(network, TaskModel) else None
    if isinstance(last, MemberMean):
        scaling, task, classes = last.target_scaling, last.task, last.classes
        return _End(last, last.input, last.kind, scaling, task, classes)
    if isinstance(last, Head) and last.activation is keras.activations.linear:
        one = keras.layers.Reshape((1, *last.output.shape[1:]), name="member")
        kind = _KINDS[last.task]
        return _End(last, one(last.output), kind, None, last.task, last.classes)
    raise ValueError(
        f"{_PURPOSE} models as `models.mlp` gives with a `task`, without an activation "
        f"of the outputs. Received: {network!r}."
    )


def _input_like(tensor: Tensor) -> Tensor:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


def _numbers_of(scaling: Layer | None) -> Any:
    if scaling is None:
        return None
    values = (ops.convert_to_numpy(weight).tolist() for weight in scaling.weights)
    return type(scaling).__name__, list(values)
