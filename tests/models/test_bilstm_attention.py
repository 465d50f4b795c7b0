import keras
import numpy as np
import pytest
from comparing import in_one
from keras import ops

from keras_trainkit.initializers import for_activation
from keras_trainkit.layers import AttentionPooling, StandardScaling, VariationalLSTM
from keras_trainkit.models import bilstm_attention

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=(3, 7, 2)).astype("float32")
TOKENS = np.array([[5, 3, 9, 1, 0, 0], [2, 0, 0, 0, 0, 0], [4, 4, 8, 1, 7, 6]])


def floats(**arguments):
    return bilstm_attention((None, 2), 3, (4, 4), **arguments)


def tokens(**arguments):
    arguments = {"units": (4,), "embedding_units": 5, **arguments}
    return bilstm_attention((None,), 3, vocabulary_size=12, **arguments)


def layers_of(model):
    """Names of the layers, without the operations that Keras puts in for masks."""
    given = {"truncation", "embedding", "masking", "scales", "final_state"}
    given |= {"bilstm_1", "bilstm_2", "attention", "dropout", "outputs", "scaling"}
    return [layer.name for layer in model.layers if layer.name in given]


def answers(model, x):
    """What `predict` gives, without a graph for each model."""
    return ops.convert_to_numpy(in_one(model)(x))


def test_stack_on_tokens():
    model = tokens()
    expected = ["truncation", "embedding", "bilstm_1", "final_state"]
    assert layers_of(model) == [*expected, "attention", "dropout", "outputs"]
    assert model.inputs[0].name == "tokens"
    assert model.inputs[0].dtype == "int32"
    assert model.output_names == ["outputs"]
    assert not model.compiled


def test_stack_on_floats():
    scaling = StandardScaling(name="scaling")
    scaling.adapt(FLOATS)
    model = floats(scaling=scaling, mask_value=-9.0, scales=(1, 2), name="motion")
    expected = ["masking", "truncation", "scaling", "scales", "bilstm_1", "bilstm_2"]
    rest = ["final_state", "attention", "dropout", "outputs"]
    assert layers_of(model) == expected + rest
    assert model.get_layer("scales").output.shape[-1] == 4  # two views side by side
    assert (model.name, model.inputs[0].name) == ("motion", "sequences")


def test_stack_has_no_layer_it_does_not_need():
    model = floats(attention=None, dropout=0.0)
    expected = ["truncation", "bilstm_1", "bilstm_2", "final_state", "outputs"]
    assert layers_of(model) == expected


def test_weights_of_a_seed_are_drawn_by_these_layers_alone_in_this_order():
    """What is off by default draws nothing, so that a seed stays what it was."""
    keras.utils.set_random_seed(3)
    model = tokens()
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(12, 5, mask_zero=True)(inputs)
    lstm = VariationalLSTM(
        *(4,), bidirectional=True, return_sequences=True, return_state=True
    )
    x, forward, _, backward, _ = lstm(x)
    final_state = keras.layers.Concatenate()([forward, backward])
    x = AttentionPooling()([x, final_state])
    x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.Dense(3, kernel_initializer=for_activation(None))(x)
    same = keras.Model(inputs, x).weights
    assert len(model.weights) == len(same)
    for weight, expected in zip(model.weights, same, strict=True):
        expected = ops.convert_to_numpy(expected)
        assert np.array_equal(ops.convert_to_numpy(weight), expected)


@pytest.mark.parametrize(
    ("arguments", "head_inputs", "attention"),
    [
        ({}, 16, 8 * 8 + 8 * 8 + 8),
        ({"attention": "multiplicative"}, 16, 8 * 8),
        ({"attention": "dot"}, 16, 0),
        ({"query": "learned"}, 8, 8 * 8 + 8 + 8),
        ({"attention": None}, 8, 0),
    ],
)
def test_parameters_counted_by_hand(arguments, head_inputs, attention):
    lstm = 2 * (2 * 16 + 4 * 16 + 16) + 2 * (8 * 16 + 4 * 16 + 16)
    expected = lstm + attention + head_inputs * 3 + 3
    assert floats(**arguments).count_params() == expected


def test_rates_reach_every_recurrent_layer_and_the_head():
    rates = {"dropout": 0.1, "recurrent_dropout": 0.3, "recurrent_weight_dropout": 0.4}
    model = tokens(units=(4, 4), **rates)
    for name in ("bilstm_1", "bilstm_2"):
        layer = model.get_layer(name)
        assert {rate: getattr(layer, rate) for rate in rates} == rates
    assert model.get_layer("dropout").rate == 0.1


def test_measurements_themselves_are_not_dropped():
    model = floats(dropout=0.1)
    assert [model.get_layer(f"bilstm_{n}").dropout for n in (1, 2)] == [0.0, 0.1]


def test_without_attention_it_is_keras_own_stack():
    model = floats(attention=None)
    inputs = keras.Input((None, 2))
    x = inputs
    for last in (False, True):
        lstm = keras.layers.LSTM(4, return_sequences=not last)
        x = keras.layers.Bidirectional(lstm)(x)
    plain = keras.Model(inputs, keras.layers.Dense(3)(x))
    plain.set_weights(model.get_weights())
    assert answers(model, FLOATS) == pytest.approx(answers(plain, FLOATS), abs=1e-5)


def test_query_is_where_each_direction_ends():
    model = floats()
    last = model.get_layer("bilstm_2")
    asked = model.get_layer("attention").input[1]
    steps, query = keras.Model(model.input, [last.output[0], asked])(FLOATS)
    steps, query = ops.convert_to_numpy(steps), ops.convert_to_numpy(query)
    assert np.array_equal(query[:, :4], steps[:, -1, :4])
    assert np.array_equal(query[:, 4:], steps[:, 0, 4:])


def test_padding_of_tokens_changes_nothing():
    model = tokens()
    longer = np.pad(TOKENS, ((0, 0), (0, 9)))
    assert answers(model, longer) == pytest.approx(answers(model, TOKENS), abs=1e-6)


@pytest.mark.parametrize("scales", [(1,), (1, 3)])
def test_padding_of_floats_changes_nothing(scales):
    model = floats(mask_value=-9.0, scales=scales)
    longer = np.pad(FLOATS, ((0, 0), (0, 4), (0, 0)), constant_values=-9.0)
    assert answers(model, longer) == pytest.approx(answers(model, FLOATS), abs=1e-6)


def test_a_mask_value_may_be_beyond_half_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = floats(mask_value=-1e9, scaling=scaled_on(FLOATS))
    finally:
        keras.config.set_dtype_policy("float32")
    padded = np.concatenate([FLOATS, np.full((3, 2, 2), -1e9, "float32")], axis=1)
    expected = answers(model, FLOATS)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(answers(model, padded), expected, atol=0.01)


def test_without_mask_value_every_step_counts():
    model = floats()
    longer = np.pad(FLOATS, ((0, 0), (0, 4), (0, 0)))
    assert np.abs(answers(model, longer) - answers(model, FLOATS)).max() > 1e-4


def test_sequence_of_padding_alone_gets_the_answer_to_zeros():
    model = tokens()
    bias = RNG.normal(size=3)
    model.get_layer("outputs").bias.assign(bias)
    nothing = answers(model, np.zeros((2, 6), "int32"))
    assert nothing == pytest.approx(np.stack([bias, bias]), abs=1e-6)


@pytest.mark.parametrize(
    ("keep", "kept"), [("end", slice(-4, None)), ("start", slice(4))]
)
def test_long_sequences_are_cut(keep, kept):
    model = floats(max_length=4, keep=keep)
    expected = answers(model, FLOATS[:, kept])
    assert answers(model, FLOATS) == pytest.approx(expected, abs=1e-6)


def test_cut_of_tokens_goes_before_padding_not_before_words():
    model = tokens(max_length=2, keep="end")
    expected = answers(model, np.array([[9, 1], [2, 0], [7, 6]]))
    assert answers(model, TOKENS) == pytest.approx(expected, abs=1e-6)


def test_scaling_sees_valid_steps_as_it_learned_them():
    scaling = StandardScaling()
    scaling.adapt(FLOATS)
    model = floats(scaling=scaling)
    plain = floats()
    plain.set_weights([ops.convert_to_numpy(w) for w in model.trainable_weights])
    scaled = ops.convert_to_numpy(scaling(FLOATS))
    assert answers(model, FLOATS) == pytest.approx(answers(plain, scaled), abs=1e-5)


def scaled_on(data, **arguments):
    scaling = StandardScaling(**arguments)
    scaling.adapt(data)
    return scaling


FORECASTS = (100 + 9 * RNG.normal(size=(3, 4, 2))).astype("float32")


def forecaster(**arguments):
    arguments = {"task": "regression", **arguments}
    return bilstm_attention((None, 2), (4, 2), (3,), dropout=0.0, **arguments)


@pytest.mark.parametrize("task", ["regression", None])
def test_an_answer_may_have_a_shape(task):
    model = forecaster(task=task)
    assert model.output_shape == (None, 4, 2)
    assert model.output_names == ["outputs"]
    plain = bilstm_attention((None, 2), 8, (3,), dropout=0.0, task=task)
    plain.set_weights(model.get_weights())
    expected = answers(plain, FLOATS).reshape(3, 4, 2)
    assert answers(model, FLOATS) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("members", [1, 2])
def test_activation_of_shaped_answers_goes_over_the_last_axis(members):
    model = forecaster(task=None, output_activation="softmax", members=members)
    assert answers(model, FLOATS).sum(axis=-1) == pytest.approx(1)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("shape", [(4, 2), (2,)])
@pytest.mark.slow
def test_losses_are_taken_on_scaled_targets_and_answers_stay_in_their_units(shape):
    y = FORECASTS if shape == (4, 2) else FORECASTS[:, 0]
    scaling = scaled_on(y)
    model = bilstm_attention(
        (None, 2),
        shape if len(shape) > 1 else 2,
        (3,),
        dropout=0.0,
        recurrent_dropout=0.0,
        target_scaling=scaling,
        task="regression",
    )
    model.compile("sgd", "mse", metrics=["mae"])
    found = model.evaluate(FLOATS, y, verbose=0, return_dict=True)
    predicted = model.predict(FLOATS, verbose=0)
    assert predicted.shape == y.shape
    flat = y.reshape(-1, 2)
    spread, center = flat.std(axis=0), flat.mean(axis=0)
    assert np.abs(predicted - center).max() < 4 * spread.max()
    expected = np.mean(((predicted - y) / spread) ** 2)
    assert found["loss"] == pytest.approx(expected, rel=1e-4)
    assert found["mae"] == pytest.approx(np.abs(predicted - y).mean(), rel=1e-4)
    first = model.train_on_batch(FLOATS, y, return_dict=True)["loss"]
    assert first == pytest.approx(expected, rel=1e-4)


@pytest.mark.usefixtures("eagerly")
def test_answers_of_another_shape_are_refused_in_training():
    model = forecaster(target_scaling=scaled_on(FORECASTS))
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"shape \(batch, 4, 2\).*\(3, 8\)"):
        model.train_on_batch(FLOATS, FORECASTS.reshape(3, 8))


def test_a_gap_in_one_feature_leaves_the_others_of_its_step():
    gaps = FLOATS.copy()
    gaps[0, 3, 1] = np.nan
    model = floats(missing="indicator", scaling=scaled_on(FLOATS))
    found = answers(model, gaps)
    assert np.isfinite(found).all()
    other = gaps.copy()
    other[0, 3, 0] += 1
    assert np.abs(answers(model, other) - found)[0].max() > 1e-5
    mean = gaps.copy()
    mean[0, 3, 1] = FLOATS[..., 1].mean()  # the same value, but measured
    assert np.abs(answers(model, mean) - found)[0].max() > 1e-5


def test_gaps_and_padding_are_told_apart():
    gaps = FLOATS.copy()
    gaps[0, 3, 1] = np.nan
    model = floats(missing="indicator", scaling=scaled_on(FLOATS), mask_value=-9.0)
    longer = np.pad(gaps, ((0, 0), (0, 4), (0, 0)), constant_values=-9.0)
    assert answers(model, longer) == pytest.approx(answers(model, gaps), abs=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_a_forecaster_comes_back_from_its_file(tmp_path):
    model = forecaster(
        target_scaling=scaled_on(FORECASTS), missing="indicator", scales=(1, 2)
    )
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(answers(loaded, FLOATS), answers(model, FLOATS))
    assert type(loaded) is type(model)
    assert np.isfinite(loaded.train_on_batch(FLOATS, FORECASTS)).all()


@pytest.mark.slow
@pytest.mark.tensorflow_only
@pytest.mark.parametrize("scaled", [True, False])
def test_a_forecaster_is_served_in_the_units_of_its_targets(scaled, tmp_path):
    tf = pytest.importorskip("tensorflow")
    from keras_trainkit import serving

    model = forecaster(target_scaling=scaled_on(FORECASTS) if scaled else None)
    path = serving.export(model, tmp_path, FLOATS)
    served = tf.saved_model.load(path).signatures["serving_default"]
    found = served(sequences=tf.constant(FLOATS))["predictions"].numpy()
    assert found == pytest.approx(model.predict(FLOATS, verbose=0), rel=1e-5)


@pytest.mark.slow
def test_learns_which_of_two_words_came_first():
    rng = np.random.default_rng(1)
    x = rng.integers(3, 9, size=(256, 8))
    places = np.sort([rng.permutation(8)[:2] for _ in x], axis=1)
    y = rng.integers(2, size=256)
    rows = np.arange(256)
    x[rows, places[:, 0]], x[rows, places[:, 1]] = 1 + y, 2 - y
    keras.utils.set_random_seed(2)
    model = bilstm_attention(
        (8,), 2, (8,), vocabulary_size=9, embedding_units=8, task="classification"
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.03), loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=64, epochs=25, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.95


@pytest.mark.parametrize("build", [floats, tokens])
def test_comes_back_from_a_file(build, tmp_path):
    model = build(scales=(1, 2), output_activation="softmax")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = FLOATS if build is floats else TOKENS
    assert np.array_equal(answers(loaded, x), answers(model, x))
    assert answers(loaded, x).sum(-1) == pytest.approx(1)


def test_head_is_float32_under_mixed_precision(mixed_precision):
    model = floats(task="classification")
    assert model.get_layer("bilstm_1").compute_dtype == "bfloat16"
    output = model(FLOATS)
    assert keras.backend.standardize_dtype(output.dtype) == "float32"


@pytest.mark.first_quick
@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    ("build", "x"),
    [pytest.param(floats, FLOATS, marks=pytest.mark.slow), (tokens, TOKENS)],
)
def test_is_served(build, x, tmp_path):
    tf = pytest.importorskip("tensorflow")
    from keras_trainkit import serving

    model = build()
    path = serving.export(model, tmp_path, x)
    served = tf.saved_model.load(path).signatures["serving_default"]
    request = {model.inputs[0].name: tf.constant(x, model.inputs[0].dtype)}
    answer = served(**request)["outputs"].numpy()
    assert answer == pytest.approx(answers(model, x), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": (None,)}, r"`input_shape` is .*vocabulary_size=None"),
        ({"input_shape": 5}, "`input_shape` is the shape .* input_shape=5"),
        ({"input_shape": (0, 2)}, r"`input_shape\[0\]` .* at least 1"),
        ({"input_shape": (7, None)}, r"`input_shape\[1\]` .* at least 1"),
        ({"vocabulary_size": 9}, r"`input_shape` .*\(7, 2\), vocabulary_size=9"),
        ({"outputs": 0}, "`outputs` is the number of units"),
        ({"units": ()}, "`units` gives the units per direction"),
        ({"units": (4, 0)}, r"`units\[1\]` gives"),
        ({"units": 64}, "`units` gives .* units=64"),
        ({"max_length": 0}, "`max_length` is the number of steps"),
        ({"keep": "middle"}, "`keep` is the end that survives"),
        ({"dropout": 1.0}, "`dropout` is the share .* below 1"),
        ({"dropout": 1.0, "units": (4,)}, "`dropout` is the share .* below 1"),
        ({"dropout": None, "units": (4,)}, "`dropout` is the share .* dropout=None"),
        ({"recurrent_dropout": -0.1}, "`recurrent_dropout` is the share"),
        ({"recurrent_weight_dropout": 1}, "`recurrent_weight_dropout` is the share"),
        ({"attention": "cosine"}, "`attention` compares .*'cosine'"),
        ({"query": "last"}, "`query` is what the steps are compared with"),
        ({"attention": None, "query": "last"}, "`query` is what the steps"),
        ({"scales": (0,)}, "`scales` are the lengths"),
        ({"scales": 2}, "`scales` are the lengths"),
        ({"scaling": "standard"}, "`scaling` is put before"),
        ({"mask_value": float("nan")}, "`mask_value` marks the steps"),
        ({"outputs": (24, 0)}, r"`outputs\[1\]` is the shape of one prediction"),
        ({"outputs": ()}, "`outputs` is the shape of one prediction"),
        (
            {"outputs": (24, 3), "task": "classification"},
            "`outputs` is the number of classes .*'classification'",
        ),
        ({"missing": "mean"}, "`missing` says what becomes of values that are NaN"),
        ({"target_scaling": 3}, "`target_scaling` brings the targets"),
        (
            {"target_scaling": StandardScaling(), "task": "classification"},
            "`target_scaling` brings .* None where they are labels",
        ),
        ({"task": "ranking"}, "`task` decides what the head gives"),
        ({"task": "binary", "output_activation": "relu"}, "gives logits"),
        ({"name": ""}, "`name` names the model"),
    ],
)
def test_refuses(arguments, message):
    arguments = {"input_shape": (7, 2), "outputs": 3, **arguments}
    with pytest.raises(ValueError, match=message):
        bilstm_attention(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vocabulary_size": 1}, "`vocabulary_size` is .* at least 2"),
        ({"embedding_units": 0}, "`embedding_units` is the number of units per token"),
        ({"mask_value": 0.0}, "`mask_value` is for float sequences"),
        ({"scaling": StandardScaling()}, "`scaling` is for float sequences"),
        ({"missing": "indicator"}, "`missing` is for float sequences"),
        ({"input_shape": (7, 2)}, "`input_shape` is the shape"),
    ],
)
def test_refuses_for_tokens(arguments, message):
    arguments = {"input_shape": (7,), "outputs": 3, "vocabulary_size": 9, **arguments}
    with pytest.raises(ValueError, match=message):
        bilstm_attention(**arguments)
