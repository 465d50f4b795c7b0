"""Two replicas of tf.distribute. Their number is fixed once TensorFlow has started."""

import subprocess
import sys

import pytest

SCRIPT = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)

import keras
from keras_trainkit.optimizers import SGDW, AdamW

x = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
falling = keras.optimizers.schedules.PolynomialDecay(0.95, 6, 0.6)
mirrored = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for optimizer_class in (AdamW, SGDW):
    weights = []
    for strategy in (tf.distribute.get_strategy(), mirrored):
        with strategy.scope():
            keras.utils.set_random_seed(0)
            model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
            momentum = {optimizer_class.momentum_argument: falling}
            model.compile(optimizer_class(0.01, **momentum), "mse", jit_compile=False)
        model.fit(x, x[:, :1], batch_size=4, shuffle=False, verbose=0)
        weights.append(model.get_weights()[0])
    np.testing.assert_allclose(*weights, rtol=0, atol=1e-6)
"""


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_two_replicas_train_the_weights_of_one():
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
