"""The kit's own tools on a `MemberModel` that takes a table."""

import keras
import numpy as np
import pytest
from keras import ops
from member_tables import table, table_mlp

from keras_trainkit.analysis import learning_rate_range_test
from keras_trainkit.callbacks import EarlyStopping, OneCycle
from keras_trainkit.initializers import lsuv
from keras_trainkit.models import mlp
from keras_trainkit.optimizers import AdamW

X, Y = table()


def state_of(model):
    held = model.variables + model.metrics_variables + model.optimizer.variables
    return [np.array(ops.convert_to_numpy(variable)) for variable in held]


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_a_range_test_leaves_everything_as_it_was():
    model = table_mlp(X, Y)
    model.compile(AdamW(0.01), "mse", metrics=["mae"])
    model.train_on_batch(X, Y)
    before = state_of(model)
    found = learning_rate_range_test(model, X, Y, batch_size=20, num_steps=20)
    assert len(found.losses) >= 10 and np.isfinite(found.losses).all()
    for came, expected in zip(state_of(model), before, strict=True):
        np.testing.assert_array_equal(came, expected)
    logs = model.train_on_batch(X, Y, return_dict=True)
    assert logs["member_loss"] == logs["loss"]  # both over the same two batches


@pytest.mark.slow
def test_one_cycle_and_early_stopping_keep_the_best_epoch():
    model = table_mlp(X, Y)
    model.compile(AdamW(0.01), "mse")
    rules = {"patience": 2, "wait_for_peak": False}
    watching = EarlyStopping("val_loss", restore_best_weights=False, **rules)
    stopping = EarlyStopping("val_member_loss", **rules)
    data = {"batch_size": 20, "validation_data": table(seed=1), "verbose": 0}
    tools = [OneCycle(0.9), watching, stopping]
    run = model.fit(X, Y, epochs=8, callbacks=tools, **data)
    for each in (watching, stopping):
        values = run.history[each.monitor]
        assert len(values) >= 3
        assert each.best == min(values)
        assert each.best_epoch == int(np.argmin(values))
    tested = model.evaluate(*table(seed=1), verbose=0, return_dict=True)
    assert tested["member_loss"] == pytest.approx(stopping.best, rel=1e-4)


def test_lsuv_scales_the_shared_blocks_and_leaves_the_members():
    x = np.random.default_rng(0).normal(size=(256, 7)).astype("float32")
    model = mlp((7,), 2, (16, 16), members=3)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    variances = lsuv(model, x)
    assert list(variances) == ["dense_1", "dense_2"]
    features = keras.Model(model.input, model.get_layer("adapter").output)
    values = ops.convert_to_numpy(features(x, training=False))
    for name in variances:
        kernel, bias = model.get_layer(name).get_weights()
        values = values @ kernel + bias
        assert values.var() == pytest.approx(1, abs=0.1)
        values = np.maximum(values, 0)
    for name in ("adapter", "members"):
        for came, expected in zip(
            model.get_layer(name).get_weights(), before[name], strict=True
        ):
            np.testing.assert_array_equal(came, expected)


def test_lsuv_refuses_members_without_a_block_to_share():
    model = mlp((3,), 2, (), members=4)
    with pytest.raises(ValueError, match="must hold a trainable Dense"):
        lsuv(model, np.ones((256, 3), "float32"))
