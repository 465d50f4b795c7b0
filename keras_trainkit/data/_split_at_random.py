import numpy as np

from keras_trainkit.data._rows import codes_of, column_of, refuse_empty

ORDERS_TRIED = 20  # of the groups, unless one comes within a row


def split_at_random(sizes, stratify, groups, seed):
    """Row numbers of (train, validation, test); the test part is drawn first."""
    # Imported here, so that `import keras_trainkit` brings in no more than Keras.
    from sklearn.utils import check_random_state

    rows, needed = sum(sizes), sum(size > 0 for size in sizes)
    labels = None if stratify is None else _labels(stratify, sizes, needed)
    groups = None if groups is None else _groups(groups, rows, needed)
    random = check_random_state(seed)
    rest, test = _drawn(np.arange(rows), sizes[2], labels, groups, random)
    rest, validation = _drawn(rest, sizes[1], labels, groups, random)
    parts = (rest, validation, test)
    for name, part, size in zip(
        ("train", "validation", "test"), parts, sizes, strict=True
    ):
        if size and not len(part):
            refuse_empty(name, f"{size} rows wanted, but groups that are larger")
    return parts


def _labels(stratify, sizes, needed):
    column = column_of("stratify", stratify, sum(sizes), "gives the classes")
    entries, codes = codes_of(column)
    members = np.bincount(codes)
    if members.min() < needed:
        rarest = int(members.argmin())
        raise ValueError(
            "`stratify` gives the classes, each of which must have a row for each of "
            f"the {needed} parts (merge rare classes; leave it None for regression). "
            f"Received: {members[rarest]} of class {entries[rarest]!r}."
        )
    smallest = min(size for size in sizes if size)
    if smallest < len(entries):
        raise ValueError(
            "`stratify` gives the classes, and no part may have fewer rows than there "
            f"are classes. Received: {len(entries)} classes, a part of {smallest} rows."
        )
    return codes


def _groups(groups, rows, needed):
    entries, codes = codes_of(column_of("groups", groups, rows, "keeps rows together"))
    if len(entries) < needed:
        raise ValueError(
            "`groups` keeps rows together and must have at least one group for each of "
            f"the {needed} parts. Received: {len(entries)} groups."
        )
    return codes


def _drawn(rest, size, labels, groups, random):
    """Divides `rest` into what stays and about `size` rows that are taken."""
    if not size or not len(rest):
        return rest, rest[:0]
    labels = None if labels is None else labels[rest]
    if groups is not None:
        taken = _whole_groups(size / len(rest), labels, groups[rest], random)
        return rest[~taken], rest[taken]
    from sklearn.model_selection import train_test_split

    if labels is not None and min(np.unique(labels, return_counts=True)[1]) < 2:
        raise ValueError(
            "`stratify` gives the classes, each of which must have enough rows for the "
            "sizes asked for (merge rare classes). Received: a class of which the test "
            "part leaves 1 row."
        )
    stays, taken = train_test_split(
        rest, test_size=size, stratify=labels, random_state=random
    )
    return np.sort(stays), np.sort(taken)


def _whole_groups(share, labels, groups, random):
    """Which rows to take so that whole groups come nearest to a share of each class."""
    present, groups = np.unique(groups, return_inverse=True)
    labels = np.zeros_like(groups) if labels is None else labels
    classes = labels.max() + 1
    members = np.bincount(groups * classes + labels, minlength=len(present) * classes)
    members = members.reshape(len(present), classes)
    wanted = share * members.sum(axis=0)
    best, nearest = np.zeros(len(present), bool), np.inf
    for _ in range(ORDERS_TRIED):
        chosen, distance = _greedy(members, wanted, random.permutation(len(present)))
        if distance < nearest:
            best, nearest = chosen, distance
        if nearest < 1:
            break
    return best[groups]


def _greedy(members, wanted, order):
    """Takes each group, in this order, that brings the classes nearer."""
    chosen = np.zeros(len(members), bool)
    lacking, distance = wanted, wanted @ wanted
    for group in order:
        left = lacking - members[group]
        if left @ left < distance:
            chosen[group], lacking, distance = True, left, left @ left
    return chosen, distance
