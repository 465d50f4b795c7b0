"""A table of all kinds, and estimators that were fitted to it once."""

import numpy as np
import pandas as pd
import pytest

from keras_trainkit.estimators import TableClassifier, TableRegressor

SMALL = {"members": 2, "hidden_units": (16,), "epochs": 8, "random_state": 7}
SMALL |= {"batch_size": 32, "learning_rate": 0.03}  # few steps of a small network


def houses(rows=200):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "rooms": rng.normal(5, 1, rows),
            "age": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(30, 9, rows)),
            "town": rng.choice(["Ulm", "Bonn", None], rows),
            "sold": pd.to_datetime("2020-01-01")
            + pd.to_timedelta(rng.integers(900, size=rows), "D"),
        }
    )


def prices(frame):
    return 1e5 * frame["rooms"].to_numpy() + 1e5 * (frame["town"] == "Ulm").to_numpy()


@pytest.fixture(scope="session")
def frame():
    return houses()


@pytest.fixture(scope="session")
def price(frame):
    return prices(frame)


@pytest.fixture(scope="session")
def dear(price):
    return np.where(price > 5.5e5, "dear", "cheap")


@pytest.fixture(scope="session")
def classifier(frame, dear):
    """Two classes, which no test changes."""
    return TableClassifier(validation=0.25, **SMALL).fit(frame, dear)


@pytest.fixture(scope="session")
def regressor(frame, price):
    """One output, which no test changes."""
    return TableRegressor(validation=0.25, **SMALL).fit(frame, price)
