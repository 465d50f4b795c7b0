import copy
import inspect
import math
import time
import warnings

import keras
import numpy as np
import pytest

from keras_trainkit.callbacks import EarlyStopping

NAN, INF = math.nan, math.inf


def one_weight_model(optimizer="sgd", metrics=None):
    model = keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer, "mse", metrics=metrics)
    return model


@pytest.fixture(scope="module")
def model():
    return one_weight_model()


def drive(stopping, model, values, key="val_loss"):
    """Plays a run in which epoch e ends with the weights e and 10 e."""
    stopping.set_model(model)
    model.stop_training = False
    stopping.on_train_begin()
    for epoch, value in enumerate(values):
        model.set_weights([np.full((1, 1), epoch), np.full((1,), 10.0 * epoch)])
        stopping.on_epoch_end(epoch, {"loss": 0.5, key: value})
        if model.stop_training:
            break


def weights_kept(stopping, model):
    """The epoch whose weights the model has after training."""
    stopping.on_train_end()
    kernel, bias = model.get_weights()
    assert bias[0] == 10 * kernel[0, 0]
    return kernel[0, 0]


# values, arguments, epoch of the best, epoch that stops (0: the run goes to its end),
# all counted from 0.
TABLE = {
    "NaN first": ([NAN, 5, 4, 3, 2, 1], {"patience": 2}, 5, 0),
    "NaN between": ([5, NAN, 4], {"patience": 2}, 2, 0),
    "NaN uses up patience": ([5, NAN, NAN, 4], {"patience": 2}, 0, 2),
    "inf first": ([INF, 5, 6, 4, 7, 8], {"patience": 2}, 3, 5),
    "-inf is no minimum": ([5, -INF, 4, 6, 7], {"patience": 2}, 2, 4),
    # 0.95 and 0.9 are within 0.1 of 1; 0.85 is not, and 0.8 and 0.75 are within 0.1
    # of 0.85.
    "slow fall": ([1, 0.95, 0.9, 0.85, 0.8, 0.75], {"min_delta": 0.1}, 5, 0),
    "slow fall, less patience": (
        [1, 0.95, 0.9, 0.85, 0.8, 0.75],
        {"min_delta": 0.1, "patience": 2},
        2,
        2,
    ),
    # 90 and 82 are within 20 % of 100; 79 is not, and needs less than 63.2 next.
    "relative": (
        [100, 90, 82, 79, 70, 64, 65],
        {"min_delta": 0.2, "min_delta_mode": "relative", "patience": 3},
        5,
        6,
    ),
    # The same numbers with an absolute 0.2: every fall counts.
    "absolute": ([100, 90, 82, 79, 70, 64, 65], {"min_delta": 0.2}, 5, 0),
    "rising": ([0.2, 0.6, 0.4, 0.5], {"mode": "max", "patience": 2}, 1, 3),
    "negative values, relative": (
        [-10, -10.5, -12, -12.5, -13],  # needs -11, then -13.2
        {"min_delta": 0.1, "min_delta_mode": "relative", "patience": 2},
        4,
        4,
    ),
    "baseline never passed": ([9, 8, 7, 6], {"baseline": 5, "patience": 3}, 2, 2),
    "baseline passed": ([9, 4, 8, 7, 6], {"baseline": 5, "patience": 3}, 1, 4),
    # As in Keras: patience 0 is 1, and no run ends with its first epoch.
    "no patience": ([5, 4, 3, 4, 2], {"patience": 0}, 2, 3),
    "patience of one": ([5, 4, 3, 4, 2], {"patience": 1}, 2, 3),
    "no patience, NaN once": ([NAN, 2, 3, 1], {"patience": 0}, 1, 2),
    "no patience, baseline": ([9, 8, 4], {"patience": 0, "baseline": 5}, 1, 1),
    "first epochs unseen": (
        [1, 2, 9, 8, 8.5, 8.6],
        {"start_from_epoch": 2, "patience": 2},
        3,
        5,
    ),
    # Averages: 4, (4 + 2*1)/3 = 2, (4/8 + 1/4 + 10/2)/(7/8) = 6.57,
    # (4/16 + 1/8 + 10/4 + 2/2)/(15/16) = 4.13
    "smoothed": ([4, 1, 10, 2], {"smoothing": 0.5, "patience": 2}, 1, 3),
    # Averages: 4, none, 2 as above, 2 + ... = 1.43 with 1 once more
    "smoothed over NaN": ([4, NAN, 1, 1], {"smoothing": 0.5, "patience": 2}, 3, 0),
}


@pytest.mark.parametrize("row", TABLE)
def test_best_and_stopping_epoch(row, model):
    values, arguments, best_epoch, stopped_epoch = TABLE[row]
    stopping = EarlyStopping(**{"patience": 3, "mode": "min"} | arguments)
    drive(stopping, model, values)
    assert stopping.best_epoch == best_epoch
    assert stopping.stopped_epoch == stopped_epoch
    assert (stopping.stop_reason is None) == (stopped_epoch == 0)
    assert weights_kept(stopping, model) == best_epoch


@pytest.mark.parametrize("values", [[NAN] * 5, [INF] * 5, [-INF] * 5, [NAN, INF] * 3])
def test_run_without_a_finite_value_stops_and_says_so(values, model):
    stopping = EarlyStopping(patience=3)
    drive(stopping, model, values)
    assert stopping.stopped_epoch == 2
    assert stopping.best is None and stopping.best_epoch == 0
    assert stopping.stop_reason == (
        "Stopped since no value of val_loss has been finite after 3 epochs of "
        "patience, in epoch 3."
    )
    with pytest.warns(UserWarning, match="no value of val_loss was finite"):
        stopping.on_train_end()
    assert model.get_weights()[1] == 20  # the weights of the last epoch


def test_best_is_the_value_or_the_average(model):
    plain, smoothed = EarlyStopping(), EarlyStopping(smoothing=0.5)
    drive(plain, model, [4, 1, 10])
    drive(smoothed, model, [4, 1, 10])
    assert plain.best == 1
    assert smoothed.best == pytest.approx((0.25 * 4 + 0.5 * 1) / 0.75)


def test_reason_names_value_epochs_and_best(model):
    stopping = EarlyStopping(patience=2, min_delta=0.25, min_delta_mode="relative")
    drive(stopping, model, [7.5, 8, 9])
    assert stopping.stop_reason == (
        "Stopped since val_loss has not improved by more than 0.25 (relative) after "
        "2 epochs of patience, in epoch 3; the best was 7.5 in epoch 1."
    )


def test_reason_names_the_baseline(model):
    stopping = EarlyStopping(patience=2, baseline=0.25)
    drive(stopping, model, [7.5, 6])
    assert "val_loss has not passed baseline=0.25" in stopping.stop_reason


def test_missing_monitor_is_an_error_that_lists_the_keys(model):
    with pytest.raises(ValueError, match="must be one of 'loss', 'val_auc'") as error:
        drive(EarlyStopping("val_aucc"), model, [0.5], key="val_auc")
    assert "monitor='val_aucc'" in str(error.value)


def test_validation_that_never_came_is_an_error_with_the_remedy(blobs):
    with pytest.raises(ValueError, match="pass `validation_data` to `fit`"):
        fit(one_weight_model(), blobs, EarlyStopping(), validated=False)


@pytest.mark.usefixtures("eagerly")
def test_epochs_without_validation_are_not_counted(blobs):
    stopping = EarlyStopping(patience=2, mode="max", start_from_epoch=1)
    with pytest.raises(ValueError, match="start_from_epoch=n - 1"):
        fit(one_weight_model(), blobs, EarlyStopping(), validation_freq=2)
    run = fit(one_weight_model(), blobs, stopping, epochs=9, validation_freq=2)
    assert stopping.stopped_epoch == 5  # looked at 1, 3 and 5
    assert len(run.history["val_loss"]) == 3


def test_start_beyond_the_run_warns_and_keeps_the_last_weights(model):
    stopping = EarlyStopping(start_from_epoch=4)
    drive(stopping, model, [3, 1, 2])
    with pytest.warns(UserWarning, match="no epoch reached start_from_epoch=4"):
        stopping.on_train_end()
    assert model.get_weights()[1] == 20
    assert stopping.best is None


def test_value_that_is_no_single_number_is_refused(model):
    with pytest.raises(ValueError, match="one number per epoch"):
        drive(EarlyStopping(mode="max"), model, [np.array([0.1, 0.2])])


def test_without_restoring_the_last_weights_stay_and_none_are_copied(model):
    stopping = EarlyStopping(restore_best_weights=False, start_from_epoch=1)
    drive(stopping, model, [3, 1, 2])
    assert weights_kept(stopping, model) == 2
    assert stopping.best_weights is None and stopping.best_epoch == 1


def test_second_run_starts_afresh(model):
    stopping = EarlyStopping(patience=2)
    drive(stopping, model, [1, 2, 3])
    drive(stopping, model, [9, 8, 7])
    assert weights_kept(stopping, model) == 2
    assert (stopping.best, stopping.best_epoch) == (7, 2)
    assert stopping.stopped_epoch == 0 and stopping.stop_reason is None


@pytest.mark.usefixtures("eagerly")
def test_a_fit_of_no_epoch_has_no_best_weights_to_miss(blobs):
    stopping = EarlyStopping()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(one_weight_model(), blobs, stopping, epochs=0)
    assert stopping.best is None


class Peaked(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, peak_step):
        self.peak_step = peak_step

    def __call__(self, step):
        return 0.0 * keras.ops.cast(step, "float32")

    def get_config(self):
        return {"peak_step": self.peak_step}


@pytest.mark.first_quick
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    ("wrap", "wait_for_peak", "stopped_epoch"),
    [
        (lambda inner: inner, False, 2),
        # 4 batches an epoch: the epochs end on steps 4, 8, 12, 16, 20. The third
        # ends on the peak, the fourth and the fifth are counted.
        (lambda inner: inner, True, 4),
        (keras.optimizers.LossScaleOptimizer, True, 4),
    ],
)
def test_patience_starts_after_the_peak(wrap, wait_for_peak, stopped_epoch, blobs):
    optimizer = wrap(keras.optimizers.SGD(Peaked(12)))
    stopping = EarlyStopping(patience=2, wait_for_peak=wait_for_peak)
    fit(one_weight_model(optimizer), blobs, stopping, epochs=9)
    assert stopping.stopped_epoch == stopped_epoch


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("metric", ["accuracy", "auc", "f1_score"])
def test_auto_mode_knows_what_should_rise(metric, blobs):
    made = {
        "accuracy": "accuracy",
        "auc": keras.metrics.AUC(name="auc"),
        "f1_score": keras.metrics.F1Score("macro", threshold=0.5),
    }
    model = one_weight_model(keras.optimizers.SGD(0.0), [made[metric]])
    fit(model, blobs, stopping := EarlyStopping(f"val_{metric}"), epochs=1)
    stopping.on_epoch_end(1, {f"val_{metric}": 2.0})
    assert stopping.best == 2.0


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("key", ["loss", "val_loss", "val_left_loss", "val_mae"])
def test_auto_mode_knows_what_should_fall(key, blobs):
    model = one_weight_model(metrics=["mae"])
    model.test_on_batch(blobs[0][:, :1], blobs[1][:, None])  # builds the metrics
    stopping = EarlyStopping(key)
    drive(stopping, model, [3, 2], key=key)
    assert stopping.best == 2


@pytest.mark.usefixtures("eagerly")
def test_auto_mode_knows_the_metric_of_one_of_several_outputs(blobs):
    inputs = keras.layers.Input((1,))
    left = keras.layers.Dense(1, name="left")(inputs)
    right = keras.layers.Dense(1, name="right")(inputs)
    model = keras.Model(inputs, {"left": left, "right": right})
    model.compile("sgd", "mse", metrics={"left": ["mse"], "right": ["r2_score"]})
    x, y = blobs
    data = (x[:, :1], {"left": y[:, None], "right": y[:, None]})
    stopping = EarlyStopping("val_right_r2_score")
    model.fit(*data, validation_data=data, callbacks=[stopping], verbose=0)
    stopping.on_epoch_end(1, {"val_right_r2_score": 2.0})
    assert stopping.best == 2.0


@pytest.mark.usefixtures("eagerly")
def test_auto_mode_asks_where_it_cannot_know(blobs):
    def oddity(y_true, y_pred):
        return 0 * y_pred

    model = one_weight_model(metrics=[oddity])
    with pytest.raises(ValueError, match="nothing tells that of 'val_oddity'"):
        fit(model, blobs, EarlyStopping("val_oddity"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"monitor": ""}, "`monitor` is the key of the logs"),
        ({"monitor": ["loss"]}, "must be a string"),
        ({"min_delta": -0.1}, "`min_delta` is the improvement"),
        ({"min_delta": NAN}, "must be a number at least 0"),
        ({"min_delta_mode": "percent"}, "must be one of 'absolute', 'relative'"),
        ({"patience": -1}, "must be an integer at least 0"),
        ({"verbose": "auto"}, "`verbose` says whether to print"),
        ({"mode": "down"}, "must be one of 'auto', 'min', 'max'"),
        ({"baseline": "low"}, "`baseline` is the value to beat"),
        ({"restore_best_weights": 1}, "must be True or False"),
        ({"start_from_epoch": -1}, "`start_from_epoch` is the first epoch"),
        ({"wait_for_peak": None}, "`wait_for_peak` decides whether patience waits"),
        ({"smoothing": 1}, "must be a number at least 0 and below 1"),
    ],
)
def test_wrong_argument_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        EarlyStopping(**arguments)


def test_copies_deeply_and_fast():
    stopping = EarlyStopping("val_auc", patience=7, smoothing=0.3)
    start = time.perf_counter()
    twin = copy.deepcopy(stopping)
    assert time.perf_counter() - start < 0.01
    assert (twin.monitor, twin.patience, twin.smoothing) == ("val_auc", 7, 0.3)


def fit(model, blobs, *callbacks, epochs=3, validated=True, **arguments):
    x, y = blobs[0][:, :1], blobs[1][:, None]
    if validated:
        arguments["validation_data"] = (x[:16], y[:16])
    arguments |= {"batch_size": 16, "verbose": 0, "shuffle": False}
    return model.fit(x, y, epochs=epochs, callbacks=list(callbacks), **arguments)


class KeepsEveryEpoch(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        self.weights = []

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())


def equal(some, others):
    return all(map(np.array_equal, some, others))


def learning_model():
    """Batch norm too, since its statistics belong to the weights."""
    layers = [keras.layers.BatchNormalization(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.layers.Input((1,)), *layers])
    model.compile(keras.optimizers.SGD(0.3), "mse")
    return model


# The loss falls, so with mode="max" an early epoch is best, not the last.
def test_stopped_fit_ends_with_the_best_weights(blobs):
    seen, stopping = KeepsEveryEpoch(), EarlyStopping(patience=2, mode="max")
    model = learning_model()
    losses = fit(model, blobs, seen, stopping, epochs=20).history["val_loss"]
    best = int(np.argmax(losses))
    assert stopping.best_epoch == best == len(losses) - 3
    assert equal(model.get_weights(), seen.weights[best])
    assert not equal(model.get_weights(), seen.weights[-1])


def test_fit_that_runs_to_its_end_has_the_best_weights_too(blobs):
    seen, stopping = KeepsEveryEpoch(), EarlyStopping(patience=50, mode="max")
    model = learning_model()
    losses = fit(model, blobs, seen, stopping, epochs=5).history["val_loss"]
    best = int(np.argmax(losses))
    assert best < 4 and stopping.stopped_epoch == 0
    assert equal(model.get_weights(), seen.weights[best])
    assert stopping.best_weights is None


def test_second_fit_of_the_same_model_works(blobs):
    model, stopping = (
        one_weight_model(keras.optimizers.SGD(0.0)),
        EarlyStopping(patience=2),
    )
    assert len(fit(model, blobs, stopping, epochs=9).epoch) == 3
    assert len(fit(model, blobs, stopping, epochs=9).epoch) == 3


@pytest.mark.usefixtures("eagerly")
def test_loss_of_the_training_data_needs_no_validation(blobs):
    stopping = EarlyStopping("loss")
    fit(one_weight_model(), blobs, stopping, validated=False)
    assert stopping.best is not None


def test_arguments_stand_in_the_order_of_keras():
    mine = list(inspect.signature(EarlyStopping).parameters)
    keras_order = list(inspect.signature(keras.callbacks.EarlyStopping).parameters)
    assert mine[: len(keras_order)] == keras_order
    stopping = EarlyStopping("loss", 0.1, 3, 1, "max", 0.5, False, 2)
    assert (stopping.patience, stopping.verbose, stopping.mode) == (3, 1, "max")
    assert (stopping.baseline, stopping.start_from_epoch) == (0.5, 2)


def test_says_with_verbose_why_it_stopped_and_what_it_restored(model, capsys):
    stopping = EarlyStopping(patience=1, verbose=1)
    drive(stopping, model, [7.5, 8, 9])
    stopping.on_train_end()
    assert capsys.readouterr().out == (
        "Stopped since val_loss has not improved after 1 epoch of patience, in epoch "
        "2; the best was 7.5 in epoch 1.\nRestored the weights of epoch 1.\n"
    )


def test_first_epoch_stops_no_run(model):
    stopping = EarlyStopping(patience=0)
    drive(stopping, model, [NAN, NAN, 3])
    assert stopping.stopped_epoch == 1


def test_is_silent_otherwise(model, capsys):
    stopping = EarlyStopping(patience=1)
    drive(stopping, model, [7.5, 8, 9])
    stopping.on_train_end()
    assert capsys.readouterr().out == ""


def test_tells_the_way_that_is_better_as_keras_does(model):
    for mode, operation in (("min", keras.ops.less), ("max", keras.ops.greater)):
        drive(stopping := EarlyStopping(mode=mode), model, [1])
        assert stopping.monitor_op is operation


class Network:
    """A model of another library: weights and nothing else."""

    def __init__(self):
        self.weights = [np.zeros((1, 1)), np.zeros(1)]

    def get_weights(self):
        return list(self.weights)

    def set_weights(self, weights):
        self.weights = weights


class OtherOptimizer:
    """No learning rate that Keras knows."""


def uncompiled_model():
    return keras.Sequential([keras.layers.Input((1,)), keras.layers.Dense(1)])


def network_with_other_optimizer():
    network = Network()
    network.optimizer = OtherOptimizer()
    return network


@pytest.mark.parametrize(
    "make_model", [Network, network_with_other_optimizer, uncompiled_model]
)
def test_serves_a_loop_of_ones_own(make_model):
    stopping = EarlyStopping(patience=2)
    own = make_model()
    drive(stopping, own, [4, 2, 3, 5])
    assert (own.stop_training, stopping.stopped_epoch) == (True, 3)
    assert weights_kept(stopping, own) == 1


def test_model_without_weights_to_copy_is_refused_where_they_are_restored():
    class Bare:
        stop_training = False

    stopping = EarlyStopping()
    stopping.set_model(Bare())
    with pytest.raises(ValueError, match="`restore_best_weights` copies.*type Bare"):
        stopping.on_train_begin()
    stopping = EarlyStopping(restore_best_weights=False, patience=1)
    stopping.set_model(Bare())
    stopping.on_train_begin()
    stopping.on_epoch_end(0, {"val_loss": 1.0})
    stopping.on_epoch_end(1, {"val_loss": 2.0})
    assert stopping.model.stop_training


def averaging_model(scaled=False):
    optimizer = keras.optimizers.SGD(0.3, use_ema=True, ema_momentum=0.6)
    if scaled:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model = learning_model()
    model.compile(optimizer, "mse")
    return model


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("swap_first", [False, True])
@pytest.mark.parametrize("swap_on_epoch", [False, True])
@pytest.mark.parametrize("best", ["min", "max"])  # the last epoch and the first
def test_weights_beside_averaging_are_those_that_were_scored(
    swap_first, swap_on_epoch, best, blobs
):
    model = averaging_model(scaled=swap_on_epoch)
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=swap_on_epoch)
    stopping = EarlyStopping(patience=2, mode=best)
    watching = [swap, stopping] if swap_first else [stopping, swap]
    scores = fit(model, blobs, *watching, epochs=4).history["val_loss"]
    assert len(set(scores)) == len(scores)
    x, y = blobs[0][:16, :1], blobs[1][:16, None]
    again = model.evaluate(x, y, verbose=0, batch_size=16)
    assert again == pytest.approx(getattr(np, best)(scores), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("swap_first", [False, True])
@pytest.mark.parametrize("swap_on_epoch", [False, True])
def test_weights_scored_in_training_are_the_trained_ones(
    swap_first, swap_on_epoch, blobs
):
    model = averaging_model()
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=swap_on_epoch)
    stopping = EarlyStopping("loss", mode="max")  # the first epoch is best
    watching = [swap, stopping] if swap_first else [stopping, swap]
    if swap_first and swap_on_epoch:
        with pytest.raises(ValueError, match="`monitor` scores the weights.*'loss'"):
            fit(model, blobs, *watching, epochs=3)
        return
    start = model.get_weights()
    fit(model, blobs, *watching, epochs=3)
    plain = learning_model()  # the same epoch without averages
    plain.set_weights(start)
    fit(plain, blobs, epochs=1)
    assert all(map(np.allclose, model.get_weights(), plain.get_weights()))
