"""Cross-validation: the arguments of `search` cut into folds, and Wilcoxon's test."""

import math
import numbers
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import optuna
from keras_tuner.errors import FatalValueError
from optuna.trial import FrozenTrial
from sklearn import model_selection

from keras_trainkit._arrays import take_rows

_GIVEN_BY_FOLDS = ("validation_data", "validation_split")
# One-sided, the smallest p of three folds is 1/8: a trial that is worse than the best
# in each of its first three folds is given up.
_P_THRESHOLD = 0.15


def folded(
    args: tuple[Any, ...], kwargs: dict[str, Any], folds: int, seed: int
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """For each fold its `(args, kwargs)` with `x`, `y` and `validation_data`."""
    check_folds(args, kwargs, folds)
    x, y, weights, rest, others = _arrays(args, kwargs)
    labels = y if not isinstance(y, dict | list | tuple) else None
    for train, validation in _fold_rows(row_count(x), folds, seed, labels):
        parts = [x, y] if weights is None else [x, y, weights]
        held_out = tuple(take_rows(part, validation) for part in parts)
        fold = {**others, "validation_data": held_out}
        if weights is not None:
            fold["sample_weight"] = take_rows(weights, train)
        yield (take_rows(x, train), take_rows(y, train), *rest), fold


def check_folds(args: tuple[Any, ...], kwargs: dict[str, Any], folds: int) -> None:
    """Refuses what cannot be cut into folds, or not into so many."""
    rows = row_count(_arrays(args, kwargs)[0])
    if folds > rows:
        raise FatalValueError(
            "`folds` is the number of parts that the rows are cut into, with a row in "
            f"each, and must be at most their number. Received: folds={folds}, "
            f"{rows} rows."
        )


def _fold_rows(
    rows: int, folds: int, seed: int, labels: Any = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """`folds` pairs of row numbers, training and validation, the same for a seed.

    Classes keep their shares in every fold if each class has a row for every fold.
    """
    classes = _classes(labels, folds)
    if classes is None:
        splitter = model_selection.KFold(folds, shuffle=True, random_state=seed)
        return list(splitter.split(np.zeros(rows)))
    stratified = model_selection.StratifiedKFold(folds, shuffle=True, random_state=seed)
    return list(stratified.split(np.zeros(rows), classes))


def _classes(labels: Any, folds: int) -> np.ndarray | None:
    """`labels` where folds can keep the shares of their classes, else None."""
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "biuSU":
        return None
    _, counts = np.unique(labels, return_counts=True)
    return labels if len(counts) > 1 and counts.min() >= folds else None


def data_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
    """`(x, y)` among the arguments, or None where there is no `x`."""
    found = [*args[:2], *(kwargs[name] for name in ("x", "y") if name in kwargs)]
    return (found[0], found[1] if len(found) > 1 else None) if found else None


def training_rows(x: Any, y: Any, kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """`x` and `y` without the last rows, which Keras' `validation_split` holds out."""
    share: Any = kwargs.get("validation_split")
    is_share = isinstance(share, numbers.Real) and 0 < float(share) < 1
    if not is_share or kwargs.get("validation_data") is not None:
        return x, y
    if not all(hasattr(part, "shape") for part in _parts_of(x)):
        return x, y  # Keras has its words for what it does not cut
    rows = math.floor(_parts_of(x)[0].shape[0] * (1 - float(share)))
    return _first_rows(x, rows), _first_rows(y, rows)


def _first_rows(data: Any, rows: int) -> Any:
    if data is None:
        return None
    if isinstance(data, dict):
        return {name: _first_rows(part, rows) for name, part in data.items()}
    if isinstance(data, list | tuple) and any(hasattr(part, "shape") for part in data):
        return type(data)(_first_rows(part, rows) for part in data)
    if hasattr(data, "iloc"):
        return data.iloc[:rows]
    if hasattr(data, "tocsr"):
        return data.tocsr()[:rows]
    return data.slice(0, rows) if hasattr(data, "num_columns") else data[:rows]


def row_count(data: Any) -> int:
    """Number of rows of the arrays."""
    return len(_parts_of(data)[0])


def _parts_of(data: Any) -> list[Any]:
    if isinstance(data, dict):
        return list(data.values())
    return list(data) if isinstance(data, list | tuple) else [data]


def wilcoxon_test(
    study: optuna.Study,
    folds: int,
    show: Callable[[int, float], None],
    shown: Callable[[], FrozenTrial],
) -> Callable[[int, float], bool]:
    """Function of a fold and its score; False says that the trial is to be stopped.

    Optuna's pruner compares a trial with the best one, fold by fold.

    Args:
        study: Optuna's study.
        folds: Int. Number of folds.
        show: Function of a fold and its score that writes it.
        shown: Function that returns the trial with what was shown.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.WilcoxonPruner(p_threshold=_P_THRESHOLD)

    def may_continue(fold: int, score: float) -> bool:
        show(fold, score)
        return fold == folds - 1 or not pruner.prune(study, shown())

    return may_continue


def _arrays(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, Any, Any, tuple[Any, ...], dict[str, Any]]:
    """`x`, `y`, `sample_weight`, and the other arguments."""
    kwargs = dict(kwargs)
    for name in _GIVEN_BY_FOLDS:
        if kwargs.get(name) is not None:
            raise FatalValueError(
                f"`folds` takes the validation rows from the training rows, so "
                f"`{name}` must be left out. Received: {name}."
            )
    rest = list(args)
    x = rest.pop(0) if rest else kwargs.pop("x", None)
    y = rest.pop(0) if rest else kwargs.pop("y", None)
    weights = kwargs.pop("sample_weight", None)
    if x is None or y is None:
        raise FatalValueError(
            "`folds` cuts arrays into folds, so `search` must get `x` and `y` as "
            "arrays, or dicts or lists of them. Received: "
            f"x of type {type(x).__name__}, y of type {type(y).__name__}."
        )
    return x, y, weights, tuple(rest), kwargs
