import subprocess
import sys

import keras
import keras_tuner
import numpy as np
import pytest

from keras_trainkit._optimizer_access import learning_rate_schedule
from keras_trainkit.callbacks import OneCycle
from keras_trainkit.hypermodels import HyperMLP
from keras_trainkit.models import MemberModel
from keras_trainkit.optimizers import SGDW, AdamW

FIXED = {
    "layers": 2,
    "units_0": 5,
    "units_1": 7,
    "activation": "tanh",
    "normalization": "layer",
    "residual": True,
    "dropout": 0.3,
    "optimizer": "adamw",
    "learning_rate": 0.02,
    "weight_decay": 0.004,
    "schedule": "constant",
    "batch_size": 10,
}


@pytest.fixture
def rows():
    x = np.random.default_rng(3).normal(size=(24, 3)).astype("float32")
    return x, (x[:, 0] > 0).astype("int32")


def built(outputs=2, task="classification", *, space=None, **arguments):
    space = FIXED | (space or {})
    hypermodel = HyperMLP((3,), outputs, task, space=space, **arguments)
    hp = keras_tuner.HyperParameters()
    return hypermodel, hp, hypermodel.build(hp)


def fitted(hypermodel, hp, model, *args, **kwargs):
    return hypermodel.fit(hp, model, *args, epochs=1, verbose=0, **kwargs)


class Rates(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.rates = []

    def on_train_batch_begin(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


class LastEpoch(keras.callbacks.Callback):
    """Keeps what the optimizer holds while it trains, which OneCycle takes back."""

    def on_epoch_end(self, epoch, logs=None):
        self.schedule = learning_rate_schedule(self.model.optimizer)
        self.momentum = getattr(self.model.optimizer, "momentum", None)


def test_the_network_is_what_the_values_say():
    _, _, model = built()
    assert [model.get_layer(f"dense_{n}").units for n in (1, 2)] == [5, 7]
    assert model.get_layer("activation_1").activation is keras.activations.tanh
    kind = type(model.get_layer("normalization_1"))
    assert kind is keras.layers.LayerNormalization
    assert model.get_layer("dropout_2").rate == 0.3
    assert "add_1" in [layer.name for layer in model.layers]


def test_the_optimizer_is_what_the_values_say():
    _, _, model = built(space={"beta_2": 0.97, "epsilon": 1e-6})
    assert type(model.optimizer) is AdamW
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    numbers = (model.optimizer.weight_decay, model.optimizer.beta_2)
    assert numbers == (0.004, 0.97)
    assert model.optimizer.epsilon == 1e-6
    assert model.optimizer.global_clipnorm is None
    space = {"optimizer": "sgdw", "momentum": 0.93, "global_clipnorm": 2.5}
    _, _, model = built(space=space)
    assert type(model.optimizer) is SGDW
    assert (model.optimizer.momentum, model.optimizer.global_clipnorm) == (0.93, 2.5)


@pytest.mark.parametrize(
    ("space", "l1", "l2"),
    [
        ({}, None, None),
        ({"penalty": "l1", "l1": 0.003}, 0.003, 0),
        ({"penalty": "l2", "l2": 0.004}, 0, 0.004),
        ({"penalty": "elastic_net", "l1": 0.003, "l2": 0.004}, 0.003, 0.004),
    ],
)
def test_penalties_reach_the_kernels(space, l1, l2):
    regularizer = built(space=space)[2].get_layer("dense_2").kernel_regularizer
    if l1 is None:
        assert regularizer is None
    else:
        found = regularizer.get_config()
        assert found == {"l1": pytest.approx(l1), "l2": pytest.approx(l2)}


@pytest.mark.first_quick
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    ("task", "outputs", "one_hot", "loss", "metric"),
    [
        ("classification", 4, False, "SparseCategoricalCrossentropy", "accuracy"),
        ("classification", 4, True, "CategoricalCrossentropy", "accuracy"),
        ("binary", 1, False, "BinaryCrossentropy", "accuracy"),
        ("regression", 2, False, "MeanSquaredError", "root_mean_squared_error"),
    ],
)
def test_each_task_has_its_loss_and_metric(task, outputs, one_hot, loss, metric):
    hypermodel, hp, model = built(outputs, task, one_hot=one_hot)
    assert type(model.loss).__name__ == loss
    assert getattr(model.loss, "from_logits", None) in (True, None)
    x = np.zeros((4, 3), "float32")
    y = np.zeros((4, outputs), "float32") if loss[0] != "S" else np.zeros(4)
    assert set(model.evaluate(x, y, verbose=0, return_dict=True)) == {"loss", metric}


@pytest.mark.usefixtures("eagerly")
def test_binary_accuracy_takes_logits():
    _, _, model = built(1, "binary")
    x = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    logits = model.predict(x, verbose=0)[:, 0]
    y = (logits > 0).astype("float32")
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] == 1.0
    assert 0 < y.mean() < 1


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("task", ["binary", "classification"])
def test_label_smoothing_is_in_the_loss_and_not_in_the_objective(task, rows):
    space = {"label_smoothing": (0.05, 0.2)}
    outputs, one_hot = (1, False) if task == "binary" else (2, True)
    hypermodel, hp, model = built(outputs, task, one_hot=one_hot, space=space)
    assert hp.get("label_smoothing") == 0.05
    assert model.loss.label_smoothing == 0.05
    assert hypermodel.objective.name == "val_cross_entropy"
    assert hypermodel.objective.direction == "min"
    x, y = rows
    z = model.predict(x, verbose=0).astype("float64")
    if task == "binary":
        z, y_given = np.concatenate([0 * z, z], 1), y
    else:
        y_given = np.eye(2, dtype="float32")[y]
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    truth = -log_p[np.arange(24), y].mean()
    smoothed = 0.95 * truth - 0.05 * log_p.mean(1).mean()
    found = model.evaluate(x, y_given, verbose=0, return_dict=True)
    assert found["cross_entropy"] == pytest.approx(truth, abs=1e-5)
    assert found["loss"] == pytest.approx(smoothed, abs=1e-5)


def test_objective_leaves_penalties_out_where_they_are_searched():
    assert built()[0].objective.name == "val_loss"
    space = {"penalty": ["none", "l2"]}
    assert built(space=space)[0].objective.name == "val_cross_entropy"
    regression = built(1, "regression", space=space)[0]
    assert regression.objective.name == "val_root_mean_squared_error"


@pytest.mark.usefixtures("eagerly")
def test_compiled_model_comes_back_from_a_file_with_its_loss_and_metrics(tmp_path):
    _, _, model = built(1, "binary", space={"label_smoothing": 0.1})
    model.save(tmp_path / "best.keras")
    again = keras.saving.load_model(tmp_path / "best.keras")
    x = np.random.default_rng(0).normal(size=(9, 3)).astype("float32")
    y = np.arange(9) % 2
    before, after = (
        m.evaluate(x, y, verbose=0, return_dict=True) for m in (model, again)
    )
    assert after == pytest.approx(before)
    assert set(after) == {"loss", "accuracy", "cross_entropy"}


@pytest.mark.usefixtures("eagerly")
def test_extra_metrics_are_copied_for_every_model():
    metric = keras.metrics.AUC(from_logits=True, name="area")
    hypermodel, hp, model = built(1, "binary", metrics=[metric, "hinge"])
    x = np.zeros((4, 3), "float32")
    names = set(model.evaluate(x, np.array([0, 1, 0, 1]), verbose=0, return_dict=True))
    assert {"area", "hinge"} <= names
    assert not metric.variables or np.sum(metric.true_positives) == 0


def test_members_are_a_hyperparameter():
    _, hp, model = built(1, "regression", space={"members": [3, 4]})
    assert isinstance(model, MemberModel)
    assert model.get_layer("members").output.shape == (None, 3, 1)


@pytest.mark.usefixtures("eagerly")
def test_fit_returns_the_history_and_takes_the_batch_size_of_the_trial(rows):
    history = fitted(*built(), *rows, validation_data=rows)
    assert isinstance(history, keras.callbacks.History)
    assert history.params["steps"] == 3  # 24 rows in batches of 10
    assert "val_loss" in history.history


class ValidationSteps(keras.callbacks.Callback):
    """Counts the batches of a validation."""

    count = 0

    def on_test_batch_end(self, batch, logs=None):
        self.count += 1


@pytest.mark.first_quick
@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    ("size", "given", "steps"),
    [(10, {}, 2), (301, {}, 1), (10, {"validation_batch_size": 100}, 4)],
)
def test_fit_validates_in_batches_of_256_rows_at_least(rows, size, given, steps):
    seen = ValidationSteps()
    validation = tuple(np.concatenate([part] * 13)[:301] for part in rows)
    fitted(
        *built(space={"batch_size": size}),
        *rows,
        validation_data=validation,
        callbacks=[seen],
        **given,
    )
    assert seen.count == steps


def test_fit_runs_one_cycle_up_to_the_rate_of_the_trial(rows):
    seen = Rates()
    trial = built(space={"schedule": "one_cycle", "batch_size": 1})
    fitted(*trial, *rows, callbacks=[seen])
    # 24 steps: up to 0.02 at step 10.8, back to 0.002 at 21.6
    assert seen.rates[0] == pytest.approx(0.002, rel=1e-3)
    assert seen.rates[11] == pytest.approx(0.02 - 0.018 * 0.2 / 10.8, rel=1e-3)
    assert seen.rates[18] == pytest.approx(0.02 - 0.018 * 7.2 / 10.8, rel=1e-3)


@pytest.mark.usefixtures("eagerly")
def test_warmup_fraction_moves_the_peak(rows):
    space = {"schedule": "one_cycle", "warmup_fraction": 0.25}
    hypermodel, hp, model = built(space=space)
    seen = LastEpoch()
    fitted(hypermodel, hp, model, *rows, callbacks=[seen])
    assert seen.schedule.peak_step == pytest.approx(0.25 * 3)


@pytest.mark.usefixtures("eagerly")
def test_sgdw_cycles_the_momentum_of_the_trial(rows):
    space = {"schedule": "one_cycle", "optimizer": "sgdw", "momentum": 0.93}
    hypermodel, hp, model = built(space=space)
    seen = LastEpoch()
    fitted(hypermodel, hp, model, *rows, callbacks=[seen])
    bounds = (seen.momentum.max_momentum, seen.momentum.min_momentum)
    assert bounds == pytest.approx((0.93, 0.83))
    assert model.optimizer.momentum == 0.93


@pytest.mark.usefixtures("eagerly")
def test_plain_fit_of_a_built_model_trains_at_the_rate_of_the_trial(rows):
    _, _, model = built(space={"schedule": "one_cycle"})
    seen = Rates()
    model.fit(*rows, epochs=2, verbose=0, callbacks=[seen])
    assert seen.rates == pytest.approx([0.02] * 2)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_weights_file_of_a_fitted_trial_brings_the_optimizer_along(
    schedule, rows, tmp_path
):
    hypermodel, hp, model = built(space={"schedule": schedule})
    fitted(hypermodel, hp, model, *rows)
    model.save_weights(tmp_path / "trial.weights.h5")
    again = hypermodel.build(hp)
    again.load_weights(tmp_path / "trial.weights.h5")  # warns where state is lost
    assert int(again.optimizer.iterations) == 3
    pairs = zip(again.optimizer.variables, model.optimizer.variables, strict=True)
    assert all(np.array_equal(*map(keras.ops.convert_to_numpy, p)) for p in pairs)


@pytest.mark.usefixtures("eagerly")
def test_callbacks_of_the_caller_are_kept_and_not_changed(rows):
    mine = [Rates()]
    fitted(*built(space={"schedule": "one_cycle"}), *rows, callbacks=mine)
    assert len(mine) == 1 and len(mine[0].rates) == 3


@pytest.mark.usefixtures("eagerly")
def test_data_sets_come_in_batches_of_their_own(rows):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 4

        def __getitem__(self, index):
            return rows[0][:6], rows[1][:6]

    with pytest.raises(ValueError, match=r"`x` is cut .*'batch_size': None.*Batches"):
        fitted(*built(), Batches())
    history = fitted(*built(space={"batch_size": None}), Batches())
    assert history.params["steps"] == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch_size": 8}, "`batch_size` is a hyperparameter .* batch_size=8"),
        ({"callbacks": [OneCycle(0.1)]}, "must come without OneCycle"),
    ],
)
def test_what_the_trial_decides_is_not_taken_from_the_caller(arguments, words, rows):
    with pytest.raises(keras_tuner.errors.FatalValueError, match=words):
        fitted(*built(), *rows, **arguments)


def test_arguments_after_y_need_their_names(rows):
    with pytest.raises(ValueError, match="given by name. Received: 3 without"):
        fitted(*built(), *rows, 16)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.not_torch
def test_steps_per_execution_reaches_compile(rows):
    trial = built(steps_per_execution=3)
    assert trial[2].steps_per_execution == 3
    assert "loss" in fitted(*trial, *rows).history


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"task": "ranking"}, "`task` decides the head and the loss and must be one"),
        ({"outputs": 1}, "number of classes"),
        ({"task": "binary", "one_hot": True}, "those of a classification"),
        ({"input_shape": (0,)}, "shape of one sample"),
        ({"input_shape": None}, "shape of one sample"),
        ({"metrics": "accuracy"}, "shown beside those of the task"),
        ({"prepare": 3}, "must be a function `prepare"),
        ({"steps_per_execution": 0}, "batches per call"),
    ],
)
def test_arguments_are_checked_in_the_constructor(arguments, words):
    with pytest.raises(ValueError, match=words):
        HyperMLP(**{"input_shape": (3,), "outputs": 2} | arguments)


@pytest.mark.slow
def test_importing_the_kit_leaves_the_hypermodels_out():
    script = "import sys, keras_trainkit; print('keras_trainkit.hypermodels' in sys."
    command = [sys.executable, "-c", script + "modules, 'keras_tuner' in sys.modules)"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.split()[-2:] == ["False", "False"]


def test_the_models_of_a_search_carry_the_names_of_the_classes():
    _, _, model = built(2, "classification", classes=["ham", "spam"])
    assert model.classes == ("ham", "spam")
    with pytest.raises(ValueError, match="`classes` names what .* 3 of them"):
        HyperMLP((3,), 3, classes=["ham", "spam"])
