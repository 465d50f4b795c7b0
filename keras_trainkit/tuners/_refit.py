"""The best trial, trained once more."""

from keras_trainkit.tuners._slots import RESULT
from keras_trainkit.tuners._training import Training
from keras_trainkit.tuners._views import as_trial, ranked


def refit(tuner, args, kwargs):
    """The model of the best trial's best training, with the same seed."""
    best = ranked(tuner._store.slots(), tuner.oracle.objective.direction)
    if not best:
        raise ValueError(
            "`refit_best` trains the best trial again, so the search must have "
            "completed one. Received: a search with none."
        )
    trial = as_trial(best[0], tuner.oracle.get_space(), tuner.oracle.objective)
    result = best[0].trial.user_attrs[RESULT]
    training = Training(tuner, trial, best[0].place, attempt=result["attempt"])
    kwargs = tuner._fit_kwargs(dict(kwargs))
    callbacks = kwargs.pop("callbacks", None) or []
    tuner._prepare(args, kwargs)
    execution = 0 if tuner.folds > 1 else _best_execution(result["scores"], tuner)
    training.train(0, execution, args, kwargs, callbacks, scored=tuner.folds == 1)
    return training.model


def _best_execution(scores, tuner):
    pick = max if tuner.oracle.objective.direction == "max" else min
    return scores.index(pick(scores))
