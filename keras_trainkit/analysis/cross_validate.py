import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import take_rows
from keras_trainkit._checks import check_count, check_number
from keras_trainkit._row_labels import check_row_orders
from keras_trainkit._tensorflow.custom_gradients import release_graphs
from keras_trainkit.analysis._new_models import NewModels
from keras_trainkit.analysis._restoration import random_numbers_kept
from keras_trainkit.analysis._samples import (
    as_arrays,
    checked_fit_arguments,
    read_samples,
)
from keras_trainkit.analysis.cross_validation import CrossValidation
from keras_trainkit.data import Fold, split
from keras_trainkit.data import folds as folds_of
from keras_trainkit.data._row_times import times_of
from keras_trainkit.data._rows import row_count

_OF_FOLDS = ("x", "y", "validation_data", "validation_split", "sample_weight")
_BUILD = "`build` makes the model of a fold"
_LEARNED = "it would go on with what it has learned from rows that are held out"


def cross_validate(
    build: Callable[..., Any],
    x: Any,
    y: Any,
    folds: int = 5,
    *,
    prepare: Callable[[Any, Any], Callable[[Any], Any]] | None = None,
    validation: float | None = None,
    repeats: int = 1,
    stratify: Any = None,
    groups: Any = None,
    order: Any = None,
    gap: int = 0,
    sample_weight: Any = None,
    fit_arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> CrossValidation:
    """Trains a new model for each fold, and scores it on the rows it has not seen.

    Everything that learns from rows belongs into `prepare` or `build`, which see those
    of the training part alone: an encoder that was adapted to all rows beforehand has
    seen the answers of the test.

    | given      | the folds                                                          |
    | ---------- | ------------------------------------------------------------------ |
    | nothing    | random rows                                                        |
    | `stratify` | each has its share of each class                                   |
    | `groups`   | whole groups; with `stratify` as near to the shares as they let it |
    | `order`    | blocks of time; each model learns from all rows before its block   |

    Args:
        build: Function that returns a new compiled model, or a tuner. It is called with
            what `prepare` returned, or with nothing where that is None. Of a tuner the
            best model of a search on the training part is scored (nested
            cross-validation); each fold needs one with a directory of its own.
        x: Array, DataFrame, or dict, list or tuple of them, all with as many rows. A
            list of values is an array. Rows belong together by their position, whatever
            the index of a DataFrame says.
        y: Numbers `(rows, ...)`, as `fit` takes them.
        folds: Int >= 2.
        prepare: Function of `x` and `y` of the training rows that returns a function of
            any `x`: what the model takes. Such as one that adapts a
            `layers.TableEncoder` and returns it.
        validation: Float in (0, 1). Share of the training rows that is kept from
            training too and goes to `fit` or `search` as `validation_data`, for
            callbacks that choose by it. The rows that are scored never do. None: no
            such rows.
        repeats: Int >= 1. How often all folds are drawn anew.
        stratify: Class of each row, `(rows,)`, as in `data.folds`.
        groups: What must stay together, `(rows,)`, as in `data.folds`.
        order: Times of the rows, `(rows,)`, or "rows", as in `data.split`. Excludes
            `stratify`, `groups` and repeats.
        gap: Int >= 0. With `order`: rows left out between the parts.
        sample_weight: `(rows,)`. How much a row counts, in training and in the scores
            of `weighted_metrics`.
        fit_arguments: Further arguments of `fit` or `search`, by name. "callbacks" may
            be a function that returns new ones.
        seed: Int >= 0. Of the folds, and of Keras before each model, which has the
            next. Random numbers go on afterwards as if none had been drawn.

    Returns:
        `CrossValidation`: scores, mean, error, histories, a verdict and a picture.

    Raises:
        ValueError: An argument is out of range, lengths differ, a model is not
            compiled, two tuners share a directory.

    Example:

    ```python
    x, y = np.random.normal(size=(60, 3)), np.random.normal(size=(60, 1))

    def scaled(x, y):
        scaling = layers.StandardScaling()
        scaling.adapt(x)
        return scaling

    def build(scaling):
        model = models.mlp((3,), 1, (8,))
        model.compile("adam", "mse")
        return model

    found = analysis.cross_validate(
        build, x, y, 3, prepare=scaled, fit_arguments={"epochs": 2, "verbose": 0}
    )
    found.mean["loss"], found.standard_error["loss"]
    ```

    Source: Stone, 1974; nested: Varma and Simon, 2006, doi:10.1186/1471-2105-7-91.
    """
    _check_numbers(folds, repeats, seed, validation)
    seed = int(seed)
    why = ", whose rows come from the folds,"
    arguments = checked_fit_arguments(fit_arguments, _OF_FOLDS, why)
    _check_functions(build, prepare)
    x, y, sample_weight = read_samples(x, y, sample_weight)
    check_row_orders(x, "x", stratify=stratify, groups=groups, order=order)
    if order is not None and not isinstance(order, str):
        order = times_of(order, row_count(y))
    splits = _folds(
        x, y, sample_weight, folds, repeats, stratify, groups, order, gap, seed
    )
    seen = NewModels(_BUILD, _LEARNED)
    histories, scores, training_rows = [], [], []
    with random_numbers_kept():
        for number, (train, held_out) in enumerate(splits):
            keras.utils.set_random_seed(seed + number)
            learned, watched = _inner_split(
                train, validation, stratify, groups, order, gap, seed
            )
            inputs = _prepared(prepare, take_rows(x, learned), take_rows(y, learned))
            part = functools.partial(_part, x, y, sample_weight, inputs)
            model = build() if prepare is None else build(inputs)
            model, history = _trained(model, part, learned, watched, arguments, seen)
            training_rows.append(len(learned))
            histories.append(history)
            scores.append(_scores(model, part(held_out), arguments))
    names = scores[0]
    return CrossValidation(
        {name: np.array([found[name] for found in scores]) for name in names},
        histories,
        [held_out for _, held_out in splits],
        training_rows,
        folds,
    )


def _check_numbers(folds: Any, repeats: Any, seed: Any, validation: Any) -> None:
    check_count("folds", folds, "is the number of models", at_least=2)
    check_count("repeats", repeats, "is how often all folds are drawn anew")
    highest = 2**31 - 1 - folds * repeats
    check_count("seed", seed, "makes the folds repeatable", at_least=0, at_most=highest)
    if validation is not None:
        purpose = "is the share of the training rows that callbacks choose by"
        check_number("validation", validation, purpose, above=0, below=1)


def _check_functions(build: Any, prepare: Any) -> None:
    if isinstance(build, keras.Model) or not callable(build):
        raise ValueError(
            "`build` makes the model of a fold and must be a function that returns a "
            f"new one, not a model. Received: {build!r}."
        )
    if prepare is not None and not callable(prepare):
        raise ValueError(
            "`prepare` learns from the training rows and must be a function of `x` and "
            f"`y`, or None. Received: {prepare!r}."
        )


def _folds(
    x: Any,
    y: Any,
    sample_weight: Any,
    folds: int,
    repeats: int,
    stratify: Any,
    groups: Any,
    order: Any,
    gap: int,
    seed: int,
) -> list[Fold]:
    together = tuple(part for part in (x, y, sample_weight) if part is not None)
    if order is None:
        check_count("gap", gap, "is used with `order` alone", at_least=0, at_most=0)
        rules = {"stratify": stratify, "groups": groups}
        return [
            fold
            for repeat in range(repeats)
            for fold in folds_of(together, folds, **rules, seed=seed + repeat)
        ]
    check_count("repeats", repeats, "of folds in order are all alike and", at_most=1)
    return list(_folds_of_time(together, folds, stratify, groups, order, gap))[::-1]


def _folds_of_time(
    data: Any, folds: int, stratify: Any, groups: Any, order: Any, gap: int
) -> Iterator[Fold]:
    """From the last block to the first; each is a `(folds + 1)`-th of the rows."""
    rules = {"stratify": stratify, "groups": groups, "gap": gap, "validation": None}
    rows = row_count(data)
    size = max(1, rows // (folds + 1))
    times = np.arange(rows) if isinstance(order, str) else order
    different = len(np.unique(times))
    if different <= folds:
        raise ValueError(
            "`order` gives the times of the rows and must have more different ones "
            f"than there are folds. Received: {different} times for {folds} folds."
        )
    before = np.argsort(times, kind="stable")
    for _ in range(folds):
        parts = split(len(before), test=size, order=times[before], **rules)
        yield Fold(before[parts.train], before[parts.test])
        before = before[: len(before) - len(parts.test)]


def _inner_split(
    train: np.ndarray,
    validation: float | None,
    stratify: Any,
    groups: Any,
    order: Any,
    gap: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Rows to learn from, and rows that callbacks choose by."""
    if validation is None:
        return train, None
    rules = {"stratify": stratify, "groups": groups, "order": order}
    own = {
        name: value if isinstance(value, str) else take_rows(as_arrays(value), train)
        for name, value in rules.items()
    }
    parts = split(
        len(train), validation=validation, test=None, **own, gap=gap, seed=seed
    )
    return train[parts.train], train[parts.validation]


def _prepared(prepare: Any, x: Any, y: Any) -> Callable[[Any], Any]:
    if prepare is None:
        return lambda rows: rows
    found = prepare(x, y)
    if not callable(found):
        raise ValueError(
            "`prepare` learns from the training rows and must return a function of any "
            f"rows, such as an adapted layer. Received: {found!r}."
        )
    return found


def _part(
    x: Any, y: Any, sample_weight: Any, inputs: Callable[[Any], Any], rows: np.ndarray
) -> tuple:
    """Inputs of the model for these rows, their answers, and weights if there are."""
    some = (inputs(take_rows(x, rows)), take_rows(y, rows))
    if sample_weight is None:
        return some
    return (*some, take_rows(sample_weight, rows))


def _trained(
    model: Any,
    part: Callable[[np.ndarray], tuple],
    learned: np.ndarray,
    watched: np.ndarray | None,
    arguments: Mapping[str, Any],
    seen: NewModels,
) -> tuple[keras.Model, dict[str, list[float]]]:
    """The model, trained on the rows, and its history."""
    given = dict(arguments)
    if callable(given.get("callbacks")):
        given["callbacks"] = given["callbacks"]()
    x, y, *weights = part(learned)
    if weights:
        given["sample_weight"] = weights[0]
    if watched is not None:
        given["validation_data"] = part(watched)
    if hasattr(model, "search") and hasattr(model, "get_best_models"):
        seen.check_directory(model)
        model.search(x, y, **given)
        return model.get_best_models(1)[0], {}
    if not isinstance(model, keras.Model) or not model.compiled:
        raise ValueError(
            f"{_BUILD} and must return a compiled model or a tuner. "
            f"Received: {model!r}."
        )
    seen.check_model(model)
    release_graphs()
    history = model.fit(x, y, **given).history
    return model, {name: [float(v) for v in values] for name, values in history.items()}


def _scores(
    model: keras.Model, held_out: tuple, arguments: Mapping[str, Any]
) -> dict[str, float]:
    x, y, *weights = held_out
    found = model.evaluate(
        x,
        y,
        batch_size=arguments.get("batch_size"),
        sample_weight=weights[0] if weights else None,
        verbose=0,
        return_dict=True,
    )
    return {name: float(np.mean(value)) for name, value in found.items()}
