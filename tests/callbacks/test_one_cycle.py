"""One cycle inside a compiled fit.

Most tests train one weight on a loss whose gradient is 1 whatever the weight is, so
that each update shows the learning rate and the momentum that made it.
"""

import copy
import warnings

import keras
import numpy as np
import pytest

from keras_trainkit._optimizer_access import learning_rate_object
from keras_trainkit.callbacks import OneCycle
from keras_trainkit.optimizers import SGDW, AdamW

PEAK, LOW, FINAL = 0.8, 0.2, 0.01
MOST, LEAST = 0.9, 0.5
ROWS = 24  # in batches of 3: 8 steps an epoch
ARGUMENTS = {
    "min_learning_rate": LOW,
    "final_learning_rate": FINAL,
    "warmup_fraction": 0.25,
    "annihilation_fraction": 0.25,
    "max_momentum": MOST,
    "min_momentum": LEAST,
}


def rate(step, total):
    turns = [0, 0.25 * total, 0.75 * total, total]
    return np.interp(step, turns, [LOW, PEAK, LOW, FINAL])


def momentum(step, total):
    return np.interp(step, [0, 0.25 * total, 0.75 * total], [MOST, LEAST, MOST])


def weight_after(positions, total, start=0.0, velocity=0.0):
    """float64: `v = m v - lr`, `w = w + v`, over the given positions of the cycle."""
    weight = start
    for step in positions:
        velocity = momentum(step, total) * velocity - rate(step, total)
        weight += velocity
    return weight


def one_weight(optimizer, **compile_arguments):
    inputs = keras.Input((1,))
    outputs = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(inputs)
    model = keras.Model(inputs, outputs)
    arguments = {"jit_compile": False, **compile_arguments}
    model.compile(optimizer, loss=lambda _, out: out, **arguments)
    return model


def fit(model, callbacks, epochs=3, **arguments):
    x = np.ones((ROWS, 1), "float32")
    arguments = {"batch_size": 3, "verbose": 0, "shuffle": False, **arguments}
    model.fit(x, x, epochs=epochs, callbacks=callbacks, **arguments)
    return model


def weight(model):
    return float(model.get_weights()[0][0, 0])


def sgdw():
    return SGDW(0.1, momentum=0.3, weight_decay=0.0)


def test_every_step_has_the_rate_and_the_momentum_of_its_place_in_the_cycle():
    model = fit(one_weight(sgdw()), [OneCycle(PEAK, **ARGUMENTS)])
    assert weight(model) == pytest.approx(weight_after(range(24), 24), rel=1e-5)


def test_the_momentum_of_adam_is_cycled_too():
    cycle = OneCycle(PEAK, **ARGUMENTS, keep_schedules=True)
    model = fit(one_weight(AdamW()), [cycle])
    assert model.optimizer.beta_1 is cycle.momentum
    assert float(model.optimizer.beta_1(6)) == pytest.approx(LEAST)


@pytest.mark.first_quick
@pytest.mark.not_torch
@pytest.mark.parametrize(
    "jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_steps_per_execution_changes_not_one_bit(blobs, jit_compile):
    x, y = blobs
    weights = []
    for steps in (1, 3, 64):
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(1)]
        )
        model.compile(
            AdamW(), "mse", steps_per_execution=steps, jit_compile=jit_compile
        )
        model.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[OneCycle(0.05)])
        weights.append(model.get_weights())
    for other in weights[1:]:
        for a, b in zip(weights[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_second_fit_runs_a_second_cycle_from_its_own_first_step():
    model = one_weight(SGDW(0.1, momentum=0.3, weight_decay=0.0))
    cycle = OneCycle(PEAK, **ARGUMENTS, total_steps=None)
    fit(model, [cycle], epochs=2)
    first, velocity = 0.0, 0.0
    for step in range(16):
        velocity = momentum(step, 16) * velocity - rate(step, 16)
        first += velocity
    assert weight(model) == pytest.approx(first, rel=1e-5)
    fit(model, [cycle], epochs=3)
    expected = weight_after(range(24), 24, start=first, velocity=velocity)
    assert weight(model) == pytest.approx(expected, rel=1e-5)


def test_initial_epoch_goes_on_in_the_middle_of_the_cycle():
    model = fit(one_weight(sgdw()), [OneCycle(PEAK, **ARGUMENTS)], initial_epoch=1)
    assert weight(model) == pytest.approx(weight_after(range(8, 24), 24), rel=1e-5)


class Killed(BaseException):
    """Nobody catches it, as nobody catches a kill."""


class Kill(keras.callbacks.Callback):
    """Ends the process, so to say, in the middle of an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise Killed


@pytest.mark.parametrize(
    "backup_first", [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_a_killed_and_resumed_fit_ends_with_the_same_weights(tmp_path, backup_first):
    def callbacks():
        cycle = OneCycle(PEAK, **ARGUMENTS)
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return [backup, cycle] if backup_first else [cycle, backup]

    with pytest.raises(Killed):
        fit(one_weight(sgdw()), [*callbacks(), Kill()])
    resumed = fit(one_weight(sgdw()), callbacks())
    whole = fit(one_weight(sgdw()), [OneCycle(PEAK, **ARGUMENTS)])
    assert weight(resumed) == weight(whole)
    assert float(resumed.optimizer.learning_rate) == pytest.approx(0.1)


def generator(batches):
    for _ in range(batches):
        yield np.ones((3, 1), "float32"), np.ones((3, 1), "float32")


def test_a_data_set_of_unknown_length_must_be_told_its_steps():
    model = one_weight(sgdw())
    with pytest.raises(ValueError, match=r"`total_steps` is the length of the cycle"):
        model.fit(generator(8), verbose=0, shuffle=False, callbacks=[OneCycle(PEAK)])
    assert weight(model) == 0


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
def test_total_steps_takes_the_place_of_an_unknown_length():
    model = one_weight(sgdw())
    cycle = OneCycle(PEAK, total_steps=10, **ARGUMENTS)
    model.fit(generator(8), verbose=0, shuffle=False, callbacks=[cycle])
    assert weight(model) == pytest.approx(weight_after(range(8), 10), rel=1e-5)


def test_a_fit_of_no_epoch_changes_nothing():
    model = one_weight(sgdw())
    before = float(model.optimizer.learning_rate)
    fit(model, [OneCycle(PEAK)], epochs=0)
    assert weight(model) == 0 and float(model.optimizer.learning_rate) == before


def test_a_resumed_fit_of_unknown_length_may_not_stand_beyond_its_cycle():
    model = fit(one_weight(sgdw()), [], epochs=2)
    cycle = OneCycle(PEAK, total_steps=10)
    with pytest.raises(ValueError, match="`initial_epoch` tells where.*made: 16"):
        model.fit(
            generator(8), epochs=3, initial_epoch=2, shuffle=False, callbacks=[cycle]
        )


def test_a_step_is_a_batch_under_gradient_accumulation():
    cycle = OneCycle(PEAK, **ARGUMENTS, keep_schedules=True)
    optimizer = SGDW(0.1, weight_decay=0.0, gradient_accumulation_steps=2)
    fit(one_weight(optimizer), [cycle])
    assert cycle.learning_rate.total_steps == 24
    assert float(optimizer.learning_rate) == pytest.approx(FINAL)


@pytest.mark.first_quick
@pytest.mark.parametrize(
    "learning_rate",
    [0.1, keras.optimizers.schedules.CosineDecay(0.1, 10), lambda: 0.1],
    ids=["number", "schedule", "callable"],
)
def test_whatever_the_learning_rate_was_before_the_cycle_replaces_it(learning_rate):
    optimizer = SGDW(learning_rate, momentum=0.3, weight_decay=0.0)
    model = fit(one_weight(optimizer), [OneCycle(PEAK, **ARGUMENTS)])
    assert weight(model) == pytest.approx(weight_after(range(24), 24), rel=1e-5)


def test_reaches_the_optimizer_inside_a_loss_scale_optimizer():
    inner = sgdw()
    model = one_weight(keras.optimizers.LossScaleOptimizer(inner, initial_scale=2.0))
    fit(model, [OneCycle(PEAK, **ARGUMENTS)])
    assert weight(model) == pytest.approx(weight_after(range(24), 24), rel=1e-5)


OTHERS = ["AdamW", "Nadam", "RMSprop", "Lion", "Adafactor"]
STOCK = [
    "Adam",
    "SGD",
    *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS),
]


@pytest.mark.parametrize("name", STOCK)
def test_stock_optimizers_cycle_the_rate_and_the_kit_says_so_once(name):
    optimizer = getattr(keras.optimizers, name)()
    cycle = OneCycle(PEAK, **ARGUMENTS, keep_schedules=True)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model = fit(one_weight(optimizer), [cycle], epochs=1)
        fit(model, [cycle], epochs=1)
    said = [str(w.message) for w in seen if "OneCycle" in str(w.message)]
    assert len(said) == 1 and said[0].startswith(f"{name} keeps its momentum constant")
    assert cycle.momentum is None
    assert float(optimizer.learning_rate) == pytest.approx(FINAL)


def test_no_warning_where_the_rate_alone_was_asked_for():
    optimizer = keras.optimizers.SGD()
    fit(one_weight(optimizer), [OneCycle(PEAK, max_momentum=None)])
    assert optimizer.momentum == 0.0


def test_the_step_is_traced_no_more_often_than_without_the_callback():
    def traces(model, callbacks):
        counted.clear()
        fit(model, callbacks, epochs=2)
        return len(counted)

    counted = []

    def loss(_, out):
        counted.append(None)
        return out

    def model():
        made = one_weight(sgdw())
        made.compile(sgdw(), loss=loss, jit_compile=False)
        return made

    plain, cycled = model(), model()
    cycle = OneCycle(PEAK)
    first = traces(plain, [])
    assert traces(cycled, [cycle]) == first
    retraced = traces(cycled, [cycle])
    if keras.config.backend() != "torch":  # eager: the loss runs at every step
        assert retraced <= first


def test_one_callback_serves_models_of_different_length():
    cycle = OneCycle(PEAK, **ARGUMENTS)
    fit(one_weight(sgdw()), [cycle], epochs=1)
    model = fit(one_weight(sgdw()), [cycle], epochs=3)
    assert weight(model) == pytest.approx(weight_after(range(24), 24), rel=1e-5)


def test_can_be_copied_as_tuners_do_before_every_trial():
    cycle = OneCycle(PEAK, **ARGUMENTS)
    model = fit(one_weight(sgdw()), [copy.deepcopy(cycle)])
    assert weight(model) == pytest.approx(weight_after(range(24), 24), rel=1e-5)
    assert cycle.learning_rate is None


def test_goes_with_averaged_weights():
    swap = keras.callbacks.SwapEMAWeights()
    optimizer = SGDW(
        0.1, momentum=0.3, weight_decay=0.0, use_ema=True, ema_momentum=0.5
    )
    model = fit(one_weight(optimizer), [OneCycle(PEAK, **ARGUMENTS), swap])
    average = 0.0  # Keras starts the average at the initial weight, here 0
    for steps in range(1, 25):
        average = 0.5 * average + 0.5 * weight_after(range(steps), 24)
    assert weight(model) == pytest.approx(average, rel=1e-4)


def test_a_callback_that_sets_the_rate_is_refused_before_the_first_step():
    model = one_weight(sgdw())
    setter = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)
    with pytest.raises((TypeError, ValueError), match="LearningRateSchedule"):
        fit(model, [OneCycle(PEAK), setter])
    assert weight(model) == 0


def test_a_callback_that_lowers_the_rate_on_a_plateau_is_refused():
    reduce = keras.callbacks.ReduceLROnPlateau(monitor="loss", patience=1, mode="max")
    with pytest.raises((TypeError, ValueError), match="LearningRateSchedule"):
        fit(one_weight(sgdw()), [OneCycle(PEAK), reduce], epochs=9)


def test_after_training_the_optimizer_has_its_numbers_again():
    model = fit(one_weight(sgdw()), [OneCycle(PEAK, **ARGUMENTS)])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert model.optimizer.momentum == 0.3
    before, velocity = weight(model), float(model.optimizer.variables[2].numpy()[0, 0])
    fit(model, [], epochs=1)
    for _ in range(8):
        velocity = 0.3 * velocity - 0.1
        before += velocity
    assert weight(model) == pytest.approx(before, rel=1e-5)


def test_after_training_the_rate_can_be_lowered_on_a_plateau_again():
    reduce = keras.callbacks.ReduceLROnPlateau(
        monitor="loss", patience=1, mode="max", factor=0.5
    )
    model = fit(one_weight(sgdw()), [OneCycle(PEAK)])
    fit(model, [reduce], epochs=2)  # the loss falls without end
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)


@pytest.mark.first_quick
@pytest.mark.parametrize(
    "rate", [keras.optimizers.schedules.CosineDecay(0.1, 10), lambda: 0.07]
)
def test_after_training_the_optimizer_has_its_schedule_or_callable_again(rate):
    optimizer = SGDW(rate, momentum=0.3)
    fit(one_weight(optimizer), [OneCycle(PEAK)])
    assert learning_rate_object(optimizer) is rate


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("keep", [False, True])
def test_model_saved_after_training_opens_with_all_the_optimizer_knew(tmp_path, keep):
    optimizer = keras.optimizers.LossScaleOptimizer(sgdw())
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(2)])
    model.compile(optimizer, "mse")
    x = np.ones((6, 1), "float32")
    cycle = OneCycle(PEAK, keep_schedules=keep)
    model.fit(x, x, verbose=0, callbacks=[cycle])
    model.save(tmp_path / "model.keras")
    opened = keras.models.load_model(tmp_path / "model.keras")  # no warning
    assert [v.name.split("_")[-1] for v in opened.optimizer.variables] == [
        v.name.split("_")[-1] for v in model.optimizer.variables
    ]
    for mine, its in zip(
        model.optimizer.variables, opened.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(mine.numpy(), its.numpy())
    rate = float(opened.optimizer.learning_rate)
    assert rate == pytest.approx(PEAK / 1000 if keep else 0.1)
    opened.fit(x, x, verbose=0)


def test_variables_of_the_optimizer_have_the_order_they_had():
    fresh, cycled = one_weight(sgdw()), one_weight(sgdw())
    fit(fresh, [], epochs=1)
    fit(cycled, [OneCycle(PEAK)], epochs=1)
    shapes = [tuple(variable.shape) for variable in fresh.optimizer.variables]
    assert [tuple(v.shape) for v in cycled.optimizer.variables] == shapes
    assert "learning_rate" in cycled.optimizer.variables[1].name


def test_schedules_stay_where_that_was_asked_for():
    cycle = OneCycle(PEAK, **ARGUMENTS, keep_schedules=True)
    model = fit(one_weight(sgdw()), [cycle])
    assert learning_rate_object(model.optimizer) is cycle.learning_rate
    assert model.optimizer.momentum is cycle.momentum
    assert float(model.optimizer.learning_rate) == pytest.approx(FINAL)


@pytest.mark.first_quick
@pytest.mark.parametrize("same_callback", [False, True])
def test_cycle_after_an_interrupted_one_still_gives_the_numbers_back(same_callback):
    model, cycle = one_weight(sgdw()), OneCycle(PEAK)
    with pytest.raises(Killed):
        fit(model, [cycle, Kill()])
    fit(model, [cycle if same_callback else OneCycle(PEAK)], epochs=1)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1)
    assert model.optimizer.momentum == 0.3


def test_rate_that_another_callback_has_put_in_stays():
    class PutsInOwn(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.optimizer.learning_rate = own

    own = keras.optimizers.schedules.CosineDecay(0.1, 10)
    model = fit(one_weight(sgdw()), [OneCycle(PEAK), PutsInOwn()], epochs=1)
    assert learning_rate_object(model.optimizer) is own


@pytest.mark.not_torch
def test_numbers_return_with_several_steps_in_one_execution():
    model = one_weight(sgdw(), steps_per_execution=3)
    before = weight(fit(model, [OneCycle(PEAK)], epochs=1))
    model.optimizer.momentum = 0.0
    fit(model, [], epochs=1)
    assert weight(model) == pytest.approx(before - 8 * 0.1, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"max_learning_rate": 0.0}, "`max_learning_rate`.*Received: .*=0.0"),
        ({"max_learning_rate": 0.1, "total_steps": 2.5}, "`total_steps`.*integer"),
        ({"max_learning_rate": 0.1, "warmup_fraction": 1.2}, "`warmup_fraction`"),
        ({"max_learning_rate": 0.1, "max_momentum": 1.0}, "`max_momentum`"),
        ({"max_learning_rate": 0.1, "shape": "square"}, "`shape`.*'square'"),
        ({"max_learning_rate": 0.1, "keep_schedules": 1}, "`keep_schedules` leaves"),
    ],
)
def test_bad_arguments_are_named_before_any_fit(arguments, words):
    with pytest.raises(ValueError, match=words):
        OneCycle(**arguments)
