"""Steps are told from what fills a row behind them."""

import numpy as np
import pytest

from keras_trainkit.estimators._padding import PADDING, padding_of, steps_of

pytestmark = pytest.mark.backend_free


def test_words_end_before_the_zeros():
    words = np.array([[7, 1, 0, 0], [0, 0, 0, 0], [5, 4, 3, 2]], "int32")
    assert padding_of(words) == 0
    assert steps_of(words).tolist() == [2, 1, 4]  # a text without a word has a step


def test_steps_end_where_every_channel_is_padding():
    steps = np.full((3, 3, 2), PADDING, "float32")
    steps[0, 0] = 0, np.nan
    steps[1, :2, 1] = 5  # of the other channel the number that padding is
    steps[2] = 1
    assert padding_of(steps) == PADDING
    assert steps_of(steps).tolist() == [1, 2, 3]
