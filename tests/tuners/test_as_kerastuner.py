"""What a script written for KerasTuner finds here as it was there."""

import inspect

import keras
import keras_tuner
import pytest
from searching import searcher, table

from keras_trainkit import hypermodels, tuners

PAIRS = {
    tuners.RandomSearch: keras_tuner.RandomSearch,
    tuners.GridSearch: keras_tuner.GridSearch,
    tuners.BayesianOptimization: keras_tuner.BayesianOptimization,
    tuners.Hyperband: keras_tuner.Hyperband,
}
PLAIN = inspect.Parameter.POSITIONAL_OR_KEYWORD


def names(cls):
    parameters = inspect.signature(cls).parameters.values()
    return [p.name for p in parameters if p.kind is PLAIN]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS.items())
def test_arguments_without_names_stand_in_the_same_order(ours, theirs):
    assert names(ours) == names(theirs)


@pytest.mark.parametrize("cls", [*PAIRS, tuners.CoarseToFine])
def test_signatures_name_every_argument_and_errors_name_the_class(cls, tmp_path):
    kinds = {p.kind for p in inspect.signature(cls).parameters.values()}
    assert kinds == {PLAIN, inspect.Parameter.KEYWORD_ONLY}
    with pytest.raises(TypeError, match=f"^{cls.__name__}.__init__"):
        cls(*range(20))
    with pytest.raises(TypeError, match=f"^{cls.__name__}.__init__.*'max_trial'"):
        cls(max_trial=3)


def test_arguments_reach_the_tuner(tmp_path):
    given = keras_tuner.HyperParameters()
    given.Float("x", 0, 1)
    tuner = searcher(tuners.RandomSearch, lambda hp: hp.get("x"))(
        None, "val_acc", 3, 70, given, False, True, 2, 5, directory=tmp_path
    )
    oracle = tuner.oracle
    assert (oracle.objective.name, oracle.max_trials, tuner.seed) == ("val_acc", 3, 70)
    assert (oracle.tune_new_entries, oracle.allow_new_entries) == (False, True)
    assert oracle.max_retries_per_trial == 2
    assert oracle.max_consecutive_failed_trials == 5
    assert tuner.directory == tmp_path


def test_entries_of_the_tuner_are_there_before_they_are_asked_for(tmp_path):
    given = keras_tuner.HyperParameters()
    given.Int("units", 3, 90)
    with given.conditional_scope("units", [1]):
        given.Int("never", 1, 9)
    seen = []

    def objective(hp):
        assert "units" in hp and "never" not in hp and "other" not in hp
        assert hp["units"] == hp.get("units") == hp.values["units"]
        seen.append(hp.get("units"))
        return float(hp.Int("units", 1, 2))

    tuner = searcher(tuners.RandomSearch, objective)(
        max_trials=3, hyperparameters=given, seed=1, directory=tmp_path
    )
    tuner.search(verbose=0)
    assert [score for _, _, _, score in table(tuner)] == seen
    assert all(3 <= units <= 90 for units in seen)


class Declares(keras_tuner.HyperModel):
    """Declares what it only looks up later."""

    def declare_hyperparameters(self, hp):
        hp.Int("units", 3, 5)

    def build(self, hp):
        inputs = keras.Input((2,))
        model = keras.Model(inputs, keras.layers.Dense(hp.get("units"))(inputs))
        model.compile("sgd", "mse")
        return model

    def fit(self, hp, model, *args, **kwargs):
        return float(hp.get("units") + hp.Float("more", 0, 1))


def test_declared_entries_are_there_as_well(tmp_path):
    tuner = tuners.RandomSearch(Declares(), max_trials=2, seed=1, directory=tmp_path)
    assert {hp.name for hp in tuner.oracle.get_space().space} == {"units"}
    tuner.search(verbose=0)
    assert [status for _, status, _, _ in table(tuner)] == ["COMPLETED", "COMPLETED"]


def test_the_space_is_known_before_the_search_and_builds_after_it(tmp_path, capsys):
    hypermodel = Declares()
    tuner = tuners.RandomSearch(hypermodel, max_trials=2, seed=1, directory=tmp_path)
    tuner.search_space_summary()
    assert "units (Int)" in capsys.readouterr().out
    assert tuner.oracle.get_space().values == {"units": 3}
    tuner.search(verbose=0)
    space = tuner.oracle.get_space()
    assert space.values == {"units": 3, "more": 0.0}
    assert hypermodel.build(space).output_shape == (None, 3)
    reopened = tuners.RandomSearch(hypermodel, max_trials=2, directory=tmp_path)
    assert reopened.oracle.get_space().values == space.values


def test_every_branch_of_the_space_is_known_before_the_search(tmp_path):
    def build(hp):
        kind = hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["b"]):
            if kind == "b":
                hp.Int("units", 2, 4)
        return keras.Sequential()

    tuner = tuners.RandomSearch(build, directory=tmp_path)
    assert [hp.name for hp in tuner.oracle.get_space().space] == ["kind", "units"]


def test_what_prepare_is_still_to_learn_is_no_hindrance(tmp_path):
    hypermodel = hypermodels.HyperMLP(
        None, 2, prepare=lambda x, y: {"input_shape": (2,)}, space={"layers": 1}
    )
    tuner = tuners.RandomSearch(hypermodel, directory=tmp_path)
    assert "learning_rate" in tuner.oracle.get_space().values


def test_definitions_of_the_caller_stay_as_they_are(tmp_path):
    given = keras_tuner.HyperParameters()
    given.Int("units", 3, 5)
    tuners.RandomSearch(
        lambda hp: hp.Float("more", 0, 1) and keras.Sequential(),
        hyperparameters=given,
        directory=tmp_path,
    )
    assert [hp.name for hp in given.space] == ["units"]


def test_a_result_given_by_the_oracle_counts_with_a_warning(tmp_path):
    class Reports(tuners.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            value = trial.hyperparameters.Float("x", 0, 1)
            self.oracle.update_trial(trial.trial_id, {"val_loss": value})

    tuner = Reports(max_trials=1, seed=1, directory=tmp_path)
    with pytest.warns(DeprecationWarning, match="Please remove the call"):
        tuner.search(verbose=0)
    ((_, _, values, score),) = table(tuner)
    assert score == values["x"]
    assert tuner.oracle.start_order == tuner.oracle.end_order == ["0000"]


def test_another_method_does_not_pass_off_the_trials_as_its_own(tmp_path):
    searcher(tuners.RandomSearch)(seed=1, directory=tmp_path)
    with pytest.raises(ValueError, match="begun as, with method='RandomSearch'"):
        searcher(tuners.BayesianOptimization)(seed=1, directory=tmp_path)
