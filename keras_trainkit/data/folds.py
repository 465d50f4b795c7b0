from typing import Any, NamedTuple

import numpy as np

from keras_trainkit._checks import check_count, check_seed
from keras_trainkit._row_labels import check_row_orders
from keras_trainkit.data._rows import codes_of, column_of, row_count


class Fold(NamedTuple):
    """Row numbers of two parts that are all rows together.

    Attributes:
        train: `(rows,)` ints, ascending.
        validation: The same.
    """

    train: np.ndarray
    validation: np.ndarray


def folds(
    data: Any,
    count: int = 5,
    *,
    stratify: Any = None,
    groups: Any = None,
    seed: int | None = 0,
) -> list[Fold]:
    """Rows for a cross-validation: each row is in the validation part of one fold.

    Args:
        data: What is split, as in `data.split`.
        count: Int >= 2. Folds, at most one for each row or group.
        stratify: Class of each row, `(rows,)`, `(rows, 1)` or one-hot. Each fold has
            its share of each class, up to one row, or with groups as near as they
            let it. None for regression.
        groups: What must stay together, `(rows,)`, as in `data.split`.
        seed: Int >= 0, or None for other folds at every call.

    Returns:
        List of `Fold(train, validation)`.

    Raises:
        ValueError: More folds than rows or groups, lengths that differ, missing labels.

    Example:

    ```python
    x, y = np.arange(10.0), np.array([0, 1] * 5)
    for train, validation in folds(x, 5, stratify=y):
        ...  # a model for x[train], y[train]
    ```

    Source: stratified folds as of Kohavi, 1995; unlike scikit-learn's `StratifiedKFold`
    a class may have fewer rows than there are folds.
    """
    rows = row_count(data)
    check_row_orders(data, "data", stratify=stratify, groups=groups)
    check_seed("seed", seed)
    classes, of_groups = np.zeros(rows, int), None
    if stratify is not None:
        column = column_of("stratify", stratify, rows, "gives the classes")
        classes = codes_of(column)[1]
    if groups is not None:
        column = column_of("groups", groups, rows, "keeps rows together")
        of_groups = codes_of(column)[1]
    most = rows if of_groups is None else int(of_groups.max()) + 1
    check_count("count", count, "is the number of folds", at_least=2, at_most=most)
    random = np.random.default_rng(seed)
    if of_groups is None:
        fold_of = _spread(classes, count, random)
    else:
        fold_of = _spread_groups(classes, of_groups, count, random)
    return [
        Fold(np.flatnonzero(fold_of != number), np.flatnonzero(fold_of == number))
        for number in range(count)
    ]


def _spread(classes: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """The fold of each row: one after the other, class by class, in random order."""
    order = random.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    found = np.empty(len(classes), int)
    found[order] = np.arange(len(classes)) % count
    return found


def _spread_groups(
    classes: np.ndarray, groups: np.ndarray, count: int, random: np.random.Generator
) -> np.ndarray:
    """The fold of each row. Large groups go first, each where it is needed most.

    That is where the shares of its classes are smallest, and of these where fewest rows
    are; so a fold without a group gets one before another gets its second.
    """
    shape = (groups.max() + 1, classes.max() + 1)
    members = np.zeros(shape)
    np.add.at(members, (groups, classes), 1)
    shares = members / members.sum(axis=0)
    order = random.permutation(len(members))
    order = order[np.argsort(-members.sum(axis=1)[order], kind="stable")]
    filled, rows = np.zeros((count, shape[1])), np.zeros(count)
    fold_of_group = np.empty(len(members), int)
    for group in order:
        overlap = filled @ shares[group]
        fold = np.lexsort((rows, overlap.round(12)))[0]
        fold_of_group[group] = fold
        filled[fold] += shares[group]
        rows[fold] += members[group].sum()
    return fold_of_group[groups]
