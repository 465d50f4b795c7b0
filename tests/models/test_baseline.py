"""`bilstm_attention(baseline=)`: a network that corrects another model."""

import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal
from keras import ops

from keras_trainkit.layers import StandardScaling
from keras_trainkit.models import autoregression, bilstm_attention, ensemble, loss_for

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 6, 2)).astype("float32")
Y = RNG.normal((500, -3), (70, 0.2), size=(12, 2)).astype("float32")


def target_scaling(y=Y):
    scaling = StandardScaling()
    scaling.adapt(y)
    return scaling


def line(**arguments):
    arguments = {"task": "regression", **arguments}
    return autoregression((None, 2), 2, 4, **arguments)


def corrected(baseline, **arguments):
    arguments = {"task": "regression", "dropout": 0.0, **arguments}
    return bilstm_attention((None, 2), 2, (3,), baseline=baseline, **arguments)


def values_of(model):
    return [ops.convert_to_numpy(variable) for variable in model.variables]


@pytest.mark.parametrize("members", [1, 2])
@pytest.mark.parametrize("scale", [True, False])
def test_it_is_added_in_the_units_of_the_loss(members, scale):
    given = {"target_scaling": target_scaling()} if scale else {}
    base = line(**given)
    model = corrected(base, members=members, **given)
    names = ("members", "corrected")
    inner = keras.Model(model.input, [model.get_layer(n).output for n in names])
    own, both = (np.asarray(part) for part in inner.predict(X, verbose=0))
    assert own.shape == both.shape == (12, members, 2)
    spread, mean = (Y.std(axis=0), Y.mean(axis=0)) if scale else (1, 0)
    predicted = base.predict(X, verbose=0)
    added = np.repeat(((predicted - mean) / spread)[:, None], members, axis=1)
    assert_close(both - own, added, atol=1e-4)
    expected = both.mean(axis=1) * spread + mean
    assert_close(model.predict(X, verbose=0), expected, rtol=1e-5, atol=1e-5)


def test_training_leaves_it_as_it_is():
    base = line(target_scaling=target_scaling())
    before = values_of(base)
    model = corrected(base, target_scaling=target_scaling())
    model.compile(keras.optimizers.Adam(0.1), "mse")
    kernel = ops.convert_to_numpy(model.trainable_variables[0])
    model.fit(X, Y, epochs=2, verbose=0)
    assert np.abs(ops.convert_to_numpy(model.trainable_variables[0]) - kernel).max() > 0
    for found, same in zip(values_of(base), before, strict=True):
        assert_equal(found, same)


def test_classes_are_corrected_in_their_logits(tmp_path):
    task = {"task": "classification", "classes": ["a", "b"]}
    model = corrected(line(**task), **task)
    model.compile("adam", loss_for(model))
    model.fit(X, np.arange(12) % 2, verbose=0)
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert_equal(copy.predict(X, verbose=0), model.predict(X, verbose=0))


def test_a_shape_of_predictions_is_corrected():
    shape, given = (3, 2), {"target_scaling": target_scaling(), "task": "regression"}
    base = autoregression((None, 2), shape, 4, **given)
    model = bilstm_attention((None, 2), shape, (3,), baseline=base, **given)
    assert model.predict(X, verbose=0).shape == (12, 3, 2)


def other_scaling():
    return {"target_scaling": target_scaling(Y + 1)}


@pytest.mark.parametrize(
    ("baseline", "words"),
    [
        (
            lambda: "line",
            "`baseline` is what the model corrects and must be one of the",
        ),
        (lambda: keras.Sequential([keras.Input((2,))]), "must be one of the models"),
        (lambda: autoregression((6, 2), 2, 4, task="regression"), "the inputs"),
        (lambda: autoregression((None, 2), 3, 4, task="regression"), "the outputs"),
        (lambda: autoregression((None, 2), 2, 4), "must be one of the models"),
        (lambda: line(task="classification"), "the mean|the task"),
        (lambda: line(**other_scaling()), "the target scaling"),
        (lambda: ensemble([line(), line()]), "the members 2"),
    ],
)
def test_refuses_a_model_of_something_else(baseline, words):
    with pytest.raises(ValueError, match=words):
        corrected(baseline())


def test_refuses_an_activation_behind_the_sum():
    with pytest.raises(ValueError, match="must be None with a `baseline`"):
        bilstm_attention(
            (None, 2), 2, (3,), baseline=line(task=None), output_activation="relu"
        )
