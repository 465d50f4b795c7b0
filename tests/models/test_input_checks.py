"""Tables that nobody has encoded, given to a model that is trained."""

import numpy as np
import pandas as pd
import pytest

from keras_trainkit import layers, models

FRAME = pd.DataFrame({"age": [20.0, 30.0, 40.0, np.nan], "town": ["a", "b", "a", "b"]})
NUMBERS = FRAME[["age"]].assign(height=[1, 2, 3, 4])


@pytest.fixture(scope="module")
def encoder():
    found = layers.TableEncoder()
    found.adapt(FRAME)
    return found


@pytest.fixture(scope="module")
def of_table(encoder):
    sizes = encoder.category_sizes
    shape = encoder.numeric_shape
    return models.mlp(shape, 1, (3,), category_sizes=sizes, task="binary")


@pytest.fixture(scope="module")
def of_numbers():
    return models.mlp((2,), 1, (3,), task="binary")


@pytest.mark.parametrize("x", [FRAME, NUMBERS, dict(FRAME), {"age": FRAME["age"]}])
def test_a_table_that_is_not_encoded_is_refused(of_table, x):
    words = "^`x` holds the inputs of mlp and must be a dict with the entries 'numeric'"
    for predict in (models.predict_labels, models.predict_proba):
        with pytest.raises(ValueError, match=words):
            predict(of_table, x, verbose=0)
    with pytest.raises(ValueError, match=words):
        of_table.predict_on_batch(x)


@pytest.mark.parametrize("x", [FRAME, FRAME.to_numpy(), FRAME.to_numpy().astype(str)])
def test_texts_are_refused(of_numbers, x):
    of_numbers.compile("adam", models.loss_for(of_numbers))
    words = "^`x` holds the inputs of mlp and must be numbers"
    with pytest.raises(ValueError, match=words):
        of_numbers.predict(x, verbose=0)
    with pytest.raises(ValueError, match=words):
        of_numbers.evaluate(x, np.zeros((4, 1)), verbose=0)


def test_what_is_encoded_passes(of_table, of_numbers, encoder):
    assert models.predict_proba(of_table, encoder(FRAME), verbose=0).shape == (4, 2)
    table = NUMBERS.assign(age=[1, 2, 3, 4])
    found = of_numbers.predict(table, verbose=0)
    as_array = of_numbers.predict(table.to_numpy("float32"), verbose=0)
    np.testing.assert_allclose(found, as_array, rtol=1e-5)
    gap = of_numbers.predict(NUMBERS, verbose=0)  # of a NaN nothing is said
    assert gap.shape == (4, 1)
