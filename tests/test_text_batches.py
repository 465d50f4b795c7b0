"""Texts in batches whose arrays of words stay small."""

import pytest

from keras_trainkit import _text_batches
from keras_trainkit._text_batches import text_batches

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        ([], []),
        ([3] * 5, [4, 1]),
        ([30, 1, 1], [1, 2]),
        ([1, 1, 30, 1], [2, 1, 1]),
        ([9, 9, 9], [2, 1]),
        ([0] * 4, [4]),
    ],
)
def test_a_batch_is_small_or_one_text(lengths, sizes, monkeypatch):
    monkeypatch.setattr(_text_batches, "MOST_TEXTS", 4)
    monkeypatch.setattr(_text_batches, "MOST_CHARACTERS", 20)
    texts = [f"{number:x}" * length for number, length in enumerate(lengths)]
    batches = list(text_batches(texts))
    assert [len(batch) for batch in batches] == sizes
    assert sum(batches, []) == texts
