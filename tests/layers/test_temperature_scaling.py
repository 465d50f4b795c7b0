import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal
from keras import ops
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from keras_trainkit import models
from keras_trainkit.analysis import calibration_error
from keras_trainkit.layers import TemperatureScaling, temperature_scaling


def drawn(temperature=1.0, rows=400, classes=3):
    """Logits, and labels drawn from what they say at that temperature."""
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(rows, classes), scale=2.0)
    chances = np.cumsum(softmax(logits / temperature, axis=1), axis=1)
    return logits, (rng.random((rows, 1)) > chances[:, :-1]).sum(axis=1)


def adapted(logits, y):
    layer = TemperatureScaling()
    layer.adapt(logits, y)
    return layer


def temperature_of(logits, y):
    return float(ops.convert_to_numpy(adapted(logits, y).temperature))


def likeliest(logits, y):
    """By a search that knows nothing of derivatives."""

    def loss(log_t):
        logs = log_softmax(logits / np.exp(log_t), axis=1)
        return -logs[np.arange(len(y)), y].mean()

    found = minimize_scalar(loss, bounds=(-6, 6), options={"xatol": 1e-10})
    return np.exp(found.x)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_class_logits_get_the_likeliest_temperature(temperature, classes):
    logits, y = drawn(temperature, classes=classes)
    came = temperature_of(logits, y)
    assert came == pytest.approx(likeliest(logits, y), rel=1e-6)
    assert came == pytest.approx(temperature, rel=0.3)


@pytest.mark.parametrize("shape", [(400,), (400, 1)])
def test_binary_logits_are_those_of_label_1(shape):
    logits, y = drawn(2.5, classes=2)
    came = temperature_of(logits[:, 1:] - logits[:, :1], y.reshape(shape))
    assert came == pytest.approx(likeliest(logits, y), rel=1e-6)


@pytest.mark.parametrize(
    ("logits", "y", "expected"),
    [
        # sigmoid(2 / T) = 3 / 4 where 2 / T is the logarithm of 3
        ([[2.0]] * 4, [1, 1, 0, 1], 2 / np.log(3)),
        # exp(5 / T) / (exp(5 / T) + 2) = 4 / 5 where 5 / T is the logarithm of 8
        ([[0.0, 5.0, 0.0]] * 5, [1, 1, 1, 1, 2], 5 / np.log(8)),
    ],
)
def test_by_hand(logits, y, expected):
    assert temperature_of(np.array(logits), y) == pytest.approx(expected, rel=1e-6)


def test_units_and_offsets_of_logits_do_not_matter():
    logits, y = drawn(1.7)
    expected = temperature_of(logits, y)
    for factor in (1e-20, 1e4, 1e20):
        came = temperature_of(factor * (logits + 1e3), y)
        assert came == pytest.approx(factor * expected, rel=1e-6)


def test_a_huge_logit_beside_small_ones_is_no_obstacle():
    logits, y = drawn()
    logits[0, y[0]] = 1e30  # in a row that is right: it says nothing about T
    assert temperature_of(logits, y) == pytest.approx(
        likeliest(logits[1:], y[1:]), rel=1e-5
    )


def most_probable(logits, y, stddev):
    """With the prior, by a search that knows nothing of derivatives."""

    def loss(log_t):
        logs = log_softmax(logits / np.exp(log_t), axis=1)
        return -logs[np.arange(len(y)), y].sum() + log_t**2 / (2 * stddev**2)

    return np.exp(minimize_scalar(loss, bounds=(-6, 6), options={"xatol": 1e-10}).x)


@pytest.mark.parametrize("stddev", [0.3, 1.0])
@pytest.mark.parametrize(("temperature", "rows"), [(0.3, 12), (4.0, 12), (1.7, 400)])
def test_a_prior_draws_few_rows_to_1(temperature, rows, stddev):
    logits, y = drawn(temperature, rows)
    layer = TemperatureScaling()
    layer.adapt(logits, y, prior_stddev=stddev)
    came = float(ops.convert_to_numpy(layer.temperature))
    assert came == pytest.approx(most_probable(logits, y, stddev), rel=1e-5)
    likelihood = temperature_of(logits, y)
    assert abs(np.log(came)) < abs(np.log(likelihood))
    if rows == 400:
        assert came == pytest.approx(likelihood, rel=0.05)


@pytest.mark.parametrize(
    ("logits", "y"),
    [
        ([[0.04], [-0.04]] * 5, [1, 0] * 5),  # all right
        ([[0.04], [-0.04]] * 5 + [[-0.002]], [1, 0] * 5 + [1]),  # but for a tie
        ([[0.04], [-0.04]] * 5, [0, 1] * 5),  # all wrong
        ([[0.0], [0.0]], [1, 0]),
        ([[1e30], [-5.0]], [1, 0]),
        ([[-1e30], [-5.0]], [1, 0]),
    ],
)
def test_with_a_prior_there_is_always_a_temperature(logits, y):
    layer, logits = TemperatureScaling(), np.array(logits)
    layer.adapt(logits, y, prior_stddev=1.0)
    came = float(ops.convert_to_numpy(layer.temperature))
    assert np.isfinite(came)
    if np.abs(logits).max() < 1:
        assert 0.2 < came < 5  # ten rows do not overrule what was trained


@pytest.mark.parametrize("stddev", [0, -1.0, float("nan"), "1"])
def test_refuses_a_prior_that_is_none(stddev):
    with pytest.raises(ValueError, match="`prior_stddev` is how far .* above 0"):
        TemperatureScaling().adapt([[2.0]] * 4, [1, 1, 0, 1], prior_stddev=stddev)


def test_few_steps_are_enough(monkeypatch):
    logits, y = drawn(0.3)
    expected = temperature_of(logits, y)
    monkeypatch.setattr(temperature_scaling, "MAX_STEPS", 12)
    assert temperature_of(logits, y) == expected


def test_probabilities_become_calibrated_and_the_accuracy_stays():
    logits, y = drawn(3.0, rows=20_000)
    scaled = ops.convert_to_numpy(adapted(logits[:4000], y[:4000])(logits[4000:]))
    logits, y = logits[4000:], y[4000:]
    assert calibration_error(y, softmax(logits, axis=1)) > 0.2
    assert calibration_error(y, softmax(scaled, axis=1)) < 0.02
    assert_equal(scaled.argmax(axis=1), logits.argmax(axis=1))


def test_outputs_are_the_logits_over_the_temperature():
    layer = adapted([[2.0]] * 4, [1, 1, 0, 1])
    assert_close(
        layer(np.array([[3.0], [-4.0]])), np.log(3) / 2 * np.array([[3], [-4]])
    )
    steps = np.ones((2, 5, 3), "float32")
    assert_close(layer(steps), steps * np.log(3) / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("came", "goes"),
    [("float16", "float16"), ("float32", "float32"), ("int32", "float32")],
)
def test_the_dtype_of_the_logits_stays(came, goes):
    with_policy = TemperatureScaling(dtype="mixed_float16")
    with_policy.adapt([[2.0]] * 4, [1, 1, 0, 1])
    outputs = with_policy(ops.ones((2, 1), came))
    assert keras.backend.standardize_dtype(outputs.dtype) == goes
    symbolic = with_policy(keras.Input((1,), dtype=came))
    assert symbolic.dtype == goes


def classifier(members=2):
    return models.mlp((4,), 3, (5,), members=members, task="classification")


@pytest.mark.first_quick
@pytest.mark.parametrize("members", [1, 2])
def test_put_behind_a_model_it_travels_with_it(members, tmp_path):
    model = classifier(members)
    x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
    logits = model.predict(x, verbose=0)
    y = (logits.argmax(1) + (np.arange(60) % 3 == 0)) % 3  # a third is wrong
    scaling = adapted(logits, y)
    assert not scaling.trainable_weights
    calibrated = keras.Model(model.input, scaling(model.output))
    expected = logits / ops.convert_to_numpy(scaling.temperature)
    assert_close(calibrated.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    calibrated.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(loaded.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)
    clone = keras.models.clone_model(calibrated)
    calibrated.save_weights(tmp_path / "model.weights.h5")
    clone.load_weights(tmp_path / "model.weights.h5")
    assert_close(clone.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.tensorflow_only
def test_the_exported_model_gives_the_scaled_logits(tmp_path):
    import tensorflow as tf

    from keras_trainkit import serving

    model = classifier()
    scaling = TemperatureScaling(name="calibrated")
    scaling.adapt([[2.0]] * 4, [1, 1, 0, 1])
    calibrated = keras.Model(model.input, scaling(model.output))
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    serving.export(calibrated, tmp_path / "served", x)
    served = tf.saved_model.load(tmp_path / "served" / "1").signatures
    came = served["serving_default"](features=tf.constant(x))["probabilities"]
    expected = np.exp(model.predict(x, verbose=0) * np.log(3) / 2)
    expected /= expected.sum(axis=1, keepdims=True)
    assert_close(came, expected, rtol=1e-5, atol=1e-6)


def test_call_before_adapt_gives_an_error_or_nan_but_never_numbers():
    with pytest.raises(ValueError, match=r"call `adapt\(logits, y\)`, or load weights"):
        TemperatureScaling()(np.ones((2, 1)))
    inputs = keras.Input((1,))
    model = keras.Model(inputs, TemperatureScaling()(inputs))
    if keras.config.backend() == "jax":  # cannot raise in a compiled step
        assert np.isnan(model.predict(np.ones((2, 1)), verbose=0)).all()
    else:
        with pytest.raises(ValueError, match="learns from data"):
            model.predict(np.ones((2, 1)), verbose=0)


def test_a_later_adapt_replaces_the_temperature():
    layer = adapted([[2.0]] * 4, [1, 1, 0, 1])
    layer.adapt([[5.0]] * 4, [1, 1, 0, 1])
    assert_close(layer.temperature, 5 / np.log(3), rtol=1e-6)


@pytest.mark.parametrize(
    ("logits", "y", "words"),
    [
        ([[2.0], [-1.0]], [1, 0], "some of them right and some wrong.*in every row"),
        ([[1.0, 1.0, 0.0]], [1], "label's first in every row"),
        ([[2.0], [2.0]], [1, 0], "say less about the labels.*lowest confidence"),
        ([[-2.0], [3.0]], [1, 0], "say less about the labels"),
        ([[0.0], [0.0]], [1, 0], "say less about the labels"),
        ([2.0, 1.0], [1, 0], r"shape \(rows, 1\).*of shape \(2,\)"),
        ([[np.inf], [1.0]], [1, 0], "finite numbers"),
        (np.zeros((0, 2)), [], r"at least one row.*\(0, 2\)"),
        ([["a"], ["b"]], [1, 0], "finite numbers"),
        ([[2.0], [1.0]], [1, 2], r"from 0 to 1\. Received: int64"),
        ([[2.0, 1.0, 0.0]], [3], "from 0 to 2"),
        ([[2.0, 1.0]], [[0, 1]], r"one-hot: `argmax`.*\(1, 2\)"),
        ([[2.0], [1.0]], [1], r"each of the 2 rows.*\(1,\)"),
    ],
)
def test_refuses_what_fixes_no_temperature(logits, y, words):
    with pytest.raises(ValueError, match=words):
        TemperatureScaling().adapt(logits, y)
