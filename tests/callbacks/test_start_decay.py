"""On a weight w with loss |1000 - w * 1| each step moves w by the rate, exactly so
that the weight after each batch shows the schedule that the compiled step followed."""

import keras
import numpy as np
import pytest

from keras_trainkit.callbacks import StartDecay
from keras_trainkit.schedules import StepDecay, WarmupStableDecay

BATCHES = 6
X, Y = np.ones((BATCHES, 1), "float32"), np.full((BATCHES, 1), 1000, "float32")
HELD, FALL = 0.5, 4  # 0.5, then 0.375, 0.25, 0.125, 0


class Rates(keras.callbacks.Callback):
    """How far the weight moved at each batch."""

    def __init__(self):
        super().__init__()
        self.weights = []

    def on_train_begin(self, logs=None):
        self.weights.append(self._weight())

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(self._weight())

    def _weight(self):
        return float(self.model.get_weights()[0][0, 0])

    @property
    def seen(self):
        return list(np.diff(self.weights))


def expected_rates(start, steps, first=0):
    """By hand: 0.5 up to step `start`, then a line to 0 within 4 steps."""
    return [HELD * (1 - min(max(t - start, 0) / FALL, 1)) for t in range(first, steps)]


def approx(values):
    return pytest.approx(values, abs=2e-5)


def compiled_model(optimizer=None, **compile_arguments):
    model = keras.Sequential(
        [
            keras.Input((1,)),
            keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros"),
        ]
    )
    if optimizer is None:
        optimizer = keras.optimizers.SGD(WarmupStableDecay(HELD, 0, FALL))
    model.compile(optimizer, loss="mae", **compile_arguments)
    return model


def fit(model, *callbacks, epochs=3, **arguments):
    rates = Rates()
    model.fit(
        X,
        Y,
        batch_size=1,
        epochs=epochs,
        verbose=0,
        callbacks=[*callbacks, rates],
        **arguments,
    )
    return rates.seen


def test_decay_begins_with_the_first_step_of_the_epoch():
    decay = StartDecay(epoch=1)
    assert fit(compiled_model(), decay) == approx(expected_rates(6, 18))
    assert decay.decay_start == 6


def test_decay_begins_at_exactly_the_step_in_the_middle_of_an_epoch():
    decay = StartDecay(step=8)
    assert fit(compiled_model(), decay) == approx(expected_rates(8, 18))
    assert decay.decay_start == 8


def test_decay_may_begin_with_the_first_epoch():
    assert fit(compiled_model(), StartDecay(epoch=0)) == approx(expected_rates(0, 18))


@pytest.mark.not_torch
@pytest.mark.parametrize("start", [{"epoch": 1}, {"step": 8}])
@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_several_steps_in_one_execution_and_jit_change_nothing(start, jit):
    model = compiled_model(steps_per_execution=3, jit_compile=jit)
    seen = fit(model, StartDecay(**start))
    every_third = np.cumsum(expected_rates(start.get("step", 6), 18))[2::3]
    assert np.cumsum(seen) == approx(every_third)


def test_a_model_that_was_fitted_before_decays_too():
    model = compiled_model()
    assert fit(model, epochs=2) == approx([HELD] * 12)
    seen = fit(model, StartDecay(step=15), epochs=1)
    assert seen == approx(expected_rates(15, 18, first=12))


def test_the_callback_can_be_used_again_for_another_model():
    decay = StartDecay(epoch=2)
    first = fit(compiled_model(), decay)
    assert fit(compiled_model(), decay) == first == approx(expected_rates(12, 18))


def test_the_step_is_built_once_more_for_an_epoch(monkeypatch):
    model = compiled_model()
    forced, make = [], model.make_train_function
    monkeypatch.setattr(
        model,
        "make_train_function",
        lambda force=False: (forced.append(force), make(force))[1],
    )
    fit(model, StartDecay(epoch=1))
    assert sum(forced) == 1


def test_optimizer_wrapped_for_mixed_precision_decays():
    inner = keras.optimizers.SGD(WarmupStableDecay(HELD, 0, FALL))
    model = compiled_model(keras.optimizers.LossScaleOptimizer(inner, initial_scale=2))
    assert fit(model, StartDecay(epoch=1)) == approx(expected_rates(6, 18))


def test_steps_are_batches_under_gradient_accumulation():
    optimizer = keras.optimizers.SGD(
        WarmupStableDecay(HELD, 0, FALL), gradient_accumulation_steps=2
    )
    seen = fit(compiled_model(optimizer), StartDecay(step=7))
    # Updates fall on the batches 1, 3, 5... with the rate of that batch.
    rates = [r if t % 2 else 0 for t, r in enumerate(expected_rates(7, 18))]
    assert seen == approx(rates)


def test_branch_decays_from_a_saved_trunk_while_the_trunk_goes_on(tmp_path):
    trunk = compiled_model()
    fit(trunk, epochs=2)
    trunk.save(tmp_path / "trunk.keras")
    branch = keras.saving.load_model(tmp_path / "trunk.keras")
    seen = fit(branch, StartDecay(epoch=0), epochs=1)
    assert seen == approx(expected_rates(12, 18, first=12))
    assert fit(trunk, epochs=1) == approx([HELD] * 6)


def test_saved_model_keeps_its_decay(tmp_path):
    model = compiled_model()
    fit(model, StartDecay(step=10), epochs=2)
    model.save(tmp_path / "decaying.keras")
    loaded = keras.saving.load_model(tmp_path / "decaying.keras")
    assert fit(loaded, epochs=1) == approx(expected_rates(10, 18, first=12))


@pytest.mark.first_quick
@pytest.mark.parametrize("start", [{"epoch": 1}, {"step": 7}])
@pytest.mark.parametrize("backup_first", [False, True])
def test_resumed_run_decays_as_if_it_had_not_stopped(tmp_path, start, backup_first):
    class Killed(Exception):
        pass

    class KillAtThirdEpoch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise Killed

    def callbacks():
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        both = [backup, StartDecay(**start)]
        return both if backup_first else both[::-1]

    with pytest.raises(Killed):
        fit(compiled_model(), *callbacks(), KillAtThirdEpoch(), epochs=4)
    seen = fit(compiled_model(), *callbacks(), epochs=4)[-12:]
    rates = expected_rates(start.get("step", 6), 24, first=12)
    # The first movement starts before the weight is restored.
    assert seen[1:] == approx(rates[1:])


def test_continued_decay_of_a_loaded_model_is_left_alone(tmp_path):
    model = compiled_model()
    fit(model, StartDecay(epoch=1), epochs=2)
    model.save(tmp_path / "decaying.keras")
    loaded = keras.saving.load_model(tmp_path / "decaying.keras")
    seen = fit(loaded, StartDecay(epoch=1), initial_epoch=2, epochs=3)
    assert seen == approx(expected_rates(6, 18, first=12))


def batches_of_unknown_length():
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices((X, Y)).batch(1)
    return dataset.filter(lambda x, y: True)


@pytest.mark.tensorflow_only
@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
def test_data_of_unknown_length_decays_from_the_epoch():
    model, rates = compiled_model(), Rates()
    data, decay = batches_of_unknown_length(), StartDecay(epoch=1)
    model.fit(data, epochs=2, verbose=0, shuffle=False, callbacks=[decay, rates])
    assert rates.seen == approx(expected_rates(6, 12))


@pytest.mark.parametrize("arguments", [{}, {"epoch": 2, "step": 9}])
def test_refuses_both_and_neither(arguments):
    with pytest.raises(ValueError, match="`epoch` or `step` says when .* exactly one"):
        StartDecay(**arguments)


@pytest.mark.parametrize("name", ["epoch", "step"])
@pytest.mark.parametrize("value", [-1, 2.0, True, "3"])
def test_refuses_what_is_no_count(name, value):
    with pytest.raises(ValueError, match=f"`{name}` is when the decay begins"):
        StartDecay(**{name: value})


@pytest.mark.parametrize(
    ("rate", "received"),
    [(0.3, "a number"), (StepDecay(0.3, 7), "StepDecay")],
)
def test_refuses_an_optimizer_that_cannot_be_told(rate, received):
    model = compiled_model(keras.optimizers.SGD(rate))
    words = f"must be a WarmupStableDecay. Received: {received}"
    with pytest.raises(ValueError, match=words):
        fit(model, StartDecay(epoch=1))


def test_refuses_an_epoch_that_fit_does_not_reach():
    words = "`epoch`, counted from 0, .* Received: epoch=3, epochs=3"
    with pytest.raises(ValueError, match=words):
        fit(compiled_model(), StartDecay(epoch=3))


def test_refuses_a_step_from_before_the_training():
    model = compiled_model()
    fit(model, epochs=2)
    words = "`step` .* not before this training did, .* at least 12. Received: step=11"
    with pytest.raises(ValueError, match=words):
        fit(model, StartDecay(step=11))


def test_refuses_a_second_decay():
    model = compiled_model()
    fit(model, StartDecay(step=7), epochs=2)
    words = "not be decaying already. Received: a decay since step 7, .* from step 18"
    with pytest.raises(ValueError, match=words):
        fit(model, StartDecay(epoch=1), epochs=2)


def test_refuses_to_decay_within_the_rise_before_any_step():
    schedule = WarmupStableDecay(HELD, warmup_steps=9, decay_steps=FALL)
    model = compiled_model(keras.optimizers.SGD(schedule))
    with pytest.raises(ValueError, match="`decay_start` .* at least 9 .*=6"):
        fit(model, StartDecay(epoch=1))
    assert model.get_weights()[0] == 0


@pytest.mark.tensorflow_only
def test_refuses_a_resumed_epoch_where_the_length_is_unknown():
    run = {"initial_epoch": 2, "epochs": 3, "verbose": 0, "shuffle": False}
    words = "`epoch` lies before .* epoch=1, initial epoch 2, length unknown"
    with pytest.raises(ValueError, match=words):
        compiled_model().fit(
            batches_of_unknown_length(), callbacks=[StartDecay(epoch=1)], **run
        )
