import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_trainkit.layers import LearnableSwish, RobustScaling, StandardScaling
from keras_trainkit.models import mlp

LOGITS = {
    "classification": keras.losses.SparseCategoricalCrossentropy,
    "binary": keras.losses.BinaryCrossentropy,
}


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def names(model):
    return [layer.name for layer in model.layers]


def test_block_is_dense_normalization_activation_dropout():
    model = mlp((5,), 1, (4,), normalization="batch", dropout=0.3)
    assert kinds(model) == [
        "InputLayer",
        "Dense",
        "BatchNormalization",
        "Activation",
        "Dropout",
        "Dense",
    ]
    assert names(model) == [
        "features",
        "dense_1",
        "normalization_1",
        "activation_1",
        "dropout_1",
        "outputs",
    ]
    assert model.get_layer("dropout_1").rate == 0.3


def test_plain_block_has_no_layer_it_does_not_need():
    model = mlp((5,), 1, (4, 3), dropout=0.0)
    assert kinds(model) == ["InputLayer", *["Dense", "Activation"] * 2, "Dense"]


def test_names_that_serving_relies_on():
    model = mlp((5,), 2, (4,), name="prices")
    assert model.name == "prices"
    assert model.inputs[0].name == "features"
    assert model.output_names == ["outputs"]
    assert not model.compiled


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, 5 * 4 + 4 + 4 * 3 + 3 + 3 * 2 + 2),
        # no biases before batch normalization, 4 numbers per unit in it
        ({"normalization": "batch"}, 5 * 4 + 4 * 4 + 4 * 3 + 4 * 3 + 3 * 2 + 2),
        # biases kept, 2 numbers per unit
        ({"normalization": "layer"}, 24 + 2 * 4 + 15 + 2 * 3 + 8),
        # projections without bias
        ({"residual": True}, 24 + 5 * 4 + 15 + 4 * 3 + 8),
    ],
)
def test_parameters_counted_by_hand(arguments, expected):
    assert mlp((5,), 2, (4, 3), **arguments).count_params() == expected


def test_no_hidden_units_give_a_linear_model():
    assert kinds(mlp((5,), 2, ())) == ["InputLayer", "Dense"]


@pytest.mark.parametrize("members", [1, 2])
def test_whole_numbers_of_numpy_count_too(members, tmp_path):
    sizes = np.unique([2, 5, 5])  # what counting classes in an array gives
    model = mlp((3,), sizes[0], [*sizes], task="classification", members=members)
    assert model.output_shape == (None, 2)
    model.save(tmp_path / "model.keras")
    assert keras.saving.load_model(tmp_path / "model.keras").count_params() == (
        model.count_params()
    )


def test_residual_adds_after_dropout_and_projects_only_where_widths_differ():
    model = mlp((4,), 1, (4, 6), residual=True, dropout=0.2)
    assert "projection_1" not in names(model)
    assert not model.get_layer("projection_2").use_bias
    assert model.get_layer("add_1").input[0] is model.input
    assert model.get_layer("add_1").input[1] is model.get_layer("dropout_1").output
    assert model.get_layer("add_2").input[0] is model.get_layer("projection_2").output
    assert model.get_layer("add_2").input[1] is model.get_layer("dropout_2").output


def test_residual_model_computes_what_the_formula_says():
    model = mlp((4,), 1, (4, 6), residual=True)
    x = np.random.default_rng(0).normal(size=(3, 4))
    w = {
        f"{layer.name}/{v.name}": ops.convert_to_numpy(v)
        for layer in model.layers
        for v in layer.weights
    }
    h1 = x + np.maximum(x @ w["dense_1/kernel"] + w["dense_1/bias"], 0)
    h2 = np.maximum(h1 @ w["dense_2/kernel"] + w["dense_2/bias"], 0)
    h2 = h2 + h1 @ w["projection_2/kernel"]
    expected = h2 @ w["outputs/kernel"] + w["outputs/bias"]
    assert ops.convert_to_numpy(model(x)) == pytest.approx(expected, abs=1e-5)


def test_several_axes_are_scaled_then_flattened():
    scaling = keras.layers.Normalization()
    data = np.random.default_rng(0).normal(3, 2, size=(50, 2, 3)).astype("float32")
    scaling.adapt(data)
    model = mlp([2, 3], 1, (4,), scaling=scaling)
    assert kinds(model)[:4] == ["InputLayer", "Normalization", "Flatten", "Dense"]
    flat = keras.Model(model.input, model.get_layer("flatten").output)(data)
    assert ops.convert_to_numpy(flat).mean() == pytest.approx(0, abs=1e-5)


def test_activation_layers_are_copied_so_that_blocks_share_nothing():
    given = keras.layers.PReLU(alpha_initializer=keras.initializers.Constant(0.2))
    model = mlp((5,), 1, (4, 4), activation=given)
    first, second = (model.get_layer(f"activation_{n}") for n in (1, 2))
    assert isinstance(first, keras.layers.PReLU) and first is not given
    assert first.alpha is not second.alpha
    assert ops.convert_to_numpy(second.alpha) == pytest.approx(0.2)
    assert model.get_layer("dense_2").kernel_initializer.scale == pytest.approx(
        2 / 1.04
    )


def test_learnable_swish_gets_the_gain_of_its_beta_and_one_beta_per_block():
    model = mlp((5,), 1, (4, 4), activation=LearnableSwish(initial_beta=30.0))
    scale = model.get_layer("dense_1").kernel_initializer.scale
    assert scale == pytest.approx(2, rel=0.01)  # so steep that it is nearly relu
    betas = [model.get_layer(f"activation_{n}").trainable_weights for n in (1, 2)]
    assert betas[0][0] is not betas[1][0]


@pytest.mark.parametrize("scaling", [StandardScaling, RobustScaling])
def test_scaling_of_the_kit_comes_first_and_must_have_learned(scaling):
    x = np.random.default_rng(0).normal(9, 4, size=(40, 3)).astype("float32")
    adapted = scaling()
    adapted.adapt(x)
    model = mlp((3,), 1, (4,), scaling=adapted)
    assert model.layers[1] is adapted
    assert model.predict(x, verbose=0).shape == (40, 1)
    with pytest.raises(ValueError, match="adapt"):
        mlp((3,), 1, (4,), scaling=scaling())(x)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("relu", keras.initializers.HeNormal),
        ("tanh", keras.initializers.GlorotNormal),
        ("selu", keras.initializers.LecunNormal),
        ("silu", keras.initializers.VarianceScaling),
    ],
)
def test_hidden_kernels_are_paired_and_the_head_is_glorot(activation, expected):
    model = mlp((5,), 1, (4, 3), activation=activation, output_activation="sigmoid")
    for name in ("dense_1", "dense_2"):
        assert type(model.get_layer(name).kernel_initializer) is expected
    head = model.get_layer("outputs")
    assert type(head.kernel_initializer) is keras.initializers.GlorotNormal
    assert head.activation is keras.activations.sigmoid


@pytest.mark.parametrize("initializer", ["paired", keras.initializers.HeNormal()])
def test_layers_of_one_shape_start_with_different_kernels(initializer):
    model = mlp((4,), 1, (4, 4, 4), initializer=initializer)
    first, second = (model.get_layer(f"dense_{n}").kernel for n in (2, 3))
    assert not np.array_equal(ops.convert_to_numpy(first), ops.convert_to_numpy(second))


@pytest.mark.parametrize(
    ("activation", "initializer", "right"),
    [
        ("relu", "glorot_uniform", "'he_normal'"),
        ("relu", "lecun_normal", "'he_normal'"),
        ("tanh", "he_normal", "'glorot_normal'"),
        ("sigmoid", "lecun_uniform", "'glorot_normal'"),
        ("selu", "he_uniform", "'lecun_normal'"),
        ("silu", "he_normal", r"'paired' \(VarianceScaling\(scale=2.43, "),
    ],
)
def test_mismatch_by_name_is_an_error_that_names_the_right_one(
    activation, initializer, right
):
    with pytest.raises(ValueError, match=f"must fit `activation`: {right}"):
        mlp((5,), 1, (4,), activation=activation, initializer=initializer)


@pytest.mark.parametrize(
    ("activation", "initializer"),
    [
        ("relu", "he_uniform"),
        ("leaky_relu", "he_normal"),
        ("gelu", "he_normal"),
        ("tanh", "glorot_uniform"),
        ("selu", "lecun_normal"),
    ],
)
def test_fitting_names_are_taken(activation, initializer):
    model = mlp((5,), 1, (4,), activation=activation, initializer=initializer)
    expected = type(keras.initializers.get(initializer))
    assert type(model.get_layer("dense_1").kernel_initializer) is expected


def test_initializer_object_overrides_the_pairing():
    model = mlp((5,), 1, (4,), initializer=keras.initializers.Constant(0.25))
    assert (ops.convert_to_numpy(model.get_layer("dense_1").kernel) == 0.25).all()


def test_elastic_net_on_every_kernel_and_nothing_else():
    model = mlp((5,), 1, (4, 3), residual=True, normalization="layer", l1=0.3, l2=0.7)
    kernels = [ops.convert_to_numpy(w) for w in model.weights if w.name == "kernel"]
    assert len(kernels) == 5  # two hidden, two projections, the head
    expected = sum(0.3 * np.abs(k).sum() + 0.7 * (k**2).sum() for k in kernels)
    assert float(ops.convert_to_numpy(sum(model.losses))) == pytest.approx(
        expected, rel=1e-5
    )
    assert mlp((5,), 1, (4,)).losses == []


@pytest.mark.parametrize("task", ["classification", "binary", "regression", None])
def test_head_of_every_task_is_linear_by_default(task):
    model = mlp((5,), 3, (4,), task=task)
    assert model.get_layer("outputs").activation is keras.activations.linear
    assert model.output_shape == (None, 3)


def test_output_activation_serves_regression_and_no_task():
    for task in ("regression", None):
        model = mlp((5,), 2, (4,), task=task, output_activation="softplus")
        assert model.get_layer("outputs").activation is keras.activations.softplus


def test_learns_blobs(blobs):
    x, y = blobs
    model = mlp((2,), 2, (8,), activation="tanh", dropout=0.0, task="classification")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=["accuracy"])
    model.fit(x, y, epochs=10, batch_size=32, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9


@pytest.mark.usefixtures("eagerly")
def test_readme_model_gives_probabilities():
    model = mlp((30,), 1, (16, 8, 4), output_activation="sigmoid")
    p = model.predict(np.random.default_rng(0).normal(size=(9, 30)), verbose=0)
    assert ((p > 0) & (p < 1)).all()


def test_head_is_float32_under_mixed_precision(mixed_precision):
    model = mlp((5,), 3, (4,), normalization="layer", residual=True, task="binary")
    assert model.get_layer("dense_1").compute_dtype == "bfloat16"
    output = model(np.ones((2, 5), "float32"))
    assert keras.backend.standardize_dtype(output.dtype) == "float32"


@pytest.mark.not_torch
@pytest.mark.slow
def test_compiled_by_xla_it_trains(blobs):
    x, y = blobs
    model = mlp((2,), 1, (4,), normalization="batch", residual=True, task="binary")
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=True)
    losses = model.fit(x, y, epochs=1, verbose=0).history["loss"]
    assert np.isfinite(losses).all()


def test_same_seed_same_model():
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(11)
        weights.append(mlp((5,), 1, (4, 4), activation="silu").get_weights())
    assert all(map(np.array_equal, *weights))


def random_arguments(rng):
    shape = [(3,), (6,), (2, 3)][rng.integers(3)]
    task = [None, "classification", "binary", "regression"][rng.integers(4)]
    activations = ["relu", "gelu", "tanh", "mish", keras.layers.LeakyReLU(0.1)]
    return {
        "input_shape": shape,
        "outputs": int(rng.integers(2, 5)),
        "hidden_units": [int(u) for u in rng.integers(1, 9, size=rng.integers(0, 4))],
        "activation": activations[rng.integers(5)],
        "initializer": ["paired", keras.initializers.Orthogonal()][rng.integers(2)],
        "normalization": [None, "batch", "layer"][rng.integers(3)],
        "dropout": float(rng.choice([0.0, 0.35])),
        "l1": float(rng.choice([0.0, 0.01])),
        "l2": float(rng.choice([0.0, 0.02])),
        "residual": bool(rng.integers(2)),
        "scaling": keras.layers.Rescaling(0.5) if rng.integers(2) else None,
        "task": task,
        "output_activation": "sigmoid" if task is None else None,
        "name": "tried",
    }


def labels(task, rows, outputs):
    if task == "classification":
        return np.arange(rows) % outputs
    return (np.arange(rows * outputs).reshape(rows, outputs) % 2).astype("float32")


def compiled(model, task):
    """Eager, so that nothing is traced for one step."""
    loss = LOGITS[task](from_logits=True) if task in LOGITS else "mse"
    model.compile("sgd", loss, run_eagerly=True)
    return model


def data(task, input_shape, outputs, rows):
    x = np.random.default_rng(1).normal(size=(rows, *input_shape)).astype("float32")
    return x, labels(task, rows, outputs)


def build_train_save_load(seed, directory):
    arguments = random_arguments(np.random.default_rng(seed))
    model = mlp(**arguments)
    x, y = data(*(arguments[key] for key in ("task", "input_shape", "outputs")), rows=4)
    assert np.isfinite(compiled(model, arguments["task"]).train_on_batch(x, y))
    model.save(directory / "model.keras")
    loaded = keras.saving.load_model(directory / "model.keras")
    assert (
        json.loads(loaded.to_json())["config"] == json.loads(model.to_json())["config"]
    )
    given, back = (ops.convert_to_numpy(m(x, training=False)) for m in (model, loaded))
    assert np.array_equal(given, back), arguments
    return model, x


@pytest.mark.slow
@pytest.mark.parametrize("block", range(4))
def test_forty_random_configurations_train_and_come_back_from_a_file(tmp_path, block):
    for seed in range(10 * block, 10 * block + 10):
        build_train_save_load(seed, tmp_path)


@pytest.mark.soak
def test_two_hundred_random_configurations_in_less_than_a_gigabyte(tmp_path):
    watches = pytest.importorskip("watches")
    watches.forget_peak()
    started = watches.peak()
    for seed in range(200):
        build_train_save_load(seed, tmp_path)
    assert watches.peak() - started < 1000


@pytest.mark.slow
@pytest.mark.tensorflow_only
@pytest.mark.parametrize("seed", [1, 2, 4])
def test_random_configurations_export(tmp_path, seed):
    tf = pytest.importorskip("tensorflow")
    model, x = build_train_save_load(seed, tmp_path)
    model.export(tmp_path / "exported", verbose=False)
    served = tf.saved_model.load(tmp_path / "exported")
    assert served.serve(tf.constant(x)).numpy() == pytest.approx(
        model.predict(x, verbose=0), abs=1e-6
    )


@pytest.mark.first_quick
@pytest.mark.parametrize("normalization", [None, "batch", "layer"])
@pytest.mark.parametrize("task", ["classification", "binary", "regression"])
def test_meagre_data_give_a_finite_loss(task, normalization):
    model = mlp((3,), 2, (4,), task=task, normalization=normalization)
    compiled(model, task)
    x, y = data(task, (3,), 2, rows=5)
    for fitted in (
        model.fit(x[:1], y[:1], verbose=0),
        model.fit(x, y, batch_size=64, verbose=0),
        model.fit(x, y, sample_weight=np.zeros(5), verbose=0),
    ):
        assert np.isfinite(fitted.history["loss"]).all()


@pytest.mark.usefixtures("eagerly")
def test_labels_of_one_class_and_class_weight_zero_give_a_finite_loss():
    model = mlp((3,), 2, (4,), normalization="batch", task="classification")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    x, y = np.ones((6, 3)), np.zeros(6, int)
    history = model.fit(x, y, class_weight={0: 0.0, 1: 1.0}, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    history = model.fit(x, y, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": 5}, "shape of one sample .* Received: input_shape=5"),
        ({"input_shape": ()}, "`input_shape` is the shape of one sample"),
        ({"input_shape": (3, None)}, r"`input_shape\[1\]` .* at least 1.*=None"),
        ({"outputs": 0}, "`outputs` is the number of units .* at least 1"),
        ({"outputs": 1.0}, "`outputs` is the number of units .* outputs=1.0"),
        ({"task": "classification"}, "number of classes .* at least 2.*outputs=1"),
        ({"hidden_units": 64}, "units per hidden layer .* Received: hidden_units=64"),
        ({"hidden_units": (8, 0)}, r"`hidden_units\[1\]` .* at least 1"),
        ({"activation": "rleu"}, "`activation` bends .* activation='rleu'"),
        ({"activation": "get"}, "`activation` bends .* activation='get'"),
        ({"activation": None}, "`activation` bends .* activation=None"),
        ({"activation": keras.layers.ReLU}, "`activation` bends"),
        ({"initializer": "orthogonal"}, "must be 'paired', one of 'glorot_normal'"),
        ({"initializer": None}, "must be 'paired', one of .* initializer=None"),
        (
            {"initializer": keras.initializers.HeNormal(seed=3)},
            r"its seed must be None.*Received: initializer=HeNormal\(seed=3\)",
        ),
        ({"normalization": "group"}, "one of None, 'batch', 'layer'.*'group'"),
        ({"dropout": 1.0}, "share of units .* below 1.*dropout=1.0"),
        ({"l1": -0.1}, "sum of absolute kernel values .* at least 0.*l1=-0.1"),
        ({"l2": float("nan")}, "sum of squared kernel values .* l2=nan"),
        ({"residual": 1}, "`residual` adds .* True or False"),
        ({"scaling": "standard"}, "must be an adapted layer or None.*'standard'"),
        ({"task": "ranking"}, "decides what the head gives .*task='ranking'"),
        ({"output_activation": "sigmod"}, "`output_activation` is applied .*'sigmod'"),
        (
            {"task": "binary", "output_activation": "sigmoid"},
            "must be None where the task's head gives logits.*task='binary'",
        ),
        ({"name": ""}, "`name` names the model"),
        ({"name": "a/b"}, "`name` names the model .*without '/'. Received: name='a/b'"),
    ],
)
def test_every_argument_is_checked(arguments, message):
    arguments = {"input_shape": (3,), "outputs": 1, **arguments}
    with pytest.raises(ValueError, match=message):
        mlp(**arguments)
