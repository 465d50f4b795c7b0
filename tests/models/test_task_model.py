"""Models that know their task, and what they say of losses and metrics."""

import functools
import inspect
import warnings

import keras
import numpy as np
import pytest

from keras_trainkit import layers, models
from keras_trainkit.models import TaskModel, bilstm_attention, mlp

# torch's own, which pytest.warns lets through from wherever it comes.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
LOSSES, METRICS = keras.losses, keras.metrics
X = np.random.default_rng(0).normal(size=(9, 4)).astype("float32")


def logits(task, **arguments):
    outputs = 1 if task == "binary" else 3
    return mlp((4,), outputs, (5,), task=task, **arguments)


def warnings_of(model, loss=None, metrics=None):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.compile("sgd", loss, metrics=metrics)
    assert all(w.category is UserWarning and w.filename == __file__ for w in caught)
    return [str(warning.message) for warning in caught]


BUILDERS = {
    "mlp": logits,
    "members": functools.partial(logits, members=2),
    "bilstm_attention": lambda task: bilstm_attention(
        (5, 4), 1 if task == "binary" else 3, (3,), task=task
    ),
}
UNFIT_LOSSES = [
    ("binary", "binary_crossentropy", r"BinaryCrossentropy\(from_logits=True\)"),
    ("binary", "mse", r"BinaryCrossentropy\(from_logits=True\)"),
    ("classification", "crossentropy", r"SparseCategoricalCrossentropy\(from_logits=T"),
    ("regression", "binary_crossentropy", 'such as "mse"'),
]


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
@pytest.mark.parametrize(("task", "loss", "remedy"), UNFIT_LOSSES)
def test_every_builder_warns_of_a_loss_that_does_not_fit(build, task, loss, remedy):
    model = build(task)
    words = rf"`loss` is computed from .*'{task}'.*{remedy}.*`models.loss_for.*{loss}"
    with pytest.warns(UserWarning, match=words):
        model.compile("sgd", loss)


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("binary", LOSSES.BinaryCrossentropy()),
        ("binary", LOSSES.binary_crossentropy),
        ("binary", "BinaryCrossentropy"),
        ("binary", ["binary_crossentropy"]),
        ("binary", {"outputs": "binary_crossentropy"}),
        ("binary", LOSSES.BinaryFocalCrossentropy()),
        ("binary", functools.partial(LOSSES.binary_crossentropy, from_logits=False)),
        ("binary", LOSSES.SparseCategoricalCrossentropy(from_logits=True)),
        ("binary", "huber"),
        ("binary", "categorical_hinge"),
        ("classification", LOSSES.SparseCategoricalCrossentropy()),
        ("classification", "categorical_crossentropy"),
        ("classification", LOSSES.BinaryCrossentropy(from_logits=True)),
        ("classification", "kl_divergence"),
        ("regression", LOSSES.BinaryCrossentropy(from_logits=True)),
        ("regression", "hinge"),
    ],
)
def test_a_loss_of_another_task_or_scale_is_named(task, loss):
    (text,) = warnings_of(logits(task), loss)
    assert text.startswith("`loss` is computed from what 'mlp' gives")


@pytest.mark.parametrize(
    ("task", "loss"),
    [
        ("binary", LOSSES.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)),
        ("binary", LOSSES.BinaryFocalCrossentropy(from_logits=True)),
        ("binary", functools.partial(LOSSES.binary_crossentropy, from_logits=True)),
        ("binary", "hinge"),
        ("binary", lambda y, logits: keras.ops.mean((y - logits) ** 2)),
        ("classification", LOSSES.CategoricalCrossentropy(from_logits=True)),
        ("classification", LOSSES.CategoricalFocalCrossentropy(from_logits=True)),
        ("classification", "categorical_hinge"),
        ("regression", "mae"),
        ("regression", LOSSES.LogCosh()),
        (None, "mse"),
        (None, LOSSES.BinaryCrossentropy(from_logits=True)),
    ],
)
def test_a_loss_that_fits_or_is_ones_own_brings_no_warning(task, loss):
    assert warnings_of(logits(task), loss) == []


UNFIT_METRICS = [
    ("binary", "accuracy", r"BinaryAccuracy\(threshold=0\)"),
    ("binary", "acc", r"BinaryAccuracy\(threshold=0\)"),
    ("binary", METRICS.BinaryAccuracy(), r"BinaryAccuracy\(threshold=0\)"),
    ("binary", METRICS.CategoricalAccuracy(), r"BinaryAccuracy\(threshold=0\)"),
    ("binary", METRICS.Accuracy(), r"BinaryAccuracy\(threshold=0\)"),
    ("binary", METRICS.AUC(), r"AUC\(from_logits=True\)"),
    ("binary", METRICS.Precision(), "a threshold of 0"),
    ("binary", METRICS.Recall(thresholds=[0.2, 0.7]), "a threshold of 0"),
    ("binary", METRICS.RecallAtPrecision(0.5), "predict_proba"),
    ("binary", METRICS.F1Score(threshold=0.5), "predict_proba"),
    ("binary", "binary_crossentropy", "from_logits=True"),
    ("classification", METRICS.SparseCategoricalCrossentropy(), "from_logits=True"),
    ("classification", METRICS.Precision(class_id=1), "top_k=1"),
    ("classification", "binary_accuracy", '"accuracy"'),
    ("regression", "accuracy", '"mae"'),
    ("regression", METRICS.AUC(from_logits=True), '"mae"'),
]


@pytest.mark.parametrize(("task", "metric", "remedy"), UNFIT_METRICS)
def test_a_metric_that_counts_wrongly_is_named_with_one_that_fits(task, metric, remedy):
    with pytest.warns(UserWarning, match=f"`metrics` is computed .*{remedy}.*Received"):
        logits(task).compile("sgd", metrics=[metric])
    with pytest.warns(UserWarning, match=f"`weighted_metrics` is .*{remedy}.*Received"):
        logits(task).compile("sgd", weighted_metrics=[metric])


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        ("binary", METRICS.BinaryAccuracy(threshold=0)),
        ("binary", METRICS.AUC(from_logits=True)),
        ("binary", METRICS.Precision(thresholds=0)),
        ("binary", METRICS.MeanMetricWrapper(lambda y, p: y)),
        ("classification", "accuracy"),
        ("classification", METRICS.F1Score()),
        ("classification", METRICS.Recall(class_id=1, top_k=1)),
        ("classification", METRICS.SparseTopKCategoricalAccuracy(2)),
        ("regression", "root_mean_squared_error"),
        ("regression", METRICS.R2Score()),
        (None, "accuracy"),
    ],
)
def test_a_metric_that_fits_or_is_ones_own_brings_no_warning(task, metric):
    assert warnings_of(logits(task), None, [metric]) == []


def test_yes_no_labels_that_hold_together_are_no_classes_to_choose_from():
    model = mlp((4,), 3, (), task="binary")
    assert "BinaryAccuracy" in warnings_of(model, None, ["accuracy"])[0]


@pytest.mark.parametrize("members", [1, 2])
def test_a_head_without_a_task_is_judged_by_its_activation(members):
    sigmoid = mlp((4,), 1, (), output_activation="sigmoid", members=members)
    assert warnings_of(sigmoid, "binary_crossentropy", ["accuracy", "auc"]) == []
    from_logits = LOSSES.BinaryCrossentropy(from_logits=True)
    assert "from_logits=False" in warnings_of(sigmoid, from_logits)[0]
    linear = mlp((4,), 1, (), members=members)
    assert "from_logits=True" in warnings_of(linear, "binary_crossentropy")[0]


@pytest.mark.first_quick
@pytest.mark.parametrize("task", ["binary", "classification", "regression"])
@pytest.mark.parametrize("members", [1, 2])
def test_task_and_classes_survive_files_clones_and_calibration(task, members, tmp_path):
    classes = {"binary": ("no", "yes"), "classification": (7, 5, 9)}.get(task)
    model = logits(task, members=members, classes=classes)
    model.compile("sgd", models.loss_for(model), metrics=models.metrics_for(model))
    model.optimizer.build(model.trainable_variables)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for copy in (model, loaded, keras.models.clone_model(model)):
        assert isinstance(copy, TaskModel)
        assert (copy.task, copy.classes) == (task, classes)
    assert loaded.compiled and loaded.optimizer.built
    np.testing.assert_array_equal(
        loaded.predict(X, verbose=0), model.predict(X, verbose=0)
    )
    inputs = keras.Input((4,), name="features")
    nested = TaskModel(inputs, model(inputs))
    assert (nested.task, nested.classes) == (task, classes)


def test_a_file_compiled_with_a_loss_that_fits_opens_in_silence(tmp_path):
    model = logits("binary", members=2)
    model.compile("sgd", models.loss_for(model), metrics=models.metrics_for(model))
    model.train_on_batch(X, np.ones((9, 1)))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    loaded.train_on_batch(X, np.ones((9, 1)))
    assert int(loaded.optimizer.iterations) == 2


def test_members_of_a_file_from_before_tasks_know_theirs():
    config = layers.MemberMean("logits").get_config()
    del config["task"], config["classes"]
    mean = layers.MemberMean.from_config(config)
    inputs = keras.Input((2, 3))
    assert models.MemberModel(inputs, mean(inputs)).task == "classification"


def test_the_members_task_is_that_of_their_kind():
    with pytest.raises(ValueError, match="`task` says what the outputs, logits, stand"):
        layers.MemberMean("logits", task="binary")
    with pytest.raises(ValueError, match="`classes` names.*no classes"):
        layers.MemberMean("values", classes=["a", "b"])
    with pytest.raises(ValueError, match="`classes` names.*3 of them"):
        layers.MemberMean("logits", classes=["a", "b"]).build((None, 4, 3))


def test_compile_shows_the_arguments_of_keras():
    ours = inspect.signature(TaskModel.compile)
    assert ours == inspect.signature(keras.Model.compile)


def test_a_model_of_several_outputs_has_no_single_task():
    inputs = keras.Input((4,), name="features")
    heads = [layers.Head(2, "classification", name=name) for name in ("a", "b")]
    model = TaskModel(inputs, [head(inputs) for head in heads])
    assert (model.task, model.classes) == (None, None)
    assert warnings_of(model, ["mse", "mse"]) == []


def test_logits_that_were_scaled_or_shaped_otherwise_are_of_no_known_task():
    inputs = keras.Input((4,), name="features")
    classes = layers.Head(4, "classification", activation="softmax")(inputs)
    scaling = layers.TemperatureScaling()
    scaling.adapt(np.array([[1.0, 0, 0, 0]] * 3), np.array([0, 0, 1]))
    for last in (keras.layers.Rescaling(3), keras.layers.Reshape((2, 2)), scaling):
        assert TaskModel(inputs, last(classes)).task is None
    values = layers.Head(4, "regression")(inputs)
    for last in (keras.layers.Rescaling(3), keras.layers.Reshape((2, 2))):
        assert TaskModel(inputs, last(values)).task == "regression"


class Counting(keras.optimizers.SGD):
    def __init__(self):
        super().__init__(0.1, momentum=0.9)
        self.traced = 0

    def apply(self, *args, **kwargs):
        self.traced += 1
        super().apply(*args, **kwargs)


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(("kind", "traced"), [(keras.Model, 2), (TaskModel, 1)])
def test_the_first_step_is_traced_once_where_keras_traces_it_twice(kind, traced):
    inputs = keras.Input((4,))
    model = kind(inputs, keras.layers.Dense(1)(inputs))
    model.compile(Counting(), "mse")
    model.fit(X[:8], X[:8, :1], batch_size=4, epochs=3, verbose=0)
    assert model.optimizer.traced == traced


def test_it_trains_as_keras_does():
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(1, kernel_initializer="ones")(inputs)
    weights = []
    for kind in (keras.Model, TaskModel):
        model = kind(inputs, outputs)
        model.set_weights([np.ones((4, 1)), np.zeros(1)])
        model.compile(keras.optimizers.Adam(0.1), "mse")
        model.fit(X, X[:, :1], batch_size=3, epochs=2, verbose=0, shuffle=False)
        weights.append(model.get_weights())
    for ours, theirs in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
        assert np.abs(ours).min() > 0 and not (ours == 1).any()
