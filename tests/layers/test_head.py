import keras
import numpy as np
import pandas as pd
import pytest
from comparing import assert_close

from keras_trainkit.layers import Head


def test_computes_what_dense_computes_from_weights_of_the_same_names():
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    head = Head(3, "regression", activation="tanh", name="outputs")
    dense = keras.layers.Dense(3, activation="tanh", name="outputs")
    head.build((None, 4))
    dense.build((None, 4))
    dense.set_weights(head.get_weights())
    assert [w.path for w in head.weights] == [w.path for w in dense.weights]
    assert_close(head(x), dense(x))


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (("ham", "spam"), ["ham", "spam"]),
        (np.array(["ham", "spam"]), ["ham", "spam"]),
        (pd.Index(["ham", "spam"]), ["ham", "spam"]),
        (np.array([7, 5]), [7, 5]),
        ([np.int64(7), 5], [7, 5]),
        ([False, True], [False, True]),
        (pd.Series([0.5, 2.0]), [0.5, 2.0]),
    ],
)
def test_classes_are_kept_in_plain_values_as_the_user_had_them(given, kept):
    classes = Head(2, "classification", given).classes
    assert list(classes) == kept
    assert [type(name) for name in classes] == [type(name) for name in kept]


@pytest.mark.parametrize(
    ("task", "units", "count"),
    [("classification", 3, 3), ("binary", 1, 2), ("binary", 3, 3)],
)
def test_one_name_for_each_class(task, units, count):
    names = [f"class {number}" for number in range(4)]
    Head(units, task, names[:count])
    for wrong in (names[: count - 1], names[: count + 1]):
        with pytest.raises(ValueError, match=f"must be {count} of them.*Received"):
            Head(units, task, wrong)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("ab", "must be a list, tuple or array"),
        ({"a": 0, "b": 1}, "must be a list, tuple or array"),
        (7, "must be a list, tuple or array"),
        (["a", "a"], "must be different ones"),
        (["a", 1], "strings, integers, True and False, or finite numbers, all alike"),
        ([0, True], "all alike"),
        ([0, 1.5], "all alike"),
        ([None, "a"], "all alike"),
        ([float("nan"), 1.0], "all alike"),
        ([2**63, 0], "all alike"),
        ([10**400, 0], "all alike"),
        (["a", "\ud800"], "all alike"),
        ([["a"], ["b"]], "all alike"),
        (np.array([["a", "b"]]), "all alike"),
        ([b"a", b"b"], "all alike"),
        ([], "all alike"),
        ([pd.NA, "a"], "all alike"),
        (np.array(["2020", "2021"], "M8[ns]"), "all alike"),
        (list(np.array([1, 2], "m8[ns]")), "all alike"),
    ],
)
def test_refuses_classes_that_name_nothing(classes, words):
    with pytest.raises(ValueError, match=f"`classes` names what.*{words}.*Received"):
        Head(2, "classification", classes)


def test_values_have_no_classes():
    with pytest.raises(ValueError, match="None where the task has no classes.*regres"):
        Head(2, "regression", ["a", "b"])


@pytest.mark.parametrize("task", [None, "Binary", "multiclass", 3])
def test_refuses_an_unknown_task(task):
    with pytest.raises(ValueError, match="`task` says what the outputs stand for"):
        Head(2, task)


@pytest.mark.parametrize("units", [0, 1, 2.0, True, "3", None])
def test_refuses_units_that_are_no_number_of_classes(units):
    with pytest.raises(ValueError, match="`units` is the number of .*Received"):
        Head(units, "classification")


@pytest.mark.parametrize(
    ("task", "activation"),
    [("classification", "sigmoid"), ("binary", "softmax"), ("binary", "relu")],
)
def test_refuses_an_activation_that_gives_neither_logits_nor_probabilities(
    task, activation
):
    with pytest.raises(ValueError, match=f"`activation` .*'{activation}'.*'{task}'"):
        Head(3, task, activation=activation)
