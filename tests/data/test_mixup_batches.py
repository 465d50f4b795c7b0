import keras
import numpy as np
import pytest
from comparing import assert_close, assert_equal

from keras_trainkit.data import mixup

tf = pytest.importorskip("tensorflow")
RNG = np.random.default_rng(0)
X = np.eye(300, dtype="float32")  # a mixture shows its rows, and their shares
CLASSES = RNG.integers(0, 4, 300)


def batches(*parts, size=64):
    return tf.data.Dataset.from_tensor_slices(parts).batch(size)


def joined(data_set):
    parts = zip(*data_set.as_numpy_iterator(), strict=True)
    return tuple(np.concatenate(part) for part in parts)


def test_targets_are_mixed_as_inputs_are_within_a_batch():
    mixed = mixup(batches(X, CLASSES), num_classes=4, alpha=0.7, seed=3)
    assert int(mixed.cardinality()) == 5
    assert mixed.element_spec[0].shape[1:] == (300,)
    x, y = joined(mixed)
    assert_close(x.sum(axis=1), 1, atol=1e-6)
    assert_close(y, x @ np.eye(4)[CLASSES], atol=1e-6)
    assert (x > 0).sum(axis=1).max() == 2
    own = np.arange(300)[:, None] // 64
    assert (np.where(x > 0, own == np.arange(300) // 64, True)).all()


def test_inputs_of_several_parts_share_the_partner_and_the_share():
    parts = {"left": X[:, :5], "right": (X[:, 5:].reshape(300, 59, 5),)}
    x, y = next(iter(mixup(batches(parts, X), seed=3)))
    joined_x = np.hstack([x["left"], np.reshape(x["right"][0], (64, -1))])
    assert_close(joined_x, y, atol=1e-7)


def test_shares_have_the_moments_of_the_beta_distribution():
    one = np.where(np.arange(40_000) % 2, 1.0, 0.0).astype("float32")
    for alpha in (0.02, 0.4, 3.0):
        mixed, _ = joined(mixup(batches(one, one, size=40_000), alpha=alpha, seed=3))
        expected = (1 / 4 + 1 / (4 * (2 * alpha + 1))) / 2
        assert mixed.var() == pytest.approx(expected, abs=0.004)
        assert mixed.mean() == pytest.approx(0.5, abs=0.02)


def test_cross_entropy_is_that_of_both_weighted_targets():
    weight = RNG.uniform(0, 3, 300).astype("float32")
    weight[:40] = 0
    mixed = mixup(batches(X, CLASSES, weight), num_classes=4, seed=3)
    x, y, w = joined(mixed)
    log_p = np.log(RNG.dirichlet(np.ones(4), 300))
    expected = ((x * weight) @ np.eye(4)[CLASSES] * log_p).sum(axis=1)
    assert_close(w * (y * log_p).sum(axis=1), expected, atol=1e-5)


def test_a_seed_repeats_epoch_by_epoch_and_epochs_differ():
    def two_epochs(seed):
        mixed = mixup(batches(X, X), seed=seed)
        return [joined(mixed)[0] for _ in range(2)]

    first, second = two_epochs(3)
    for epoch, again in zip((first, second), two_epochs(3), strict=True):
        assert_equal(epoch, again)
    assert (first != second).any()
    assert (first != two_epochs(4)[0]).any()
    assert (two_epochs(None)[0] != two_epochs(None)[0]).any()


def test_a_model_is_trained_by_mixtures_on_every_backend():
    x = RNG.normal(size=(256, 5)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    model = keras.Sequential([keras.layers.Dense(2, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.05), "categorical_crossentropy")
    model.fit(mixup(batches(x, y), num_classes=2), epochs=20, shuffle=False, verbose=0)
    answers = model.predict(x, verbose=0).argmax(axis=1)
    assert (answers == y).mean() > 0.9


@pytest.mark.parametrize(
    ("parts", "arguments", "words"),
    [
        ((X,), {"y": X}, "`y` comes with the elements.*must be None"),
        ((X,), {"sample_weight": X}, "`sample_weight` comes with"),
        ((X,), {}, r"pairs \(x, y\)"),
        ((X, CLASSES), {}, "floats, of which.*`num_classes`"),
        ((X.astype(int), X), {}, "floats, of which"),
        ((X, X), {"num_classes": 4}, r"integers \(rows,\)"),
        ((X, X, X), {}, "one weight for each row"),
    ],
)
def test_refuses_data_sets_that_have_no_mixtures(parts, arguments, words):
    with pytest.raises(ValueError, match=words):
        mixup(batches(*parts), **arguments)


def test_asks_for_batches():
    with pytest.raises(ValueError, match="call `.batch`"):
        mixup(batches(X[:, 0], X[:, 0]).unbatch())


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((X, CLASSES + 1), "from 0 to 3"),
        ((X, CLASSES - 1), "from 0 to 3"),
        ((X, CLASSES, -X[:, 0]), "at least 0"),
        ((X, CLASSES, np.full(300, np.inf)), "at least 0"),
    ],
)
def test_values_out_of_range_end_the_epoch(parts, words):
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        joined(mixup(batches(*parts), num_classes=4))
