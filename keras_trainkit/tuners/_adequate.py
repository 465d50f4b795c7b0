"""When more trials bring little."""

import math

from optuna.trial import TrialState


def is_adequate(slots, direction, min_improvement, patience) -> bool:
    """Whether `patience` places in a row brought no more than `min_improvement`.

    Counted along the places that are done; small improvements add up, as they do in
    `callbacks.EarlyStopping`.
    """
    sign = -1 if direction == "max" else 1
    reference, waited = math.inf, 0
    for slot in slots:
        if not slot.trial.state.is_finished():
            return False  # what comes after it is not decided yet
        value = math.inf
        if slot.trial.state == TrialState.COMPLETE:
            value = sign * slot.trial.value
        if reference - value > min_improvement:
            reference, waited = value, 0
        elif math.isfinite(reference):
            waited += 1
        if waited >= patience:
            return True
    return False
