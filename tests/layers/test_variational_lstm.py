import keras
import numpy as np
import pytest
from backend_gradients import gradients
from comparing import rounding
from keras import ops

from keras_trainkit.layers.variational_lstm import VariationalLSTM

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 5, 3)).astype("float32")
MASK = np.array(
    [
        [1, 1, 1, 0, 0],  # right
        [0, 0, 1, 1, 1],  # left
        [0, 1, 0, 1, 0],  # in between
        [0, 0, 0, 0, 0],  # nothing left
    ],
    "bool",
)
either_way = pytest.mark.parametrize("sequences", [True, False])
one_and_two_directions = pytest.mark.parametrize("bidirectional", [True, False])
every_kernel = pytest.mark.parametrize("kernel", ["auto", "reference"])


def numpy(x):
    return np.asarray(ops.convert_to_numpy(x))


def twins(**options):
    """Keras' own bidirectional LSTM and ours, with the same weights."""
    kernel = options.pop("kernel", "auto")
    theirs = keras.layers.Bidirectional(keras.layers.LSTM(2, **options))
    theirs.build(X.shape)
    theirs.set_weights([RNG.normal(size=w.shape) for w in theirs.get_weights()])
    ours = VariationalLSTM(2, bidirectional=True, kernel=kernel, **options)
    ours.build(X.shape)
    ours.set_weights(theirs.get_weights())
    return theirs, ours


@pytest.mark.first_quick
@every_kernel
@either_way
@pytest.mark.parametrize("mask", [None, MASK])
def test_without_dropout_computes_what_keras_does(kernel, sequences, mask):
    theirs, ours = twins(return_sequences=sequences, kernel=kernel)
    expected = numpy(theirs(X, mask=mask))
    for training in (False, True):
        found = numpy(ours(X, mask=mask, training=training))
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("mask", [None, MASK])
def test_without_dropout_has_the_gradients_keras_has(mask):
    theirs, ours = twins(return_sequences=True)

    def value(layer):
        def function(x, *weights):
            state = [(v, w) for v, w in zip(layer.weights, weights, strict=True)]
            with keras.StatelessScope(state_mapping=state):
                y = layer(x, mask=mask, training=True)
            return ops.sum(y * y * y)

        return function

    arguments = [X, *ours.get_weights()]
    expected = gradients(value(theirs), arguments)
    found = gradients(value(ours), arguments)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5 * max(1, np.abs(b).max()))


def test_auto_is_the_fused_kernel():
    _, ours = twins(kernel="auto")
    fused = VariationalLSTM(2, bidirectional=True, kernel="fused")
    fused.build(X.shape)
    fused.set_weights(ours.get_weights())
    expected = numpy(ours(X, training=True))
    np.testing.assert_array_equal(numpy(fused(X, training=True)), expected)


def test_states_go_in_and_out_as_in_keras():
    theirs, ours = twins(return_state=True)
    start = [RNG.normal(size=(4, 2)).astype("float32") for _ in range(4)]
    expected = theirs(X, initial_state=start)
    found = ours(X, initial_state=start)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(numpy(a), numpy(b), atol=1e-6)


def test_one_direction_takes_the_weights_of_an_lstm():
    theirs = keras.layers.LSTM(2, return_sequences=True)
    expected = numpy(theirs(X))
    ours = VariationalLSTM(2, return_sequences=True)
    ours.build(X.shape)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(numpy(ours(X)), expected, atol=1e-6)


def test_weights_start_as_those_of_keras():
    layer = VariationalLSTM(2, bidirectional=True)
    layer.build(X.shape)
    forward, recurrent, bias, backward, *_ = layer.get_weights()
    np.testing.assert_array_equal(bias, [0, 0, 1, 1, 0, 0, 0, 0])  # i, f, c, o
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(2), atol=1e-6)
    assert np.abs(forward).max() <= np.sqrt(6 / (3 + 8))  # Glorot
    assert np.abs(forward - backward).max() > 0.01


def test_forget_bias_can_start_at_0():
    layer = VariationalLSTM(2, unit_forget_bias=False)
    layer.build(X.shape)
    assert not layer.get_weights()[2].any()


@every_kernel
@either_way
@pytest.mark.parametrize("training", [True, False])
def test_masked_steps_have_no_influence(kernel, sequences, training):
    layer = VariationalLSTM(
        2, bidirectional=True, return_sequences=sequences, kernel=kernel
    )
    before = numpy(layer(X, mask=MASK, training=training))
    for other in (1e6, np.nan):
        changed = np.where(MASK[:, :, None], X, np.float32(other))
        after = numpy(layer(changed, mask=MASK, training=training))
        np.testing.assert_array_equal(before, after)


def test_masked_steps_have_no_influence_on_the_gradient():
    layer = VariationalLSTM(2, bidirectional=True)
    layer.build(X.shape)

    def function(x, kernel):
        state = [(layer.weights[0], kernel)]
        with keras.StatelessScope(state_mapping=state):
            return ops.sum(layer(x, mask=MASK, training=True))

    kernel = layer.get_weights()[0]
    changed = np.where(MASK[:, :, None], X, np.float32(np.nan))
    before = gradients(function, [X, kernel])
    after = gradients(function, [changed, kernel])
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])
    assert not before[0][~MASK].any()


@either_way
@one_and_two_directions
def test_sequence_without_a_valid_step_gives_zeros(sequences, bidirectional):
    layer = VariationalLSTM(2, bidirectional=bidirectional, return_sequences=sequences)
    start = [np.ones((4, 2), "float32")] * (4 if bidirectional else 2)
    assert not numpy(layer(X, mask=MASK, initial_state=start))[3].any()


@one_and_two_directions
def test_a_sequence_of_length_0_gives_zeros_and_keeps_its_states(bidirectional):
    layer = VariationalLSTM(2, bidirectional=bidirectional, return_state=True)
    count = 4 if bidirectional else 2
    start = [np.full((4, 2), k + 1.0, "float32") for k in range(count)]
    y, *states = layer(X[:, :0], initial_state=start)
    np.testing.assert_array_equal(numpy(y), np.zeros((4, count)))
    np.testing.assert_array_equal([numpy(state) for state in states], start)


def test_one_direction_gives_zeros_at_masked_steps():
    theirs = keras.layers.LSTM(2, return_sequences=True)
    expected = np.where(MASK[:, :, None], numpy(theirs(X, mask=MASK)), 0)
    ours = VariationalLSTM(2, return_sequences=True)
    ours.build(X.shape)
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(numpy(ours(X, mask=MASK)), expected, atol=1e-6)


def test_padding_on_either_side_gives_the_same_last_output():
    layer = VariationalLSTM(2, bidirectional=True)
    alone = numpy(layer(X[:, :3]))
    padding = np.full((4, 2, 3), 9.0, "float32")
    right = np.concatenate([X[:, :3], padding], axis=1)
    left = np.concatenate([padding, X[:, :3]], axis=1)
    valid = np.array([[1, 1, 1, 0, 0]] * 4, "bool")
    found = numpy(layer(right, mask=valid))
    np.testing.assert_allclose(found, alone, atol=1e-6)
    found = numpy(layer(left, mask=valid[:, ::-1]))
    np.testing.assert_allclose(found, alone, atol=1e-6)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("rows", "steps"), [(4, 1), (4, 0), (0, 5)])
def test_short_and_empty_batches(rows, steps, training):
    layer = VariationalLSTM(2, bidirectional=True, return_sequences=True)
    y = layer(X[:rows, :steps], mask=MASK[:rows, :steps], training=training)
    assert tuple(y.shape) == (rows, steps, 4)
    last = VariationalLSTM(2)(X[:rows, :steps], training=training)
    assert tuple(last.shape) == (rows, 2)
    assert steps or not numpy(last).any()


@pytest.mark.first_quick
@pytest.mark.tensorflow_only
@every_kernel
@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 3])
def test_number_of_steps_may_be_unknown_to_the_graph_and_0(kernel, mask, steps):
    import tensorflow as tf

    layer = VariationalLSTM(
        2, bidirectional=True, return_sequences=True, return_state=True, kernel=kernel
    )
    layer.build(X.shape)
    start = [np.full((4, 2), k + 1.0, "float32") for k in range(4)]

    def function(x, valid):
        return layer(x, mask=valid if mask else None, initial_state=start)

    shapes = tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, None), tf.bool)
    found = tf.function(function, shapes)(X[:, :steps], MASK[:, :steps])
    expected = function(X[:, :steps], MASK[:, :steps])
    assert found[0].shape == (4, steps, 4)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(numpy(a), numpy(b), atol=1e-6)


@pytest.mark.tensorflow_only
def test_a_data_set_with_a_batch_of_0_steps_is_evaluated():
    import tensorflow as tf

    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, VariationalLSTM(2, bidirectional=True)(inputs))
    model.compile("sgd", "mse")
    batches = [(X[:, :steps], np.ones((4, 4), "float32")) for steps in (0, 3)]
    shapes = tf.TensorSpec((None, None, 3)), tf.TensorSpec((None, 4))
    data = tf.data.Dataset.from_generator(lambda: batches, output_signature=shapes)
    data = data.apply(tf.data.experimental.assert_cardinality(2))
    predicted = model.predict(X[:, :3], verbose=0)
    expected = (1 + np.mean((predicted - 1) ** 2)) / 2  # of 0 steps come zeros
    assert model.evaluate(data, verbose=0) == pytest.approx(expected, rel=1e-5)


@every_kernel
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
@pytest.mark.parametrize("training", [True, False])
def test_integers_and_bools_are_read_as_floats(kernel, dtype, training):
    layer = VariationalLSTM(2, bidirectional=True, kernel=kernel)
    whole = (np.abs(X) * 3).astype(dtype)
    expected = numpy(layer(whole.astype("float32"), training=training))
    found = numpy(layer(whole, mask=np.ones((4, 5), "bool"), training=training))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int32", "bool"])
def test_a_model_of_integers_trains_with_dropout(dtype):
    inputs = keras.Input((5, 3), dtype=dtype)
    layer = VariationalLSTM(2, dropout=0.3, recurrent_dropout=0.3)
    model = keras.Model(inputs, layer(inputs))
    model.compile("sgd", "mse")
    whole = (np.abs(X) * 3).astype(dtype)
    assert np.isfinite(model.train_on_batch(whole, np.zeros((4, 2))))


def test_input_mask_is_one_per_sequence_and_new_for_every_batch():
    features = 50
    layer = VariationalLSTM(features, dropout=0.4, return_sequences=True, seed=5)
    layer.build((None, None, features))
    kernel = np.zeros((features, 4 * features))
    kernel[:, 2 * features : 3 * features] = np.eye(features)  # unit j reads input j
    bias = np.repeat([30.0, -30.0, 0.0, 30.0], features)  # h = tanh(tanh(x))
    layer.set_weights([kernel, np.zeros((features, 4 * features)), bias])
    x = np.full((1000, 3, features), 0.6, "float32")
    y = numpy(layer(x, training=True))
    kept = y > 0
    np.testing.assert_array_equal(kept[:, 0], kept[:, 1])
    np.testing.assert_array_equal(kept[:, 0], kept[:, 2])
    np.testing.assert_allclose(y[kept], np.tanh(np.tanh(0.6 / 0.6)), rtol=1e-4)
    assert kept.mean() == pytest.approx(0.6, abs=0.01)  # 50 000 units
    again = numpy(layer(x, training=True)) > 0
    assert abs(np.corrcoef(kept[:, 0].ravel(), again[:, 0].ravel())[0, 1]) < 0.05


def draws_both_ways(**rates):
    """The masks each direction draws for 100 sequences of 100 units."""
    layer = VariationalLSTM(100, bidirectional=True, seed=5, **rates)
    drawn = []

    def spy(shape, rate, draw=layer._kept):
        drawn.append(numpy(draw(shape, rate)))
        return ops.convert_to_tensor(drawn[-1])

    layer._kept = spy
    layer(np.zeros((100, 3, 100), "float32"), training=True)
    return drawn


@pytest.mark.first_quick
@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout"])
def test_directions_draw_masks_of_their_own(name):
    forward, backward = draws_both_ways(**{name: 0.3})
    assert forward.shape == backward.shape == (100, 100)
    assert set(np.unique(forward)) == {0, np.float32(1 / 0.7)}
    assert (forward > 0).mean() == pytest.approx(0.7, abs=0.014)  # 3 deviations
    assert abs(np.corrcoef(forward.ravel(), backward.ravel())[0, 1]) < 0.05


def test_weight_mask_covers_the_recurrent_kernel_once_per_batch():
    forward, backward = draws_both_ways(recurrent_weight_dropout=0.3)
    assert forward.shape == backward.shape == (100, 400)
    assert (forward > 0).mean() == pytest.approx(0.7, abs=0.01)
    assert abs(np.corrcoef(forward.ravel(), backward.ravel())[0, 1]) < 0.05


@every_kernel
def test_recurrent_mask_is_the_same_at_every_step(kernel):
    """By hand: the outputs of the plain formula with the mask that was drawn."""
    layer = VariationalLSTM(
        2, recurrent_dropout=0.5, return_sequences=True, seed=1, kernel=kernel
    )
    layer.build(X.shape)
    drawn = []
    draw = layer._kept
    layer._kept = lambda *args: drawn.append(draw(*args)) or drawn[-1]
    found = numpy(layer(X, training=True))
    w, u, b = layer.get_weights()
    h, c = np.zeros((4, 2)), np.zeros((4, 2))
    for t in range(5):
        i, f, g, o = np.split(X[:, t] @ w + (h * numpy(drawn[0])) @ u + b, 4, axis=1)
        i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        np.testing.assert_allclose(found[:, t], h, atol=1e-5)


@either_way
def test_output_mask_is_one_per_sequence_and_spares_the_states(sequences):
    layer = VariationalLSTM(
        40,
        bidirectional=True,
        output_dropout=0.5,
        return_sequences=sequences,
        return_state=True,
        seed=2,
    )
    kept_whole = layer(X, training=False)
    y, *states = layer(X, training=True)
    ratio = (numpy(y) / numpy(kept_whole[0])).round(2)
    assert set(np.unique(ratio)) == {0, 2}
    assert sequences is False or (ratio == ratio[:, :1]).all()
    for a, b in zip(states, kept_whole[1:], strict=True):
        np.testing.assert_allclose(numpy(a), numpy(b), atol=1e-6)


def test_nothing_is_dropped_in_inference():
    layer = VariationalLSTM(
        2,
        dropout=0.5,
        recurrent_dropout=0.5,
        output_dropout=0.5,
        recurrent_weight_dropout=0.5,
    )
    np.testing.assert_array_equal(numpy(layer(X)), numpy(layer(X)))


@one_and_two_directions
def test_padding_is_not_read_where_states_are_given_too(bidirectional, tmp_path):
    layer = VariationalLSTM(2, bidirectional=bidirectional)
    start = [RNG.normal(size=(4, 2)).astype("float32") for _ in range(4)]
    start = start[: 4 if bidirectional else 2]
    padded = np.where(MASK[:, :, None], X, 0)
    expected = numpy(layer(padded, mask=MASK, initial_state=start))
    assert np.abs(numpy(layer(padded, initial_state=start)) - expected).max() > 1e-3
    masking = keras.layers.Masking()
    found = layer(masking(padded), initial_state=start)
    np.testing.assert_allclose(numpy(found), expected, atol=1e-6)

    inputs = keras.Input((None, 3))
    states = [keras.Input((2,)) for _ in start]
    outputs = layer(masking(inputs), initial_state=states)
    model = keras.Model([inputs, *states], outputs)
    model.save(tmp_path / "model.keras")
    for built in (model, keras.saving.load_model(tmp_path / "model.keras")):
        found = built.predict([padded, *start], verbose=0)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_seed_makes_the_masks_repeatable():
    def outputs(seed):
        layer = VariationalLSTM(6, recurrent_dropout=0.5, dropout=0.5, seed=seed)
        layer.build(X.shape)
        layer.set_weights([np.full(w.shape, 0.3) for w in layer.get_weights()])
        return numpy(layer(X, training=True))

    np.testing.assert_array_equal(outputs(7), outputs(7))
    assert np.abs(outputs(7) - outputs(8)).max() > 1e-3


def small_model(seed=3, **options):
    inputs = keras.Input((None, 3))
    masked = keras.layers.Masking()(inputs)
    h = VariationalLSTM(
        2, bidirectional=True, return_sequences=True, seed=seed, **options
    )(masked)
    h = VariationalLSTM(3, recurrent_dropout=0.2, seed=seed, **options)(h)
    return keras.Model(inputs, keras.layers.Dense(1)(h))


@pytest.mark.slow
@pytest.mark.parametrize(
    "jit", [pytest.param(True, marks=pytest.mark.not_torch), "auto"]
)
def test_trains_on_batches_of_different_sizes_and_lengths(jit):
    model = small_model()
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=jit)
    y = X.mean(axis=(1, 2))
    losses = [model.train_on_batch(X, y) for _ in range(15)]
    assert losses[-1] < losses[0]
    if jit == "auto":
        assert np.isfinite(model.train_on_batch(X[:3, :4], y[:3]))
        assert np.isfinite(model.train_on_batch(X[:2, :2], y[:2]))


@pytest.mark.slow
def test_reference_trains_to_the_same_weights():
    weights = []
    for kernel in ("auto", "reference"):
        keras.utils.set_random_seed(1)
        model = small_model(kernel=kernel)
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
        model.fit(X, X.mean(axis=(1, 2)), batch_size=4, epochs=3, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.slow
@pytest.mark.not_torch
@pytest.mark.parametrize("time", [5, None])
def test_reference_trains_compiled_as_a_whole(time):
    losses = []
    for jit in (True, False):
        keras.utils.set_random_seed(1)
        inputs = keras.Input((time, 3))
        steps = keras.layers.Masking()(inputs)
        layer = VariationalLSTM(2, bidirectional=True, kernel="reference")
        model = keras.Model(inputs, layer(steps))
        model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit)
        losses.append([model.train_on_batch(X, np.ones((4, 4))) for _ in range(3)])
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.slow
@either_way
@pytest.mark.parametrize("count", [3, None])
def test_time_distributed_applies_it_to_each_sequence(sequences, count):
    """A batch of 2 documents of 3 sentences of 5 words."""
    layer = VariationalLSTM(2, bidirectional=True, return_sequences=sequences)
    documents = RNG.normal(size=(2, 3, 5, 3)).astype("float32")
    documents[0, 1] = documents[1, 2, 3:] = 0
    inputs = keras.Input((count, 5, 3))
    each = keras.layers.TimeDistributed(layer)(keras.layers.Masking()(inputs))
    found = keras.Model(inputs, each).predict(documents, verbose=0)
    rows = documents.reshape(6, 5, 3)
    expected = numpy(layer(rows, mask=rows.any(axis=-1)))
    np.testing.assert_allclose(found.reshape(expected.shape), expected, atol=1e-6)


def test_bidirectional_wrapper_is_refused_with_what_to_use_instead():
    def wrappers():
        wrapper = keras.layers.Bidirectional
        yield lambda: wrapper(VariationalLSTM(2))
        yield lambda: wrapper(keras.layers.LSTM(2), backward_layer=VariationalLSTM(2))
        yield lambda: wrapper(VariationalLSTM(2), backward_layer=VariationalLSTM(2))

    for wrap in wrappers():
        with pytest.raises(ValueError, match=r"\(units, bidirectional=True\)"):
            wrap()


def test_half_precision_computes_in_it_and_keeps_float32_weights():
    layer = VariationalLSTM(2, bidirectional=True, dtype="mixed_bfloat16")
    y = layer(X, training=True, mask=MASK)
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert layer.weights[0].dtype == "float32"
    exact = VariationalLSTM(2, bidirectional=True)
    exact.build(X.shape)
    exact.set_weights(layer.get_weights())
    found = numpy(ops.cast(y, "float32"))
    two_a_step = rounding("bfloat16", 2 * X.shape[1])  # of states within -1 and 1
    np.testing.assert_allclose(found, numpy(exact(X, mask=MASK)), atol=two_a_step)


def test_mask_goes_on_with_sequences_and_ends_without():
    layer = VariationalLSTM(2, return_sequences=True)
    assert layer.compute_mask(X, MASK) is MASK
    assert VariationalLSTM(2).compute_mask(X, MASK) is None
    layer = VariationalLSTM(2, return_sequences=True, return_state=True)
    masks = layer.compute_mask(X, MASK)
    assert masks[0] is MASK
    assert masks[1:] == [None, None]


@either_way
@one_and_two_directions
def test_shapes_are_known_before_the_call(sequences, bidirectional):
    layer = VariationalLSTM(
        2, bidirectional=bidirectional, return_sequences=sequences, return_state=True
    )
    symbolic = layer(keras.Input((None, 3)))
    found = layer(X)
    for a, b in zip(symbolic, found, strict=True):
        assert len(a.shape) == len(b.shape)
        assert a.shape[-1] == b.shape[-1]
    assert [tuple(b.shape) for b in found] == list(layer.compute_output_shape(X.shape))


def test_saved_model_file_computes_the_same(tmp_path):
    model = small_model()
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.predict(X), copy.predict(X))


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_exported_graph_holds_nothing_compiled(tmp_path):
    import tensorflow as tf

    model = small_model()
    model.compile("sgd", "mse")
    model.fit(X, X.mean(axis=(1, 2)), verbose=0)
    model.export(tmp_path / "model", verbose=False)
    assert b"_XlaMustCompile" not in (tmp_path / "model/saved_model.pb").read_bytes()
    served = tf.saved_model.load(tmp_path / "model")
    for rows, steps in ((1, 5), (3, 1), (0, 5)):
        x = X[:rows, :steps]
        np.testing.assert_allclose(served.serve(x), model(x), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"units": 0}, "`units` is the width of one direction"),
        ({"units": 10**6}, "at most 8192"),
        ({"bidirectional": 1}, "`bidirectional` adds a second direction"),
        ({"return_sequences": None}, "`return_sequences` keeps every step"),
        ({"dropout": 1.0}, "`dropout` is the share of the inputs dropped"),
        ({"recurrent_dropout": -0.1}, "`recurrent_dropout` is the share of the stat"),
        ({"output_dropout": 2}, "`output_dropout` is the share of the outputs"),
        ({"recurrent_weight_dropout": "0.5"}, "share of the recurrent weights"),
        ({"unit_forget_bias": 1.0}, "`unit_forget_bias` starts"),
        ({"return_state": "yes"}, "`return_state` adds the final states"),
        ({"seed": -1}, "`seed` makes the random numbers repeatable"),
        ({"kernel": "cudnn"}, "`kernel` picks the implementation"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        VariationalLSTM(**{"units": 2, **arguments})


def test_unknown_number_of_features_is_refused():
    with pytest.raises(ValueError, match="one weight per feature"):
        VariationalLSTM(2)(keras.Input((5, None)))


@pytest.mark.parametrize(
    "start",
    [
        [X[:, 0, :2]] * 2,  # of one direction
        [X[:, 0, :3]] * 4,
        [X[:1, 0, :2]] * 4,
        [X[:, :, :2]] * 4,
        X[:, 0, :2],
    ],
)
def test_initial_states_of_other_number_or_shape_are_refused(start):
    with pytest.raises(ValueError, match=r"a list of 4 tensors of the shape .*, 2\)"):
        VariationalLSTM(2, bidirectional=True)(X, initial_state=start)


@pytest.mark.parametrize("shape", [(4, 4), (3, 5), (4, 1), (4, 5, 1), (5,)])
def test_a_mask_of_other_shape_is_refused(shape):
    with pytest.raises(ValueError, match="`mask` tells the steps that are valid"):
        VariationalLSTM(2)(X, mask=np.ones(shape, "bool"))
