"""The study of a search: opened, or made, and no other search goes on in it."""

import pathlib
from collections.abc import Callable
from typing import Any

import keras_tuner

from keras_trainkit._checks import check_flag, check_seed
from keras_trainkit.tuners._data_description import data_description
from keras_trainkit.tuners._database import masked_url, sqlite_url
from keras_trainkit.tuners._files import DATABASE, begin, check_folder, finish
from keras_trainkit.tuners._overwrite import delete_search
from keras_trainkit.tuners._processes import end_if_script_is_imported
from keras_trainkit.tuners._search import Search, Tuner
from keras_trainkit.tuners._search_study import SearchStudy
from keras_trainkit.tuners._training import prepare


def search_description(
    tuner: Tuner, objective: keras_tuner.Objective, seed: int | None, *, lists: bool
) -> dict[str, Any]:
    """Facts that a study keeps of the search, by which another one is refused.

    Args:
        tuner: `Tuner`, whose settings and class these are.
        objective: KerasTuner's objective.
        seed: Int, or None for that of whoever began the search.
        lists: Bool. Each range is a list of values.
    """
    check_seed("seed", seed)
    return {
        "objective": objective.name,
        "direction": objective.direction,
        "seed": None if seed is None else int(seed),
        "executions_per_trial": int(tuner.executions_per_trial),
        "folds": int(tuner.folds),
        "method": _method_of(type(tuner)),
        "lists": lists,
    }


def open_study(
    folder: pathlib.Path,
    storage: str | None,
    description: dict[str, Any],
    *,
    overwrite: bool,
) -> tuple[SearchStudy, int]:
    """Opens the study, or makes it; returns it with the seed of whoever began it.

    Args:
        folder: Folder of the search.
        storage: URL of a database that has other studies too. None: a file in the
            folder.
        description: See `search_description`.
        overwrite: Bool. The search that is there is deleted first.

    Raises:
        ValueError: The folder or the study is of another search.
    """
    check_flag("overwrite", overwrite, "deletes the search that is in the folder")
    name = folder.name
    url = storage or sqlite_url(folder / DATABASE)
    content = {"study": name, "storage": masked_url(url)}
    check_folder(folder)
    if overwrite:
        end_if_script_is_imported()
        delete_search(folder, content, url, is_shared=storage is not None)
    exists = begin(folder, content)
    study = SearchStudy(url, name, description["direction"], exists=exists)
    first_seed = study.agree_on_search(description)
    finish(folder, content)
    return study, first_seed


def agree_on_search(
    search: Search, explore: Callable[[], keras_tuner.HyperParameters]
) -> None:
    """Writes data and space to the study, or refuses others than it has.

    Args:
        search: `Search`.
        explore: Function that returns the space, called when the hypermodel is prepared
            for the data.
    """
    tuner, args, kwargs = search.tuner, search.args, search.kwargs
    fit_kwargs = tuner.fit_arguments(dict(kwargs))
    search.study.agree_on_data(*data_description(args, fit_kwargs))
    prepare(tuner.hypermodel, args, kwargs)
    space = explore()
    for definition in space.space:
        search.as_parameter(definition)  # refuses a range that cannot be drawn from
    search.study.agree_on_space(space)
    tuner.oracle.load_space()


def _method_of(cls: type) -> str:
    kit = (base for base in cls.__mro__ if base.__module__.startswith("keras_trainkit"))
    return next(kit).__name__
