import keras
import keras_tuner
import pytest
from keras_tuner.errors import FatalValueError
from optuna.trial import TrialState
from searching import Curves

from keras_trainkit import schedules, tuners
from keras_trainkit.tuners.hyperband import _brackets, _is_among_best, _rungs_of


def test_brackets_of_27_epochs_as_in_the_docstring():
    assert _brackets(27, 3) == [
        (27, [1, 3, 9]),
        (12, [3, 9]),
        (6, [9]),
        (4, []),
    ]


@pytest.mark.parametrize("epochs", [1, 10, 50])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_first_rounds_have_the_trials_of_kerastuner(epochs, factor):
    stock = keras_tuner.oracles.HyperbandOracle("loss", epochs, factor)
    sizes = [size for size, _ in _brackets(epochs, factor)]
    stock_sizes = [
        stock._get_size(bracket, 0) for bracket in reversed(range(len(sizes)))
    ]
    assert sizes == stock_sizes


def test_places_go_through_the_brackets_again_and_again():
    rungs = [_rungs_of(place, 4, 2) for place in range(20)]
    # 1 + log2 4 = 3 at the end of the last bracket, 3 / 2 and 3 / 3 of the others:
    # 3, 2 * 3 / 2 and 4 * 3 / 3 at their start.
    assert rungs == 2 * [*(4 * [[1, 2]]), *(3 * [[2]]), *(3 * [[]])]


@pytest.mark.parametrize(
    ("value", "others", "expected"),
    [
        (5.0, [], True),  # the first of a rung
        (5.0, [4.0], False),
        (3.0, [4.0, 5.0], True),
        (3.5, [1.0, 4.0, 5.0, 6.0, 7.0], True),  # the second of 6, a third are 2
        (4.5, [1.0, 4.0, 5.0, 6.0, 7.0], False),
        (None, [], False),  # no finite value so far
    ],
)
def test_one_in_three_is_among_best(value, others, expected):
    assert _is_among_best(value, others, 3, maximize=False) is expected
    if value is not None:
        minus = [-other for other in others]
        assert _is_among_best(-value, minus, 3, maximize=True) is expected


class Watch(keras.callbacks.Callback):
    """Writes down epochs and the optimizer's steps in the log of all trainings."""

    log: list = []

    def on_train_begin(self, logs=None):
        self.log.append([])

    def on_epoch_end(self, epoch, logs=None):
        self.log[-1].append((epoch, int(self.model.optimizer.iterations)))


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_trials_stop_at_rungs_and_nothing_is_trained_again(tmp_path, blobs):
    def build(hp):
        rate = schedules.StepDecay(hp.Float("rate", 1e-4, 1.0, sampling="log"), 6)
        inputs = keras.Input((2,))
        model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
        model.compile(keras.optimizers.SGD(rate), "mse")
        return model

    Watch.log = []
    tuner = tuners.Hyperband(
        build, "loss", max_epochs=4, factor=2, seed=1, directory=tmp_path
    )
    tuner.search(*blobs, batch_size=32, epochs=50, callbacks=[Watch()], verbose=0)
    frame = tuner.trials_frame()
    assert len(Watch.log) == len(frame) == 4 + 3 + 3
    for place, steps in enumerate(Watch.log):
        # Two batches an epoch, from the first step on, never falling.
        assert steps == [(epoch, 2 * epoch + 2) for epoch in range(len(steps))]
        rungs = _rungs_of(place, 4, 2)
        stopped = frame["state"].iloc[place] == "PRUNED"
        assert len(steps) in rungs if stopped else len(steps) == 4
    assert 0 < (frame["state"] == "PRUNED").sum() < len(frame)
    best = tuner.oracle.get_best_trials(99)
    assert len(best) == (frame["state"] == "COMPLETE").sum()
    for trial in tuner.study.trials:
        if trial.state == TrialState.PRUNED:
            (history,) = trial.user_attrs["result"]["history"]
            assert trial.value == min(history["loss"])


@pytest.mark.slow
def test_a_loop_that_ignores_the_stop_is_ended(tmp_path):
    class OwnLoop(keras_tuner.HyperModel):
        def build(self, hp):
            hp.Float("a", 0, 1)
            return keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])

        def fit(self, hp, model, callbacks, epochs):
            for callback in callbacks:
                callback.set_model(model)
            for epoch in range(epochs):
                for callback in callbacks:
                    callback.on_epoch_end(
                        epoch, {"loss": hp.get("a") + 1 / (epoch + 1)}
                    )
            return {"loss": hp.get("a")}

    tuner = tuners.Hyperband(
        OwnLoop(), "loss", max_epochs=4, factor=2, seed=1, directory=tmp_path
    )
    tuner.search()
    epochs = tuner.trials_frame()["epochs"]
    assert set(epochs) <= {1, 2, 4} and min(epochs) < 4


def test_what_it_is_told_must_make_sense(tmp_path):
    with pytest.raises(ValueError, match="`factor`.*Received: factor=1"):
        tuners.Hyperband(lambda hp: None, factor=1, directory=tmp_path)
    with pytest.raises(ValueError, match="`max_epochs`.*Received: max_epochs=0"):
        tuners.Hyperband(lambda hp: None, max_epochs=0, directory=tmp_path)


@pytest.mark.parametrize("frequency", [3, [3, 6]])
def test_an_epoch_before_the_first_comparison_must_be_validated(frequency, tmp_path):
    tuner = tuners.Hyperband(
        lambda hp: None, max_epochs=6, factor=4, seed=1, directory=tmp_path
    )
    with pytest.raises(ValueError, match="after epoch 2.*Received: validation_freq="):
        tuner.search([[1.0]], [1.0], validation_freq=frequency, verbose=0)
    assert tuner.fit_arguments({"validation_freq": 2})["epochs"] == 6


def test_trials_are_compared_at_the_same_epochs_with_validation(tmp_path):
    curves = (
        [None, 0.5, None, 0.2, None, 0.1],  # first at the rung
        [None, 0.4, None, 0.3, None, 0.3],  # better there, though not at the end
        [None, 0.6, None, 0.0, None, 0.0],  # worse there
    )
    tuner = tuners.Hyperband(
        *(Curves(*curves), "val_loss", 6, 4),
        max_trials=3,
        seed=1,
        directory=tmp_path,
    )
    tuner.search(validation_freq=2, verbose=0)
    frame = tuner.trials_frame()
    assert list(frame["state"]) == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert list(frame["best_epoch"][:2]) == [5, 3]
    assert list(frame["epochs"]) == [6, 6, 2]


def test_an_objective_that_is_in_no_log_is_named(tmp_path):
    tuner = tuners.Hyperband(
        Curves(*[[0.5] * 4] * 2),
        "val_accuracy",
        max_epochs=4,
        max_trials=2,  # none of the bracket that is never judged
        directory=tmp_path,
    )
    with pytest.raises(FatalValueError, match=r"one of \['loss', 'val_loss'\]"):
        tuner.search(verbose=0)


def test_a_search_of_stopped_trials_says_that_none_failed(tmp_path):
    tuner = tuners.Hyperband(
        Curves(*[[float("nan")] * 4] * 2),
        "val_loss",
        max_epochs=4,
        max_trials=2,
        directory=tmp_path,
    )
    with pytest.raises(RuntimeError, match="2 trials, 2 stopped and 0 failed$"):
        tuner.search(verbose=0)
