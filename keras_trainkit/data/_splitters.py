"""Splitters of rows into train, validation and test: by time, and at random."""

from typing import Any

import numpy as np

from keras_trainkit.data._row_times import times_of
from keras_trainkit.data._rows import codes_of, column_of, refuse_empty

MAX_ORDERS = 20  # of groups that are tried, unless one comes within a row

Sizes = tuple[int, int, int]  # rows of train, validation and test
Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def split_by_time(order: Any, sizes: Sizes, gap: int) -> Parts:
    """Row numbers of (train, validation, test), cut from the end of time.

    A cut moves to the nearest change of time, so that no time is in two parts.

    Args:
        order: Times of the rows, or "rows" if the rows are in order.
        gap: Int. Rows left out before validation and before test.
    """
    times = _times(order, sum(sizes))
    rows = _sorted(times)
    times = times[rows]
    changes = np.flatnonzero(times[1:] != times[:-1]) + 1  # first rows of a new time
    received = (
        f"{sizes} rows wanted with gap={gap}, order with {len(changes) + 1} different "
        "times"
    )
    parts, end = [], len(times)
    for size in reversed(sizes[1:]):
        start = _nearest_cut(changes, end, size, received)
        parts.append(rows[start:end])
        end = max(start - gap, 0) if size else end
    if not end:
        refuse_empty("train", received)
    test, validation = parts
    return rows[:end], validation, test


def _times(order: Any, rows: int) -> np.ndarray:
    purpose = "gives the times of the rows"
    if isinstance(order, str):
        if order != "rows":
            raise ValueError(
                f"`order` {purpose} and must be times `({rows},)`, one per row, or "
                f'"rows" if the rows are in order. Received: order={order!r}.'
            )
        return np.arange(rows)
    return times_of(order, rows)


def _sorted(times: np.ndarray) -> np.ndarray:
    try:
        return np.argsort(times, kind="stable")
    except TypeError as error:
        raise ValueError(
            "`order` gives the times of the rows, which must compare with each other. "
            f"Received: {error}."
        ) from error


def _nearest_cut(changes: np.ndarray, end: int, size: int, received: str) -> int:
    if not size:
        return end
    possible = changes[changes < end]
    if not len(possible):
        refuse_empty("train", received)
    return int(possible[np.argmin(np.abs(possible - (end - size)))])


def split_at_random(
    sizes: Sizes, stratify: Any, groups: Any, seed: int | None
) -> Parts:
    """Row numbers of (train, validation, test); the test part is drawn first.

    Args:
        stratify: Classes of the rows, or None.
        groups: Groups of rows that stay together, or None.
    """
    # Imported here, so that `import keras_trainkit` brings in no more than Keras.
    from sklearn.utils import check_random_state

    rows, num_parts = sum(sizes), sum(size > 0 for size in sizes)
    classes = None if stratify is None else _classes(stratify, sizes, num_parts)
    codes = None if groups is None else _groups(groups, rows, num_parts)
    random = check_random_state(seed)
    rest, test = _drawn(np.arange(rows), sizes[2], classes, codes, random)
    train, validation = _drawn(rest, sizes[1], classes, codes, random)
    parts = (train, validation, test)
    names = ("train", "validation", "test")
    for name, part, size in zip(names, parts, sizes, strict=True):
        if size and not len(part):
            refuse_empty(name, f"{size} rows wanted, but groups that are larger")
    return parts


def _classes(stratify: Any, sizes: Sizes, num_parts: int) -> np.ndarray:
    column = column_of("stratify", stratify, sum(sizes), "gives the classes")
    entries, codes = codes_of(column)
    members = np.bincount(codes)
    if members.min() < num_parts:
        rarest = int(members.argmin())
        raise ValueError(
            "`stratify` gives the classes, each of which must have a row for each of "
            f"the {num_parts} parts (merge rare classes; leave it None for "
            f"regression). Received: {members[rarest]} of class {entries[rarest]!r}."
        )
    smallest = min(size for size in sizes if size)
    if smallest < len(entries):
        raise ValueError(
            "`stratify` gives the classes, and no part may have fewer rows than there "
            f"are classes. Received: {len(entries)} classes, a part of {smallest} rows."
        )
    return codes


def _groups(groups: Any, rows: int, num_parts: int) -> np.ndarray:
    entries, codes = codes_of(column_of("groups", groups, rows, "keeps rows together"))
    if len(entries) < num_parts:
        raise ValueError(
            "`groups` keeps rows together and must have at least one group for each of "
            f"the {num_parts} parts. Received: {len(entries)} groups."
        )
    return codes


def _drawn(
    rest: np.ndarray,
    size: int,
    classes: np.ndarray | None,
    groups: np.ndarray | None,
    random: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws about `size` of the rows `rest`; returns those that stay, and the drawn."""
    if not size or not len(rest):
        return rest, rest[:0]
    classes = None if classes is None else classes[rest]
    if groups is not None:
        drawn = _whole_groups(size / len(rest), classes, groups[rest], random)
        return rest[~drawn], rest[drawn]
    from sklearn.model_selection import train_test_split

    if classes is not None and min(np.unique(classes, return_counts=True)[1]) < 2:
        raise ValueError(
            "`stratify` gives the classes, each of which must have enough rows for the "
            "sizes asked for (merge rare classes). Received: a class of which the test "
            "part leaves 1 row."
        )
    stays, drawn = train_test_split(
        rest, test_size=size, stratify=classes, random_state=random
    )
    return np.sort(stays), np.sort(drawn)


def _whole_groups(
    share: float,
    classes: np.ndarray | None,
    groups: np.ndarray,
    random: np.random.RandomState,
) -> np.ndarray:
    """Bools, one for each row: whole groups, nearest to this share of each class."""
    present, groups = np.unique(groups, return_inverse=True)
    classes = np.zeros_like(groups) if classes is None else classes
    count = int(classes.max()) + 1
    members = np.bincount(groups * count + classes, minlength=len(present) * count)
    members = members.reshape(len(present), count)
    wanted = share * members.sum(axis=0)
    best, nearest = np.zeros(len(present), bool), np.inf
    for _ in range(MAX_ORDERS):
        chosen, distance = _greedy(members, wanted, random.permutation(len(present)))
        if distance < nearest:
            best, nearest = chosen, distance
        if nearest < 1:
            break
    return best[groups]


def _greedy(
    members: np.ndarray, wanted: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, float]:
    """Takes each group, in this order, that brings the classes nearer to `wanted`.

    Args:
        members: `(groups, classes)`. Rows of each class in each group.
        wanted: `(classes,)`. Rows of each class.
        order: `(groups,)`. Numbers of the groups.
    """
    chosen = np.zeros(len(members), bool)
    lacking, distance = wanted, float(wanted @ wanted)
    for group in order:
        left = lacking - members[group]
        if left @ left < distance:
            chosen[group], lacking, distance = True, left, float(left @ left)
    return chosen, distance
