"""Rows for cross-validation."""

from typing import Any

import numpy as np
from sklearn import model_selection


def fold_rows(
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
