"""Mutual information of features and targets, estimated on a sample of rows."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._statistics import rows_of
from keras_trainkit._tables.numbers import number_array
from keras_trainkit._tables.objects import is_missing

NEIGHBOURS = 3
MIN_ROWS = 10  # for an estimate


def mutual_information(
    x: np.ndarray,
    y: np.ndarray,
    is_regression: bool,
    discrete: np.ndarray,
    seed: int | None,
) -> np.ndarray:
    """Score of each feature in nats; NaN in `x` counts as a value of its own.

    With m for "x is missing": I(x; y) = I(m; y) + P(not m) I(x; y | not m).

    Args:
        x: float64, `(rows, features)`.
        y: Targets `(rows,)`.
        discrete: Bools `(features,)`, True if values are codes.
    """
    y = _checked_target(y, is_regression)
    estimate = _estimator(is_regression, seed)
    is_nan = np.isnan(x)
    complete = np.flatnonzero(~is_nan.any(axis=0) & (x.min(axis=0) < x.max(axis=0)))
    scores = np.zeros(x.shape[1])
    if len(complete):
        scores[complete] = estimate(x[:, complete], y, discrete[complete])
    for feature in np.flatnonzero(is_nan.any(axis=0) & ~is_nan.all(axis=0)):
        missing = is_nan[:, feature]
        flag = missing[:, None].astype("float64")
        scores[feature] = estimate(flag, y, np.array([True]))[0]
        present, target = x[~missing, feature], y[~missing]
        if len(present) >= MIN_ROWS and _varies(present) and _varies(target):
            (score,) = estimate(present[:, None], target, discrete[[feature]])
            scores[feature] += (~missing).mean() * score
    return scores


def _checked_target(y: np.ndarray, is_regression: bool) -> np.ndarray:
    """Numbers as float64, or the codes of labels."""
    wanted = "`targets` of a regression are what features tell about and must be real"
    if is_regression:
        y = number_array(y, f"{wanted} numbers.")
    if is_regression and y.dtype.kind not in "biuf":
        raise ValueError(f"{wanted} numbers. Received: dtype={y.dtype}.")
    if is_regression and not np.isfinite(y).all():
        raise ValueError(f"{wanted} numbers below 1.8e308. Received: larger ones.")
    values, codes = _different(y)
    if len(values) < 2:
        raise ValueError(
            "`targets` are what features tell about and must not all be the same. "
            f"Received: {values[0]!r} in every row."
        )
    if is_regression:
        return y.astype("float64")
    if 2 * len(values) > len(y):
        raise ValueError(
            "`targets` of a classification are labels, of which most must come twice "
            f"(task='regression' takes numbers). Received: {len(values)} different "
            f"labels in {len(y)} rows."
        )
    return codes


def _different(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    try:
        return np.unique(y, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            "`targets` of a classification are labels and must be of one type, texts "
            f"or numbers. Received: {error}."
        ) from error


def _estimator(is_regression: bool, seed: int | None) -> Callable[..., np.ndarray]:
    """Function of `(x, y, discrete)`, `x` without NaN, to the scores."""
    # Imported here, so that `import keras_trainkit` brings in no more than Keras.
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    estimate = mutual_info_regression if is_regression else mutual_info_classif

    def scores(x: np.ndarray, y: np.ndarray, discrete: np.ndarray) -> np.ndarray:
        # scikit-learn 1.9 adds noise in proportion to the values, not to their spread,
        # and warns about codes that are not whole numbers.
        x = x - x.mean(axis=0)
        for feature in np.flatnonzero(discrete):
            x[:, feature] = np.unique(x[:, feature], return_inverse=True)[1]
        return estimate(
            x,
            y,
            discrete_features=discrete,
            n_neighbors=NEIGHBOURS,
            random_state=seed,
        )

    return scores


def _varies(values: np.ndarray) -> bool:
    return bool(values.min() < values.max())


def row_sample(
    data: Any, targets: Any, limit: int, seed: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Draws at most `limit` rows and their targets at random, in the order they came.

    Each row gets a random key, and those with the smallest keys stay: the same rows
    however they are cut into batches, in the memory of `limit` rows and one batch.
    """
    random = np.random.default_rng(seed)
    kept: tuple = ()
    for rows, labels in _labelled(data, targets):
        new: tuple = (rows, labels, random.random(len(rows)))
        if kept and rows.shape[1] != kept[0].shape[1]:
            raise ValueError(
                "`data` is what features are scored by and must have as many in each "
                f"batch. Received: {kept[0].shape[1]}, then {rows.shape[1]} features."
            )
        if kept:
            new = tuple(np.concatenate(pair) for pair in zip(kept, new, strict=True))
        kept = new
        if len(kept[2]) > limit:
            smallest = np.sort(np.argpartition(kept[2], limit)[:limit])
            kept = tuple(column[smallest] for column in kept)
    if not kept or len(kept[0]) < MIN_ROWS:
        raise ValueError(
            "`data` is what features are scored by and must have at least "
            f"{MIN_ROWS} rows. Received: {len(kept[0]) if kept else 0}."
        )
    return kept[0], kept[1]


def _labelled(data: Any, targets: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields portions of rows with their targets."""
    for x, y in _pairs(data, targets):
        y, start = as_numpy(y).reshape(-1), 0
        _check_present(y)
        for rows in rows_of(x):
            end = start + len(rows)
            if end > len(y):
                _refuse_count(y, f"{end} rows or more")
            yield rows, y[start:end]
            start = end
        if start < len(y):
            _refuse_count(y, f"{start} rows")


def _refuse_count(y: np.ndarray, rows: str) -> NoReturn:
    raise ValueError(
        "`targets` are what features tell about and must hold one label or number for "
        f"each row. Received: {len(y)} targets for {rows}."
    )


def _pairs(data: Any, targets: Any) -> Iterable[tuple[Any, Any]]:
    if targets is not None:
        return [(data, targets)]
    if hasattr(data, "__array__") or not hasattr(data, "__iter__"):
        raise ValueError(
            "`targets` are what features tell about and must be given, unless `data` "
            f"is an iterable of batches (x, y). Received: {type(data).__name__} alone."
        )
    return _pairs_of_batches(data)


def _pairs_of_batches(batches: Iterable) -> Iterator[tuple[Any, Any]]:
    for batch in batches:
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise ValueError(
                "`data` without `targets` must hold batches (x, y) or (x, y, "
                f"sample_weight). Received: a batch of type {type(batch).__name__}."
            )
        yield batch[0], batch[1]


def _check_present(y: np.ndarray) -> None:
    if y.dtype.kind == "f":
        missing = int((~np.isfinite(y)).sum())
    else:
        entries = y if y.dtype.kind == "O" else ()
        missing = sum(map(is_missing, entries))
    if missing:
        raise ValueError(
            "`targets` are what features tell about and must be finite and present "
            f"(drop these rows first). Received: {missing} that are not."
        )
