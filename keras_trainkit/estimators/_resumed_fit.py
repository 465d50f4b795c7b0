"""The folder of a fit that goes on after a kill."""

import contextlib
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from keras_trainkit._train_state.owner import Owner
from keras_trainkit.estimators._saved_folder import saved
from keras_trainkit.estimators._search_folder import (
    FORMAT,
    RECIPE,
    RESUMED,
    begin,
    described_arguments,
    described_data,
    seed_in,
)


def seed_begun_with(folder: pathlib.Path | None, random_state: Any) -> int | None:
    """The seed of the fit in the folder, where `random_state` does not give it."""
    if isinstance(random_state, int | np.integer):
        return None
    return seed_in(folder, RESUMED)


@contextlib.contextmanager
def own_folder(
    folder: pathlib.Path | None, estimator: Any, seed: int, data: Any
) -> Iterator[None]:
    """Within it the folder is this process' own, and known to be of this fit.

    Args:
        data: `Data`.

    Raises:
        ValueError: It is of another fit, or another process is at it.
    """
    if folder is None:
        yield
        return
    description = {
        "format": FORMAT,
        "estimator": type(estimator).__name__,
        "seed": seed,
        **described_data(data),
        "arguments": described_arguments(estimator.get_params(deep=False)),
    }
    begin(folder, description, RESUMED)
    owner = Owner(folder, "resume")
    try:
        with owner.refreshed():
            yield
    finally:
        owner.release()


def check_same_recipe(
    folder: pathlib.Path | None, seed: int, recipe: Mapping[str, Mapping[str, Any]]
) -> None:
    """Refuses to go on by another recipe, as that of another version may be."""
    if folder is not None:
        values = {name: saved(choice["value"]) for name, choice in recipe.items()}
        begin(folder, {"format": FORMAT, "seed": seed, "the recipe's": values}, RECIPE)
