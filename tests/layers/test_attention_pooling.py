import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal
from keras import ops

from keras_trainkit.layers import AttentionPooling, VariationalLSTM

FLOAT64 = pytest.param(
    "float64",
    marks=pytest.mark.skipif(
        keras.backend.backend() == "jax", reason="JAX is left at 32 bits"
    ),
)
SCORES = ["additive", "multiplicative", "dot", "scaled_dot"]
# Padding after, padding before, a hole, nothing valid, everything valid.
MIXED = np.array(
    [[1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 1], [0, 0, 0, 0], [1, 1, 1, 1]], bool
)
MASKS = {"none": None, "mixed": MIXED, "all masked": np.zeros((5, 4), bool)}
every_mask = pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
every_score = pytest.mark.parametrize("score", SCORES)


def draw(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def tensor(array):
    return None if array is None else ops.convert_to_tensor(array)


def numbers(variable):
    return ops.convert_to_numpy(variable.value)


def score_of(layer, query, step):
    """One score in float64, the formulas of the papers; a learned query is `q W`."""
    weights = {w.name: numbers(w).astype("float64") for w in layer.weights}
    if "query_kernel" in weights:
        query = query @ weights["query_kernel"]
    if layer.score == "additive":
        hidden = np.tanh(query + step @ weights["sequence_kernel"])
        return float((hidden @ weights["score_kernel"])[0])
    scale = np.sqrt(len(step)) if layer.score == "scaled_dot" else 1.0
    return float(query @ step) / scale


def reference(layer, sequence, mask, query=None):
    """Output and weights, row by row, over the valid steps only."""
    outputs, all_weights = [], []
    for row, steps in enumerate(sequence.astype("float64")):
        valid = [t for t in range(len(steps)) if mask is None or mask[row][t]]
        if layer.query == "learned":
            q = numbers(layer.learned_query)[0].astype("float64")
        elif query is not None:
            q = query[row].astype("float64")
        else:
            q = steps[valid[-1]] if valid else np.zeros(steps.shape[1])
        powers = np.exp([score_of(layer, q, steps[t]) for t in valid])
        weights = np.zeros(len(steps))
        weights[valid] = powers / powers.sum()
        context = weights @ steps
        joined = [context] if layer.query == "learned" else [context, q]
        outputs.append(np.concatenate(joined))
        all_weights.append(weights)
    return np.array(outputs), np.array(all_weights)


def built(layer, *shapes):
    """Weights of a size that tells one step from another; none stays at 0."""
    layer.build(shapes[0] if len(shapes) == 1 else list(shapes))
    for number, weight in enumerate(layer.weights):
        weight.assign(draw(*weight.shape, seed=10 + number))
    return layer


@every_mask
@every_score
@pytest.mark.parametrize("query", ["final_state", "learned"])
def test_output_and_weights_are_those_of_the_formula(score, query, mask):
    layer = built(AttentionPooling(score, query), (None, None, 5))
    sequence = draw(5, 4, 5)
    output, weights = layer(sequence, mask=mask, return_attention_scores=True)
    expected_output, expected_weights = reference(layer, sequence, mask)
    assert_close(weights, expected_weights, atol=1e-6)
    assert_close(output, expected_output, atol=2e-6)


@every_mask
@every_score
def test_a_query_that_is_passed_is_scored_and_joined(score, mask):
    channels = 5 if "dot" in score else 2
    layer = built(AttentionPooling(score), (None, None, 5), (None, channels))
    sequence, query = draw(5, 4, 5), draw(5, channels, seed=2)
    masks = None if mask is None else [tensor(mask), None]
    output, weights = layer([sequence, query], mask=masks, return_attention_scores=True)
    expected_output, expected_weights = reference(layer, sequence, mask, query)
    assert_close(weights, expected_weights, atol=1e-6)
    assert_close(output, expected_output, atol=2e-6)


def test_units_are_the_width_of_the_additive_score():
    layer = built(AttentionPooling(units=3), (None, None, 5))
    shapes = {w.name: tuple(w.shape) for w in layer.weights}
    assert shapes["query_kernel"] == shapes["sequence_kernel"] == (5, 3)
    assert shapes["score_kernel"] == (3, 1)
    sequence = draw(2, 4, 5)
    expected, _ = reference(layer, sequence, None)
    assert_close(layer(sequence), expected, atol=2e-6)


@every_score
def test_weights_add_up_to_one_and_are_zero_where_masked(score):
    layer = built(AttentionPooling(score), (None, None, 5))
    _, weights = layer(100 * draw(5, 4, 5), mask=MIXED, return_attention_scores=True)
    weights = ops.convert_to_numpy(weights)
    assert_close(weights.sum(axis=1), [1, 1, 1, 0, 1], atol=1e-6)
    assert not weights[~MIXED].any()


@every_score
@pytest.mark.parametrize("query", ["final_state", "learned"])
@pytest.mark.parametrize("garbage", [1e6, np.nan, np.inf])
def test_masked_steps_have_no_influence(score, query, garbage):
    layer = built(AttentionPooling(score, query), (None, None, 5))
    sequence = draw(5, 4, 5)
    spoilt = np.where(MIXED[..., None], sequence, np.float32(garbage))
    assert_equal(layer(spoilt, mask=MIXED), layer(sequence, mask=MIXED))


def gradients(layer, sequence, mask):
    """Of the mean square of the output, by sequence and weights."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        sequence = tf.constant(sequence)
        weights = [w.value for w in layer.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(sequence)
            loss = ops.mean(ops.square(layer(sequence, mask=tensor(mask))))
        return tape.gradient(loss, [sequence, *weights])
    if keras.backend.backend() == "jax":
        import jax

        def loss(sequence, weights):
            output, _ = layer.stateless_call(weights, [], sequence, mask=tensor(mask))
            return ops.mean(ops.square(output))

        weights = [w.value for w in layer.trainable_variables]
        by_sequence, by_weights = jax.grad(loss, (0, 1))(tensor(sequence), weights)
        return [by_sequence, *by_weights]
    sequence = tensor(sequence).requires_grad_(True)
    for weight in layer.trainable_variables:
        weight.value.grad = None
    ops.mean(ops.square(layer(sequence, mask=tensor(mask)))).backward()
    return [sequence.grad, *(w.value.grad for w in layer.trainable_variables)]


@every_mask
@every_score
@pytest.mark.parametrize("query", ["final_state", "learned"])
def test_gradients_are_finite_and_zero_at_masked_steps(score, query, mask):
    layer = built(AttentionPooling(score, query), (None, None, 5))
    sequence = draw(5, 4, 5)
    valid = np.ones((5, 4), bool) if mask is None else mask
    garbage = np.float32([np.inf, np.nan, 1e6, np.nan, 0])[:, None, None]
    sequence = np.where(valid[..., None], sequence, garbage)
    by_sequence, *by_weights = [
        ops.convert_to_numpy(g) for g in gradients(layer, sequence, mask)
    ]
    assert all(np.isfinite(g).all() for g in (by_sequence, *by_weights))
    assert not by_sequence[~valid].any()
    assert by_sequence[valid].all()


@pytest.mark.parametrize("score", ["multiplicative", "dot", "scaled_dot"])
def test_a_fresh_learned_query_gives_the_average_of_the_valid_steps(score):
    sequence, mask = draw(2, 3, 4), np.array([[1, 1, 0], [1, 1, 1]], bool)
    pooled = AttentionPooling(score, "learned")(sequence, mask=mask)
    assert_close(pooled[0], sequence[0, :2].mean(axis=0), atol=1e-6)
    assert_close(pooled[1], sequence[1].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("score", "query"), [("additive", "final_state"), ("scaled_dot", "learned")]
)
@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("time", [0, 1, 2])
def test_short_sequences_and_empty_batches(score, query, batch, time):
    layer = built(AttentionPooling(score, query), (None, None, 5))
    sequence = draw(batch, time, 5)
    for mask in (None, np.ones((batch, time), bool)):
        output = ops.convert_to_numpy(layer(sequence, mask=mask))
        assert output.shape == (batch, 5 if query == "learned" else 10)
        assert np.isfinite(output).all()
        if time == 0:
            assert not output.any()
        if time == 1:  # the only step is context and query
            assert_close(output[:, :5], sequence[:, 0], atol=1e-6)


def bilstm_model(**arguments):
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = keras.layers.Embedding(7, 3, mask_zero=True)(tokens)
    lstm = {"return_sequences": True, "return_state": True, "bidirectional": True}
    x, forward, _, backward, _ = VariationalLSTM(2, **lstm)(x)
    state = keras.layers.Concatenate()([forward, backward])
    output, weights = AttentionPooling(**arguments)(
        [x, state], return_attention_scores=True
    )
    return keras.Model(tokens, {"output": output, "weights": weights})


def test_the_mask_of_an_embedding_arrives_and_goes_no_further():
    model = bilstm_model(score="scaled_dot")
    alone, padded = model(np.array([[3, 5]])), model(np.array([[3, 5, 0, 0]]))
    assert_close(padded["output"], alone["output"], atol=1e-6)
    assert_equal(padded["weights"][:, 2:], [[0, 0]])
    assert getattr(padded["output"], "_keras_mask", None) is None


@every_score
def test_a_sequence_alone_takes_the_mask_of_a_masking_layer(score):
    x = keras.Input((None, 5))
    pooled = AttentionPooling(score)(keras.layers.Masking()(x))
    model = keras.Model(x, pooled)
    sequence = draw(2, 3, 5)
    padded = np.concatenate([sequence, np.zeros((2, 2, 5), "float32")], axis=1)
    assert_close(model(padded), model(sequence), atol=1e-6)
    assert tuple(pooled.shape) == (None, 10)


def test_a_model_comes_back_from_its_file(tmp_path):
    model = bilstm_model(score="additive", units=3)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    ids = np.array([[3, 5, 0], [1, 2, 6]])
    for name in ("output", "weights"):
        assert_equal(copy(ids)[name], model(ids)[name])


@pytest.mark.tensorflow_only
def test_an_exported_model_still_masks(tmp_path):
    import tensorflow as tf

    model = bilstm_model(score="multiplicative")
    model.export(tmp_path / "saved", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "saved")
    for ids in (np.array([[3, 5, 0, 0], [0, 0, 0, 0]], "int32"), np.ones((1, 7), "i4")):
        exported, expected = loaded.serve(ids), model(ids)
        for name in ("output", "weights"):
            assert_close(exported[name], expected[name], atol=1e-6)


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_trains_compiled(jit):
    if jit and keras.backend.backend() == "torch":
        pytest.skip("torch compiles through inductor, far too slow here")
    x = keras.Input((4, 5))
    pooled = AttentionPooling("additive", "learned")(keras.layers.Masking()(x))
    model = keras.Model(x, keras.layers.Dense(1)(pooled))
    model.compile("adam", "mse", jit_compile=jit)
    before = [numbers(w) for w in model.trainable_variables]
    model.fit(draw(8, 4, 5), draw(8, 1), verbose=0)
    after = [numbers(w) for w in model.trainable_variables]
    assert all((a != b).any() for a, b in zip(after, before, strict=True))


@every_score
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_scores_in_float32(score, policy):
    layer = built(AttentionPooling(score, dtype=policy), (None, None, 64))
    # Products of 64 channels of 100 exceed what float16 can hold, 65504.
    sequence = np.full((1, 3, 64), 100.0, "float32")
    mask = np.array([[True, True, False]])
    output, weights = layer(sequence, mask=mask, return_attention_scores=True)
    assert keras.backend.standardize_dtype(weights.dtype) == "float32"
    assert keras.backend.standardize_dtype(output.dtype) == policy.split("_")[1]
    if score in ("dot", "scaled_dot"):
        assert_equal(weights, [[0.5, 0.5, 0]])
        output = ops.convert_to_numpy(ops.cast(output, "float32"))
        assert_equal(output, np.full((1, 128), 100.0))


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", FLOAT64])
def test_declared_shapes_and_dtypes_are_those_that_come(policy):
    for query, inputs in (
        ("learned", draw(2, 3, 4)),
        ("final_state", [draw(2, 3, 4), draw(2, 6)]),
    ):
        layer = AttentionPooling("additive", query, dtype=policy)
        symbolic = (
            [keras.Input(x.shape[1:], batch_size=2) for x in inputs]
            if isinstance(inputs, list)
            else keras.Input(inputs.shape[1:], batch_size=2)
        )
        declared = layer(symbolic, return_attention_scores=True)
        came = layer(inputs, return_attention_scores=True)
        for spec, value in zip(declared, came, strict=True):
            assert tuple(spec.shape) == tuple(value.shape)
            assert spec.dtype == keras.backend.standardize_dtype(value.dtype)


@pytest.mark.parametrize("score", ["dot", "scaled_dot"])
def test_dot_refuses_a_query_of_other_width(score):
    with pytest.raises(ValueError, match="same number of channels.*5 channels.*with 2"):
        AttentionPooling(score)([draw(3, 4, 5), draw(3, 2)])


def test_a_learned_query_takes_no_second_input():
    layer = AttentionPooling("dot", "learned")
    layer(draw(3, 4, 5))
    with pytest.raises(ValueError, match="must be called on it or.*query='learned'"):
        layer([draw(3, 4, 5), draw(3, 5)])


@pytest.mark.parametrize("number", [1, 3])
def test_refuses_another_number_of_inputs(number):
    with pytest.raises(ValueError, match=f"must be called on it or.* {number} inputs"):
        AttentionPooling()([draw(3, 4, 5), draw(3, 5), draw(3, 5)][:number])


@pytest.mark.parametrize("inputs", [draw(3, 4), [draw(3, 4, 5), draw(3, 1, 5)]])
def test_refuses_inputs_of_other_rank(inputs):
    with pytest.raises(ValueError, match="must have the shape .batch, time, channels"):
        AttentionPooling()(inputs)


@pytest.mark.parametrize("shape", [(3, 4, 1), (3, 2), (2, 4)])
def test_refuses_a_mask_of_other_shape(shape):
    with pytest.raises(ValueError, match="`mask` tells the steps that are valid"):
        AttentionPooling()(draw(3, 4, 5), mask=np.ones(shape, bool))


def test_refuses_an_unknown_number_of_channels():
    with pytest.raises(ValueError, match="weights per channel"):
        AttentionPooling()(keras.Input((4, None)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"score": "general"}, "compares the query with a step.*'additive'"),
        ({"query": "mean"}, "what the steps are compared with.*'learned'"),
        ({"units": 0}, "width of the additive score.*at least 1"),
        ({"score": "dot", "units": 3}, "must be None with score='dot'.*units=3"),
    ],
)
def test_refuses_arguments_outside_their_range(arguments, words):
    with pytest.raises(ValueError, match=words):
        AttentionPooling(**arguments)
