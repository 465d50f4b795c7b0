"""What a search found: the part of a tuner's interface that reads."""

import warnings

import keras_tuner

from keras_trainkit.tuners._frame import trials_frame
from keras_trainkit.tuners._refit import refit
from keras_trainkit.tuners._robust import ranked_by_neighbours
from keras_trainkit.tuners._slots import RESULT
from keras_trainkit.tuners._summary import print_others
from keras_trainkit.tuners._test_gap import warn_of_gap
from keras_trainkit.tuners._views import as_trial, ranked, trial_name


class SearchResults(keras_tuner.Tuner):
    """Reads the study of `StudyTuner`, which is the subclass that makes it."""

    def trials_frame(self):
        """A pandas DataFrame with a row per trial.

        Columns: `state` (COMPLETE, PRUNED for stopped, FAIL), `score`, `spread` (the
        standard deviation over folds and executions), `best_epoch`, `epochs`,
        `seconds`, `attempts`, `reason`, and `hp:` with each hyperparameter's name.
        """
        return trials_frame(self._store.slots())

    def histories(self, trial_id) -> list[dict[str, list[float]]]:
        """Every epoch's logs of a trial, a dict for each of its trainings.

        Folds come one after the other, within each its executions. Trials that were
        stopped or failed have what they came to.

        Args:
            trial_id: String, as in `trials_frame`.
        """
        found = self._result_of(trial_id)
        if found is not None:
            return found.get("history", [])
        raise ValueError(
            "`trial_id` names a trial of the search and must be in the index of "
            f"`trials_frame()`. Received: trial_id={trial_id!r}."
        )

    def _result_of(self, trial_id):
        for slot in self._store.slots():
            if trial_name(slot.place) == trial_id:
                return slot.trial.user_attrs.get(RESULT, {})
        return None

    def refit_best(self, *fit_args, **fit_kwargs):
        """Trains the best trial again, with its own seed, and returns the model.

        With the data of the search the model, at its best epoch, has the score that is
        recorded (of the best execution; to the last bit on a CPU). After a search with
        `folds` it is trained on all rows given: leave out callbacks that watch
        validation rows.

        Args:
            *fit_args: As for `search`; those of the last `search` if left out.
            **fit_kwargs: Likewise.
        """
        if not fit_args and not fit_kwargs:
            if self._last_search is None:
                raise ValueError(
                    "`refit_best` trains on the data of the last `search` of this "
                    "object, or on what it is given. Received: neither."
                )
            fit_args, fit_kwargs = self._last_search
        return refit(self, fit_args, fit_kwargs)

    def evaluate_best(self, x, y=None, *, model=None, **kwargs):
        """Evaluates the best model on test rows, which the search must not have seen.

        The best of many trials is good on the validation rows partly by chance. Where
        its score there is better than here by more than its spread, a warning says so.
        The spread is that of the trial's executions and folds; of a trial with one
        training, two standard errors of the score here, from ten parts of the rows
        (20 at least; for a data set and for fewer rows there is no warning).

        Args:
            x: As in `Model.evaluate`; taken through `hypermodel.encode` if there is
                such a method.
            y: Likewise.
            model: `keras.Model` to evaluate in place of the one that the search kept;
                needed after a search with `folds`, from `refit_best`.
            **kwargs: Passed on to `Model.evaluate`.

        Returns:
            Dict of metrics.
        """
        if self.folds > 1 and model is None:
            raise ValueError(
                "`model` is the best configuration trained on all rows and must be "
                "given after a search with folds: tuner.refit_best(x, y). "
                "Received: model=None."
            )
        if model is None:
            model = self.get_best_models()[0]
        encode = getattr(self.hypermodel, "encode", lambda x: x)

        def evaluate(x, y, **kwargs):
            kwargs = {"verbose": 0, **kwargs, "return_dict": True}
            return model.evaluate(encode(x), y, **kwargs)

        metrics = evaluate(x, y, **kwargs)
        best = ranked(self._store.slots(), self.oracle.objective.direction)[0]
        warn_of_gap(best.trial, metrics, evaluate, (x, y), self.oracle.objective)
        return metrics

    def get_best_hyperparameters(self, num_trials=1, *, robust=False):
        """Configurations from the best on.

        Args:
            num_trials: Int. How many.
            robust: Bool. Rank by the mean score of the five nearest trials in place of
                a trial's own.
        """
        if not robust:
            return super().get_best_hyperparameters(num_trials)
        space, objective = self.oracle.get_space(), self.oracle.objective
        best = ranked_by_neighbours(self._store.slots(), space, objective.direction)
        found = [as_trial(slot, space, objective) for slot in best[:num_trials]]
        return [trial.hyperparameters for trial in found]

    def results_summary(self, num_trials=10):
        """Prints the best trials, then how many were stopped or failed."""
        super().results_summary(num_trials)
        print_others(self._store.slots())

    def load_model(self, trial):
        """The model of a trial at its best epoch; see KerasTuner."""
        path = self._weights_path(trial.trial_id)
        if not path.exists():
            raise ValueError(
                f"The weights of trial {trial.trial_id} are in the directory of the "
                f"machine that ran it and must be at {path}. Received: no such file."
            )
        model = self._try_build(trial.hyperparameters)
        if not model.built:
            result = self._result_of(trial.trial_id)
            model.build_from_config(result["build_config"])
        with warnings.catch_warnings():
            # The new model's optimizer has no slots yet to put the saved ones into.
            message = "Skipping variable loading for optimizer"
            warnings.filterwarnings("ignore", message, UserWarning)
            model.load_weights(path)
        return model
