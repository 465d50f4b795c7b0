import keras
import numpy as np
import pytest
from keras import ops

from keras_trainkit.initializers import lsuv
from keras_trainkit.layers import VariationalLSTM


@pytest.fixture
def rows():
    return np.random.default_rng(1).normal(5, 3, size=(300, 7)).astype("float32")


def deep_model(activation="relu", depth=4, dropout=0.5):
    layers: list = [keras.Input((7,))]
    for number in range(depth):
        layers.append(keras.layers.Dense(24, activation, name=f"dense_{number}"))
        layers.append(keras.layers.Dropout(dropout))
    return keras.Sequential([*layers, keras.layers.Dense(2, name="head")])


def pre_activations(model, name, x):
    layer = model.get_layer(name)
    kernel, bias = (ops.convert_to_numpy(w) for w in (layer.kernel, layer.bias))
    inputs = keras.Model(model.inputs[0], layer.input)(x, training=False)
    return ops.convert_to_numpy(inputs) @ kernel + bias


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "silu"])
def test_every_dense_layer_puts_out_variance_one(rows, activation):
    model = deep_model(activation)
    report = lsuv(model, rows)
    names = ["dense_0", "dense_1", "dense_2", "dense_3", "head"]
    assert list(report) == names
    for name in names:
        variance = pre_activations(model, name, rows).var()
        assert variance == pytest.approx(1, abs=0.1)
        assert report[name][1] == pytest.approx(variance, abs=1e-4)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_whole_numbers_and_booleans_are_read_as_the_layers_do(dtype):
    codes = np.random.default_rng(2).integers(0, 2, size=(300, 7)).astype(dtype)
    inputs = keras.Input((7,), dtype=dtype)
    hidden = keras.layers.Dense(5, "tanh", name="hidden")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(hidden))
    report = lsuv(model, codes)
    layer = model.get_layer("hidden")
    kernel, bias = (ops.convert_to_numpy(w) for w in (layer.kernel, layer.bias))
    assert (codes @ kernel + bias).var() == pytest.approx(1, abs=0.1)
    assert list(report) == ["hidden", "head"]


@pytest.mark.slow
def test_twenty_layers_of_silu_keep_variance_one(rows):
    model = deep_model("silu", depth=20)
    report = lsuv(model, rows)
    assert all(abs(after - 1) < 0.1 for _, after in report.values())


def test_report_gives_the_variance_before(rows):
    model = deep_model(depth=1)
    expected = pre_activations(model, "dense_0", rows).var()
    before, after = lsuv(model, rows)["dense_0"]
    assert before == pytest.approx(expected, rel=1e-4)
    assert before > 2  # inputs of mean 5 and standard deviation 3
    assert after == pytest.approx(1, abs=1e-3)


def test_kernels_stay_orthogonal(rows):
    model = deep_model()
    lsuv(model, rows)
    kernel = ops.convert_to_numpy(model.get_layer("dense_1").kernel)
    gram = kernel.T @ kernel
    assert gram / gram[0, 0] == pytest.approx(np.eye(24), abs=1e-4)


def test_only_the_input_kernels_of_recurrent_layers_move():
    model = keras.Sequential(
        [
            keras.Input((6, 3)),
            keras.layers.Bidirectional(
                keras.layers.LSTM(5, return_sequences=True), name="both"
            ),
            keras.layers.RNN(keras.layers.GRUCell(4), name="gru"),
            keras.layers.Dense(1, name="head"),
        ]
    )
    both = model.get_layer("both").forward_layer.cell
    kept = [ops.convert_to_numpy(w) for w in (both.recurrent_kernel, both.bias)]
    x = np.random.default_rng(2).normal(size=(256, 6, 3)).astype("float32") * 4
    report = lsuv(model, x)
    assert len(report) == 4
    assert [name.split("/")[0] for name in report] == ["both", "both", "gru", "head"]
    inputs_times_kernel = x.reshape(-1, 3) @ ops.convert_to_numpy(both.kernel)
    assert inputs_times_kernel.var() == pytest.approx(1, abs=0.1)
    recurrent = ops.convert_to_numpy(both.recurrent_kernel)
    assert np.array_equal(recurrent, kept[0])
    assert np.array_equal(ops.convert_to_numpy(both.bias), kept[1])
    assert recurrent @ recurrent.T == pytest.approx(np.eye(5), abs=1e-5)


def test_each_direction_of_a_variational_lstm_is_scaled_for_itself():
    x = np.random.default_rng(2).normal(2, 3, size=(300, 5, 4)).astype("float32")
    layer = VariationalLSTM(6, bidirectional=True, name="lstm")
    model = keras.Sequential([keras.Input((5, 4)), layer, keras.layers.Dense(2)])
    before = layer.get_weights()
    report = lsuv(model, x)
    assert {"lstm/forward", "lstm/backward"} < set(report)
    after = layer.get_weights()
    for place in (0, 3):  # forward and backward: kernel, recurrent kernel, bias
        assert (x @ after[place]).var() == pytest.approx(1, abs=0.1)
        assert np.array_equal(after[place + 1], before[place + 1])
        assert np.array_equal(after[place + 2], before[place + 2])
    assert "call" not in vars(layer)


def test_masked_steps_do_not_count():
    x = np.random.default_rng(2).normal(size=(256, 6, 3)).astype("float32")
    x[:, 3:] = -7.0
    inputs = keras.Input((6, 3))
    masked = keras.layers.Masking(-7.0)(inputs)
    model = keras.Model(inputs, keras.layers.LSTM(5, name="lstm")(masked))
    lsuv(model, x)
    kernel = ops.convert_to_numpy(model.get_layer("lstm").cell.kernel)
    assert (x[:, :3].reshape(-1, 3) @ kernel).var() == pytest.approx(1, abs=0.1)


def test_shared_layer_counts_all_its_uses(rows):
    shared = keras.layers.Dense(6, name="shared")
    left, right = keras.Input((7,), name="left"), keras.Input((7,), name="right")
    model = keras.Model([left, right], [shared(left), shared(right)])
    batch = [rows, 5 * rows]
    lsuv(model, batch)
    both = np.concatenate([ops.convert_to_numpy(y) for y in model(batch)])
    assert both.var() == pytest.approx(1, abs=0.1)


def test_nested_models_and_dicts_are_walked(rows):
    inner = keras.Sequential(
        [keras.Input((7,)), keras.layers.Dense(5, "relu", name="first")], name="inner"
    )
    inputs = {"a": keras.Input((7,), name="a"), "b": keras.Input((7,), name="b")}
    joined = keras.layers.Concatenate()([inner(inputs["a"]), inputs["b"]])
    heads = {
        "price": keras.layers.Dense(1, name="price")(joined),
        "kind": keras.layers.Dense(3, name="kind")(joined),
    }
    model = keras.Model(inputs, heads)
    report = lsuv(model, {"a": rows, "b": rows[::-1].copy()})
    assert set(report) == {"inner/first", "price", "kind"}
    assert all(abs(after - 1) < 0.1 for _, after in report.values())


def test_unbuilt_subclass_model_works(rows):
    class Plain(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden = keras.layers.Dense(9, "tanh")
            self.top = keras.layers.Dense(1)

        def call(self, inputs):
            return self.top(self.hidden(inputs))

    assert len(lsuv(Plain(), rows)) == 2


def test_frozen_layers_are_left_alone(rows):
    model = deep_model(depth=2)
    frozen = model.get_layer("dense_0")
    frozen.trainable = False
    kept = ops.convert_to_numpy(frozen.kernel)
    assert "dense_0" not in lsuv(model, rows)
    assert np.array_equal(ops.convert_to_numpy(frozen.kernel), kept)


@pytest.mark.usefixtures("eagerly")
def test_model_trains_and_saves_as_before(rows, tmp_path):
    model = deep_model()
    lsuv(model, rows)
    model.compile("adam", "mse")
    model.fit(rows, np.zeros((300, 2)), epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert ops.convert_to_numpy(loaded(rows)) == pytest.approx(
        ops.convert_to_numpy(model(rows)), abs=1e-6
    )


def test_dead_layer_is_named_and_nothing_is_lost(rows):
    model = deep_model(depth=2)
    model.get_layer("dense_0").bias.assign(np.full(24, -1e4, "float32"))  # relu: all 0
    before = [ops.convert_to_numpy(w) for w in model.weights]
    with pytest.raises(ValueError, match="layer 'dense_1' .* variance=0.0"):
        lsuv(model, rows)
    after = [ops.convert_to_numpy(w) for w in model.weights]
    assert all(map(np.array_equal, before, after))
    assert "call" not in vars(model.get_layer("dense_0"))


def test_variance_that_cannot_reach_one_names_the_layer(rows):
    model = deep_model(depth=1)
    model.get_layer("head").bias.assign(np.array([-30.0, 30.0], "float32"))
    with pytest.raises(ValueError, match="layer 'head' .* 10 attempts"):
        lsuv(model, rows)


def test_nan_in_the_batch_names_the_first_layer(rows):
    rows[4, 2] = np.nan
    with pytest.raises(ValueError, match="'dense_0' .* must be finite.*variance=nan"):
        lsuv(deep_model(), rows)


def test_few_rows_are_refused(rows):
    with pytest.raises(ValueError, match=r"at least 256 rows.*shapes=\[\(255, 7\)\]"):
        lsuv(deep_model(), rows[:255])
    with pytest.raises(ValueError, match="must be arrays of at least 256 rows"):
        lsuv(deep_model(), 3)


def test_model_is_checked(rows):
    with pytest.raises(ValueError, match="must be a keras.Model"):
        lsuv("model", rows)
    empty = keras.Sequential([keras.Input((7,)), keras.layers.ReLU()], name="empty")
    with pytest.raises(ValueError, match="trainable Dense or recurrent.*'empty'"):
        lsuv(empty, rows)
