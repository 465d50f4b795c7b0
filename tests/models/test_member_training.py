"""A `MemberModel` in the hands of Keras: files, copies, compiled steps, datasets."""

import copy
import subprocess
import sys

import keras
import numpy as np
import pytest
from comparing import assert_close
from keras import ops
from member_losses import members_of, rows_of_members, squared
from member_tables import adapted, table, table_mlp

from keras_trainkit.layers import StandardScaling
from keras_trainkit.models import MemberModel, mlp

X, Y = table()
UNITS = (Y.mean(), Y.std())


def scaled_losses(model, x=X):
    """`(of the members, of their mean)` on standardized targets, l2 not counted."""
    said, target = members_of(model, x), (Y - UNITS[0]) / UNITS[1]
    return rows_of_members(squared, target, said).mean(), squared(
        target, said.mean(1)
    ).mean()


def weights_of(model):
    return [ops.convert_to_numpy(weight) for weight in model.weights]


def assert_same_weights(model, other, **tolerances):
    for came, expected in zip(weights_of(model), weights_of(other), strict=True):
        np.testing.assert_allclose(came, expected, **tolerances)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.slow
def test_saved_it_goes_on_training_where_it_stood(tmp_path):
    model = table_mlp(X, Y)
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.fit(X, Y, batch_size=5, shuffle=False, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is MemberModel
    assert int(loaded.optimizer.iterations) == 4
    assert_close(loaded.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-6)
    expected, came = (
        each.fit(X, Y, batch_size=5, shuffle=False, verbose=0).history
        for each in (model, loaded)
    )
    assert set(came) == set(expected) == {"loss", "mae", "member_loss"}
    for key in came:
        assert came[key] == pytest.approx(expected[key], rel=1e-5)
    assert_same_weights(loaded, model, atol=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_a_clone_is_a_member_model_of_its_own():
    model = table_mlp(X, Y)
    clone = keras.models.clone_model(model)
    assert type(clone) is MemberModel
    assert not {id(w) for w in clone.weights} & {id(w) for w in model.weights}
    clone.set_weights(model.get_weights())
    assert_close(clone(X, training=False), model(X, training=False), rtol=1e-6)
    for each in (model, clone):
        each.compile(keras.optimizers.SGD(0.1), "mse")
        each.train_on_batch(X, Y)
    assert_same_weights(clone, model, atol=1e-6)


@pytest.mark.not_torch
@pytest.mark.slow
def test_compiled_by_xla_in_executions_of_any_length_the_weights_are_the_same():
    models = [mlp((2,), 1, (4,), members=3, dropout=0.0) for _ in range(3)]
    start = models[0].get_weights()
    for model, steps in zip(models, (1, 3, 16), strict=True):
        model.set_weights(start)
        optimizer = keras.optimizers.SGD(1e-7)  # 0.01 would end in NaN, always equal
        model.compile(optimizer, "mse", jit_compile=True, steps_per_execution=steps)
        model.fit(X["numeric"], Y, batch_size=5, shuffle=False, verbose=0)
        assert int(optimizer.iterations) == 4
    assert_same_weights(models[1], models[0], rtol=0)
    assert_same_weights(models[2], models[0], rtol=0)


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def half_precision(request):
    keras.config.set_dtype_policy(request.param)
    yield request.param.removeprefix("mixed_")
    keras.config.set_dtype_policy("float32")


def test_in_half_precision_members_and_losses_are_float32(half_precision):
    numbers, scaling = X["numeric"] / 20, adapted(StandardScaling(dtype="float32"), Y)
    model = mlp((2,), 1, (4,), members=3, target_scaling=scaling, dropout=0.0)
    assert model.get_layer("dense_1").compute_dtype == half_precision
    assert model.get_layer("members").compute_dtype == "float32"
    model.compile(keras.optimizers.SGD(1e-3), "mse", run_eagerly=True)
    of_members, of_mean = scaled_losses(model, numbers)
    tested = model.test_on_batch(numbers, Y, return_dict=True)
    assert tested["loss"] == pytest.approx(of_mean, rel=1e-5)
    model.reset_metrics()
    logs = model.train_on_batch(numbers, Y, return_dict=True)
    expected = {"loss": of_members, "member_loss": of_members}
    assert logs == pytest.approx(expected, rel=1e-5)  # without float16's loss scale
    assert 0 < scaled_losses(model, numbers)[0] < of_members


@pytest.mark.usefixtures("eagerly")
def test_accumulated_gradients_of_halves_are_those_of_the_whole():
    start, whole, halves = (mlp((2,), 1, (), members=3) for _ in range(3))
    for model, steps in ((whole, None), (halves, 2)):
        model.set_weights(start.get_weights())
        optimizer = keras.optimizers.SGD(1e-3, gradient_accumulation_steps=steps)
        model.compile(optimizer, "mse")
        model.fit(X["numeric"], Y / 100, 20 // (steps or 1), shuffle=False, verbose=0)
    assert_same_weights(halves, whole, atol=1e-5)
    with pytest.raises(AssertionError):
        assert_same_weights(start, whole, atol=1e-3)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        rows = slice(5 * index, 5 * index + 5)
        return {key: column[rows] for key, column in X.items()}, Y[rows]


def fit_a_standing_model(data):
    model = table_mlp(X, Y, l2=0.0)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(data, shuffle=False, validation_data=data, verbose=0).history
    of_members, of_mean = scaled_losses(model)
    for key, expected in (
        ("loss", of_members),
        ("member_loss", of_members),
        ("val_loss", of_mean),
        ("val_member_loss", of_members),
    ):
        assert history[key] == pytest.approx([expected], rel=1e-5), key


@pytest.mark.usefixtures("eagerly")
def test_batches_of_a_dataset_of_dicts():
    fit_a_standing_model(Batches())


@pytest.mark.usefixtures("eagerly")
@pytest.mark.tensorflow_only
def test_batches_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    fit_a_standing_model(tf.data.Dataset.from_tensor_slices((X, Y)).batch(5))


REPLICAS = """
import sys
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)

import keras
sys.path.insert(0, sys.argv[1])
from member_tables import adapted, table
from keras_trainkit.layers import StandardScaling
from keras_trainkit.models import mlp

x, y = table()
x = x["numeric"]
histories = []
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for strategy in (tf.distribute.get_strategy(), mirrored):
    with strategy.scope():
        keras.utils.set_random_seed(0)
        scaling = adapted(StandardScaling(), y)
        model = mlp((2,), 1, (4,), members=3, target_scaling=scaling, dropout=0.0)
        model.compile(keras.optimizers.SGD(0.05), "mse", jit_compile=False)
    data = {"batch_size": 4, "shuffle": False, "validation_data": (x, y)}
    histories.append(model.fit(x, y, **data, verbose=0).history)
assert set(histories[0]) == {"loss", "member_loss", "val_loss", "val_member_loss"}
for key in histories[0]:
    np.testing.assert_allclose(*[h[key] for h in histories], rtol=1e-5, err_msg=key)
"""


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_two_replicas_report_the_losses_of_one():
    tests = __file__.rpartition("models")[0]
    command = [sys.executable, "-c", REPLICAS, tests]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_deep_copy_predicts_the_same():
    model = mlp((2,), 1, (4,), members=3)
    expected = model(X["numeric"])  # a tensor the copy must do without
    assert_close(copy.deepcopy(model)(X["numeric"]), expected, rtol=1e-6)
