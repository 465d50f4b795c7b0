"""Texts of any container are read alike, and become numbers of words."""

import keras
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from keras_trainkit.estimators._texts import padded_words, read_texts, word_numbers

TEXTS = ["so good", "", "né 好"]


def of_polars():
    return pytest.importorskip("polars").Series(TEXTS)


def of_polars_categories():
    polars = pytest.importorskip("polars")
    return polars.Series(TEXTS, dtype=polars.Categorical)


@pytest.mark.backend_free
@pytest.mark.parametrize(
    "data",
    [
        lambda: TEXTS,
        lambda: [[text] for text in TEXTS],
        lambda: np.array(TEXTS),
        lambda: np.array(TEXTS, object)[:, None],
        lambda: np.array(TEXTS, np.dtypes.StringDType()),
        lambda: pd.Series(TEXTS, index=[7, 7, 3]),
        lambda: pd.Series(TEXTS, dtype="category"),
        lambda: pd.DataFrame({"text": TEXTS}),
        of_polars,
        of_polars_categories,
        lambda: pd.array(TEXTS, "string"),
        lambda: pd.Index(TEXTS),
        lambda: pd.Categorical(TEXTS),
        lambda: pa.array(TEXTS),
        lambda: pa.array(TEXTS, pa.string_view()),
        lambda: pa.array(TEXTS).dictionary_encode(),
        lambda: pa.chunked_array([TEXTS[:1], TEXTS[1:]]),
        lambda: pa.table({"text": TEXTS}),
        lambda: pa.record_batch({"text": TEXTS}),
    ],
)
def test_texts_of_any_container_are_read(data):
    found = read_texts(data())
    assert found.rows == 3 and found.values.tolist() == TEXTS
    assert {type(text) for text in found.values} == {str}


@pytest.mark.backend_free
@pytest.mark.parametrize(
    ("data", "words"),
    [
        (["a", None, "b", None], "may miss none .*2 missing, the first in row 1"),
        ([np.nan], "may miss none .*1 missing"),
        (pd.Series(["a", pd.NA]), "may miss none .*1 missing"),
        (pa.array(["a", None]), "may miss none .*1 missing, the first in row 1"),
        (pa.array(["a", None]).dictionary_encode(), "may miss none .*1 missing"),
        (np.ma.array(["a", "b"], mask=[False, True]), "may miss none .*1 missing"),
        (pa.array([1, 2]), "must hold texts alone. Received: int values, such as 1"),
        ([1, 2], "must hold texts alone. Received: int values, such as 1"),
        (np.zeros((3, 1)), "must hold texts alone. Received: float values"),
        ([b"a"], "must hold texts alone. Received: bytes values"),
        ([np.zeros((4, 2))], "must hold texts alone. Received: ndarray values"),
        (np.zeros((3, 2)), r"a column of texts. Received: X of shape \(3, 2\)"),
        (["a", "\ud800"], "characters of Unicode alone.*in row 1"),
        (["a\0b"], "characters of Unicode alone, no NUL. Received: .* in row 0"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), r"Received: columns \['a', 'b'\]"),
        ("so good", "a column of texts. Received: X='so good'"),
        (None, "a column of texts. Received: X=None"),
        ({"a": ["x"]}, "a column of texts. Received: X={'a'"),
        ([], "must hold at least one. Received: n_samples=0"),
    ],
)
def test_what_are_no_texts_is_refused(data, words):
    with pytest.raises(ValueError, match=f"^`X` holds the texts, .*{words}"):
        read_texts(data)


@pytest.mark.backend_free
def test_a_column_that_has_not_read_its_rows_is_refused():
    polars = pytest.importorskip("polars")
    with pytest.raises(ValueError, match="`X` .*collect.*Received: LazyFrame"):
        read_texts(polars.DataFrame({"text": TEXTS}).lazy())


def test_words_become_numbers_and_the_end_of_a_long_text_stays():
    vectorization = keras.layers.TextVectorization(vocabulary=["good", "so"])
    texts = read_texts(["So good!", "", "so bad, so good"]).values
    ends, lengths = word_numbers(vectorization, texts, 3, "end")
    assert lengths.tolist() == [2, 0, 4]
    assert [row.tolist() for row in ends] == [[3, 2], [], [1, 3, 2]]
    starts = word_numbers(vectorization, texts, 3, "start").numbers
    assert starts[2].tolist() == [3, 1, 3]
    assert padded_words(ends).tolist() == [[3, 2, 0], [0, 0, 0], [1, 3, 2]]
    assert padded_words(ends[1:2]).tolist() == [[0]]


def test_a_long_text_widens_no_other():
    sizes = []

    def vectorization(batch):
        longest = max(len(text.split()) for text in batch)
        sizes.append(len(batch) * longest)
        rows = [[5] * len(text.split()) for text in batch]
        return np.array([row + [0] * (longest - len(row)) for row in rows])

    texts = np.array(["so good"] * 1500 + ["a " * 1_200_000, "bad"], object)
    found = word_numbers(vectorization, texts, 3, "end")
    assert found.lengths.tolist() == [2] * 1500 + [1_200_000, 1]
    assert [len(words) for words in found.numbers] == [2] * 1500 + [3, 1]
    assert max(sizes) == 1_200_000
