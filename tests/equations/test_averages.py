"""Exponentially weighted averages: v_t = b v_(t-1) + (1 - b) x_t, over 1 - b^t."""

import keras
import numpy as np
import pytest

from keras_trainkit.analysis import ewa


@pytest.mark.parametrize(
    ("beta", "expected"),
    [
        # v: 2, 5, 3.5          corrected by 1/2, 3/4, 7/8
        (0.5, [4, 20 / 3, 4]),
        # v: 0.4, 1.16, 1.244   corrected by 0.1, 0.19, 0.271
        (0.9, [4, 1.16 / 0.19, 1.244 / 0.271]),
        (0.0, [4, 8, 2]),
    ],
)
def test_average_worked_by_hand(beta, expected):
    assert ewa([4, 8, 2], beta) == pytest.approx(expected, rel=1e-12)


def test_average_is_the_sum_of_weights_that_add_up_to_one():
    x, beta = np.random.default_rng(0).normal(size=40), 0.85
    for time, value in enumerate(ewa(x, beta)):
        weights = beta ** np.arange(time, -1, -1.0)
        expected = np.sum(weights * x[: time + 1]) / np.sum(weights)
        assert value == pytest.approx(expected, rel=1e-12)


def test_constant_series_is_its_own_average_from_the_first_step():
    assert ewa([3.7] * 50, 0.98) == pytest.approx([3.7] * 50, rel=1e-12)


def test_nan_stays():
    assert np.isnan(ewa([1, np.nan, 2], 0.5)).tolist() == [False, True, True]


def test_no_values_give_no_averages():
    assert ewa([], 0.5).shape == (0,)


@pytest.mark.parametrize("beta", [1, -0.1, None])
def test_beta_out_of_range_is_refused(beta):
    with pytest.raises(ValueError, match="must be a number at least 0 and below 1"):
        ewa([1.0], beta)


def trajectory(callbacks=(), **averaging):
    """One weight, w = 1, 0.8, 0.64 ...: SGD at 0.1 on w^2; also its average."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.layers.Input((1,)), layer])
    model.compile(keras.optimizers.SGD(0.1, use_ema=True, **averaging), "mse")
    seen = []
    record = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            float(model.optimizer._model_variables_moving_average[0].numpy().item())
        )
    )
    data = np.ones((1, 1), "float32"), np.zeros((1, 1), "float32")
    run = model.fit(
        *data,
        validation_data=data,
        epochs=4,
        verbose=0,
        callbacks=[record, *callbacks],
    )
    return seen, run.history["val_loss"], model.get_weights()[0].item()


WEIGHTS = 0.8 ** np.arange(1, 5)  # after each of four steps


def test_average_of_weights_in_keras_has_no_bias_correction_but_a_first_value():
    """Keras 3.15 begins with the weights after the first step (momentum 0 there)."""
    averages, _, _ = trajectory(ema_momentum=0.75)
    expected = [WEIGHTS[0]]
    for weight in WEIGHTS[1:]:
        expected.append(0.75 * expected[-1] + 0.25 * weight)
    assert averages == pytest.approx(expected, rel=1e-5)
    corrected = ewa(WEIGHTS, 0.75)
    assert corrected[0] == pytest.approx(averages[0], rel=1e-5)
    assert corrected[1] < averages[1] - 0.01  # 0.709 and 0.76


def test_swapped_weights_are_validated_and_kept_at_the_end():
    averages, losses, last = trajectory(
        [keras.callbacks.SwapEMAWeights()], ema_momentum=0.75
    )
    assert losses == pytest.approx(np.square(averages), rel=1e-5)
    assert last == pytest.approx(averages[-1], rel=1e-5)
