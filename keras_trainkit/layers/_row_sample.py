import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._statistics import rows_of
from keras_trainkit._tables.objects import is_missing


def row_sample(data, targets, limit, seed):
    """At most `limit` rows and their targets, drawn evenly, in the order they came.

    Each row gets a random key, and the smallest keys stay: the same rows however they
    are cut into batches, in the memory of `limit` rows and one batch.
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
    if not kept or len(kept[0]) < 10:
        raise ValueError(
            "`data` is what features are scored by and must have at least 10 rows. "
            f"Received: {len(kept[0]) if kept else 0}."
        )
    return kept[0], kept[1]


def _labelled(data, targets):
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


def _refuse_count(y, rows):
    raise ValueError(
        "`targets` are what features tell about and must hold one label or number for "
        f"each row. Received: {len(y)} targets for {rows}."
    )


def _pairs(data, targets):
    if targets is not None:
        return [(data, targets)]
    if hasattr(data, "__array__") or not hasattr(data, "__iter__"):
        raise ValueError(
            "`targets` are what features tell about and must be given, unless `data` "
            f"is an iterable of batches (x, y). Received: {type(data).__name__} alone."
        )
    return _two_of_each(data)


def _two_of_each(batches):
    for batch in batches:
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise ValueError(
                "`data` without `targets` must hold batches (x, y) or (x, y, "
                f"sample_weight). Received: a batch of type {type(batch).__name__}."
            )
        yield batch[0], batch[1]


def _check_present(y):
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
