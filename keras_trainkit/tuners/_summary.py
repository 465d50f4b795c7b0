"""What `results_summary` says beyond the best trials."""

from optuna.trial import TrialState

from keras_trainkit.tuners._slots import REASON, finished


def print_others(slots):
    """Prints how many trials were stopped or failed, and why the first one did."""
    states = [slot.trial.state for slot in finished(slots)]
    stopped, failed = states.count(TrialState.PRUNED), states.count(TrialState.FAIL)
    if stopped:
        print(f"\n{stopped} trials were stopped before their end")
    if failed:
        print(f"\n{failed} trials failed, the first with {first_reason(slots)}")


def first_reason(slots) -> str:
    """Why the first failed trial failed."""
    reasons = (slot.trial.user_attrs.get(REASON) for slot in finished(slots))
    return next((reason for reason in reasons if reason), "no reason")
