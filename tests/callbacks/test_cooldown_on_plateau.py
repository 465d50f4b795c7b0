import keras
import numpy as np
import pytest
from keras import ops

from keras_trainkit import callbacks, schedules

RATE = 0.1

pytestmark = pytest.mark.usefixtures("eagerly")  # many trainings of a few steps


class Scripted(keras.callbacks.Callback):
    """Says what the validation of each epoch gives, and notes rates and weights."""

    def __init__(self, values):
        super().__init__()
        self.values = values
        self.rates, self.weights = [], []

    def on_epoch_end(self, epoch, logs=None):
        self.rates.append(
            float(ops.convert_to_numpy(self.model.optimizer.learning_rate))
        )
        self.weights.append(self.model.get_weights())
        logs["val_loss"] = self.values[epoch]


def train(values, before=(), behind=(), optimizer=None, **arguments):
    """The rates, the weights after each epoch, the model, and the callback."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer or keras.optimizers.SGD(RATE), "mse")
    x = np.random.default_rng(0).normal(size=(8, 2)).astype("float32")
    script = Scripted(values)
    cooldown = callbacks.CooldownOnPlateau(**arguments)
    used = [*before, script, cooldown, *behind]
    model.fit(x, x[:, :1], epochs=len(values), batch_size=8, callbacks=used, verbose=0)
    return script, model, cooldown


def test_the_rate_rises_holds_and_falls_from_the_plateau():
    script, model, cooldown = train([3, 2, 1] + [2.0] * 20, patience=3)
    assert (cooldown.best_epoch, cooldown.cooldown_epoch) == (2, 6)
    shares = [1 / 3, 2 / 3, 1, 1, 1, 1, 1, 3 / 4, 1 / 2, 1 / 4]
    np.testing.assert_allclose(script.rates, np.multiply(RATE, shares), rtol=1e-6)
    rate = ops.convert_to_numpy(model.optimizer.learning_rate)
    np.testing.assert_allclose(rate, RATE, rtol=1e-6)


def test_the_cooldown_goes_on_from_the_best_weights_and_the_best_are_kept():
    script, model, _ = train([3, 1] + [2.0] * 20, patience=2)
    best = script.weights[1]
    first_of_cooldown = script.weights[4]
    distance = np.abs(np.subtract(first_of_cooldown[0], best[0])).max()
    held = np.abs(np.subtract(script.weights[3][0], best[0])).max()
    assert 0 < distance < held  # one step from the best, not three
    np.testing.assert_array_equal(model.get_weights()[0], best[0])


def test_where_epochs_are_of_few_steps_more_of_them_count_as_one():
    values = [3, 2, 1] + [2.0] * 57  # one step each
    arguments = {"patience": 3, "patience_fraction": 0.0, "min_cooldown_epochs": 2}
    script, _, cooldown = train(values, min_epoch_steps=3, **arguments)
    assert (cooldown.best_epoch, cooldown.cooldown_epoch) == (2, 12)
    shares = [*np.arange(1, 7) / 7, 1, 1, 1, 1, 1, 1, *np.arange(6, 0, -1) / 6]
    np.testing.assert_allclose(script.rates, np.multiply(RATE, shares), rtol=1e-6)
    assert len(train(values, **arguments)[0].rates) < len(script.rates)


def test_warmup_and_cooldown_leave_room_in_a_short_training():
    script, _, cooldown = train([3.0] * 20, min_epoch_steps=99, patience=50)
    assert cooldown.cooldown_epoch == 15  # a quarter, beside the warmup's tenth
    shares = [1 / 3, 2 / 3, *[1] * 13, 1, 4 / 5, 3 / 5, 2 / 5, 1 / 5]
    np.testing.assert_allclose(script.rates, np.multiply(RATE, shares), rtol=1e-6)


def test_an_epoch_of_the_cooldown_may_be_the_best():
    script, model, cooldown = train([3, 1, 2, 2, 0.9, 0.5, 0.7, 0.8, 9], patience=2)
    assert (cooldown.cooldown_epoch, cooldown.best_epoch, cooldown.best) == (4, 5, 0.5)
    np.testing.assert_array_equal(model.get_weights()[0], script.weights[5][0])


@pytest.mark.slow
def test_long_runs_wait_in_proportion_and_cool_down_in_proportion():
    values = [*np.linspace(3, 1, 5), *[2.0] * 20]
    _, _, cooldown = train(values, patience=2, patience_fraction=0.5)
    assert (cooldown.best_epoch, cooldown.cooldown_epoch) == (4, 10)
    shares = {"cooldown_fraction": 0.8, "min_cooldown_epochs": 1}
    script, _, cooldown = train(values, patience=2, **shares)
    assert (cooldown.cooldown_epoch, len(script.rates)) == (7, 11)


def test_training_that_gets_ever_better_cools_down_in_its_last_epochs():
    values = np.linspace(3, 1, 10)
    script, _, cooldown = train(values, cooldown_fraction=0.4, min_cooldown_epochs=1)
    assert (cooldown.cooldown_epoch, len(script.rates)) == (7, 10)
    np.testing.assert_allclose(script.rates[-1], RATE / 3, rtol=1e-6)


def test_a_short_training_keeps_its_length():
    script, _, cooldown = train([3, 2])
    assert (cooldown.cooldown_epoch, len(script.rates)) == (1, 2)


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
def test_values_that_are_not_finite_are_never_the_best():
    script, model, cooldown = train(
        [np.nan, 2, np.nan, -np.inf] + [3.0] * 9, patience=3
    )
    assert (cooldown.best_epoch, cooldown.best) == (1, 2)
    with pytest.warns(UserWarning, match="no value of val_loss was finite"):
        _, _, none = train([np.nan] * 9, patience=2)
    assert none.best is None and none.cooldown_epoch == 2


def test_a_metric_goes_the_way_that_keras_knows_or_that_is_said():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["binary_accuracy"])
    x, y = np.zeros((8, 2)), np.zeros((8, 1))
    cooldown = callbacks.CooldownOnPlateau("binary_accuracy", patience=1)
    model.fit(x, y, epochs=9, callbacks=[cooldown], verbose=0)
    assert (cooldown.best, cooldown.best_epoch) == (1, 0)
    with pytest.raises(ValueError, match="`mode` says which way"):
        train([1, 2], monitor="learning_rate", before=[_Logged("learning_rate")])


def test_one_instance_serves_two_trainings():
    cooldown = callbacks.CooldownOnPlateau("loss", patience=1)
    for _ in range(2):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.0), "mse")
        x, y = np.ones((8, 2)), np.ones((8, 1))
        run = model.fit(x, y, epochs=20, callbacks=[cooldown], verbose=0)
        assert (cooldown.cooldown_epoch, len(run.epoch)) == (2, 6)


def test_files_between_epochs_hold_the_optimizers_own_rate():
    behind = Scripted([3, 1] + [2.0] * 20)
    train([3, 1] + [2.0] * 20, patience=2, behind=[behind])
    np.testing.assert_allclose(behind.rates, RATE, rtol=1e-6)


def test_a_schedule_is_refused():
    schedule = schedules.OneCycle(0.1, total_steps=10)
    with pytest.raises(ValueError, match="must be a number. Received: a schedule"):
        train([1, 2], optimizer=keras.optimizers.SGD(schedule))


def test_averaged_weights_are_refused():
    with pytest.raises(ValueError, match="must not average them"):
        train([1, 2], optimizer=keras.optimizers.SGD(0.1, use_ema=True))


def test_a_key_that_is_missing_is_named():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="must be one of 'loss'.*no `validation_freq`"):
        model.fit(
            np.zeros((4, 2)),
            np.zeros((4, 1)),
            callbacks=[callbacks.CooldownOnPlateau()],
            verbose=0,
        )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patience": 0}, "`patience`"),
        ({"patience_fraction": 1.0}, "`patience_fraction`"),
        ({"warmup_epochs": -1}, "`warmup_epochs`"),
        ({"cooldown_fraction": 0}, "`cooldown_fraction`"),
        ({"min_cooldown_epochs": 0}, "`min_cooldown_epochs`"),
        ({"min_epoch_steps": 0}, "`min_epoch_steps`"),
        ({"mode": "up"}, "`mode`"),
        ({"monitor": ""}, "`monitor`"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        callbacks.CooldownOnPlateau(**arguments)


class _Logged(keras.callbacks.Callback):
    def __init__(self, name):
        super().__init__()
        self.name = name

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = 1.0
