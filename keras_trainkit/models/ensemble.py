import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
from keras import ops

from keras_trainkit._types import Layer, Tensor
from keras_trainkit.layers import Head, MemberMean
from keras_trainkit.models._arguments import check_model_name
from keras_trainkit.models._heads import MEMBER_KINDS
from keras_trainkit.models.member_model import MemberModel
from keras_trainkit.models.task_model import TaskModel

_PURPOSE = "`networks` are the models whose predictions are averaged and must be"


def ensemble(
    networks: Sequence[TaskModel],
    name: str = "ensemble",
    *,
    weights: Sequence[float] | None = None,
) -> MemberModel:
    """One model that trains several, and predicts their mean.

    Members of one `mlp` share all layers but the first and the last, so each learns
    from the rows of all. Networks of an ensemble share nothing: each may have been
    trained on rows of its own, such as the folds of `data.folds`. The model has their
    weights, not copies, and trains, saves and exports as any `MemberModel`. Penalties
    (`l1`, `l2`) of all networks are added up, where losses are averaged.

    Args:
        networks: Models that end in a `layers.Head` without an activation or in a
            `layers.MemberMean`, as those of `mlp` and most of `bilstm_attention` with
            a `task`. No two have a layer in common, but for the target scaling.
            Inputs, outputs, task, classes and target scaling are the same in all.
        name: String. Name of the model.
        weights: Sequence of floats > 0. How much each network counts in the mean,
            whatever its members. In training the losses of all members count alike.
            None: a network of m members counts m times.

    Returns:
        An uncompiled `MemberModel`.

    Raises:
        ValueError: No networks, one of another kind, two that differ, or that share a
            layer; weights that are not one for each.

    Example:

    ```python
    x, y = np.random.normal(size=(8, 4)), np.zeros((8, 1))
    networks = []
    for train, _ in data.folds(x, 2):
        network = models.mlp((4,), 1, task="binary")
        network.compile("adam", models.loss_for(network))
        network.fit(x[train], y[train], verbose=0)
        networks.append(network)
    models.ensemble(networks).predict(x, verbose=0)  # (8, 1)
    ```

    Source: Breiman, 1996, "Bagging Predictors"; parts of a cross-validation after
    Krogh and Vedelsby, 1995, "Neural Network Ensembles, Cross Validation, and Active
    Learning".
    """
    check_model_name(name)
    ends = _checked_ends(networks)
    inputs = keras.tree.map_structure(_input_like, networks[0].input)
    taken = {tensor.name for tensor in keras.tree.flatten(inputs)}
    members = [
        keras.Model(
            network.input, end.members, name=_unlike(taken, f"network_{number}")
        )(inputs)
        for number, (network, end) in enumerate(zip(networks, ends, strict=True), 1)
    ]
    shares = _shares_of(ends, _checked_weights(weights, len(ends)))
    first = ends[0]
    dtype = first.layer.dtype_policy  # that of a head: float32 in mixed precision
    if len(members) > 1:
        together = keras.layers.Concatenate(
            axis=1, dtype=dtype, name=_unlike(taken, "members")
        )
        members = [together(members)]
    mean = MemberMean(
        first.kind,
        first.target_scaling,
        first.task,
        first.classes,
        shares,
        dtype=dtype,
        name=_unlike(taken, "outputs"),
    )
    return MemberModel(inputs, mean(members[0]), name=name)


def _checked_weights(weights: Any, count: int) -> list[float] | None:
    if weights is None:
        return None
    found = list(weights) if isinstance(weights, list | tuple) else []
    numbers = all(isinstance(w, int | float) and 0 < w < math.inf for w in found)
    if len(found) != count or not numbers:
        raise ValueError(
            "`weights` say how much each network counts in the mean and must be None "
            f"or {count} finite numbers above 0, in a list. "
            f"Received: weights={weights!r}."
        )
    return [weight / sum(found) for weight in found]


def _unlike(taken: set[str], name: str) -> str:
    """The name, with underscores behind it where an input has it."""
    while name in taken:
        name += "_"
    return name


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
        """Properties that two networks must share, by the words of a message."""
        return {
            "the inputs": _inputs_of(network),
            "the outputs": tuple(network.output.shape),
            "the mean": self.kind,
            "the task": self.task,
            "the classes": None if self.classes is None else tuple(self.classes),
            "the target scaling": _numbers_of(self.target_scaling),
        }


def _shares_of(ends: Sequence[_End], weights: list[float] | None) -> list[float] | None:
    """The share of each member of each network; None where all count alike."""
    own = [getattr(end.layer, "shares", None) for end in ends]
    counts = [end.members.shape[1] for end in ends]
    if weights is None:
        if not any(own):
            return None
        weights = [count / sum(counts) for count in counts]
    return [
        weight * share
        for weight, shares, count in zip(weights, own, counts, strict=True)
        for share in (shares or [1 / count] * count)
    ]


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
    _refuse_shared(found, ends)
    return ends


def _refuse_shared(networks: Sequence[TaskModel], ends: Sequence[_End]) -> None:
    """Keras saves a layer once, and could not load the second network that has it."""
    owners: dict[int, TaskModel] = {}
    for network, end in zip(networks, ends, strict=True):
        scaling = {id(v) for v in getattr(end.target_scaling, "variables", ())}
        for variable in network.variables:
            if id(variable) in scaling:
                continue
            owner = owners.setdefault(id(variable), network)
            if owner is not network or networks.count(network) > 1:
                raise ValueError(
                    f"{_PURPOSE} without a layer in common (build each with layers of "
                    f"its own). Received: {variable.path} in {owner.name} and "
                    f"{network.name}."
                )


def _end_of(network: Any) -> _End:
    last = network.layers[-1] if isinstance(network, TaskModel) else None
    if isinstance(last, MemberMean):
        scaling, task, classes = last.target_scaling, last.task, last.classes
        return _End(last, last.input, last.kind, scaling, task, classes)
    if isinstance(last, Head) and last.activation is keras.activations.linear:
        shape = (1, *network.output.shape[1:])
        one = keras.layers.Reshape(shape, dtype=last.dtype_policy, name="member")
        kind = MEMBER_KINDS.get(last.task, "values")
        return _End(last, one(network.output), kind, None, last.task, last.classes)
    raise ValueError(
        f"{_PURPOSE} models that end in a `layers.Head` without an activation or in a "
        f"`layers.MemberMean`, as `models.mlp` gives them with a `task`. "
        f"Received: {network!r}."
    )


def _input_like(tensor: Tensor) -> Tensor:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)


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
