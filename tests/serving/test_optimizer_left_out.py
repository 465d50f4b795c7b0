"""A fitted model is served without its optimizer, and keeps it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_trainkit import callbacks, models, optimizers, serving

pytestmark = pytest.mark.tensorflow_only
X = np.linspace(-1, 1, 24, dtype="float32").reshape(8, 3)
Y = X[:, :1] * X[:, 1:2]


@pytest.fixture
def cycled():
    """Fitted twice, so a schedule took the place of a number in a used optimizer."""
    model = models.mlp((3,), 1, (5,), dropout=0.0)
    model.compile(optimizers.AdamW(0.01), loss="mse")
    model.fit(X, Y, verbose=0)
    model.fit(X, Y, verbose=0, callbacks=[callbacks.OneCycle(0.1)])
    return model


@pytest.mark.slow
def test_a_model_fitted_with_one_cycle_is_exported(cycled, tmp_path):
    path = serving.export(cycled, tmp_path, X)
    served = tf.saved_model.load(path).signatures["serving_default"]
    answer = served(features=tf.constant(X))["outputs"]
    np.testing.assert_allclose(answer, cycled.predict(X, verbose=0), atol=1e-6)


def test_the_file_holds_the_weights_and_no_slots(cycled, tmp_path):
    path = serving.export(cycled, tmp_path, X)
    written = tf.train.list_variables(str(path / "variables" / "variables"))
    shapes = {tuple(shape) for name, shape in written if "VARIABLE_VALUE" in name}
    assert shapes == {(3, 5), (5,), (5, 1), (1,)}  # and no count of steps, ()


@pytest.mark.slow
def test_training_goes_on_with_the_same_optimizer(cycled, tmp_path):
    optimizer, steps = cycled.optimizer, int(cycled.optimizer.iterations)
    serving.export(cycled, tmp_path, X)
    cycled.fit(X, Y, verbose=0)
    assert cycled.optimizer is optimizer
    assert int(optimizer.iterations) == steps + 1


@pytest.mark.xfail(
    strict=True, raises=ValueError, reason="Keras 3.15 deletes from a tracked list"
)
def test_control_keras_itself_cannot_export_such_a_model(tmp_path):
    model = models.mlp((3,), 1, (5,), dropout=0.0)
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    model.optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(0.1, 9)
    model.export(tmp_path / "model", verbose=False)
