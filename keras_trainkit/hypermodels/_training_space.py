"""Hyperparameters of training, the same for every network; optimizer and cycle."""

from typing import Any

import keras

from keras_trainkit._types import Optimizer
from keras_trainkit.callbacks import OneCycle
from keras_trainkit.hypermodels._domains import ChoiceDomain, Domain, NumberDomain
from keras_trainkit.optimizers import SGDW, AdamW

_OPTIMIZERS = {"adamw": AdamW, "sgdw": SGDW}
_SCHEDULES = ("one_cycle", "constant")
_FALL = 0.1  # as from 0.95 to 0.85 in callbacks.OneCycle


def training_domains(
    space: dict[str, Any] | None, learning_rate: float, global_clipnorm: float
) -> dict[str, Domain]:
    """Domains by name.

    Args:
        space: The caller's dict or None.
        learning_rate: Float. The peak of a cycle of AdamW to begin with.
        global_clipnorm: Float. The limit that is fixed by default.
    """
    only = {name: _only(given) for name, given in (space or {}).items()}
    if only.get("optimizer") == "sgdw":
        learning_rate = 1e-2
    elif only.get("schedule") == "constant":
        learning_rate = 1e-3
    adamw, sgdw = ("optimizer", ("adamw",)), ("optimizer", ("sgdw",))
    share = {"above": 0, "below": 1}
    return {
        "optimizer": ChoiceDomain(
            "makes the updates", [*_OPTIMIZERS], allowed=tuple(_OPTIMIZERS)
        ),
        "learning_rate": NumberDomain(
            "is the learning rate, the highest one of a cycle",
            (1e-5, 1.0),
            learning_rate,
            log=True,
            bounds={"above": 0},
        ),
        "momentum": NumberDomain(
            "is SGDW's momentum, the highest one of a cycle",
            (0.9, 0.99),
            0.9,
            when=sgdw,
            bounds={"at_least": 0, "below": 1},
        ),
        "beta_2": NumberDomain(
            "is AdamW's weight of past squares", 0.999, when=adamw, bounds=share
        ),
        "epsilon": NumberDomain(
            "is added to AdamW's root",
            1e-8,
            when=adamw,
            log=True,
            bounds={"above": 0},
        ),
        "weight_decay": NumberDomain(
            "is the share of a weight taken off",
            (1e-6, 1e-2),
            1e-2,
            log=True,
            bounds={"at_least": 0},
        ),
        "global_clipnorm": NumberDomain(
            "is the largest norm of all gradients together, 0 for none,",
            global_clipnorm,
            bounds={"at_least": 0},
        ),
        "schedule": ChoiceDomain(
            "moves the learning rate", list(_SCHEDULES), allowed=_SCHEDULES
        ),
        "warmup_fraction": NumberDomain(
            "is the share of a cycle spent rising",
            0.45,
            when=("schedule", ("one_cycle",)),
            bounds={"above": 0, "below": 0.9},
        ),
        "batch_size": NumberDomain(
            "is the number of rows per step",
            (32, 256, 2),
            32,
            whole=True,
            log=True,
            bounds={"at_least": 1},
        ),
    }


def _only(given: Any) -> Any:
    """The one value of a list of one; anything else as it is."""
    return given[0] if isinstance(given, list) and len(given) == 1 else given


def optimizer_of(values: dict[str, Any]) -> Optimizer:
    """A new optimizer; a cycle replaces its rate and momentum when `fit` starts.

    Until then a schedule with a constant rate stands in for the cycle: an optimizer
    with a number for its rate has one variable more, and would not take up the state
    that a checkpoint of the fitted one holds.
    """
    names = {"sgdw": ["momentum"], "adamw": ["beta_2", "epsilon"]}[values["optimizer"]]
    rate = values["learning_rate"]
    if values["schedule"] == "one_cycle":
        rate = keras.optimizers.schedules.ExponentialDecay(rate, 1, decay_rate=1.0)
    return _OPTIMIZERS[values["optimizer"]](
        rate,
        weight_decay=values["weight_decay"],
        global_clipnorm=values["global_clipnorm"] or None,
        **{name: values[name] for name in names},
    )


def cycle_of(values: dict[str, Any]) -> OneCycle | None:
    """The callback that a trial needs, None for a constant rate."""
    if values["schedule"] == "constant":
        return None
    momentum = {}
    if values["optimizer"] == "sgdw":
        momentum["max_momentum"] = values["momentum"]
        momentum["min_momentum"] = max(values["momentum"] - _FALL, 0.0)
    return OneCycle(
        values["learning_rate"], warmup_fraction=values["warmup_fraction"], **momentum
    )
