"""The seed of a training, from scikit-learn's `random_state`."""

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from sklearn.utils import check_random_state

from keras_trainkit._checks import check_seed

MOST_SEED = 2**31 - 1_000  # each fold has the next


def new_seed(random_state: Any) -> int:
    """An int as it is; else one that is drawn, from NumPy's generator for None."""
    if isinstance(random_state, int | np.integer):
        check_seed("random_state", random_state)
        return int(random_state)
    try:
        generator = check_random_state(random_state)
    except ValueError as error:
        raise ValueError(
            "`random_state` makes the training repeatable and must be an integer of at "
            "least 0, a `numpy.random.RandomState` or None. "
            f"Received: random_state={random_state!r}."
        ) from error
    return int(generator.randint(MOST_SEED))


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Keras seeded; afterwards Python and NumPy go on as if nothing had been drawn."""
    python, numpy = random.getstate(), np.random.get_state()
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
