"""What is not read of a long row is told, once, to who called `fit`."""

import re
import warnings

import numpy as np
import pytest

from keras_trainkit.estimators import SequenceClassifier, TextClassifier
from keras_trainkit.models import TaskModel

SMALL = {"units": (2,), "epochs": 1, "batch_size": 16, "validation": 0.25}


def long_sequences():
    rows = [np.linspace(0, n % 2 + 1, 4 + n)[:, None] for n in range(12)]
    rows[3] = np.linspace(0, 1, 2_500)[:, None]
    rows[8] = np.linspace(0, 1, 2_100)[:, None]
    return rows


def long_texts():
    rows = ["good one" if n % 2 else "bad one" for n in range(12)]
    rows[3], rows[8] = "good " * 300, "bad " * 251
    return rows


CASES = pytest.mark.parametrize(
    ("kind", "rows", "words"),
    [
        (SequenceClassifier, long_sequences(), "more than [0-9,]+ steps.*2,500"),
        (TextClassifier, long_texts(), "more than 250 words, the longest 300"),
    ],
    ids=["sequences", "texts"],
)
Y = ["b", "a"] * 6


class Reached(Exception):
    """The network would be trained now."""


@pytest.fixture
def untrained(monkeypatch):
    def fit(*args, **kwargs):
        raise Reached

    monkeypatch.setattr(TaskModel, "fit", fit)


@CASES
def test_what_the_recipe_leaves_unread_is_told(kind, rows, words):
    estimator = kind(**SMALL, random_state=0)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        estimator.fit(rows, Y)
    (told,) = [one for one in found if one.category is UserWarning]
    assert told.filename == __file__
    assert re.match(f"2 of 12 .*{words}.*end is read", str(told.message))


@CASES
@pytest.mark.usefixtures("untrained")
def test_the_end_that_the_user_keeps_is_told(kind, rows, words):
    estimator = kind(**SMALL, keep="start", random_state=0)
    with warnings.catch_warnings(record=True) as found, pytest.raises(Reached):
        warnings.simplefilter("always")
        estimator.fit(rows, Y)
    (told,) = [one for one in found if one.category is UserWarning]
    assert re.match(f"2 of 12 .*{words}.*start is read", str(told.message))


@CASES
@pytest.mark.usefixtures("untrained")
def test_what_the_user_leaves_unread_is_not(kind, rows, words):
    estimator = kind(**SMALL, max_length=3, random_state=0)
    with warnings.catch_warnings(), pytest.raises(Reached):
        warnings.simplefilter("error", UserWarning)
        estimator.fit(rows, Y)
