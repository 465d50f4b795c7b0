import numpy as np

from keras_trainkit._checks import check_choice
from keras_trainkit.data._rows import column_of, refuse_empty


def split_in_order(order, sizes, gap):
    """Row numbers of (train, validation, test), cut from the end of time.

    A cut moves to the nearest change of time, so that no time is in two parts.
    """
    times = _times(order, sum(sizes))
    sequence = _sorted(times)
    times = times[sequence]
    later = np.flatnonzero(times[1:] != times[:-1]) + 1  # rows where time moves on
    parts, end = [], len(times)
    for size in reversed(sizes[1:]):
        start = _nearest_cut(later, end, size)
        parts.append(sequence[start:end])
        end = max(start - gap, 0) if size else end
    if not end:
        refuse_empty("train", f"sizes {sizes} with gap={gap}")
    return (sequence[:end], *reversed(parts))


def _times(order, rows):
    purpose = "gives the times of the rows"
    if isinstance(order, str):
        check_choice("order", order, purpose, ("rows",))
        return np.arange(rows)
    times = column_of("order", order, rows, purpose)
    if times.ndim != 1:
        raise ValueError(
            f"`order` {purpose} and must hold one for each. Received: order of shape "
            f"{times.shape}."
        )
    return times


def _sorted(times):
    try:
        return np.argsort(times, kind="stable")
    except TypeError as error:
        raise ValueError(
            "`order` gives the times of the rows, which must compare with each other. "
            f"Received: {error}."
        ) from error


def _nearest_cut(later, end, size):
    if not size:
        return end
    possible = later[later < end]
    if not len(possible):
        refuse_empty("train", f"order with {len(later) + 1} different times")
    return possible[np.argmin(np.abs(possible - (end - size)))]
