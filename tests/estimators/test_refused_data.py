"""Data that no estimator can learn from: what the user reads, before training."""

import keras
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from keras_trainkit import estimators
from keras_trainkit.estimators._arguments import check_arguments

RNG = np.random.default_rng(0)
X = RNG.normal(size=(30, 3))
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
CODES = np.arange(30) % 2
VALUES = X[:, 0]
X_AS_DICT = dict(FRAME)
STEPS = RNG.normal(size=(30, 5, 2))
TEXTS = [f"word{row % 7} other{row % 3}" for row in range(30)]


def changed(array, place, value):
    array = np.array(array, "float64")
    array[place] = value
    return array


OF_Y = "^`y` is what is learned to be predicted and must "
OF_S = "^`X` holds the sequences, one per row, and must "
OF_T = "^`X` holds the texts, one per row, and m"
OF_W = "^`sample_weight` says how much .* must be 30 finite numbers of at least 0.*"
ENTRY = OF_Y + "have an entry for each of the 30 rows of `X`, a value or a row.*"
TABLE = {  # the words of scikit-learn where its own checks ask for them
    "one axis": (VALUES, CODES, {}, r"two axes.*Received: X of shape \(30,\)"),
    "three axes": (STEPS, CODES, {}, r"two axes.*Received: X of shape \(30, 5, 2\)"),
    "no rows": (X[:0], CODES[:0], {}, r"0 sample\(s\)"),
    "no columns": (X[:, :0], CODES, {}, r"0 feature\(s\)"),
    "infinity": (changed(X, (2, 1), np.inf), CODES, {}, "'x1' is scaled.*an infinite"),
    "complex": (X + 1j, CODES, {}, "Complex data not supported"),
    "columns of one name": (
        FRAME.set_axis(["a", "a", "c"], axis=1),
        CODES,
        {},
        r"columns of different names. Received: columns \['a', 'a', 'c'\]",
    ),
    "lists in cells": (
        FRAME.assign(d=[[1, 2]] * 30),
        CODES,
        {},
        "must hold real numbers, booleans, texts or datetimes.*list in 'd'",
    ),
    "no target": (X, None, {}, OF_Y + "be given"),
    "fewer targets": (X, CODES[:20], {}, ENTRY + r"\(20,\)"),
    "one class": (X, CODES * 0, {}, OF_Y + "have two classes or more.*one class, 0"),
    "NaN in the target": (
        X,
        changed(CODES, 3, np.nan),
        {},
        OF_Y + "miss none .leave these rows out.*1 missing",
    ),
    "None in the target": (
        X,
        np.array(["a", "b", None] * 10, object),
        {},
        OF_Y + "miss none.*10 missing",
    ),
    "a class for each row": (
        X,
        np.arange(30),
        {},
        OF_Y + "have two rows of each class.*one row each of",
    ),
    "numbers as classes": (X, VALUES, {}, OF_Y + "be classes.*continuous numbers"),
    "lists as targets": (X, [[1, 2], [3]] * 15, {}, OF_Y + "be classes.*of list"),
    "two targets": (X, np.stack([CODES] * 2, 1), {}, OF_Y + r"be a class for each row"),
    "weights, length": (X, CODES, {"sample_weight": np.ones(5)}, OF_W + r"\(5,\)"),
    "weights below 0": (X, CODES, {"sample_weight": -np.ones(30)}, OF_W + "lowest -1"),
    "weights, NaN": (
        X,
        CODES,
        {"sample_weight": changed(np.ones(30), 2, np.nan)},
        OF_W + "1 NaN or infinite",
    ),
    "weights, zero": (X, CODES, {"sample_weight": np.zeros(30)}, OF_W + "all zero"),
    "groups, length": (
        X,
        CODES,
        {"groups": np.zeros(5)},
        r"^`groups` keeps rows together.*an entry for each of the 30.*\(5,\)",
    ),
    "groups, lists": (
        X,
        CODES,
        {"groups": [[1], [2, 3]] * 15},
        r"^`groups` keeps rows together.*an entry for each of the 30.*a row of \[1\]",
    ),
    "one group": (X, CODES, {"groups": np.zeros(30)}, "number of groups that.* 1 such"),
}
ARGUMENTS = {
    "preset": ({"preset": "slow"}, "one of 'default', 'fast'"),
    "batch size": ({"batch_size": 0}, "number of rows per step .* at least 1"),
    "folds": ({"folds": 40}, "^`folds` is .* at most the number of rows.* 30 such"),
    "one fold": ({"folds": 1}, "^`folds` is the number of networks.*at least 2"),
    "class weight": (
        {"class_weight": {9: 1}},
        r"^`class_weight` says .* name classes of \[0, 1\]. Received: \[9\]",
    ),
    "class weight, word": ({"class_weight": "even"}, 'None, "balanced" or a dict'),
    "folds and validation": (
        {"folds": 2, "validation": 0.2},
        "^`folds` is .* must be None beside `validation`",
    ),
}
NUMBERS = {
    "texts": (X, np.array(["a"] * 30), OF_Y + "be finite numbers.*such as 'a'"),
    "NaN": (X, changed(VALUES, 1, np.nan), OF_Y + "miss none.*1 missing"),
    "infinity": (X, changed(VALUES, 1, np.inf), OF_Y + "be finite numbers.*infinite"),
    "three axes": (X, STEPS, ENTRY + r"\(30, 5, 2\)"),
}
SEQUENCES = {
    "no steps": (STEPS[:, :0], CODES, OF_S + r"have a step.*X\[0\] of shape \(0, 2\)"),
    "a row of no steps": (
        [STEPS[0], STEPS[1][:0], *STEPS[2:]],
        CODES,
        OF_S + r"have a step and a channel in each. Received: X\[1\]",
    ),
    "infinity": (
        changed(STEPS, (1, 2, 0), np.inf),
        CODES,
        OF_S + "hold finite numbers, NaN where one is missing. Received: 1 infinite",
    ),
    "other channels": (
        [STEPS[0], STEPS[1][:, :1]] * 15,
        CODES,
        OF_S + r"have the same channels in each. Received: \[1, 2\] channels",
    ),
    "texts": (TEXTS, CODES, OF_S + "hold numbers.*'word0 other0'"),
    "fewer targets": (STEPS, CODES[:9], ENTRY + r"\(9,\)"),
    "one class": (STEPS, CODES * 0, OF_Y + "have two classes or more"),
}
WORDS = {
    "numbers": (X, CODES, OF_T + r"ust be a list.*of texts. Received: X of shape"),
    "one text": ("a text", CODES, OF_T + "ust be a list.*Received: X='a text'"),
    "missing": ([None, *TEXTS[1:]], CODES, OF_T + "ay miss none.*the first in row 0"),
    "fewer targets": (TEXTS, CODES[:3], ENTRY + r"\(3,\)"),
    "one class": (TEXTS, CODES * 0, OF_Y + "have two classes or more"),
    "no words": ([""] * 30, CODES, OF_T + "ust have a word.*texts without one"),
    "no texts": ([], [], OF_T + "ust hold at least one"),
    "bytes": ([b"a"] * 30, CODES, OF_T + "ust hold texts alone. Received: bytes"),
}


def refuses(kind, arguments, x, y, words, given=None):
    estimator = kind(epochs=1, **arguments)
    with pytest.raises(ValueError, match=words):
        estimator.fit(x, y, **(given or {}))
    assert not hasattr(estimator, "model_")  # nothing was trained


@pytest.mark.parametrize("wrong", [{"learning_rate": 1e300}, {"weight_decay": 1e39}])
def test_what_float32_does_not_hold_is_refused_by_its_name(wrong):
    (name,) = wrong
    words = rf"^`{name}` .*at most 3.4e\+38. Received: {name}=1e"
    for kind in (estimators.TableClassifier, estimators.SequenceRegressor):
        with pytest.raises(ValueError, match=words):
            kind(**wrong).fit(X if kind is estimators.TableClassifier else STEPS, CODES)


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
@pytest.mark.filterwarnings("ignore:CooldownOnPlateau has no best weights:UserWarning")
def test_a_loss_that_is_nan_is_told_of_a_table_without_texts():
    wild = keras.optimizers.SGD(1e30)
    given = {"epochs": 2, "validation": 5, "members": 1, "hidden_units": (2,)}
    regressor = estimators.TableRegressor(**given, optimizer=wild, random_state=0)
    with (
        pytest.warns(UserWarning, match="NaN"),
        pytest.raises(ValueError, match="^`learning_rate` .*finite .*`weight_decay`"),
    ):
        regressor.fit(X, VALUES)


@pytest.mark.parametrize("row", [2, 29])  # trained on, validated
@pytest.mark.parametrize("value", [np.inf, -np.inf, 10**400])
def test_infinity_is_refused_in_every_row_of_a_table(row, value):
    x = {"a": X[:, 0], "b": X[:, 1].tolist()}
    x["b"][row] = value
    validation = [1, 28, 29]
    for kind in (estimators.TableClassifier, estimators.TableRegressor):
        with pytest.raises(ValueError, match="'b' is scaled.*an infinite number"):
            kind(epochs=1, validation=validation).fit(x, CODES)


def test_rows_of_weight_0_may_be_infinite():
    given = {"epochs": 1, "validation": 5, "members": 1, "hidden_units": (2,)}
    weights = np.where(np.arange(30) == 4, 0.0, 1.0)
    estimator = estimators.TableRegressor(**given, random_state=0)
    estimator.fit(changed(X, (4, 1), np.inf), VALUES, sample_weight=weights)
    assert np.isfinite(estimator.predict(X)).all()


@pytest.mark.parametrize("case", TABLE)
def test_a_table_is_refused(case):
    x, y, given, words = TABLE[case]
    refuses(estimators.TableClassifier, {"folds": 2}, x, y, words, given)


def test_times_as_texts_that_sort_otherwise_are_refused():
    times = [str(row) for row in range(30)]
    words = r"^`order` gives the times.*`.astype\(float\)` reads them.*'19' and '2'"
    refuses(estimators.TableClassifier, {}, X, CODES, words, {"order": times})


def test_sparse_rows_are_refused():
    with pytest.raises(TypeError, match="dense data is required"):
        estimators.TableClassifier(epochs=1).fit(csr_matrix(X), CODES)


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_that_do_not_go_with_the_rows_are_refused(case):
    arguments, words = ARGUMENTS[case]
    refuses(estimators.TableClassifier, arguments, X, CODES, words)


@pytest.mark.parametrize("verbose", ["x", 3, -1, None, 1.0, [1]])
@pytest.mark.parametrize(
    ("kind", "x", "y"),
    [
        ("TableClassifier", X, CODES),
        ("TableRegressor", X, VALUES),
        ("SequenceClassifier", STEPS, CODES),
        ("SequenceRegressor", STEPS, VALUES),
        ("TextClassifier", TEXTS, CODES),
    ],
)
def test_what_keras_does_not_take_as_verbose_is_refused(kind, x, y, verbose):
    words = "^`verbose` is what .* must be one of 'auto', 0, 1, 2, True, False"
    refuses(getattr(estimators, kind), {"verbose": verbose}, x, y, words)


@pytest.mark.parametrize("case", NUMBERS)
def test_targets_that_are_no_numbers_are_refused(case):
    x, y, words = NUMBERS[case]
    refuses(estimators.TableRegressor, {}, x, y, words)
    x = np.repeat(x[:, None], 5, axis=1)
    refuses(estimators.SequenceRegressor, {}, x, y, words)


@pytest.mark.parametrize("case", SEQUENCES)
def test_sequences_are_refused(case):
    x, y, words = SEQUENCES[case]
    refuses(estimators.SequenceClassifier, {}, x, y, words)


@pytest.mark.parametrize("case", WORDS)
def test_texts_are_refused(case):
    x, y, words = WORDS[case]
    refuses(estimators.TextClassifier, {}, x, y, words)


PARTS = {
    "optimizer": ({"optimizer": "adamm"}, "`optimizer` changes .* optimizer='adamm'"),
    "class of optimizers": ({"optimizer": keras.optimizers.SGD}, "`optimizer` changes"),
    "list of optimizers": ({"optimizer": ["adam"]}, "`optimizer` changes"),
    "class of losses": ({"loss": keras.losses.Huber}, "`loss` is what training"),
    "class of metrics": ({"metrics": [keras.metrics.AUC]}, "`metrics` are shown"),
    "empty list of losses": ({"loss": []}, r"`loss` is what training .*loss=\[\]"),
    "loss": ({"loss": "msee"}, "`loss` is what training lowers .*loss='msee'"),
    "metric": ({"metrics": ["accuracy", "f2"]}, "`metrics` are shown .*'f2'"),
    "metric without a way": (
        {"metrics": [keras.metrics.binary_accuracy]},
        "the first chooses the best epoch.*knows which way it gets better",
    ),
    "callback": ({"keras_callbacks": [3]}, r"list of callbacks of Keras. .*=\[3\]"),
    "generator": (
        {"random_state": np.random.default_rng(3)},
        "`random_state` makes the training repeatable .*Received: .*=Generator",
    ),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts_that_are_none_of_keras_are_refused(case):
    given, words = PARTS[case]
    refuses(estimators.SequenceClassifier, given, STEPS, CODES, words)


@pytest.mark.parametrize("first", ["acc", "accuracy", "AUC", keras.metrics.AUC()])
def test_metrics_that_know_their_way_may_choose(first):
    given = {"metrics": [first, keras.metrics.binary_accuracy]}
    check_arguments(estimators.TextClassifier(**given).get_params(deep=False))


def test_groups_are_refused_beside_an_order():
    words = "^`order` alone decides .* `groups` must be None beside it"
    given = {"groups": np.arange(30) // 5, "order": "rows"}
    refuses(estimators.SequenceRegressor, {}, STEPS, VALUES, words, given)


# Rows whose labels are in another order


BACK = pd.Series(np.arange(30) // 5, index=np.arange(30)[::-1])
CLASSES_BACK = pd.Series(CODES, index=BACK.index)


@pytest.mark.parametrize("name", ["sample_weight", "groups", "order"])
def test_labels_of_the_table_in_another_order_are_refused(name):
    words = rf"^`{name}` belongs to the rows of `X` by position.*{name}\.loc\[X\.index"
    refuses(estimators.TableClassifier, {}, FRAME, CODES, words, {name: BACK})


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        (estimators.SequenceClassifier, pd.Series(list(STEPS))),
        (estimators.TextClassifier, pd.Series(TEXTS)),
    ],
)
def test_labels_of_other_rows_in_another_order_are_refused(kind, rows):
    words = "^`groups` belongs to the rows of `X` by position"
    refuses(kind, {}, rows, CODES, words, {"groups": BACK})


def test_columns_of_a_dict_with_their_labels_in_another_order_are_refused():
    words = "^`X` is the table.*one order in all columns.*'a'.*another order in 'b'"
    x = {"a": FRAME["a"], "b": pd.Series(VALUES, index=BACK.index)}
    refuses(estimators.TableClassifier, {}, x, CODES, words)
    words = r"^`y` belongs to the rows of `X` .*`y\.loc\[X\['a'\]\.index\]`"
    x = {"c": X[:, 2], "a": FRAME["a"]}
    refuses(estimators.TableClassifier, {}, x, CLASSES_BACK, words)


@pytest.fixture(scope="module")
def classifier():
    arguments = {"epochs": 1, "validation": 0.3, "members": 1, "hidden_units": (2,)}
    return estimators.TableClassifier(**arguments, random_state=0).fit(FRAME, CODES)


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_infinity_counts_as_missing_in_what_is_predicted_and_is_told(
    classifier, method
):
    column = FRAME["a"].astype("float64")
    infinite, missing = column.copy(), column.copy()
    infinite.iloc[[3, 5]], missing.iloc[[3, 5]] = np.inf, np.nan
    predict = getattr(classifier, method)
    expected = predict(FRAME.assign(a=missing))
    with pytest.warns(UserWarning, match="missing: 2 in 'a'") as caught:
        predicted = predict(FRAME.assign(a=infinite))
    assert np.array_equal(predicted, expected)
    told = [w.filename for w in caught if "Infinite" in str(w.message)]
    assert told == [__file__]


def test_score_refuses_rows_in_another_order(classifier):
    with pytest.raises(ValueError, match="^`y` belongs to the rows of `X` by position"):
        classifier.score(FRAME, CLASSES_BACK)
    with pytest.raises(ValueError, match="^`sample_weight` belongs to the rows of `X`"):
        classifier.score(FRAME, CODES, sample_weight=BACK)
    x = {"a": FRAME["a"], "b": pd.Series(VALUES, BACK.index), "c": FRAME["c"]}
    with pytest.raises(ValueError, match="one order in all columns"):
        classifier.predict(x)


@pytest.mark.parametrize(
    "y",
    [
        ["a", "b"] * 15,
        CODES * 0.5,
        np.eye(2, dtype=int)[CODES],
        ["a", 1] * 15,
    ],
)
def test_score_refuses_answers_that_equal_no_class(classifier, y):
    words = "^`y` is what is true .*class for each, of the type of `classes_`"
    with pytest.raises(ValueError, match=words):
        classifier.score(FRAME, y)


def test_a_class_that_was_not_trained_on_is_a_wrong_answer(classifier):
    assert classifier.score(FRAME, np.full(30, 7)) == 0
    right = classifier.score(FRAME, CODES)
    assert classifier.score(FRAME, CODES == 1) == right
    assert classifier.score(FRAME, CODES[:, None] * 1.0) == right


def test_numbers_are_compared_with_as_many_that_are_finite(tmp_path):
    given = {"epochs": 1, "validation": 0.3, "members": 1, "hidden_units": (2,)}
    regressor = estimators.TableRegressor(**given, random_state=0).fit(X, X[:, :2])
    for y, words in (
        (VALUES, r"must be 2 numbers for each. Received: y of shape \(30,\)"),
        (np.full((30, 2), "a"), "must be finite numbers"),
        (np.full((30, 2), np.inf), "must be finite numbers.*infinite ones"),
    ):
        with pytest.raises(ValueError, match=f"^`y` .*{words}"):
            regressor.score(X, y)
    for y in (np.full((30, 2), "a"), [[1, 2]] * 29 + [[1]]):
        with pytest.raises(ValueError, match="^`y` are the answers of the rows and"):
            regressor.report(tmp_path / "report.html", X, y)


def test_score_refuses_missing_answers_and_weights(classifier):
    y = np.ma.array(CODES, mask=np.arange(30) < 4)
    with pytest.raises(ValueError, match=OF_Y + "miss none.*Received: 4 missing"):
        classifier.score(FRAME, y)
    weights = np.ma.array(np.ones(30), mask=np.arange(30) < 4)
    with pytest.raises(ValueError, match=OF_W + "4 NaN or infinite"):
        classifier.score(FRAME, CODES, weights)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (CODES.astype(str), r"type of `classes_`, \[0, 1\]. .*\(30,\), such as.*'0'"),
        (np.eye(2)[CODES], r"a class for each.*Received: y of shape \(30, 2\)"),
        ([0, "a"] * 15, "a class for each.*such as 0"),
    ],
)
def test_score_refuses_answers_of_another_type(classifier, y, words):
    with pytest.raises(ValueError, match=f"^`y` is what is true of the rows.*{words}"):
        classifier.score(FRAME, y)


def test_a_class_that_was_not_learned_is_a_wrong_answer(classifier):
    y = classifier.predict(FRAME)
    y[:3] = 7
    assert classifier.score(FRAME, y) == pytest.approx(0.9)
    assert classifier.score(FRAME, y[:, None]) == pytest.approx(0.9)


def test_score_is_the_weighted_share_of_rows_that_are_right(classifier):
    right = classifier.predict(FRAME) == CODES
    weights = 1 + np.arange(30)
    labelled = pd.Series(CODES, index=FRAME.index)
    expected = (right * weights).sum() / weights.sum()
    assert classifier.score(FRAME, labelled, weights) == pytest.approx(expected)
    assert classifier.score(X_AS_DICT, CODES.tolist()) == pytest.approx(right.mean())


@pytest.mark.parametrize("name", ["sample_weight", "groups", "order"])
def test_masked_entries_are_refused_before_training(name):
    values = np.ma.array(np.arange(30.0), mask=np.arange(30) < 4)
    words = f"^`{name}` .*Received: 4 "
    refuses(estimators.TableClassifier, {}, X, CODES, words, {name: values})


def test_masks_of_rows_in_lists_are_missing_values():
    """A column whose values are all masked has none, and so has a channel."""
    rows = [np.ma.array([7.0], mask=[True])] * 30
    words = "^`X` is the table.*Received: missing values alone"
    refuses(estimators.TableClassifier, {}, rows, CODES, words)
    sequences = [[np.ma.array([7.0, 1.0], mask=[True, False])] * 3] * 30
    words = r"missing values alone in channel \[0\]"
    refuses(estimators.SequenceClassifier, {}, sequences, CODES, words)
