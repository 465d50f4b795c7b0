"""What `MemberModel` trains and reports, against NumPy."""

import keras
import numpy as np
import pytest
from comparing import assert_close
from keras import ops
from member_losses import (
    absolute,
    binary_entropy_smoothed_by_02,
    entropy_smoothed_by_03,
    mean_of,
    members_of,
    rows_of_members,
    sparse_entropy,
    squared,
)

from keras_trainkit.layers import MemberMean
from keras_trainkit.models import MemberModel, mlp

RNG = np.random.default_rng(0)
ROWS, MEMBERS = 7, 4
X = RNG.normal(size=(ROWS, 5)).astype("float32")
VALUES = RNG.normal(size=(ROWS, 3)).astype("float32")
LABELS = np.arange(ROWS) % 3
YES_NO = np.eye(3)[LABELS].astype("float32")
WEIGHTS = np.array([0.5, 2, 0, 1, 3, 0.2, 1], "float32")

KERAS = keras.losses
CASES = {
    "mse": (None, "mse", VALUES, squared),
    "mae": ("regression", KERAS.MeanAbsoluteError(), VALUES, absolute),
    "sparse": (
        "classification",
        KERAS.SparseCategoricalCrossentropy(from_logits=True),
        LABELS,
        sparse_entropy,
    ),
    "categorical": (
        "classification",
        KERAS.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3),
        YES_NO,
        entropy_smoothed_by_03,
    ),
    "binary": (
        "binary",
        KERAS.BinaryCrossentropy(from_logits=True, label_smoothing=0.2),
        YES_NO,
        binary_entropy_smoothed_by_02,
    ),
}


def build(task=None, hidden=(6,), **arguments):
    return mlp((5,), 3, hidden, members=MEMBERS, dropout=0.0, task=task, **arguments)


def standing(model, loss, eager=True, metrics=None):
    """A step changes nothing; eager, it also needs no trace of its own."""
    still = keras.optimizers.SGD(0.0)
    model.compile(still, loss, metrics=metrics, run_eagerly=eager)
    return model


def logs_of(step, *batch):
    """One step's losses by name; Keras would average over the steps so far."""
    step.__self__.reset_metrics()
    return {key: float(value) for key, value in step(*batch, return_dict=True).items()}


@pytest.mark.first_quick
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
def test_losses_are_those_of_numpy(case, weights):
    task, loss, y, expected = CASES[case]
    model = standing(build(task), loss)
    said = members_of(model, X)
    of_members = rows_of_members(expected, y, said, weights).mean()
    of_mean = expected(y, mean_of(said, task)) * (1 if weights is None else weights)
    trained = logs_of(model.train_on_batch, X, y, weights)
    tested = logs_of(model.test_on_batch, X, y, weights)
    assert set(trained) == set(tested) == {"loss", "member_loss"}
    assert trained["loss"] == pytest.approx(of_members, rel=1e-5)
    assert trained["member_loss"] == pytest.approx(of_members, rel=1e-5)
    assert tested["loss"] == pytest.approx(of_mean.mean(), rel=1e-5)
    assert tested["member_loss"] == pytest.approx(of_members, rel=1e-5)
    assert of_members > of_mean.mean() * 1.001  # so the two cannot be mixed up


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_summed_loss_is_the_mean_over_members_of_their_sums(weights):
    model = standing(build(), KERAS.MeanSquaredError(reduction="sum"))
    said = members_of(model, X)
    expected = rows_of_members(squared, VALUES, said, weights).sum(0).mean()
    trained = logs_of(model.train_on_batch, X, VALUES, weights)
    assert trained["loss"] == pytest.approx(expected, rel=1e-5)
    tested = logs_of(model.test_on_batch, X, VALUES, weights)
    of_mean = squared(VALUES, said.mean(1)) * (1 if weights is None else weights)
    assert tested["loss"] == pytest.approx(of_mean.sum(), rel=1e-5)
    assert tested["member_loss"] == pytest.approx(expected, rel=1e-5)


def test_class_weight_counts_for_every_member_over_uneven_batches():
    task, loss, y, _ = CASES["sparse"]
    model = standing(build(task), loss, eager=False)
    weights = np.array([0.5, 3.0, 1.0])
    run = model.fit(X, y, 4, class_weight=dict(enumerate(weights)), verbose=0)
    said = members_of(model, X)
    expected = rows_of_members(sparse_entropy, y, said, weights[y]).mean()
    assert run.history["loss"] == pytest.approx([expected], rel=1e-5)
    assert run.history["member_loss"] == pytest.approx([expected], rel=1e-5)


def test_penalties_are_added_once_and_everywhere():
    model = standing(build(l2=0.7), "mse")
    kernels = [ops.convert_to_numpy(w) for w in model.weights if w.name == "kernel"]
    penalty = sum(0.7 * (kernel.astype("float64") ** 2).sum() for kernel in kernels)
    assert [kernel.shape for kernel in kernels] == [(5, 6), (MEMBERS, 6, 3)]
    said = members_of(model, X)
    of_members = rows_of_members(squared, VALUES, said).mean() + penalty
    trained = logs_of(model.train_on_batch, X, VALUES)
    tested = logs_of(model.test_on_batch, X, VALUES)
    assert list(trained.values()) == pytest.approx([of_members] * 2, rel=1e-5)
    assert tested["member_loss"] == pytest.approx(of_members, rel=1e-5)
    of_mean = squared(VALUES, said.mean(1)).mean() + penalty
    assert tested["loss"] == pytest.approx(of_mean, rel=1e-5)


def head_after_a_step(model, error):
    """The heads' kernels after SGD at 0.3, for the slope `error` of the loss."""
    adapter, head = model.get_layer("adapter"), model.get_layer("members")
    features = X[:, None] * ops.convert_to_numpy(adapter.scale)
    return ops.convert_to_numpy(head.kernel) - 0.3 * np.einsum(
        "bkf,bku->kfu", features, error
    )


def test_a_step_descends_the_loss_of_the_members():
    model = build(hidden=())
    slope = 2 * (members_of(model, X) - VALUES[:, None]) / (ROWS * 3 * MEMBERS)
    expected = head_after_a_step(model, slope * WEIGHTS[:, None, None])
    model.compile(keras.optimizers.SGD(0.3), "mse")
    model.train_on_batch(X, VALUES, WEIGHTS)
    assert_close(model.get_layer("members").kernel, expected, atol=1e-5)


def test_nested_in_another_model_it_gives_the_mean_and_is_trained_on_it():
    inner = build(hidden=())
    mean = members_of(inner, X).mean(1)
    slope = 2 * (mean - VALUES) / (ROWS * 3 * MEMBERS)
    expected = head_after_a_step(inner, np.repeat(slope[:, None], MEMBERS, axis=1))
    inputs = keras.Input((5,), name="features")
    outer = keras.Model(inputs, inner(inputs))
    assert_close(outer.predict(X, verbose=0), mean, atol=1e-5)
    outer.compile(keras.optimizers.SGD(0.3), "mse")
    logs = outer.train_on_batch(X, VALUES, return_dict=True)
    assert set(logs) == {"loss"}
    assert logs["loss"] == pytest.approx(squared(VALUES, mean).mean(), rel=1e-5)
    assert_close(inner.get_layer("members").kernel, expected, atol=1e-5)


def test_validation_and_training_report_the_same_things():
    model = standing(build(), "mse", eager=False, metrics=["mae"])
    history = model.fit(X, VALUES, 2, validation_split=0.45, verbose=0).history
    came = {key: value for key, (value,) in history.items()}
    for prefix, rows in (("", slice(0, 3)), ("val_", slice(3, 7))):
        said = members_of(model, X[rows])
        each = rows_of_members(squared, VALUES[rows], said).mean()
        assert came.pop(f"{prefix}member_loss") == pytest.approx(each, rel=1e-5)
        mae = absolute(VALUES[rows], said.mean(1)).mean()
        assert came.pop(f"{prefix}mae") == pytest.approx(mae, rel=1e-5)
        expected = squared(VALUES[rows], said.mean(1)).mean() if prefix else each
        assert came.pop(f"{prefix}loss") == pytest.approx(expected, rel=1e-5)
    assert not came


def test_compute_loss_of_a_prediction_of_ones_own():
    model = standing(build(), "mse")
    said = members_of(model, X)
    of_members = rows_of_members(squared, VALUES, said).mean()
    of_mean = squared(VALUES, said.mean(1)).mean()
    own = VALUES + 2.0

    def loss(y_pred):
        return float(ops.convert_to_numpy(model.compute_loss(X, VALUES, y_pred)))

    assert loss(own) == pytest.approx(4, rel=1e-5)
    model(X)
    assert loss(own) == pytest.approx(4, rel=1e-5)
    predicted = model(X)
    assert loss(predicted) == pytest.approx(of_members, rel=1e-5)
    assert loss(predicted) == pytest.approx(of_mean, rel=1e-5)


def test_refuses_outputs_that_are_not_the_mean_of_members():
    inputs = keras.Input((4, 3), name="members")
    mean = MemberMean()(inputs)
    for outputs in (inputs, mean * 2, [mean], {"mean": mean}, [mean, mean]):
        with pytest.raises(ValueError, match="the one tensor that a `layers.MemberM"):
            MemberModel(inputs, outputs)


def test_refuses_a_loss_that_gives_a_number_per_row():
    model = standing(build(), KERAS.MeanSquaredError(reduction=None))
    with pytest.raises(ValueError, match="averaged over the members.*reduction=None"):
        model.train_on_batch(X, VALUES)
