"""Gradients and updates are held to sums by hand on a line, training to its bits."""

import json
import math

import keras
import numpy as np
import pytest
from keras import ops

from keras_trainkit import layers, models, optimizers
from keras_trainkit.callbacks import GradientMonitor

BATCHES = 6
RNG = np.random.default_rng(5)
X = RNG.normal(size=(BATCHES * 8, 5)).astype("float32")
Y = (X[:, 0] * X[:, 1]).astype("float32")
SEQUENCES = RNG.normal(size=(BATCHES * 8, 4, 3)).astype("float32")


def fit(model, *callbacks, x=X, y=Y, epochs=1, **arguments):
    model.fit(x, y, 8, epochs=epochs, verbose=0, callbacks=callbacks, **arguments)


def state_of(model):
    variables = model.variables + model.optimizer.variables
    return [np.array(ops.convert_to_numpy(variable)) for variable in variables]


def line(kernel=2.0, rate=0.1, **compile_arguments):
    """`kernel * x`, whose mean squared error at x = 1 and y = 0 has 2 * kernel."""
    start = keras.initializers.Constant(kernel)
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer=start, name="line")
    model = keras.Sequential([keras.Input((1,)), dense])
    optimizer = compile_arguments.pop("optimizer", None)
    model.compile(optimizer or keras.optimizers.SGD(rate), "mse", **compile_arguments)
    return model


def normalized():
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(6, "relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.3),
            keras.layers.Dense(1, kernel_regularizer="l2"),
        ]
    )
    model.compile(optimizers.AdamW(0.01), "mse")
    return model, X


def with_members():
    model = models.mlp((5,), 1, (6,), members=2, dropout=0.2)
    model.compile("adam", "mse")
    return model, X


def variational():
    model = models.bilstm_attention((4, 3), 1, units=(2,), recurrent_dropout=0.2)
    model.compile("adam", "mse")
    return model, SEQUENCES


def masked_lstm():
    lstm = keras.layers.LSTM(2, dropout=0.2)
    layers = [keras.layers.Masking(), keras.layers.Bidirectional(lstm)]
    model = keras.Sequential(
        [keras.Input((4, 3)), *layers, keras.layers.Dense(1, name="head")]
    )
    model.compile("adam", "mse")
    return model, SEQUENCES


@pytest.mark.first_quick
@pytest.mark.parametrize(
    "build",
    [
        normalized,
        pytest.param(with_members, marks=pytest.mark.slow),
        pytest.param(variational, marks=pytest.mark.slow),
        pytest.param(masked_lstm, marks=pytest.mark.slow),
    ],
)
def test_training_ends_with_the_same_bits(build):
    states = []
    for callbacks in ([], [GradientMonitor(every=4)]):
        keras.utils.set_random_seed(3)
        model, x = build()
        fit(model, *callbacks, x=x)
        states.append(state_of(model))
    for plain, watched in zip(*states, strict=True):
        np.testing.assert_array_equal(plain, watched)


def test_norms_and_updates_are_those_of_the_steps():
    """From 2: gradients 4, 3.2, 2.56; each step takes a fifth of the weight."""
    ones, zeros = np.ones((24, 1), "float32"), np.zeros((24, 1), "float32")
    monitor = GradientMonitor(every=2)
    fit(line(), monitor, x=ones, y=zeros)
    assert monitor.steps == [0, 2]
    assert monitor.gradient_norms == {"line": pytest.approx([4, 2.56], rel=1e-5)}
    assert monitor.update_ratios == {"line": pytest.approx([0.2, 0.2], rel=1e-5)}


@pytest.mark.not_torch  # Keras on torch takes one step at a time
def test_several_steps_in_one_call_are_measured_one_by_one():
    ones, zeros = np.ones((56, 1), "float32"), np.zeros((56, 1), "float32")
    monitor = GradientMonitor(every=5)
    fit(line(steps_per_execution=3), monitor, x=ones, y=zeros, epochs=2)
    assert monitor.steps == [0, 5, 10]  # 7 steps an epoch, in calls of 3, 3 and 1
    expected = [4 * 0.8**step for step in (0, 5, 10)]
    assert monitor.gradient_norms["line"] == pytest.approx(expected, rel=1e-5)


def test_weights_of_rows_count_and_scales_of_the_loss_do_not():
    ones, zeros = np.ones((8, 1), "float32"), np.zeros((8, 1), "float32")
    optimizer = keras.optimizers.SGD(0.1, loss_scale_factor=64.0)
    monitor = GradientMonitor(every=1)
    weights = np.full(8, 0.5, "float32")
    fit(line(optimizer=optimizer), monitor, x=ones, y=zeros, sample_weight=weights)
    expected = ops.convert_to_numpy(
        keras.losses.MeanSquaredError()(zeros, 2 * ones, sample_weight=weights)
    )  # of 4 w^2 / 4, whose slope at w = 2 is the value itself
    assert monitor.gradient_norms["line"] == [pytest.approx(float(expected), rel=1e-5)]


def test_accumulated_gradients_are_measured_where_the_weights_change():
    ones, zeros = np.ones((48, 1), "float32"), np.zeros((48, 1), "float32")
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=3)
    monitor = GradientMonitor(every=2)
    fit(line(optimizer=optimizer), monitor, x=ones, y=zeros)
    assert monitor.steps == [2, 5]
    assert monitor.update_ratios["line"] == pytest.approx([0.2, 0.2], rel=1e-5)


def test_units_that_are_zero_for_all_rows_are_dead():
    """Biases of -1000 hold two of four units at 0."""
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(4, "relu", name="hidden")]
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    kernel, bias = model.get_weights()
    model.set_weights([kernel, np.array([-1000, 1000, -1000, 1000], "float32")])
    monitor = GradientMonitor()
    fit(model, monitor, y=np.zeros((48, 4)))
    assert monitor.dead_shares == {"hidden": [0.5]}


def test_gates_that_are_open_or_closed_are_saturated():
    """Of the gates i, f, o the biases hold i at 1 and o at 0, but f at 1/2."""
    lstm = keras.layers.LSTM(2, name="lstm", kernel_initializer="zeros",
                             recurrent_initializer="zeros")  # fmt: skip
    model = keras.Sequential([keras.Input((4, 3)), lstm])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    bias = np.repeat([9, 0, 0, -9], 2).astype("float32")
    model.set_weights([*model.get_weights()[:2], bias])
    monitor = GradientMonitor()
    fit(model, monitor, x=SEQUENCES, y=np.zeros((48, 2)))
    assert monitor.saturated_shares == {"lstm": [pytest.approx(2 / 3)]}


def deep(activation, initializer, layers=12):
    hidden = [
        keras.layers.Dense(8, activation, kernel_initializer=initializer)
        for _ in range(layers)
    ]
    model = keras.Sequential([keras.Input((5,)), *hidden, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


@pytest.mark.slow
def test_gradients_vanish_in_a_deep_sigmoid_network():
    monitor = GradientMonitor(every=1)
    model = deep("sigmoid", "glorot_uniform")
    fit(model, monitor)
    assert monitor.finding.kind == "vanishing"
    assert monitor.finding.step == 2  # the third measured step in a row
    place = [layer.name for layer in model.layers].index(monitor.finding.layer)
    assert 0 < place < 12  # the first on the way back, not the one at the input
    assert "ReLU" in str(monitor.finding)


@pytest.mark.slow
def test_gradients_explode_behind_a_bad_initialization():
    monitor = GradientMonitor()
    fit(deep("relu", keras.initializers.RandomNormal(stddev=2.0), layers=6), monitor)
    assert (monitor.finding.kind, monitor.finding.step) == ("exploding", 0)
    assert "global_clipnorm" in monitor.finding.remedy


@pytest.mark.slow
@pytest.mark.parametrize("build", [normalized, with_members, variational, masked_lstm])
def test_healthy_networks_are_not_accused(build):
    monitor = GradientMonitor(every=2)
    model, x = build()
    fit(model, monitor, x=x, epochs=4)
    assert len(monitor.steps) == 12
    assert monitor.finding is None


@pytest.mark.slow
def test_healthy_deep_networks_are_not_accused():
    monitor = GradientMonitor(every=2)
    fit(deep("relu", "he_normal"), monitor, epochs=4)
    assert monitor.finding is None


@keras.saving.register_keras_serializable("tests")
class Root(keras.layers.Layer):
    """The square root of |x - x|, whose slope is none."""

    def call(self, inputs):
        return inputs + ops.sqrt(ops.absolute(inputs - ops.stop_gradient(inputs)))


def test_first_layer_without_a_gradient_is_named():
    model = keras.Sequential(
        [
            keras.Input((5,)),
            keras.layers.Dense(3, name="first"),
            keras.layers.Dense(3, name="before"),
            Root(),
            keras.layers.Dense(1, name="behind"),
        ]
    )
    model.compile("sgd", "mse")
    monitor = GradientMonitor(every=1)
    fit(model, monitor)
    found = monitor.finding
    assert (found.kind, found.layer, found.step) == ("nan", "before", 0)
    assert math.isfinite(monitor.gradient_norms["behind"][0])


def test_results_are_plain_numbers():
    monitor = GradientMonitor(every=3)
    fit(line(), monitor, x=X[:, :1])
    assert json.loads(json.dumps(monitor.to_dict())) == monitor.to_dict()


def test_second_fit_begins_anew_and_one_without_measures_nothing():
    model, monitor = line(), GradientMonitor(every=4)
    fit(model, monitor, x=X[:, :1])
    fit(model, monitor, x=X[:, :1])
    assert monitor.steps == [0, 4]
    fit(model, x=X[:, :1])
    assert monitor.steps == [0, 4]


def test_short_batches_are_left_to_the_next_step():
    monitor = GradientMonitor(every=5)  # the sixth batch has 2 rows
    fit(line(), monitor, x=X[:42, :1], y=Y[:42], epochs=2)
    assert monitor.steps == [0, 6, 10]


def scaled_by(initial_scale):
    return keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=initial_scale
    )


def test_a_step_that_loss_scaling_skips_is_left_to_the_next():
    """A scale of 1e38 makes 4 infinite; half of it does not."""
    ones, zeros = np.ones((48, 1), "float32"), np.zeros((48, 1), "float32")
    monitor = GradientMonitor(every=3)
    fit(line(optimizer=scaled_by(1e38)), monitor, x=ones, y=zeros)
    assert monitor.finding is None
    assert monitor.steps == [1, 3]
    assert monitor.gradient_norms["line"] == pytest.approx([4, 2.56], rel=1e-4)


def test_targets_that_no_loss_scale_makes_finite_are_found_at_once():
    ones = np.ones((8, 1), "float32")
    monitor = GradientMonitor()
    fit(line(optimizer=scaled_by(1e38)), monitor, x=ones, y=ones * np.nan)
    assert (monitor.finding.kind, monitor.finding.step) == ("nan", 0)


def test_gradients_that_no_loss_scale_makes_finite_are_found():
    """Of the scales 4, 2 and 1 the last one scales nothing."""
    optimizer = scaled_by(4.0)
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(3, name="a"), Root()]
    )
    model.compile(optimizer, "mse")
    monitor = GradientMonitor(every=1)
    fit(model, monitor, y=np.zeros((48, 3)))
    found = monitor.finding
    assert (found.kind, found.layer, found.step) == ("nan", "a", 2)


def two_heads(order, **compile_arguments):
    """A trunk with the heads `told` and `silent`."""
    inputs = keras.Input((5,))
    trunk = keras.layers.Dense(6, "tanh", name="trunk")(inputs)
    outputs = {name: keras.layers.Dense(1, name=name)(trunk) for name in order}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", **compile_arguments)
    return model


@pytest.mark.filterwarnings("ignore:Gradients do not exist for variables")
@pytest.mark.parametrize("order", [("told", "silent"), ("silent", "told")])
@pytest.mark.parametrize(
    "losses",
    [
        {"loss": {"told": "mse", "silent": None}},
        {
            "loss": {"told": "mse", "silent": "mse"},
            "loss_weights": {"told": 1.0, "silent": 0.0},
        },
    ],
    ids=["no loss", "weight 0"],
)
def test_a_head_that_no_loss_looks_at_is_not_accused(order, losses):
    monitor = GradientMonitor(every=1)
    fit(two_heads(order, **losses), monitor, y={"told": Y, "silent": Y})
    assert len(monitor.steps) == BATCHES
    assert monitor.gradient_norms["silent"] == [0.0] * BATCHES
    assert all(norm > 0 for norm in monitor.gradient_norms["trunk"])
    assert monitor.finding is None


def test_layers_before_a_dead_one_get_exact_zeros_and_are_found():
    """A ReLU below 0 for all rows lets nothing through."""
    dead = keras.layers.Dense(
        3, "relu", bias_initializer=keras.initializers.Constant(-1e4)
    )
    model = keras.Sequential(
        [keras.Input((5,)), keras.layers.Dense(3, name="first"), dead,
         keras.layers.Dense(1, name="last")]
    )  # fmt: skip
    model.compile("sgd", "mse")
    monitor = GradientMonitor(every=1)
    fit(model, monitor)
    assert monitor.gradient_norms["first"] == [0.0] * BATCHES
    found = monitor.finding
    assert (found.kind, found.layer, found.step) == ("vanishing", dead.name, 2)


class OwnStep(keras.Model):
    def call(self, inputs):
        return inputs[:, :1]

    def train_step(self, *arguments):
        raise AssertionError("no step is taken")


def test_model_with_a_step_of_its_own_is_refused():
    model = OwnStep()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="Received: OwnStep with a `train_step`"):
        fit(model, GradientMonitor())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"every": 0}, "`every` is the number of steps between measurements"),
        ({"vanishing_ratio": 1.0}, "must be a number above 0 and below 1"),
        ({"exploding_ratio": 1}, "must be a number above 1. Received"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        GradientMonitor(**arguments)


@pytest.mark.slow
def test_sequences_of_unknown_length_are_watched():
    model = keras.Sequential(
        [keras.Input((None, 2)), layers.VariationalLSTM(2), keras.layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    monitor = GradientMonitor(every=1)
    model.fit(np.ones((4, 3, 2)), np.ones((4, 1)), verbose=0, callbacks=[monitor])
    (shares,) = monitor.saturated_shares.values()
    assert monitor.steps == [0] and 0 <= shares[0] <= 1


class Interrupt(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        raise KeyboardInterrupt


def small_fit(model, *monitors, epochs=1):
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    arguments = {"epochs": epochs, "batch_size": 8, "verbose": 0, "shuffle": False}
    return model.fit(x, x[:, :1], callbacks=list(monitors), **arguments)


def small_model():
    keras.utils.set_random_seed(0)
    hidden = keras.layers.Dense(4, "relu", name="hidden")
    model = keras.Sequential([keras.Input((3,)), hidden])
    model.add(keras.layers.Dense(1, name="outputs"))
    model.compile("sgd", "mse")
    return model


def test_a_monitor_measures_after_a_fit_that_was_interrupted():
    model, first = small_model(), GradientMonitor(1)
    with pytest.raises(KeyboardInterrupt):
        small_fit(model, first, Interrupt())
    second = GradientMonitor(1)
    small_fit(model, second)
    assert second.steps == list(range(8))
    assert len(first.steps) == 1
    assert small_fit(model).epoch == [0]


def test_an_interrupted_monitor_may_watch_another_model_and_leaves_the_first():
    model, monitor = small_model(), GradientMonitor(1)
    with pytest.raises(KeyboardInterrupt):
        small_fit(model, monitor, Interrupt())
    small_fit(small_model(), monitor)
    found = monitor.to_dict()
    assert small_fit(model).epoch == [0]
    assert monitor.to_dict() == found


def test_two_monitors_measure_what_each_measures_alone():
    alone = {every: GradientMonitor(every) for every in (2, 3)}
    for monitor in alone.values():
        small_fit(small_model(), monitor, epochs=2)
    beside = {every: GradientMonitor(every) for every in (2, 3)}
    model = small_model()
    small_fit(model, *beside.values(), epochs=2)
    plain = small_model()
    small_fit(plain, epochs=2)
    for every in (2, 3):
        assert beside[every].to_dict() == alone[every].to_dict()
    for ours, theirs in zip(model.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(ours), ops.convert_to_numpy(theirs)
        )
    assert type(model.train_function) is type(plain.train_function)


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
def test_a_model_without_weights_that_are_trained_is_refused():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.trainable = False
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="model must have some. Received: .* frozen"):
        model.fit(np.ones((4, 2)), np.ones(4), callbacks=[GradientMonitor()], verbose=0)


def test_a_model_that_is_not_built_is_refused_where_fit_has_not_built_it():
    model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    if keras.config.backend() == "tensorflow":
        with pytest.raises(ValueError, match="must be built before `fit`.*not built"):
            small_fit(model, GradientMonitor(1))
    else:  # `fit` builds it before the callbacks begin
        monitor = GradientMonitor(1)
        small_fit(model, monitor)
        assert monitor.steps == list(range(8))
