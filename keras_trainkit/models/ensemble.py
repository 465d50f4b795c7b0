import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_trainkit._types import Tensor
from keras_trainkit.layers import MemberMean
from keras_trainkit.models._arguments import check_model_name
from keras_trainkit.models._ends import End, end_of
from keras_trainkit.models.member_model import MemberModel
from keras_trainkit.models.task_model import TaskModel

PURPOSE = "`networks` are the models whose predictions are averaged and must be"


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


def _shares_of(ends: Sequence[End], weights: list[float] | None) -> list[float] | None:
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


def _checked_ends(networks: Any) -> list[End]:
    found = networks if isinstance(networks, list | tuple) else []
    ends = [end_of(network, PURPOSE) for network in found]
    if not ends:
        raise ValueError(f"{PURPOSE} at least one, in a list. Received: {networks!r}.")
    first = ends[0].interface(found[0])
    for network, end in zip(found, ends, strict=True):
        for part, value in end.interface(network).items():
            if value != first[part]:
                raise ValueError(
                    f"{PURPOSE} alike but in their weights and members. Received: "
                    f"{part} {first[part]!r} of {found[0].name}, {value!r} of "
                    f"{network.name}."
                )
    _refuse_shared(found, ends)
    return ends


def _refuse_shared(networks: Sequence[TaskModel], ends: Sequence[End]) -> None:
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
                    f"{PURPOSE} without a layer in common (build each with layers of "
                    f"its own). Received: {variable.path} in {owner.name} and "
                    f"{network.name}."
                )


def _input_like(tensor: Tensor) -> Tensor:
    return keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype, name=tensor.name)
