import keras
import numpy as np
import pytest
from comparing import assert_close
from sklearn.gaussian_process.kernels import Matern
from sklearn.kernel_ridge import KernelRidge

from keras_trainkit import layers, models, optimizers


def rings(rows=80):
    """Points inside and outside a circle, `(rows, 2)`; and 1 for outside."""
    x = np.random.default_rng(0).normal(size=(rows, 2)).astype("float32")
    return x, (np.linalg.norm(x, axis=1) > 1.1).astype("int64")


def adapted(x, units, **arguments):
    model = models.kernel_machine((x.shape[1],), 1, units, **arguments)
    model.get_layer("basis").adapt(x)
    return model


def test_the_head_alone_is_trained_and_learns_what_no_line_tells():
    x, y = rings()
    model = adapted(x, 40, task="binary")
    assert len(model.trainable_weights) == 2
    model.compile(
        optimizers.AdamW(0.05),
        models.loss_for(model),
        metrics=models.metrics_for(model),
    )
    model.fit(x, y, epochs=60, batch_size=80, verbose=0)
    assert model.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.9


def test_its_head_holds_the_kernel_ridge_regression_of_scikit_learn():
    x, _ = rings(40)
    y = np.sin(x[:, :1])
    model = adapted(x, 40)
    centers, scales = model.get_layer("basis").get_weights()
    found = KernelRidge(alpha=0.1, kernel=Matern(nu=1.5)).fit(x * scales, y)
    order = [np.flatnonzero((x == center).all(axis=1))[0] for center in centers]
    model.layers[-1].set_weights([found.dual_coef_[order], np.zeros(1)])
    assert_close(model(x), found.predict(x * scales), atol=1e-4)


def test_categories_are_one_hot_whatever_their_number():
    sizes = [2, 30]
    model = models.kernel_machine((1,), 3, 4, category_sizes=sizes, task="regression")
    rows = {
        "numeric": np.array([[0.5]], "float32"),
        "categorical": np.array([[1, 29]]),
    }
    columns = keras.Model(model.input, model.get_layer("columns").output)
    found = keras.ops.convert_to_numpy(columns(rows))[0]
    expected = np.zeros(33)
    expected[[0, 2, 32]] = 0.5, 1, 1
    np.testing.assert_array_equal(found, expected)


def test_categories_alone_are_taken():
    model = models.kernel_machine((0,), 1, 3, category_sizes=[4], task="binary")
    columns = keras.Model(model.input, model.get_layer("columns").output)
    rows = {
        "numeric": np.zeros((4, 0), "float32"),
        "categorical": np.arange(4)[:, None],
    }
    np.testing.assert_array_equal(columns(rows), np.eye(4))


@pytest.mark.slow
def test_numbers_are_scaled_first_and_predictions_are_in_the_units_of_the_targets():
    x, _ = rings()
    y = 1e4 * x[:, :1]
    scaling, target_scaling = layers.StandardScaling(), layers.StandardScaling()
    scaling.adapt(x + 50)
    target_scaling.adapt(y)
    model = models.kernel_machine(
        (2,), 1, 80, scaling=scaling, target_scaling=target_scaling, task="regression"
    )
    assert isinstance(model, models.MemberModel)
    columns = keras.Model(model.input, model.get_layer("columns").output)
    model.get_layer("basis").adapt(columns(x + 50))
    model.compile(optimizers.AdamW(0.05), "mse")
    model.fit(x + 50, y, epochs=80, batch_size=80, verbose=0)
    off = model.predict(x + 50, verbose=0) - y
    assert np.sqrt(np.mean(off**2)) < 0.3 * y.std()


def test_it_stands_beside_a_network_in_an_ensemble(tmp_path):
    x, _ = rings()
    machine = adapted(x, 20, task="binary", classes=["in", "out"])
    network = models.mlp((2,), 1, (8,), task="binary", classes=["in", "out"])
    both = models.ensemble([network, machine], weights=[0.75, 0.25])
    shares = [models.predict_proba(model, x, verbose=0) for model in (network, machine)]
    mean = 0.75 * shares[0] + 0.25 * shares[1]
    assert_close(models.predict_proba(both, x, verbose=0), mean, atol=1e-5)
    both.save(tmp_path / "both.keras")
    loaded = keras.saving.load_model(tmp_path / "both.keras")
    assert_close(loaded(x), both(x), atol=1e-6)


def test_it_computes_in_single_precision_under_mixed_policies():
    x, _ = rings()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = adapted(x, 40)
    finally:
        keras.config.set_dtype_policy("float32")
    whole = adapted(x, 40)
    half.set_weights(whole.get_weights())
    assert_close(half(x), whole(x), atol=1e-5)


def test_the_additive_part_adds_functions_of_numbers_and_categories(tmp_path):
    model = models.kernel_machine(
        (2,), 3, 4, additive_bins=5, category_sizes=[2, 4], task="classification"
    )
    random = np.random.default_rng(0)
    rows = {
        "numeric": random.normal(size=(30, 2)).astype("float32"),
        "categorical": random.integers(2, size=(30, 2)),
    }
    columns = keras.Model(model.input, model.get_layer("columns").output)
    model.get_layer("basis").adapt(columns(rows))
    additive = model.get_layer("additive")
    additive.adapt(rows["numeric"])
    additive.kernel.assign(random.normal(size=additive.kernel.shape))
    head = model.layers[-1]
    head.set_weights([random.normal(size=(4 + 6 + 6, 3)), np.arange(3)])
    functions, likeness, hot = (
        keras.ops.convert_to_numpy(part)
        for part in (
            additive(rows["numeric"]),
            model.get_layer("basis")(columns(rows)),
            columns(rows)[:, 2:],
        )
    )
    assert functions.shape == (30, 2, 3)
    kernel, bias = head.get_weights()
    beside = np.concatenate([likeness, functions.reshape(30, 6), hot], axis=1)
    assert_close(model(rows), beside @ kernel + bias, atol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded(rows), model(rows), atol=1e-6)


@pytest.mark.slow
def test_the_additive_part_is_of_scaled_numbers_and_learns():
    x, _ = rings()
    y = (x[:, 0] > 0.5).astype("int64")
    scaling = layers.StandardScaling()
    scaling.adapt(1e3 * x)
    model = models.kernel_machine(
        (2,), 1, 5, additive_bins=8, scaling=scaling, task="binary"
    )
    model.get_layer("basis").adapt(scaling(1e3 * x))
    model.get_layer("additive").adapt(scaling(1e3 * x))
    model.compile(
        optimizers.AdamW(0.05),
        models.loss_for(model),
        metrics=models.metrics_for(model),
    )
    model.fit(1e3 * x, y, epochs=60, batch_size=80, verbose=0)
    assert model.evaluate(1e3 * x, y, verbose=0, return_dict=True)["accuracy"] > 0.95


def test_of_categories_alone_the_additive_part_is_theirs():
    model = models.kernel_machine((0,), 1, 3, category_sizes=[4], additive_bins=2)
    assert model.get_layer("beside").output.shape == (None, 3 + 4)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"input_shape": (2, 2)}, "`input_shape` is the shape of one sample"),
        ({"input_shape": (0,)}, r"`input_shape\[0\]` is the shape of one sample"),
        ({"units": 0}, "`units` is the number of rows that are kept"),
        ({"outputs": 1, "task": "classification"}, "`outputs` is the number of class"),
        (
            {"additive_bins": -1},
            "`additive_bins` is the bins of a function",
        ),
        ({"kernel": "linear"}, "`kernel` is the likeness of two rows"),
        ({"scaling": "standard"}, "`scaling` is put before the first block"),
        ({"category_sizes": [0]}, r"`category_sizes\[0\]` is the codes per column"),
        ({"name": ""}, "`name` names the model"),
    ],
)
def test_arguments_out_of_range_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        models.kernel_machine(**{"input_shape": (2,), "outputs": 1, "units": 3} | given)
