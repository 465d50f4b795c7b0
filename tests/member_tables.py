"""A small table and a model with everything that `models.mlp` has for tables."""

import numpy as np

from keras_trainkit.layers import (
    PiecewiseLinearEmbedding,
    RobustScaling,
    StandardScaling,
)
from keras_trainkit.models import mlp

SIZES = [3, 11]  # one-hot, and a trained vector


def table(rows=20, seed=0):
    """Two numbers and two codes a row, and targets far from unit size."""
    rng = np.random.default_rng(seed)
    numeric = rng.normal(9, 4, size=(rows, 2)).astype("float32")
    categorical = np.stack([rng.integers(size, size=rows) for size in SIZES], 1)
    noise = rng.normal(size=(rows, 1))
    y = 500 + 70 * np.sin(numeric[:, :1]) + 20 * categorical[:, :1] + noise
    x = {"numeric": numeric, "categorical": categorical.astype("int32")}
    return x, y.astype("float32")


def adapted(layer, data):
    layer.adapt(data)
    return layer


def table_mlp(x, y, **arguments):
    scaling = adapted(RobustScaling(), x["numeric"])
    embedding = PiecewiseLinearEmbedding(bins=4, units=3)
    embedding.adapt(scaling(x["numeric"]))
    given = {
        "hidden_units": (6,),
        "scaling": scaling,
        "numeric_embedding": embedding,
        "category_sizes": SIZES,
        "members": 3,
        "target_scaling": adapted(StandardScaling(dtype="float32"), y),
        "dropout": 0.0,
        "l2": 0.01,
    }
    return mlp((2,), 1, **{**given, **arguments})
