"""Learning rates read off the curve of a range test."""

from collections.abc import Sequence

import numpy as np

# A fall counts when it is this many times what noise makes of the curve. Measured on
# small networks: untrained 3.8 to 44, trained 0 to 1.8.
_SIGNIFICANT = 3.0


def num_early(num_steps: int) -> int:
    """The first tenth of the steps, whose rates are too small to matter."""
    return max(num_steps // 10, 1)


def smooth(losses: Sequence[float], beta: float, early: int) -> np.ndarray:
    """Average of each loss and its neighbours on both sides, weighing `beta^distance`.

    An average of the past alone comes too late: at `beta` 0.9 by 9 steps, a factor of 5
    in the rate. Losses above the highest of the first `early` ones count as that, or
    the explosion at the end would reach back into the valley before it.
    """
    values = np.asarray(losses, "float64")
    if not values.size:
        return values
    capped = np.minimum(values, values[:early].max())
    step = np.arange(values.size)
    weights = float(beta) ** np.abs(step[:, None] - step)
    return weights @ capped / weights.sum(axis=1)


def suggest(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: np.ndarray,
    *,
    beta: float,
    early: int,
) -> dict[str, float | None]:
    """Rates by three rules, all None where the curve has no fall to read."""
    none: dict[str, float | None] = dict.fromkeys(("steepest", "valley", "minimum"))
    if len(rates) < early + 3:
        return none
    curve, late = smoothed[early:], np.asarray(rates)[early:]
    lowest = int(curve.argmin())
    noise = _noise(losses[: early + max(lowest, early)], beta)
    if curve[: lowest + 1].max() - curve[lowest] <= _SIGNIFICANT * noise:
        return none
    return {
        "steepest": float(late[_steepest(curve[: lowest + 1])]),
        "valley": float(late[_middle_of_longest_fall(curve)]),
        "minimum": float(late[lowest] / 10),
    }


def _noise(losses: Sequence[float], beta: float) -> float:
    """Standard deviation of the difference of two smoothed losses far apart."""
    of_one = np.std(np.diff(losses)) / np.sqrt(2)
    return of_one * np.sqrt(2 * (1 - beta) / (1 + beta))


def _steepest(curve: np.ndarray) -> int:
    """The step of the steepest fall; rates have equal distances in their logarithm."""
    return int(np.gradient(curve).argmin()) if len(curve) > 1 else 0


def _middle_of_longest_fall(curve: np.ndarray) -> int:
    """Middle of the longest subsequence in which each value is below the last."""
    length, before = np.ones(len(curve), int), np.full(len(curve), -1)
    for step in range(1, len(curve)):
        higher = np.flatnonzero(curve[:step] > curve[step])
        if higher.size:
            nearest_first = higher[::-1]
            before[step] = nearest_first[length[nearest_first].argmax()]
            length[step] = length[before[step]] + 1
    last = first = int(length.argmax())
    while before[first] >= 0:
        first = before[first]
    return (first + last) // 2
