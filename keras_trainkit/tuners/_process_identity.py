"""The process that runs a trial, as the study knows it."""

from typing import Any

from optuna.trial import FrozenTrial, TrialState

from keras_trainkit._process import is_dead, is_on_this_host, this_process
from keras_trainkit.tuners._seeds import derive

# Attributes of a trial: the process that runs it, and those that were about to take it.
OWNER = "owner"
CANDIDATE = "candidate:"


def candidate() -> tuple[str, dict[str, Any]]:
    """Attribute with which this process says that it is about to take a trial.

    Without it a process that is killed between taking a trial and writing its name
    would leave a trial that nobody can tell to be dead.
    """
    identity = this_process()
    return f"{CANDIDATE}{derive(identity)}", identity


def is_orphan(trial: FrozenTrial) -> bool:
    """True if the process that runs this trial is certainly gone.

    False for a process on another host, of which only its heartbeat tells, and for a
    process that was stopped and may continue.
    """
    attrs = trial.user_attrs
    if OWNER in attrs:
        return is_dead(attrs[OWNER])
    candidates = _candidates(trial)
    return bool(candidates) and all(map(is_dead, candidates))


def is_claimed(trial: FrozenTrial) -> bool:
    """True if a process of the kit runs this trial, or is about to.

    False for a trial of `study.ask()`, which may never end.
    """
    if trial.state != TrialState.RUNNING:
        return False
    return OWNER in trial.user_attrs or bool(_candidates(trial))


def is_alive_here(trial: FrozenTrial) -> bool:
    """True if a living process of this host runs this trial."""
    owner = trial.user_attrs.get(OWNER)
    return owner is not None and is_on_this_host(owner) and not is_dead(owner)


def _candidates(trial: FrozenTrial) -> list[dict[str, Any]]:
    attrs = trial.user_attrs
    return [attrs[name] for name in attrs if name.startswith(CANDIDATE)]
