"""Variables of a training by name and shape."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_trainkit._types import Model

GROUPS = ("model", "optimizer", "metrics")


def take(model: Model) -> dict[str, list]:
    """`[name, shape, dtype, tensor]` of each variable, in three groups.

    The tensors are for use at once: the next step may hand their buffers on.
    """
    return {
        group: [[v.path, list(v.shape), str(v.dtype), _tensor(v)] for v in variables]
        for group, variables in _groups(model).items()
    }


def put_back(model: Model, state: dict[str, list], groups: Sequence[str]) -> None:
    """Assigns what `take` has returned, if the variables are the same.

    Raises:
        ValueError: They are not; names the first that differs.
    """
    found = _groups(model)
    pairs = []
    for group in groups:
        pairs += _pairs(group, found[group], state[group])
    for variable, value in pairs:
        variable.assign(value)


def refuse(what: str, saved: Any, here: Any) -> None:
    """Refuses a state that is of another training."""
    raise ValueError(
        "`directory` holds the state of a training, and it must be this one, of the "
        f"same model; use another directory for another. Received: {what} is {saved} "
        f"in the state, and {here} here."
    )


def _groups(model: Model) -> dict[str, list]:
    groups = (model.variables, model.optimizer.variables, model.metrics_variables)
    return dict(zip(GROUPS, map(list, groups), strict=True))


def _pairs(group: str, variables: list, saved: list) -> list[tuple]:
    """Each variable with its value, if all are the same in the same order."""
    for number in range(max(len(variables), len(saved))):
        here = there = "missing"
        if number < len(variables):
            variable = variables[number]
            here = _described(variable.path, variable.shape, str(variable.dtype))
        if number < len(saved):
            name, shape, dtype, value = saved[number]
            there = _described(name, shape, dtype)
            if tuple(np.shape(value)) != tuple(shape):
                there = f"{there} with an array {np.shape(value)}"
        if here != there:
            refuse(f"variable {number} of the {group}", there, here)
    return [(v, entry[3]) for v, entry in zip(variables, saved, strict=True)]


def _described(name: Any, shape: Any, dtype: Any) -> str:
    return f"{_without_counters(str(name))} {tuple(shape)} {dtype}"


def _without_counters(name: str) -> str:
    """`dense_3/kernel` is `dense/kernel` in a process that makes fewer layers."""
    return re.sub(r"_\d+(?=[_/]|$)", "", name)


def _tensor(variable: Any) -> Any:
    """As a tensor a metric of `tf.distribute` is the sum over its replicas."""
    return ops.convert_to_tensor(variable)
