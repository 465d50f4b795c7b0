"""A trial in a process of its own."""

from optuna.trial import TrialState

from keras_trainkit.tuners._processes import died_how, error_of, start
from keras_trainkit.tuners._running import run_claimed


def run_isolated(tuner, claim, args, kwargs):
    """Runs the trial in a child, which gives all its memory back when it ends."""
    attempts = 1 + tuner.oracle.max_retries_per_trial
    for attempt in range(attempts):
        reason = _run(tuner, claim, args, kwargs)
        if tuner._store.storage.get_trial(claim.key).state != TrialState.RUNNING:
            return
        if attempt == attempts - 1:
            tuner._store.fail(claim.key, reason)


def _run(tuner, claim, args, kwargs):
    process, receiver = start(run_claimed, tuner, claim, args, kwargs)
    try:
        process.join(tuner.trial_timeout)
        if process.is_alive():
            return f"It took longer than trial_timeout={tuner.trial_timeout} seconds."
        error = error_of(receiver)
        if error is not None:
            raise error
        return died_how(process)
    finally:
        process.kill()
        process.join()
        process.close()
        receiver.close()
