"""The trainings of one trial: every fold, every execution."""

import inspect
import math
import statistics

import keras
import keras_tuner
import optuna

from keras_trainkit._tensorflow.custom_gradients import release_graphs
from keras_trainkit.tuners._cross_validation import folded
from keras_trainkit.tuners._files import save_weights
from keras_trainkit.tuners._score import Score, as_floats, as_floats_once, scores_of
from keras_trainkit.tuners._seeds import derive


class Training:
    """What one trial does, and what it leaves.

    Args:
        tuner: The tuner.
        trial: KerasTuner's trial.
        index: Int, the trial's index in the search.
        attempt: Int, how many attempts at this trial failed before.
        judge: Function of epochs and best value, or None; see `Recorder`.
        report: Function of a fold and its value that says whether to go on, or None.
        settle: Function to be called when the first model is built, or None.
        curve: Function of epochs and the objective, for the first training; see
            `Recorder`. Or None.
        weights: Path for the best weights, or None.
    """

    def __init__(
        self,
        tuner,
        trial,
        index,
        *,
        attempt=0,
        judge=None,
        report=None,
        settle=None,
        curve=None,
        weights=None,
    ):
        self.tuner = tuner
        self.trial = trial
        self.index = index
        self.attempt = attempt
        self.histories: list[dict] = []
        self.build_config = None
        self.model: keras.Model | None = None
        self.stopped: tuple[int, float] | None = None
        self._judge = judge
        self._report = report
        self._settle = settle
        self._curve = curve
        self._weights = weights
        self._best = math.nan

    @property
    def epochs(self):
        """Epochs of all trainings so far."""
        return sum(len(next(iter(h.values()), ())) for h in self.histories)

    def run(self, args, kwargs) -> list[Score]:
        """All trainings; raises TrialPruned where one was stopped."""
        kwargs = dict(kwargs)
        callbacks = kwargs.pop("callbacks", None) or []
        folds = self.tuner.folds
        if folds == 1:
            return self._executions(0, args, kwargs, callbacks)
        scores = []
        cut = folded(args, kwargs, folds, derive(self.tuner.seed, "folds"))
        for fold, (fold_args, fold_kwargs) in enumerate(cut):
            self.tuner._prepare(fold_args, fold_kwargs)
            found = self._executions(fold, fold_args, fold_kwargs, callbacks)
            scores.extend(found)
            mean = statistics.fmean(score.value for score in found)
            if self._report is not None and not self._report(fold, mean):
                raise optuna.TrialPruned
        return scores

    def seed(self, fold, execution):
        """The seed of one training: a function of the search's seed and its index."""
        parts = [self.tuner.seed, self.index, execution]
        # Left out where they are 0, so that a plain search keeps its numbers.
        parts += [name for name in (fold, self.attempt) if fold or self.attempt]
        return derive(*parts)

    def _executions(self, fold, args, kwargs, callbacks):
        return [
            self.train(fold, execution, args, kwargs, callbacks)
            for execution in range(self.tuner.executions_per_trial)
        ]

    def train(self, fold, execution, args, kwargs, callbacks, *, scored=True):
        """One training; without a score the weights of the last epoch are kept."""
        tuner, trial = self.tuner, self.trial
        keras.utils.set_random_seed(self.seed(fold, execution))
        release_graphs()
        model = tuner._try_build(trial.hyperparameters)
        if self._settle is not None:
            self._settle()
        needs_config = not model.built
        first = fold == execution == 0
        watching = (self._judge, self._curve) if first else ()
        recorder = Recorder(tuner, trial, tuner.oracle.objective, *watching)
        number = fold * tuner.executions_per_trial + execution
        watched = tuner._callbacks_of(callbacks, trial, number)
        watched += [recorder, *_batch_hooks(tuner, trial)]
        try:
            result = tuner.hypermodel.fit(
                trial.hyperparameters,
                model,
                *args,
                callbacks=watched,
                **_quiet(tuner.hypermodel.fit, kwargs),
            )
        except Stopped:
            result = None
        finally:
            self.histories.append(recorder.history)
        if recorder.stopped:
            if recorder.best is not None:
                self.stopped = (recorder.epochs, recorder.best)
            raise optuna.TrialPruned
        if not scored:
            self.model = model
            return None
        score = _one(scores_of(result, tuner.oracle.objective))
        if isinstance(result, keras.callbacks.History):
            self.histories[-1] = as_floats(result.history)
        if needs_config and model.built:
            self.build_config = model.get_build_config()
        self._keep(model, recorder, score)
        return score

    def _keep(self, model, recorder, score):
        better = math.isnan(self._best) or self.tuner.oracle.objective.better_than(
            score.value, self._best
        )
        if not better:
            return
        self._best = score.value
        if recorder.best_weights is not None and model.built:
            model.set_weights(recorder.best_weights)
        self.model = model
        if self._weights is not None and model.built and model.weights:
            save_weights(model, self._weights)


def _one(scores):
    if len(scores) == 1:
        return scores[0]
    names = set.intersection(*(set(score.metrics) for score in scores))
    mean = {n: statistics.fmean(s.metrics[n] for s in scores) for n in sorted(names)}
    return Score(statistics.fmean(score.value for score in scores), mean)


def _batch_hooks(tuner, trial):
    base = keras_tuner.Tuner
    changed = any(
        getattr(type(tuner), name) is not getattr(base, name)
        for name in ("on_batch_begin", "on_batch_end")
    )
    return [BatchHooks(tuner, trial)] if changed else []


def _quiet(fit, kwargs):
    """`verbose=0` for a `fit` that takes it; 2 prints a line per epoch."""
    shown = 2 if kwargs.get("verbose") == 2 else 0
    parameters = inspect.signature(fit).parameters.values()
    takes = any(p.kind is p.VAR_KEYWORD or p.name == "verbose" for p in parameters)
    return {**kwargs, "verbose": shown} if takes else kwargs


class Stopped(Exception):
    """A training that was told to stop went on."""


class Recorder(keras.callbacks.Callback):
    """Keeps every epoch's logs and the best weights, and stops at a rung.

    Args:
        tuner: Tuner whose epoch hooks are called.
        trial: KerasTuner's trial, passed to the hooks.
        objective: KerasTuner's objective.
        judge: Function of the number of epochs done and the best value so far that
            says whether to go on. None never stops.
        curve: Function of the number of epochs done and the objective, called after
            each but the one that ends with a stop. None for none.
    """

    def __init__(self, tuner, trial, objective, judge=None, curve=None):
        super().__init__()
        self._tuner = tuner
        self._trial = trial
        self._objective = objective
        self._judge = judge
        self._curve = curve
        self.history: dict[str, list[float]] = {}
        self.epochs = 0
        self.best: float | None = None
        self.best_weights: list | None = None
        self.stopped = False

    def on_epoch_begin(self, epoch, logs=None):
        """KerasTuner's hook."""
        self._tuner.on_epoch_begin(self._trial, self.model, epoch, logs=logs)

    def on_epoch_end(self, epoch, logs=None):
        """Records, keeps the weights, judges."""
        if self.stopped:
            raise Stopped
        self._tuner.on_epoch_end(self._trial, self.model, epoch, logs=logs)
        logs = as_floats_once(logs or {})
        self.epochs += 1
        for name, values in logs.items():
            self.history.setdefault(name, []).extend(values)
        value = self._value({name: values[0] for name, values in logs.items()})
        self._keep_if_best(value)
        if self._judge is not None and not self._judge(self.epochs, self.best):
            self.stopped = True
            self.model.stop_training = True
        elif self._curve is not None and value is not None:
            self._curve(self.epochs, value)

    def _value(self, logs):
        if not self._objective.has_value(logs):
            return None
        return float(self._objective.get_value(logs))

    def _keep_if_best(self, value):
        if value is None:
            self.best_weights = None  # computed after training, by the last weights
            return
        if not math.isfinite(value):
            return
        if self.best is None or self._objective.better_than(value, self.best):
            self.best = value
            self.best_weights = _weights(self.model)


def _weights(model):
    return model.get_weights() if isinstance(model, keras.Model) else None


class BatchHooks(keras.callbacks.Callback):
    """KerasTuner's hooks around batches, for tuners that override them."""

    def __init__(self, tuner, trial):
        super().__init__()
        self._tuner = tuner
        self._trial = trial

    def on_batch_begin(self, batch, logs=None):
        """KerasTuner's hook."""
        self._tuner.on_batch_begin(self._trial, self.model, batch, logs)

    def on_batch_end(self, batch, logs=None):
        """KerasTuner's hook."""
        self._tuner.on_batch_end(self._trial, self.model, batch, logs)
