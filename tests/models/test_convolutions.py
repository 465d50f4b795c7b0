"""`models.bilstm_attention` with convolutions before its recurrence."""

import keras
import numpy as np
import pytest
from comparing import in_one
from keras import ops

from keras_trainkit.layers import StandardScaling
from keras_trainkit.models import attention_scores, bilstm_attention

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=(3, 7, 2)).astype("float32")
LENGTHS = np.array([7, 1, 4])
PADDING = -9.0
PADDED = np.where(
    (np.arange(7) < LENGTHS[:, None])[..., None], FLOATS, np.float32(PADDING)
)
TOKENS = np.array([[5, 3, 9, 1, 0, 0], [2, 0, 0, 0, 0, 0], [4, 4, 8, 1, 7, 6]])
SPACE = ((0, 0), (2, 5), (0, 0))  # padding before and after
PAIRS = ((5, 4), (6, 3))  # the first kernel longer than some of the sequences


def floats(units=(4,), **arguments):
    arguments = {"convolutions": PAIRS, "mask_value": PADDING, **arguments}
    return bilstm_attention((None, 2), 3, units, **arguments)


def tokens(**arguments):
    arguments = {"convolutions": PAIRS, "embedding_units": 5, **arguments}
    return bilstm_attention((None,), 3, (4,), vocabulary_size=12, **arguments)


def answers(model, x):
    return ops.convert_to_numpy(in_one(model)(x))


def drawn(model, seed=3):
    """The model with statistics and shifts that are not those of the start."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name in ("beta", "moving_mean", "moving_variance"):
            weight.assign(rng.uniform(0.5, 2, size=weight.shape))
    return model


def test_blocks_stand_between_the_scales_and_the_recurrence():
    model = floats(scales=(1, 2), pool_size=2)
    blocks = ["convolution_1", "normalization_1", "activation_1"]
    blocks += ["convolution_2", "normalization_2", "activation_2"]
    names = [layer.name for layer in model.layers]
    places = [names.index(n) for n in ("scales", *blocks, "pooling", "bilstm_1")]
    assert places == sorted(places)
    first, second = model.get_layer("convolution_1"), model.get_layer("convolution_2")
    assert (first.filters, first.kernel_size, first.use_bias) == (5, 4, False)
    assert (second.filters, second.kernel_size) == (6, 3)
    assert model.get_layer("normalization_2").momentum == 0.9
    assert first.kernel.shape == (4, 4, 5)  # two channels at two scales


def test_features_that_filters_found_are_dropped_though_measurements_are_not():
    assert floats(dropout=0.3).get_layer("bilstm_1").dropout == 0.3
    plain = floats(dropout=0.3, convolutions=None)
    assert plain.get_layer("bilstm_1").dropout == 0.0


def by_numpy(model, x):
    """The blocks on one sequence `(time, channels)`, in float64, then the pooling."""
    for number in (1, 2):
        convolution = model.get_layer(f"convolution_{number}")
        kernel = ops.convert_to_numpy(convolution.kernel).astype("float64")
        size = len(kernel)
        padded = np.pad(x, (((size - 1) // 2, size // 2), (0, 0)))
        taps = [padded[i : i + len(x)] @ kernel[i] for i in range(size)]
        normalization = model.get_layer(f"normalization_{number}")
        gamma, beta, mean, variance = map(ops.convert_to_numpy, normalization.weights)
        x = (sum(taps) - mean) / np.sqrt(variance + 1e-3) * gamma + beta
        x = np.maximum(x, 0)
    return np.stack([x[i : i + 2].max(axis=0) for i in range(0, len(x), 2)])


def test_steps_before_the_recurrence_are_those_of_numpy():
    model = drawn(floats(pool_size=2))
    read = keras.Model(model.input, model.get_layer("pooling").output)
    found = answers(read, PADDED)
    assert found.shape == (3, 4, 6)  # 7 steps, two by two
    for row, length in enumerate(LENGTHS):
        expected = by_numpy(model, PADDED[row, :length].astype("float64"))
        assert found[row, : len(expected)] == pytest.approx(expected, abs=1e-5)


@pytest.mark.first_quick
@pytest.mark.parametrize(("pool_size", "before"), [(1, 2), (2, 1), (3, 0)])
def test_padding_of_floats_changes_nothing(pool_size, before):
    model = drawn(floats(pool_size=pool_size, convolution_mean=pool_size > 1))
    space = ((0, 0), (before, 5), (0, 0))
    found = answers(model, np.pad(PADDED, space, constant_values=PADDING))
    for row, length in enumerate(LENGTHS):
        alone = answers(model, PADDED[row : row + 1, :length])
        assert found[row] == pytest.approx(alone[0], abs=1e-5)


def test_padding_of_tokens_changes_nothing():
    model = drawn(tokens(pool_size=2, scales=(1, 2)))
    longer = np.pad(TOKENS, ((0, 0), (0, 9)))
    assert answers(model, longer) == pytest.approx(answers(model, TOKENS), abs=1e-5)


def test_padding_does_not_count_in_the_statistics_of_training():
    model = floats()
    blocks = keras.Model(model.input, model.get_layer("activation_2").output)
    longer = np.pad(PADDED, ((0, 0), (2, 5), (0, 0)), constant_values=PADDING)
    begun, ended = list(map(ops.convert_to_numpy, blocks.weights)), []
    for x in (PADDED, longer):
        blocks.set_weights(begun)
        blocks(x, training=True)
        ended.append(list(map(ops.convert_to_numpy, blocks.weights)))
    for first, second in zip(*ended, strict=True):
        assert second == pytest.approx(first, abs=1e-6)
    moved = [np.abs(a - b).max() > 0 for a, b in zip(begun, ended[0], strict=True)]
    assert sum(moved) == 4  # mean and variance of two blocks


@pytest.mark.parametrize("members", [1, 2])
def test_the_head_sees_the_mean_of_the_convolved_steps(members):
    model = drawn(floats(pool_size=2, convolution_mean=True, members=members))
    for prefix in ("member_1_", "member_2_") if members > 1 else ("",):
        outputs = [f"{prefix}{name}" for name in ("activation_2", "convolution_mean")]
        outputs.append(f"{prefix}with_convolution_mean")
        read = keras.Model(model.input, [model.get_layer(o).output for o in outputs])
        steps, mean, beside = map(ops.convert_to_numpy, read(PADDED))
        for row, length in enumerate(LENGTHS):
            expected = steps[row, :length].mean(axis=0)
            assert mean[row] == pytest.approx(expected, abs=1e-5)
        assert beside.shape == (3, 8 + 8 + 6)  # attention, its query, and the mean
        assert np.array_equal(beside[:, 16:], mean)


@pytest.mark.parametrize("members", [1, 2])
def test_without_recurrent_layers_the_head_sees_the_mean_alone(members, tmp_path):
    model = drawn(floats((), convolution_mean=True, members=members))
    names = " ".join(layer.name for layer in model.layers)
    assert not any(part in names for part in ("bilstm", "attention", "pooling"))
    assert model.get_layer("dropout").input.shape[-1] == 6
    found = answers(model, np.pad(PADDED, SPACE, constant_values=PADDING))
    for row, length in enumerate(LENGTHS):
        alone = answers(model, PADDED[row : row + 1, :length])
        assert found[row] == pytest.approx(alone[0], abs=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(answers(loaded, PADDED), answers(model, PADDED))


@pytest.mark.parametrize("mean", [False, True])
def test_a_sequence_without_steps_gets_the_answer_to_zeros(mean):
    model = drawn(floats(pool_size=2, convolution_mean=mean))
    bias = RNG.normal(size=3)
    model.get_layer("outputs").bias.assign(bias)
    for steps in (0, 1, 6):
        nothing = answers(model, np.full((2, steps, 2), PADDING, "float32"))
        assert nothing == pytest.approx(np.stack([bias, bias]), abs=1e-6)


def test_gaps_and_padding_are_told_apart():
    scaling = StandardScaling()
    scaling.adapt(FLOATS)
    gaps = FLOATS.copy()
    gaps[0, 3, 1] = np.nan
    model = drawn(floats(missing="indicator", scaling=scaling, pool_size=2))
    found = answers(model, gaps)
    assert np.isfinite(found).all()
    longer = np.pad(gaps, ((0, 0), (0, 4), (0, 0)), constant_values=PADDING)
    assert answers(model, longer) == pytest.approx(found, abs=1e-5)


def test_sequences_are_cut_before_they_are_pooled():
    model = drawn(floats(max_length=4, keep="end", pool_size=2))
    expected = answers(model, FLOATS[:, -4:])
    assert answers(model, FLOATS) == pytest.approx(expected, abs=1e-5)


@pytest.mark.usefixtures("eagerly")
def test_attention_is_shown_for_the_pooled_steps():
    model = floats(pool_size=2)
    weights = attention_scores(model).predict(PADDED, verbose=0)
    assert weights.shape == (3, 4)
    assert weights.sum(axis=1) == pytest.approx([1, 1, 1])
    seen = np.arange(4) < -(-LENGTHS[:, None] // 2)
    assert (weights[~seen] == 0).all()
    assert (weights[seen] > 0).all()


def test_comes_back_from_a_file(tmp_path):
    model = drawn(tokens(pool_size=2, convolution_mean=True))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert np.array_equal(answers(loaded, TOKENS), answers(model, TOKENS))


def test_mixed_precision_is_close_to_full(mixed_precision):
    model = drawn(floats(pool_size=2))
    assert model.get_layer("convolution_1").compute_dtype == "bfloat16"
    keras.config.set_dtype_policy("float32")
    full = drawn(floats(pool_size=2))
    full.set_weights(list(map(ops.convert_to_numpy, model.weights)))
    assert answers(model, PADDED) == pytest.approx(answers(full, PADDED), abs=0.1)


@pytest.mark.soak
def test_a_hundred_steps_suffice_to_learn_a_shape_anywhere():
    """In inference too: Keras' own statistics would still be near their start."""
    rng = np.random.default_rng(1)
    y = rng.integers(2, size=128)
    x = rng.integers(3, 12, size=(128, 9))
    for row, start in enumerate(rng.integers(0, 6, size=128)):
        x[row, start : start + 3] = (1, 2, 1) if y[row] else (2, 1, 2)
    keras.utils.set_random_seed(2)
    model = tokens(pool_size=2, task="classification")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=32, epochs=25, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9


@pytest.mark.slow
@pytest.mark.tensorflow_only
@pytest.mark.parametrize(("build", "x"), [(floats, PADDED), (tokens, TOKENS)])
def test_is_served(build, x, tmp_path):
    tf = pytest.importorskip("tensorflow")
    from keras_trainkit import serving

    model = drawn(build(pool_size=2, convolution_mean=True))
    path = serving.export(model, tmp_path, x)
    served = tf.saved_model.load(path).signatures["serving_default"]
    for rows in (x, x[:1, :1], x[:0]):
        request = {model.inputs[0].name: tf.constant(rows, model.inputs[0].dtype)}
        answer = served(**request)["outputs"].numpy()
        assert answer == pytest.approx(answers(model, rows), abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"convolutions": ()}, r"`convolutions` are those before .*pairs .*=\(\)"),
        ({"convolutions": 64}, "`convolutions` are those before .*=64"),
        ({"convolutions": (64, 8)}, r"`convolutions` are those .*=\(64, 8\)"),
        ({"convolutions": ((64, 8, 1),)}, "`convolutions` are those before"),
        ({"convolutions": ((1, 8),)}, r"`convolutions\[0\]\[0\]` .* at least 2"),
        ({"convolutions": ((4, 8), (4, 0))}, r"`convolutions\[1\]\[1\]` is the length"),
        ({"pool_size": 0}, "`pool_size` is the number of steps that become one"),
        ({"convolutions": None, "pool_size": 2}, "must be 1 without `convolutions`"),
        ({"units": ()}, "`units` gives the units .* at least 1"),
        ({"convolution_mean": 1}, "`convolution_mean` shows the head .*Received"),
        (
            {"convolutions": None, "convolution_mean": True},
            "`convolution_mean` shows .* must be False without `convolutions`",
        ),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        floats(**arguments)
