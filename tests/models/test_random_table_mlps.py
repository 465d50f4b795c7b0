"""Random arguments of `models.mlp` for tables: trained a step, saved, opened again."""

import json

import keras
import numpy as np
import pytest
from keras import ops
from member_tables import adapted

from keras_trainkit.layers import (
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    RobustScaling,
    StandardScaling,
)
from keras_trainkit.models import mlp

ROWS = 6
ENTROPY = {
    "classification": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "binary": keras.losses.BinaryCrossentropy(from_logits=True),
}


def chosen(rng, *values):
    return values[rng.integers(len(values))]


def data(rng, columns, sizes, task, outputs):
    x = rng.normal(3, 2, size=(ROWS, columns)).astype("float32")
    if sizes is not None:
        codes = rng.integers(np.array(sizes, int), size=(ROWS, len(sizes)))
        x = {"numeric": x, "categorical": codes.astype("int32")}
    if task == "classification":
        return x, np.arange(ROWS) % outputs
    y = rng.normal(90, 20, size=(ROWS, outputs)).astype("float32")
    return x, (y > 90).astype("float32") if task == "binary" else y


def random_arguments(rng, columns, numbers, y):
    """What does not shape the data; layers are adapted to them."""
    scaling = chosen(rng, None, StandardScaling(), RobustScaling())
    embedding = chosen(rng, None, PiecewiseLinearEmbedding(3, 4), PeriodicEmbedding(4))
    targets = chosen(rng, None, StandardScaling(), RobustScaling(clip=None))
    if columns:
        seen = numbers if scaling is None else adapted(scaling, numbers)(numbers)
        if isinstance(embedding, PiecewiseLinearEmbedding):
            adapted(embedding, seen)
    return {
        "hidden_units": chosen(rng, (), (5,), (5, 5), (5, 8)),
        "activation": chosen(rng, "relu", "gelu", keras.layers.LeakyReLU(0.1)),
        "normalization": chosen(rng, None, "batch", "layer"),
        "dropout": chosen(rng, 0.0, 0.35),
        "l1": chosen(rng, 0.0, 0.01),
        "l2": chosen(rng, 0.0, 0.02),
        "residual": chosen(rng, True, False),
        "scaling": scaling,
        "numeric_embedding": embedding,
        "members": chosen(rng, 1, 2, 4),
        "target_scaling": None if targets is None else adapted(targets, y),
        "name": "tried",
    }


def build_train_save_load(seed, directory):
    rng = np.random.default_rng(seed)
    task = chosen(rng, None, "classification", "binary", "regression")
    sizes = chosen(rng, None, [], [3], [2, 11])
    columns, outputs = int(rng.integers(0 if sizes else 1, 4)), int(rng.integers(2, 4))
    x, y = data(rng, columns, sizes, task, outputs)
    numbers = x if sizes is None else x["numeric"]
    arguments = random_arguments(rng, columns, numbers, y.reshape(ROWS, -1))
    if task in ENTROPY:
        arguments["target_scaling"] = None
    model = mlp((columns,), outputs, category_sizes=sizes, task=task, **arguments)
    model.compile("sgd", ENTROPY.get(task, "mse"), run_eagerly=True)
    logs = model.train_on_batch(x, y, return_dict=True)
    assert np.isfinite(list(logs.values())).all(), arguments
    trains_members = arguments["members"] > 1 or arguments["target_scaling"] is not None
    assert ("member_loss" in logs) is trains_members
    model.save(directory / "model.keras")
    loaded = keras.saving.load_model(directory / "model.keras")
    configs = [json.loads(m.to_json())["config"] for m in (model, loaded)]
    assert configs[0] == configs[1]
    given, back = (ops.convert_to_numpy(m(x, training=False)) for m in (model, loaded))
    assert np.isfinite(given).all() and np.array_equal(given, back), arguments
    assert given.shape == (ROWS, outputs)


@pytest.mark.slow
def test_random_configurations_train_and_come_back_from_a_file(tmp_path):
    slow = keras.config.backend() == "jax"  # compiles each operation for each shape
    for seed in range(3 if slow else 10):
        build_train_save_load(seed, tmp_path)


@pytest.mark.soak
def test_two_hundred_random_configurations(tmp_path):
    for seed in range(10, 210):
        build_train_save_load(seed, tmp_path)
