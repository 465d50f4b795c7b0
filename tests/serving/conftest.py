import keras
import numpy as np
import pytest


@pytest.fixture
def priced():
    """Four features, one price; the smallest model with names."""
    inputs = keras.Input((4,), name="features")
    return keras.Model(inputs, keras.layers.Dense(1, name="price")(inputs))


@pytest.fixture
def rows():
    return np.random.default_rng(3).normal(size=(3, 4)).astype("float32")
