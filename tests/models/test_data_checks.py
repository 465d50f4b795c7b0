"""Data that `fit` cannot learn from: what the user reads, before the first step."""

import keras
import numpy as np
import pandas as pd
import pytest

from keras_trainkit import hypermodels, models, tuners
from keras_trainkit.models._data_checks import check_fit_data

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype("float32")
S = RNG.normal(size=(12, 5, 4)).astype("float32")
CODES = np.arange(12) % 3
YES = np.arange(12) % 2
VALUES = RNG.normal(size=(12, 1)).astype("float32")
TOKENS = RNG.integers(1, 9, (12, 5))
ONES = np.ones(12, "float32")


def changed(array, place, value):
    array = np.array(array, "float32")
    array[place] = value
    return array


def compiled(model):
    model.compile("sgd", models.loss_for(model), metrics=models.metrics_for(model))
    return model


@pytest.fixture(scope="module")
def built():
    """Models by name, compiled; none of the tests gets as far as a step of them."""
    classification, binary = {"task": "classification"}, {"task": "binary"}
    made = {
        "classes": models.mlp((4,), 3, (5,), **classification),
        "members": models.mlp((4,), 3, (5,), members=2, **classification),
        "yes or no": models.mlp((4,), 1, (5,), **binary),
        "labels": models.mlp((4,), 2, (5,), **binary),
        "values": models.mlp((4,), 1, (5,), task="regression"),
        "table": models.mlp((4,), 3, (5,), category_sizes=[3], **classification),
        "sequences": models.bilstm_attention((None, 4), 3, (2,), **classification),
        "tokens": models.bilstm_attention(
            (None,), 3, (2,), vocabulary_size=9, embedding_units=2, **classification
        ),
    }
    return {name: compiled(model) for name, model in made.items()}


OF_X = "`x` holds the inputs of "
OF_Y = "`y` is what the model learns to predict and must "
JUDGED = "`validation_data` holds the rows that the model is judged by and must be"
CASES = {
    "one axis": ("classes", (X[0], CODES), r"the shape \(rows, 4\)\. Rec.*\(4,\)\."),
    "three axes": ("classes", (S, CODES), r"\(rows, 4\)\. Received: .*\(12, 5, 4\)"),
    "a column less": ("classes", (X[:, :3], CODES), r"\(rows, 4\).*\(12, 3\)\."),
    "NaN": (
        "classes",
        (changed(X, (3, 1), np.nan), CODES),
        OF_X + r"mlp and must be finite .*Received: 1 NaN or inf.*first at x\[3, 1\]",
    ),
    "infinity": (
        "classes",
        (changed(X, (7, 2), -np.inf), CODES),
        r"must be finite .*first at x\[7, 2\]\.",
    ),
    "texts": ("classes", (X.astype(str), CODES), OF_X + "mlp and must be numbers"),
    "texts as objects": (
        "classes",
        (np.full((12, 4), "a", object), CODES),
        "must be numbers, in an array of .* Received: objects, such as 'a'",
    ),
    "times": (
        "classes",
        (np.zeros((12, 4), "datetime64[s]"), CODES),
        "must be numbers. Received: datetime64",
    ),
    "complex": ("classes", (X + 1j, CODES), "must be numbers. Received: complex64"),
    "lists": ("classes", (X.tolist(), CODES), OF_X + "mlp and must be arrays"),
    "no rows": ("classes", (X[:0], CODES[:0]), "must have a row. Received: x of no r"),
    "members, NaN": ("members", (changed(X, 0, np.nan), CODES), r"4 NaN or infinite"),
    "array for a dict": (
        "table",
        (X, CODES),
        "be a dict with the entries 'numeric', 'categorical'. Received: ndarray of",
    ),
    "an entry less": (
        "table",
        ({"numeric": X}, CODES),
        "'numeric', 'categorical'. Received: one with 'numeric'",
    ),
    "shape of an entry": (
        "table",
        ({"numeric": X, "categorical": np.zeros((12, 2), int)}, CODES),
        r"`x\['categorical'\]` holds .*\(rows, 1\)\. Received: .*\(12, 2\)\.",
    ),
    "sequences of two axes": ("sequences", (X, CODES), r"\(rows, any, 4\)\. Received"),
    "channels": ("sequences", (S[..., :3], CODES), r"\(rows, any, 4\).*\(12, 5, 3\)"),
    "no steps": ("sequences", (S[:, :0], CODES), "a step and a channel in each row"),
    "sequence with NaN": (
        "sequences",
        (changed(S, (2, 1, 0), np.nan), CODES),
        r"first at x\[2, 1, 0\]\.",
    ),
    "token too high": (
        "tokens",
        (TOKENS + 5, CODES),
        "whole numbers from 0 to 8, ids of the vocabulary. Received: ids from 6 to 13",
    ),
    "token below 0": ("tokens", (-TOKENS, CODES), "from 0 to 8, ids.*ids from -8 to"),
    "half a token": ("tokens", (TOKENS / 2, CODES), "0 to 8.*numbers with a fraction"),
    "words": ("tokens", (np.full((12, 5), "a"), CODES), "must be numbers"),
    "no targets": ("classes", (X, None), OF_Y + "be given beside a loss"),
    "fewer targets": (
        "classes",
        (X, CODES[:9]),
        r"`y` has an entry for each row and must have as many as `x`, 12\. Re.*\(9,\)",
    ),
    "label too high": (
        "classes",
        (X, CODES + 1),
        OF_Y + "be whole numbers from 0 to 2, .*Received: labels from 1 to 3",
    ),
    "label below 0": ("classes", (X, CODES - 1), "from 0 to 2.*labels from -1 to 1"),
    "half a label": ("classes", (X, CODES / 2), "whole numbers from 0 to 2.*0.5"),
    "missing label": (
        "classes",
        (X, changed(CODES, 4, np.nan)),
        OF_Y + r"be finite .*first at y\[4\]",
    ),
    "members, label": ("members", (X, CODES + 1), "from 0 to 2.*labels from 1 to 3"),
    "one-hot": (
        "classes",
        (X, np.eye(3)[CODES]),
        r"the shape \(rows,\) \(of one-hot labels: `argmax`.*Received: .*\(12, 3\)",
    ),
    "names of classes": ("classes", (X, np.full(12, "a")), OF_Y + "be numbers"),
    "list of labels": ("classes", (X, CODES.tolist()), OF_Y + "be an array"),
    "1 and 2": ("yes or no", (X, YES + 1), "0 for no and 1 for yes.*from 1 to 2"),
    "-1 and 1": ("yes or no", (X, 2 * YES - 1), "0 for no and 1 for yes.*from -1 to 1"),
    "labels for yes or no": (
        "labels",
        (X, YES),
        OF_Y + r"have the shape \(rows, 2\)\. Received: y of the shape \(12,\)\.",
    ),
    "targets repeated": (
        "values",
        (X, np.repeat(VALUES, 3, axis=1)),
        OF_Y + r"have the shape \(rows, 1\)\. Received: .*\(12, 3\)\.",
    ),
    "infinite target": (
        "values",
        (X, changed(VALUES, (5, 0), np.inf)),
        OF_Y + r"be finite .*first at y\[5, 0\]",
    ),
}
ARGUMENTS = {
    "fewer weights": ({"sample_weight": ONES[:9]}, r"`sample_weight` has an e.*\(9,\)"),
    "weights of NaN": (
        {"sample_weight": changed(ONES, 4, np.nan)},
        r"`sample_weight` says how much each row counts and must be finite",
    ),
    "weights beyond float32": (
        {"sample_weight": np.r_[np.ones(11), 1e39]},
        "`sample_weight` says how much each row.*1 infinite ones, or too large",
    ),
    "weights that become 0": (
        {"sample_weight": np.r_[np.ones(11), 1e-50]},
        "`sample_weight` says .*be 0, or large enough.*1 that become 0, such as 1e-50",
    ),
    "texts as weights": (
        {"sample_weight": ["1"] * 12},
        "`sample_weight` says how much each row counts and must be an array",
    ),
    "class weight beyond float32": (
        {"class_weight": {1: 1e300}},
        r"`class_weight\[1\]` says how much .* must be finite.*too large for float32",
    ),
    "weights of classes": (
        {"sample_weight": np.ones((12, 3))},
        r"`sample_weight` says .*the shape \(rows,\)\. Received: .*\(12, 3\)",
    ),
    "class weights by name": (
        {"class_weight": {"a": 1.0}},
        "`class_weight` says .*a dict from numbers of classes to weights",
    ),
    "class weight of NaN": (
        {"class_weight": {0: np.nan}},
        r"`class_weight\[0\]` says how much .* a number at least 0\. Received",
    ),
    "list of class weights": ({"class_weight": [1, 2, 3]}, "must be a dict from"),
    "no rows a step": ({"batch_size": 0}, "`batch_size` is the number of rows per s"),
    "half a row": ({"batch_size": 2.5}, "`batch_size` .*an integer at least 1"),
    "a text of epochs": ({"epochs": "2"}, "`epochs` is the .*an integer at least 0"),
    "half an epoch": ({"initial_epoch": 0.5}, "`initial_epoch` is the .*an integer"),
    "share below 0": ({"validation_split": -0.5}, "`validation_split` is the share"),
    "share of all rows": (
        {"validation_split": 0.95},
        r"`validation_split` is .*at least one .*=0.95, 12 rows, .* 0 train and 12 j",
    ),
    "nothing to judge by": (
        {"validation_data": (X[:0], CODES[:0])},
        "validation_data: `x` holds .*must have a row",
    ),
    "validation inputs alone": ({"validation_data": X}, JUDGED + ".*ndarray alone"),
    "validation of one": ({"validation_data": (X,)}, JUDGED + ".*Received: 1 of them"),
    "validation of four": ({"validation_data": (X, 1, 1, 1)}, JUDGED + ".*4 of them"),
    "validation label": (
        {"validation_data": (X, CODES + 5)},
        "validation_data: `y` is .*from 0 to 2, .*labels from 5 to 7",
    ),
    "validation NaN": (
        {"validation_data": (changed(X, (1, 0), np.nan), CODES)},
        r"validation_data: `x` holds .*be finite .*first at x\[1, 0\]",
    ),
    "validation width": (
        {"validation_data": (X[:, :3], CODES)},
        r"validation_data: `x` holds .*\(rows, 4\)\. Received: .*\(12, 3\)",
    ),
    "validation length": (
        {"validation_data": (X, CODES[:3])},
        "validation_data: `y` has an entry for each row .*`x`, 12",
    ),
}


def ones_column():
    return ONES[:, None]


def with_table():
    return compiled(
        models.mlp((4,), 3, (5,), category_sizes=[3], task="classification")
    )


def with_gaps():
    return compiled(
        models.bilstm_attention(
            (5, 4), 3, (2,), missing="indicator", task="classification"
        )
    )


class NoTraining(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        raise AssertionError("training began")


@pytest.mark.parametrize("case", CASES)
def test_data_are_refused_before_training_begins(case, built):
    name, (x, y), words = CASES[case]
    with pytest.raises(ValueError, match=words):
        built[name].fit(x, y, verbose=0, callbacks=[NoTraining()])


@pytest.mark.parametrize("case", ARGUMENTS)
def test_other_arguments_are_refused_before_training_begins(case, built):
    arguments, words = ARGUMENTS[case]
    with pytest.raises(ValueError, match=words):
        built["classes"].fit(X, CODES, verbose=0, callbacks=[NoTraining()], **arguments)


SEARCHED = {name: case for name, case in CASES.items() if case[0] == "classes"}


@pytest.mark.first_quick
@pytest.mark.parametrize("case", ["NaN", "label too high", "three axes"])
def test_data_end_a_search_at_its_first_trial(case, tmp_path):
    _, (x, y), words = SEARCHED[case]
    hypermodel = hypermodels.HyperMLP((4,), 3, task="classification")
    tuner = tuners.RandomSearch(hypermodel, max_trials=5, seed=3, directory=tmp_path)
    with pytest.raises(ValueError, match=words):
        tuner.search(x, y, validation_data=(X, CODES), epochs=1, verbose=0)
    assert len(tuner.study.trials) == 1


def test_what_keras_learns_from_is_let_through():
    model = compiled(models.mlp((4,), 3, (5,), task="classification"))
    table = {"numeric": X, "categorical": np.zeros((12, 1), int), "other": X}
    fine = [
        (model, {"x": X, "y": CODES, "batch_size": 64}),  # one step of all rows
        (model, {"x": X, "y": 0 * CODES}),  # a class alone, such as a day's rows
        (model, {"x": X.astype("int64"), "y": CODES[:, None].astype("float64")}),
        (model, {"x": {"features": X}, "y": CODES}),
        (model, {"x": X, "y": CODES, "class_weight": {0: 0.0, 1: 2}}),
        (model, {"x": X, "y": CODES, "sample_weight": -ones_column()}),
        (model, {"x": iter([(X[0], "unread")])}),
        (with_table(), {"x": table, "y": CODES}),
        (with_gaps(), {"x": changed(S, (0, 0, 0), np.nan), "y": CODES}),
    ]
    for network, arguments in fine:
        check_fit_data(network, **arguments)


def test_targets_of_a_loss_of_ones_own_are_not_looked_at():
    model = models.mlp((4,), 3, (5,))
    model.compile("sgd", lambda y, outputs: keras.ops.mean(outputs, axis=-1))
    check_fit_data(model, x=X, y=changed(VALUES, (0, 0), np.nan))


def test_texts_are_let_through_to_an_input_of_texts():
    texts, numbers = keras.Input((1,), dtype="string"), keras.Input((4,))
    model = models.TaskModel([texts, numbers], keras.layers.Dense(1)(numbers))
    check_fit_data(model, x=[np.full((12, 1), "a"), X], y=VALUES)


def test_a_table_without_categories_is_trained_on():
    """Its encoder gives an array of no columns for them."""
    model = models.mlp((2,), 1, (3,), category_sizes=[])
    model.compile("sgd", "mse")
    x = {"numeric": np.ones((4, 2)), "categorical": np.ones((4, 0), "int32")}
    assert np.isfinite(model.fit(x, np.ones((4, 1)), verbose=0).history["loss"][0])


# Legitimate data that a reader found refused


def made_of(inputs, outputs, loss="mse"):
    model = models.TaskModel(inputs, outputs)
    model.compile("sgd", loss)
    return model


def accepted(model, x, y, **arguments):
    check_fit_data(model, x=x, y=y, **arguments)


def test_models_within_a_model_are_looked_through():
    class Own(keras.Model):
        def call(self, x):
            return x

    inputs = keras.Input((3,))
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    x, y = np.ones((4, 3)), np.ones((4, 1))
    accepted(made_of(inputs, inner(inputs)), x, y)
    with pytest.raises(ValueError, match="must be finite"):
        accepted(made_of(inputs, inner(inputs)), x * np.nan, y)
    accepted(made_of(inputs, keras.layers.Dense(1)(Own()(inputs))), x * np.nan, y)


def test_only_an_embedding_of_the_input_itself_bounds_its_ids():
    inputs = keras.Input((1,), dtype="int32")
    shifted = keras.layers.Embedding(5, 2)(inputs + 1)
    model = made_of(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(shifted)))
    accepted(model, np.array([[-1], [3]]), np.ones((2, 1)))


def test_an_entry_that_keras_does_not_pick_is_not_read():
    inputs = keras.Input((3,), name="f")
    model = made_of(inputs, keras.layers.Dense(1)(inputs))
    x = {"f": np.ones((4, 3)), "note": np.full(4, np.nan)}
    accepted(model, x, np.ones((4, 1)))


def test_nested_and_optional_inputs_pass():
    one, other = keras.Input((2,), name="a"), keras.Input((2,), name="q")
    joined = keras.layers.Dense(1)(keras.ops.add(one, other))
    x = np.ones((4, 2))
    nested = made_of({"p": {"a": one}, "q": other}, joined)
    accepted(nested, {"p": {"a": x}, "q": x}, np.ones((4, 1)))
    first = keras.Input((2,), name="a")
    second = keras.Input((2,), name="b", optional=True)
    optional = made_of({"a": first, "b": second}, keras.layers.Dense(1)(first))
    accepted(optional, {"a": x, "b": None}, np.ones((4, 1)))


def test_labels_that_never_count_may_be_anything():
    inputs = keras.Input((3,))
    output = keras.layers.Dense(1, "sigmoid")(inputs)
    model = made_of(inputs, output, "binary_crossentropy")
    y = np.array([[0.0], [1.0], [-1.0]])
    accepted(model, np.ones((3, 3)), y, sample_weight=np.array([1.0, 1.0, 0.0]))
    with pytest.raises(ValueError, match="be 0 for no and 1 for yes"):
        accepted(model, np.ones((3, 3)), y, sample_weight=np.ones(3))


def test_steps_that_are_masked_may_have_any_label():
    steps = keras.Input((4, 2))
    masked = keras.layers.Masking()(steps)
    output = keras.layers.Dense(1, "sigmoid")(masked)
    model = made_of(steps, output, "binary_crossentropy")
    accepted(model, np.zeros((3, 4, 2)), -np.ones((3, 4, 1)))


@pytest.mark.parametrize(
    "layer",
    [
        lambda: keras.layers.Activation(keras.ops.nan_to_num),
        lambda: keras.layers.Dense(2, activation=lambda x: keras.ops.nan_to_num(x)),
        lambda: keras.layers.Cropping1D(1),
        lambda: keras.layers.TimeDistributed(keras.layers.Lambda(lambda x: x)),
    ],
)
def test_a_function_of_ones_own_may_read_nan(layer):
    steps = keras.Input((4, 2))
    pooled = keras.layers.GlobalAveragePooling1D()(layer()(steps))
    model = made_of(steps, keras.layers.Dense(1)(pooled))
    accepted(model, np.full((3, 4, 2), np.nan), np.ones((3, 1)))


def test_an_output_without_a_loss_needs_no_targets_that_are_finite():
    inputs = keras.Input((3,))
    outputs = {name: keras.layers.Dense(1, name=name)(inputs) for name in "ab"}
    model = made_of(inputs, outputs, {"a": "mse", "b": None})
    y = {"a": np.ones((4, 1)), "b": np.full((4, 1), np.nan)}
    accepted(model, np.ones((4, 3)), y)


def test_data_that_only_look_like_arrays_are_left_to_keras():
    class Batches(keras.utils.PyDataset):
        shape, dtype = (9, 9), "float32"

        def __len__(self):
            return 1

    inputs = keras.Input((3,))
    model = made_of(inputs, keras.layers.Dense(1)(inputs))
    accepted(model, Batches(), None)
    sparse = pytest.importorskip("scipy.sparse")
    accepted(model, sparse.lil_matrix(np.eye(3)), np.ones((3, 1)))


def test_without_a_loss_inputs_alone_are_validated():
    inputs = keras.Input((3,))
    model = models.TaskModel(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd")
    accepted(model, np.ones((4, 3)), None, validation_data=(np.ones((4, 3)),))


def test_tensors_of_the_backend_are_read():
    inputs = keras.Input((3,))
    model = made_of(inputs, keras.layers.Dense(1)(inputs))
    x = keras.ops.ones((4, 3))
    accepted(model, x, keras.ops.ones((4, 1)))
    with pytest.raises(ValueError, match="must be finite"):
        accepted(model, x * np.nan, keras.ops.ones((4, 1)))


@pytest.mark.parametrize("name", ["y", "sample_weight"])
def test_labels_of_the_table_in_another_order_are_refused(name, built):
    table, back = pd.DataFrame(X), pd.Series(VALUES[:, 0])[::-1]
    given = {"x": table, "y": VALUES, name: back}
    words = f"^`{name}` belongs to the rows of `x` by position"
    with pytest.raises(ValueError, match=words):
        built["values"].fit(**given, verbose=0, callbacks=[NoTraining()])
    accepted(built["values"], table, VALUES, **{"sample_weight": back.abs().to_numpy()})
