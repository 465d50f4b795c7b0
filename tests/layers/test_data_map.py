"""Adapted layers inside `tf.data.Dataset.map`, whichever backend Keras runs on."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_trainkit import layers

tf = pytest.importorskip("tensorflow")
ROWS = np.random.default_rng(0).normal(5, 2, size=(40, 3)).astype("float32")
LABELS = (ROWS[:, 0] > 5).astype("int32")


def adapted(layer, *data, **arguments):
    layer.adapt(*data, **arguments)
    return layer


CASES = {
    "standard": lambda: adapted(layers.StandardScaling(), ROWS),
    "range": lambda: adapted(layers.MinMaxScaling(), ROWS),
    "robust": lambda: adapted(layers.RobustScaling(), ROWS),
    "components": lambda: adapted(layers.PCAProjection(2), ROWS),
    "bins": lambda: adapted(layers.PiecewiseLinearEmbedding(3, 2), ROWS),
    "selection": lambda: adapted(
        layers.FeatureSelection(2), ROWS, LABELS, task="classification"
    ),
    "temperature": lambda: adapted(
        layers.TemperatureScaling(), ROWS[:, :1] - 5, 1 - LABELS[::-1]
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_gives_what_it_gives_outside(case):
    layer = CASES[case]()
    x = ROWS[:, :1] if case == "temperature" else ROWS
    data = tf.data.Dataset.from_tensor_slices(x).batch(16).map(layer)
    found = np.concatenate([batch.numpy() for batch in data])
    np.testing.assert_allclose(found, ops.convert_to_numpy(layer(x)), rtol=1e-5)
    outside = keras.KerasTensor((None, *x.shape[1:]))
    assert data.element_spec.shape.as_list() == list(layer(outside).shape)


def test_steps_that_are_masked_stay_masked():
    layer = adapted(layers.StandardScaling(), ROWS)
    x, mask = ROWS.reshape(5, 8, 3), np.arange(40).reshape(5, 8) % 3 > 0
    data = tf.data.Dataset.from_tensor_slices((x, mask)).batch(5)
    (found,) = data.map(lambda x, mask: layer(x, mask=mask))
    expected = ops.convert_to_numpy(layer(x, mask=mask))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_a_model_trains_on_what_was_mapped():
    layer = adapted(layers.RobustScaling(), ROWS)
    data = tf.data.Dataset.from_tensor_slices((ROWS, LABELS)).batch(16)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    data = data.map(lambda x, y: (layer(x), y), num_parallel_calls=2).prefetch(1)
    assert np.isfinite(model.fit(data, shuffle=False, verbose=0).history["loss"][0])
