"""Every head, with and without members, in every float type of Keras."""

import keras
import numpy as np
import pytest

from keras_trainkit import models
from keras_trainkit.layers import MemberMean, StandardScaling

IN_FLOAT64 = pytest.param(
    "float64",
    marks=pytest.mark.skipif(
        keras.config.backend() == "jax", reason="JAX has no float64 unless it is told"
    ),
)
LOGITS = np.array([[[2.0, -1.0, 0.5], [0.0, 1.0, -3.0]]])  # a row, two members
YES = np.array([[[2.0], [-1.0]]])


@pytest.fixture(params=[IN_FLOAT64, "float16", "bfloat16", "mixed_float16"])
def float_type(request):
    if request.param != "mixed_float16":  # whose loss scaling branches in the graph
        request.getfixturevalue("eagerly")
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    if request.param == "float64":
        keras.config.set_floatx("float64")
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


@pytest.mark.slow
@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize(
    ("task", "outputs"), [("classification", 3), ("binary", 1), ("regression", 2)]
)
def test_models_train_and_predict(float_type, members, task, outputs):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 4)).astype("float32")
    y = rng.integers(0, 2, 16) if task != "regression" else rng.normal(size=(16, 2))
    model = models.mlp((4,), outputs, (8,), members=members, task=task)
    model.compile(
        keras.optimizers.SGD(1e-3),
        models.loss_for(model),
        metrics=models.metrics_for(model),
    )
    losses = model.fit(x, y, epochs=1, verbose=0).history["loss"]
    predicted = np.asarray(model.predict(x, verbose=0), "float64")
    assert np.isfinite(losses).all() and np.isfinite(predicted).all()
    assert predicted.shape == (16, outputs)
    if task != "regression":
        probabilities = np.asarray(models.predict_proba(model, x), "float64")
        assert probabilities.sum(axis=1) == pytest.approx(1, abs=2**-6)


@pytest.mark.parametrize("dtype", [IN_FLOAT64, "float32", "float16", "bfloat16"])
@pytest.mark.parametrize(
    ("kind", "members"), [("logits", LOGITS), ("binary_logits", YES), ("values", YES)]
)
def test_mean_of_members_is_that_of_float64(dtype, kind, members):
    layer = MemberMean(kind, dtype=dtype)
    found = keras.ops.convert_to_numpy(layer(keras.ops.cast(members, dtype)))
    bits = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}[dtype]
    # Some ten roundings, of numbers up to 4.
    tolerance = 10 * 4 * 2.0**-bits
    expected = reference(kind, members)
    assert np.asarray(found, "float64") == pytest.approx(expected, abs=tolerance)


def reference(kind, members):
    if kind == "logits":
        powers = np.exp(members)
        return np.log((powers / powers.sum(axis=-1, keepdims=True)).mean(axis=1))
    if kind == "binary_logits":
        yes = (1 / (1 + np.exp(-members))).mean(axis=1)
        return np.log(yes / (1 - yes))
    return members.mean(axis=1)


@pytest.mark.skipif(
    keras.config.backend() == "jax", reason="JAX has no float64 unless it is told"
)
def test_targets_are_scaled_in_float64(request):
    floatx = keras.config.floatx()
    request.addfinalizer(lambda: keras.config.set_floatx(floatx))
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    request.addfinalizer(lambda: keras.config.set_dtype_policy(floatx))
    y = 1e6 + np.arange(8.0)[:, None]
    scaling = StandardScaling()
    scaling.adapt(y)
    model = models.mlp(
        (2,), 1, (4,), members=2, target_scaling=scaling, task="regression"
    )
    model.compile("sgd", models.loss_for(model))
    (loss,) = model.fit(np.ones((8, 2)), y, epochs=1, verbose=0).history["loss"]
    assert loss < 100
