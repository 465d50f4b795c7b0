import operator
import random

import keras
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from keras_trainkit.analysis import learning_rate_range_test
from keras_trainkit.analysis._restoration import random_numbers_kept
from keras_trainkit.analysis.learning_rate_range import _draw

BACKEND = keras.config.backend()


class Constant(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return 0.07 + 0.0 * keras.ops.cast(step, "float32")

    def get_config(self):
        return {}


class Batches(keras.utils.PyDataset):
    """Four batches; draws from NumPy's and Python's global generators."""

    def __init__(self, x, y, fails_at=None):
        super().__init__()
        self.x, self.y, self.fails_at, self.asked = x, y, fails_at, 0

    def __len__(self):
        return 4

    def __getitem__(self, index):
        self.asked += 1
        if self.asked == self.fails_at:
            raise KeyboardInterrupt
        rows = slice(16 * index, 16 * index + 16)
        noise = 1e-3 * np.random.normal() + 1e-3 * random.random()
        return self.x[rows] + noise, self.y[rows]


def make_model(optimizer=None, unseeded_rate=0.1):
    """Everything that has state: batch norm, dropout with and without a seed."""
    model = keras.Sequential(
        [
            keras.layers.Dense(5, "relu", kernel_regularizer=keras.regularizers.L2()),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2, seed=3),
            keras.layers.Dropout(unseeded_rate),
            keras.layers.Dense(1),
        ]
    )
    optimizer = optimizer or keras.optimizers.Adam(0.01)
    model.compile(optimizer, "mse", metrics=["mae"])
    return model


def state_of(model):
    """Arrays and objects that have to be the same afterwards."""
    held = model.variables + model.optimizer.variables + model.metrics_variables
    arrays = [np.array(keras.ops.convert_to_numpy(variable)) for variable in held]
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    objects = [inner._learning_rate, model.train_function]
    values = [random.getstate(), np.random.get_state()[1].tolist()]
    values += [model.stop_training, len(held)]
    if BACKEND == "torch":
        import torch

        arrays.append(torch.get_rng_state().numpy())
    return arrays, objects, values


def assert_same(model, before):
    arrays, objects, values = state_of(model)
    assert all(map(operator.is_, objects, before[1]))
    assert values == before[2]
    assert all(map(np.array_equal, arrays, before[0]))


def trained(optimizer, blobs):
    model = make_model(optimizer)
    model.fit(*blobs, epochs=1, batch_size=16, verbose=0)
    return model


@pytest.fixture(scope="module")
def adam_model():
    """Trained one epoch; every test leaves it so."""
    rng = np.random.default_rng(1)
    blobs = rng.normal(size=(64, 2)).astype("float32"), rng.normal(size=(64, 1))
    return trained(keras.optimizers.Adam(0.01), blobs)


def test_everything_is_as_before(adam_model, blobs):
    before = state_of(adam_model)
    found = learning_rate_range_test(adam_model, *blobs, num_steps=20)
    assert len(found.losses) > 5
    assert_same(adam_model, before)


def test_everything_is_as_before_after_the_loss_was_nan(adam_model, blobs):
    before = state_of(adam_model)
    x = blobs[0].copy()
    x[40] = np.nan
    found = learning_rate_range_test(adam_model, x, blobs[1], num_steps=20)
    assert found.diverged_at is not None and np.isfinite(found.losses).all()
    assert_same(adam_model, before)


def test_everything_is_as_before_after_divergence(adam_model, blobs):
    before = state_of(adam_model)
    found = learning_rate_range_test(
        adam_model, *blobs, num_steps=30, max_learning_rate=1e6, smoothing=0.3
    )
    assert 1e-7 < found.diverged_at < 1e6
    assert_same(adam_model, before)


def test_everything_is_as_before_when_stopped_between_steps(adam_model, blobs):
    before = state_of(adam_model)
    with pytest.raises(KeyboardInterrupt):
        learning_rate_range_test(adam_model, Batches(*blobs, fails_at=7))
    assert_same(adam_model, before)


@pytest.mark.slow
def test_everything_is_as_before_when_stopped_inside_a_step(blobs, monkeypatch):
    model = trained(keras.optimizers.Adam(0.01), blobs)
    before = state_of(model)
    make, steps = model.make_train_function, []

    def interrupted(*arguments, **keywords):
        make(*arguments, **keywords)
        step = model.train_function

        def train_function(*data):
            logs = step(*data)
            steps.append(logs)
            if len(steps) == 3:
                raise KeyboardInterrupt
            return logs

        model.train_function = train_function

    monkeypatch.setattr(model, "make_train_function", interrupted)
    with pytest.raises(KeyboardInterrupt):
        learning_rate_range_test(model, *blobs)
    monkeypatch.undo()
    assert_same(model, before)
    watcher = keras.callbacks.Callback()
    watcher.set_model(model)
    assert_same(watcher.model, before)  # on JAX this may write a state back


@pytest.mark.slow
def test_training_goes_as_if_the_test_had_not_been(blobs):
    """Without shuffling and unseeded dropout: where Keras 3.15 on JAX and torch has to
    build metrics, its first `fit` begins an epoch more, and the range test has built
    them."""
    weights = []
    for tested in (False, True):
        keras.utils.set_random_seed(5)
        model = make_model(unseeded_rate=0.0)
        if tested:
            learning_rate_range_test(model, *blobs, num_steps=20)
        model.fit(*blobs, epochs=1, batch_size=16, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    assert all(map(np.array_equal, *weights))


def one_weight_model(optimizer, **compiling):
    """For x = 1 and y = 0 the loss is w^2 and SGD makes w (1 - 2 rate) of it."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.layers.Input((1,)), layer])
    model.compile(optimizer, "mse", **{"run_eagerly": True} | compiling)
    return model


ONES, ZEROS = np.ones((6, 1), "float32"), np.zeros((6, 1), "float32")
SGD = keras.optimizers.SGD
OPTIMIZERS = {
    "number": lambda: SGD(0.3),
    "schedule": lambda: SGD(Constant()),
    "callable": lambda: SGD(lambda: 0.07),
    "mixed precision": lambda: keras.optimizers.LossScaleOptimizer(SGD(0.3)),
    "both": lambda: keras.optimizers.LossScaleOptimizer(SGD(Constant())),
}


@pytest.mark.first_quick
@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_each_step_uses_its_own_rate(kind):
    optimizer = OPTIMIZERS[kind]()
    model = one_weight_model(optimizer, run_eagerly=False)
    model.fit(ONES, ZEROS, epochs=2, verbose=0)  # the clock does not start at 0
    before = state_of(model)
    found = learning_rate_range_test(
        model,
        ONES,
        ZEROS,
        batch_size=2,
        min_learning_rate=0.01,
        max_learning_rate=0.4,
        num_steps=20,
    )
    assert found.learning_rates == pytest.approx(np.geomspace(0.01, 0.4, 20), rel=1e-6)
    kept = np.sqrt(found.losses[1:] / found.losses[:-1])
    assert kept == pytest.approx(1 - 2 * found.learning_rates[:-1], rel=1e-4)
    assert_same(model, before)
    model.fit(ONES, ZEROS, epochs=1, verbose=0)  # with the rate it had


def test_schedule_is_in_force_again_afterwards():
    model = one_weight_model(SGD(Constant()), run_eagerly=False)
    learning_rate_range_test(model, ONES, ZEROS, num_steps=20)
    model.fit(ONES, ZEROS, epochs=1, verbose=0)
    assert model.get_weights()[0] == pytest.approx(1 - 2 * 0.07)


@pytest.mark.not_torch
def test_steps_per_execution_changes_nothing():
    found = [
        learning_rate_range_test(model, ONES, ZEROS, num_steps=20)
        for model in (
            one_weight_model(SGD(0.3), run_eagerly=False),
            one_weight_model(SGD(0.3), run_eagerly=False, steps_per_execution=3),
        )
    ]
    assert np.array_equal(found[0].losses, found[1].losses)
    assert len(found[1].losses) > 15


def test_loss_is_that_of_the_batch_and_its_regularisation():
    layer = keras.layers.Dense(
        1,
        use_bias=False,
        kernel_initializer="ones",
        kernel_regularizer=keras.regularizers.L2(3),
    )
    model = keras.Sequential([keras.layers.Input((1,)), layer])
    model.compile("sgd", "mse")
    x = np.array([[1.0], [2.0], [4.0]], "float32")
    found = learning_rate_range_test(
        model, Rows(x), min_learning_rate=1e-12, max_learning_rate=1e-11, num_steps=20
    )
    assert found.losses[:7] == pytest.approx([4, 7, 19, 4, 7, 19, 4])  # x^2 + 3 w^2


class Rows(keras.utils.PyDataset):
    """Batches of one row, to be taken to 0."""

    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index : index + 1], np.zeros((1, 1), "float32")


@pytest.mark.tensorflow_only
@pytest.mark.slow
def test_reads_a_dataset_more_often_than_it_is_long(blobs):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(blobs).batch(16)  # four batches
    found = learning_rate_range_test(make_model(), data, num_steps=20)
    assert len(found.losses) >= 10


@pytest.mark.skipif(BACKEND != "torch", reason="needs torch")
def test_reads_a_torch_loader_without_moving_its_random_numbers(adam_model, blobs):
    import torch

    tensors = [torch.tensor(part) for part in blobs]
    rows = torch.utils.data.TensorDataset(*tensors)
    loader = torch.utils.data.DataLoader(rows, batch_size=16, shuffle=True)
    before = state_of(adam_model)
    found = learning_rate_range_test(adam_model, loader, num_steps=20)
    assert len(found.losses) >= 10
    assert_same(adam_model, before)


def test_random_numbers_of_a_data_pipeline_are_put_back():
    """Its layers draw from TensorFlow's numbers, whatever the backend."""
    import tensorflow as tf

    layer = keras.layers.RandomBrightness(0.5, value_range=(0, 1), seed=3)
    images = tf.data.Dataset.from_tensors(np.full((2, 2, 3), 0.5, "float32")).map(layer)
    before = [next(iter(images)).numpy() for _ in range(2)]
    with random_numbers_kept():
        within = next(iter(images)).numpy()
    after = next(iter(images)).numpy()
    assert not np.array_equal(before[1], within)
    np.testing.assert_array_equal(after, within)


def small_rates(model, *data, **arguments):
    arguments |= {"min_learning_rate": 1e-12, "max_learning_rate": 1e-11}
    return learning_rate_range_test(model, *data, num_steps=20, **arguments).losses


def test_weights_of_rows_and_classes_are_honoured():
    y = np.array([[0], [0], [2], [2], [2], [2]], "float32")  # each loss is 1
    model = one_weight_model("sgd")
    assert small_rates(model, ONES, y)[0] == pytest.approx(1)
    by_class = small_rates(model, ONES, y, class_weight={0: 2.0, 2: 0.5})
    by_row = small_rates(model, ONES, y, sample_weight=np.array([2, 2] + [0.5] * 4))
    assert by_class[0] == pytest.approx(by_row[0])
    heavy = small_rates(model, ONES, ZEROS, class_weight={0: 4.0})
    assert heavy[0] == pytest.approx(4 * small_rates(model, ONES, ZEROS)[0])


def test_arrays_are_drawn_in_whole_batches_and_a_known_order():
    x = np.arange(1, 6, dtype="float32")[:, None]
    model = one_weight_model("sgd")
    y = np.zeros((5, 1), "float32")
    losses = small_rates(model, x, y, batch_size=2, seed=4)
    order = np.random.default_rng(4).permutation(5)
    squares = (order[:4] + 1.0) ** 2
    assert losses[:2] == pytest.approx(squares.reshape(2, 2).mean(axis=1), rel=1e-5)
    assert not np.array_equal(losses, small_rates(model, x, y, batch_size=2, seed=5))


def learnable(num_rows=320):
    x = np.random.default_rng(0).normal(size=(num_rows, 4)).astype("float32")
    return x, x @ np.array([[3], [-2], [1], [4]], "float32")


def linear_model(rate=0.01):
    layer = keras.layers.Dense(1, kernel_initializer="zeros")
    model = keras.Sequential([keras.layers.Input((4,)), layer])
    model.compile(SGD(rate), "mse")
    return model


def test_suggestion_trains_and_ten_times_as_much_does_not():
    x, y = learnable()
    found = learning_rate_range_test(linear_model(), x, y)
    assert found.suggestion == found.suggestions["minimum"]
    assert "and diverges at" in found.reason
    losses = {}
    for factor in (1, 100):
        model = linear_model(factor * found.suggestion)
        losses[factor] = model.fit(x, y, epochs=5, verbose=0).history["loss"]
    assert losses[1][-1] < 0.1 * losses[1][0]
    assert not losses[100][-1] < losses[100][0]


def test_trained_model_gets_no_suggestion():
    x, y = learnable()
    y = y + np.random.default_rng(1).normal(size=y.shape)
    model = linear_model(0.05)
    model.fit(x, y, epochs=10, verbose=0)
    found = learning_rate_range_test(model, x, y)
    assert found.suggestion is None
    assert set(found.suggestions.values()) == {None}
    assert "falls nowhere by more than its noise" in found.reason


def test_loss_that_is_nan_from_the_start_is_told(tmp_path):
    found = learning_rate_range_test(one_weight_model("sgd"), ONES * np.nan, ZEROS)
    assert found.suggestion is None and found.diverged_at == pytest.approx(1e-7)
    assert "after 0 steps and before any rate could be judged" in found.reason
    found.plot(tmp_path / "empty.png")


def test_negative_loss_does_not_count_as_divergence():
    def gain(y_true, y_pred):
        return -keras.ops.abs(y_pred) - 1.0

    model = one_weight_model("sgd")
    model.compile(SGD(0.1), gain)
    found = learning_rate_range_test(
        model, ONES, ZEROS, max_learning_rate=0.1, num_steps=25
    )
    assert found.diverged_at is None and len(found.losses) == 25
    assert "has not diverged yet" in found.reason


def test_model_that_is_not_compiled_is_refused(blobs):
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="`model` is what to train and must be comp"):
        learning_rate_range_test(model, *blobs)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((Rows(ONES), ZEROS), "belong to arrays in `x`"),
        (((pair for pair in [(ONES, ZEROS)]),), "can be gone through again"),
        ((7,), "must be arrays, or a collection of batches"),
        ((Rows(ONES[:0]),), "at least one batch"),
        ((ONES, ZEROS[:4]), r"Received: \[4, 6\] rows"),
        ((ONES[:0], ZEROS[:0]), "at least 1"),
    ],
)
def test_data_that_cannot_serve_are_refused(data, words):
    with pytest.raises(ValueError, match=words):
        learning_rate_range_test(one_weight_model("sgd"), *data)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"batch_size": 0}, "`batch_size` is the number of rows"),
        ({"min_learning_rate": 0.0}, "must be a number above 0"),
        ({"max_learning_rate": 1e-8}, "`max_learning_rate` .* above 1e-07"),
        ({"num_steps": 19}, "must be an integer at least 20"),
        ({"smoothing": 1.0}, "must be a number at least 0 and below 1"),
        ({"divergence_factor": 1}, "must be a number above 1"),
        ({"seed": -1}, "`seed` makes the random numbers repeatable"),
        ({"class_weight": {0: 1.0}, "sample_weight": ONES}, "Received: both"),
    ],
)
def test_wrong_argument_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        learning_rate_range_test(one_weight_model("sgd"), ONES, ZEROS, **arguments)


def test_picture_shows_both_curves_and_the_suggestions(tmp_path):
    found = learning_rate_range_test(linear_model(), *learnable())
    axes = _draw(found).axes[0]
    assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "learning rate")
    labels = [line.get_label() for line in axes.get_lines()]
    assert labels[:2] == ["each batch", "smoothed"]
    assert [label.split(":")[0] for label in labels[2:5]] == [
        "steepest",
        "valley",
        "minimum",
    ]
    (marked,) = (line for line in axes.get_lines() if "sugg" in line.get_label())
    assert marked.get_xdata()[0] == found.suggestion
    assert to_rgba(axes.get_lines()[1].get_color()) == to_rgba("C0")
    found.plot(tmp_path / "range.png")
    assert (tmp_path / "range.png").stat().st_size > 10_000
    with pytest.raises(ValueError, match="must end in one of .pdf, .png, .svg"):
        found.plot(tmp_path / "range.txt")


class Unpacking(keras.Sequential):
    """The custom step of Keras' guides: as many names as `fit` hands on arrays."""

    names = 2

    def train_step(self, *arguments):
        *_, data = arguments
        assert isinstance(data, tuple) and len(data) == self.names
        return super().train_step(*arguments)


def unpacking_model(names):
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = Unpacking([keras.layers.Input((1,)), layer])
    model.names = names
    model.compile(SGD(0.1), "mse")
    return model


def test_custom_step_gets_the_tuple_that_fit_hands_on():
    model = unpacking_model(2)
    step = model.train_step
    assert small_rates(model, ONES, ZEROS)[0] == pytest.approx(1)
    assert small_rates(model, Rows(ONES))[0] == pytest.approx(1)
    assert "train_step" not in vars(model) and model.train_step == step
    model.fit(ONES, ZEROS, verbose=0)
    weighted = unpacking_model(3)
    weights = np.full(6, 2.0, "float32")
    assert small_rates(weighted, ONES, ZEROS, sample_weight=weights)[0] > 1.9
    assert small_rates(unpacking_model(3), ONES, ZEROS, class_weight={0: 2.0})[0] > 1.9


def test_step_put_into_the_model_itself_is_used_and_stays():
    model = one_weight_model("sgd")
    own, seen = model.train_step, []

    def step(*arguments):
        seen.append(len(arguments[-1]))
        return own(*arguments)

    model.train_step = step
    small_rates(model, ONES, ZEROS)
    assert set(seen) == {2} and model.train_step is step


def test_sparse_rows_of_scipy_are_read_as_the_dense_ones():
    sparse = pytest.importorskip("scipy.sparse")
    x, y = learnable(64)
    x[x < 0.5] = 0
    dense = learning_rate_range_test(linear_model(), x, y, num_steps=20)
    for kind in (sparse.csr_matrix, sparse.coo_array):
        found = learning_rate_range_test(linear_model(), kind(x), y, num_steps=20)
        np.testing.assert_allclose(found.losses, dense.losses, rtol=1e-5)


@pytest.mark.parametrize(
    "data", [([[1.0], [2.0]], ZEROS[:2]), (ONES[:2], [[0.0], [1.0]])], ids="xy"
)
def test_numbers_in_lists_are_refused_with_the_remedy(data):
    with pytest.raises(ValueError, match="np.asarray makes an array"):
        learning_rate_range_test(one_weight_model("sgd"), *data)


def test_printed_on_one_line():
    found = learning_rate_range_test(linear_model(), *learnable())
    assert repr(found).startswith(
        f"LearningRateRange(suggestion={found.suggestion:.2g}"
    )
    assert len(repr(found)) < 120 and "steps from 1e-07 to" in str(found)
