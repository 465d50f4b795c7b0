"""Cross-validation: the arguments of `search` cut into folds, and Wilcoxon's test."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import optuna
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
    x, y, weights, rest, others = _arrays(args, kwargs)
    labels = y if not isinstance(y, dict | list | tuple) else None
    for train, validation in _fold_rows(row_count(x), folds, seed, labels):
        parts = [x, y] if weights is None else [x, y, weights]
        held_out = tuple(take_rows(part, validation) for part in parts)
        fold = {**others, "validation_data": held_out}
        if weights is not None:
            fold["sample_weight"] = take_rows(weights, train)
        yield (take_rows(x, train), take_rows(y, train), *rest), fold


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


def row_count(data: Any) -> int:
    """Number of rows of the arrays."""
    parts = data
    if isinstance(data, dict):
        parts = list(data.values())
    elif not isinstance(data, list | tuple):
        parts = [data]
    return len(parts[0])


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
            raise ValueError(
                f"`folds` takes the validation rows from the training rows, so "
                f"`{name}` must be left out. Received: {name}."
            )
    rest = list(args)
    x = rest.pop(0) if rest else kwargs.pop("x", None)
    y = rest.pop(0) if rest else kwargs.pop("y", None)
    weights = kwargs.pop("sample_weight", None)
    if x is None or y is None:
        raise ValueError(
            "`folds` cuts arrays into folds, so `search` must get `x` and `y` as "
            "arrays, or dicts or lists of them. Received: "
            f"x of type {type(x).__name__}, y of type {type(y).__name__}."
        )
    return x, y, weights, tuple(rest), kwargs
