"""Cross-validation: the arguments of `search` cut into folds, and Wilcoxon's test."""

import warnings

import optuna

from keras_trainkit._arrays import as_numpy
from keras_trainkit._folds import fold_rows

_GIVEN_BY_FOLDS = ("validation_data", "validation_split")


def folded(args, kwargs, folds, seed):
    """For each fold its `(args, kwargs)` with `x`, `y` and `validation_data`."""
    x, y, weights, rest, others = _arrays(args, kwargs)
    labels = y if not isinstance(y, dict | list | tuple) else None
    for train, validation in fold_rows(row_count(x), folds, seed, labels):
        parts = [x, y] if weights is None else [x, y, weights]
        held_out = tuple(rows(part, validation) for part in parts)
        fold = {**others, "validation_data": held_out}
        if weights is not None:
            fold["sample_weight"] = rows(weights, train)
        yield (rows(x, train), rows(y, train), *rest), fold


def without_folds(args, kwargs):
    """`(x, y)`, or None where the arguments do not tell."""
    found = [*args[:2], *(kwargs[name] for name in ("x", "y") if name in kwargs)]
    return (found[0], found[1] if len(found) > 1 else None) if found else None


def _arrays(args, kwargs):
    kwargs = dict(kwargs)
    for name in _GIVEN_BY_FOLDS:
        if kwargs.get(name) is not None:
            raise ValueError(
                f"`folds` takes the validation rows from the training rows, so "
                f"`{name}` must be left out. Received: {name}."
            )
    args = list(args)
    x = args.pop(0) if args else kwargs.pop("x", None)
    y = args.pop(0) if args else kwargs.pop("y", None)
    weights = kwargs.pop("sample_weight", None)
    if x is None or y is None:
        raise ValueError(
            "`folds` cuts arrays into folds, so `search` must get `x` and `y` as "
            "arrays, or dicts or lists of them. Received: "
            f"x of type {type(x).__name__}, y of type {type(y).__name__}."
        )
    return x, y, weights, args, kwargs


def _parts(data):
    if isinstance(data, dict):
        return list(data.values())
    return list(data) if isinstance(data, list | tuple) else [data]


def row_count(data):
    """How many rows the arrays have."""
    return len(_parts(data)[0])


def rows(data, numbers):
    """These rows of an array, or of every array in a dict, list or tuple."""
    if data is None:
        return None
    if isinstance(data, dict):
        return {name: rows(part, numbers) for name, part in data.items()}
    if isinstance(data, list | tuple):
        return type(data)(rows(part, numbers) for part in data)
    if hasattr(data, "iloc"):
        return data.iloc[numbers]
    return as_numpy(data)[numbers]


# One-sided, the smallest p of three folds is 1/8: a trial that is worse than the best
# in each of its first three folds is given up.
_THRESHOLD = 0.15


def make_pruner():
    """Optuna's pruner for paired values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.pruners.WilcoxonPruner(p_threshold=_THRESHOLD)


def reporter(trial: optuna.Trial, folds: int):
    """Function of a fold and its value that says whether to go on."""
    trial.study.pruner = make_pruner()

    def goes_on(fold, value):
        trial.report(value, fold)
        return fold == folds - 1 or not trial.should_prune()

    return goes_on
