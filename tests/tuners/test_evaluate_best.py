"""The best trial on rows that the search has not seen, and how chance is told apart."""

import contextlib
import itertools
import re
import warnings

import keras
import keras_tuner
import numpy as np
import pytest

from keras_trainkit import tuners


class Fixed(keras_tuner.HyperModel):
    """Predicts `guess` everywhere, so that scores can be computed by hand."""

    guesses = (0.0, 0.5)

    def build(self, hp):
        guess = hp.Choice("guess", list(self.guesses))
        inputs = keras.Input((1,))
        outputs = keras.layers.Dense(
            1,
            kernel_initializer="zeros",
            bias_initializer=keras.initializers.Constant(guess),
        )(inputs)
        model = keras.Model(inputs, outputs)
        model.compile("sgd", "mean_absolute_error")
        return model

    def fit(self, hp, model, *args, **kwargs):
        model.optimizer.learning_rate = 0.0
        return model.fit(*args, **kwargs)


def searched(tmp_path, answers, *, hypermodel=None, **options):
    """A finished search that was validated with these answers."""
    x = np.zeros((len(answers), 1))
    hypermodel = hypermodel or Fixed()
    tuner = tuners.GridSearch(hypermodel, max_trials=5, directory=tmp_path, **options)
    tuner.search(x, answers, validation_data=(x, answers), verbose=0)
    return tuner


@contextlib.contextmanager
def warned(match):
    """Unlike `pytest.warns` it leaves alone what pyproject.toml ignores."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", UserWarning)
        yield
    assert any(re.search(match, str(warning.message)) for warning in seen)


@pytest.fixture(scope="module")
def noise():
    """Answers around 0.5, and a mean absolute error of 0.1."""
    return 0.5 + np.tile([-0.08, 0.12, -0.12, 0.08], 10)


@pytest.fixture(scope="module")
def tuner(tmp_path_factory, noise):
    """A finished search that was validated with `noise`; tests only read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return searched(tmp_path_factory.mktemp("search"), noise)


def test_the_metrics_are_those_of_the_test_rows(tuner):
    metrics = tuner.evaluate_best(np.zeros((2, 1)), np.array([1.5, 0.0]))
    assert metrics == pytest.approx({"loss": 0.75})  # of 1 and of 0.5


def test_a_worse_score_than_chance_allows_is_warned_of(tuner, noise):
    with warned("was 0.1 there and is 0.5 .* worse by 0.4,"):
        tuner.evaluate_best(np.zeros((40, 1)), noise + 0.5)


@pytest.mark.slow
def test_a_score_within_two_standard_errors_is_not(tuner):
    # Errors of 0 and 0.3 in turn: parts of four rows with means of 0.1 and 0.2 have
    # a standard error of 0.0167, so 0.12 of 0.1 is within two of them, 0.15 is not.
    rows = np.arange(40)
    answers = 0.5 + np.where(rows % 10 < 2, 0.2, 0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = tuner.evaluate_best(np.zeros((40, 1)), answers)
    assert metrics["loss"] == pytest.approx(0.12)
    answers = 0.5 + np.where(rows % 10 < 5, 0.2, 0.1)
    with warned("worse by 0.05, where its spread is 0.033"):
        tuner.evaluate_best(np.zeros((40, 1)), answers)


@pytest.mark.slow
def test_the_spread_of_executions_goes_before(tmp_path):
    class Shaking(Fixed):
        scores = itertools.cycle([0.1, 0.5])

        def fit(self, hp, model, *args, **kwargs):
            super().fit(hp, model, *args, **kwargs)
            return {"val_loss": next(self.scores)}

    tuner = searched(
        tmp_path, np.zeros(2), hypermodel=Shaking(), executions_per_trial=2
    )
    x, guess = np.zeros((20, 1)), tuner.get_best_hyperparameters()[0].get("guess")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics = tuner.evaluate_best(x, np.full(20, guess + 0.5))
    assert metrics["loss"] == pytest.approx(0.5)  # 0.2 behind 0.3, the spread is 0.28
    with warned("worse by 0.3, where its spread is 0.28"):
        tuner.evaluate_best(x, np.full(20, guess + 0.6))


def test_a_search_without_a_completed_trial_is_refused(tmp_path):
    tuner = tuners.GridSearch(Fixed(), directory=tmp_path)
    for model in (None, keras.Sequential()):
        with pytest.raises(ValueError, match="`evaluate_best`.*completed one"):
            tuner.evaluate_best(np.zeros((2, 1)), np.zeros(2), model=model)


def test_parts_of_the_rows_are_evaluated_as_all_of_them(tuner, monkeypatch):
    seen = []

    def evaluate(self, x, y, sample_weight=None, **kwargs):
        seen.append((list(y), list(sample_weight), kwargs.pop("verbose"), kwargs))
        return {"loss": 0.5 + len(seen) % 2}

    monkeypatch.setattr(keras.Model, "evaluate", evaluate)
    y, weights = np.arange(20.0), np.arange(20.0) + 40
    arguments = {"sample_weight": weights, "batch_size": 7, "verbose": 2}
    with warned("there and is 1.5"):
        tuner.evaluate_best(np.zeros((20, 1)), y, **arguments)
    whole, *parts = seen
    assert whole[:3] == (list(y), list(weights), 2) and len(parts) == 10
    assert sorted(sum((part[0] for part in parts), [])) == list(y)
    for labels, cut, verbose, others in parts:
        assert cut == [label + 40 for label in labels] and verbose == 0
        assert others == {"batch_size": 7, "return_dict": True}


def test_better_on_test_rows_is_no_reason_to_warn(tuner):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tuner.evaluate_best(np.zeros((40, 1)), np.full(40, 0.5))["loss"] == 0


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_higher_may_be_better(tmp_path):
    class Lucky(Fixed):
        def build(self, hp):
            model = super().build(hp)
            model.compile(
                "sgd",
                "mse",
                metrics=[keras.metrics.BinaryAccuracy("right", threshold=0.4)],
            )
            return model

    labels = np.tile([1.0, 1.0, 1.0, 0.0], 10)
    tuner = searched(
        tmp_path,
        labels,
        hypermodel=Lucky(),
        objective=keras_tuner.Objective("val_right", "max"),
    )
    with warned("was 0.75 there and is 0.25"):
        tuner.evaluate_best(np.zeros((40, 1)), 1 - labels)


@pytest.mark.usefixtures("eagerly")
def test_what_encodes_training_rows_encodes_test_rows(tmp_path, noise):
    class Encoding(Fixed):
        seen = ()

        def encode(self, x):
            self.seen = (*self.seen, len(x))
            return x

    tuner = searched(tmp_path, noise, hypermodel=Encoding())
    tuner.evaluate_best(np.zeros((7, 1)), np.full(7, 0.5))
    assert tuner.hypermodel.seen == (7,)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_after_folds_the_model_trained_on_all_rows_is_asked_for(tmp_path, noise):
    x = np.zeros((40, 1))
    tuner = tuners.GridSearch(
        Fixed(), max_trials=5, folds=2, directory=tmp_path, seed=0
    )
    tuner.search(x, noise, verbose=0)
    with pytest.raises(ValueError, match="trained on all rows.*model=None"):
        tuner.evaluate_best(x, noise)
    model = tuner.refit_best()
    assert tuner.evaluate_best(x, noise, model=model)["loss"] == pytest.approx(0.1)
