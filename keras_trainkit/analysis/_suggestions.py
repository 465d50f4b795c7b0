"""Learning rates read off the curve of a range test."""

import numpy as np

# A fall counts when it is this many times what noise makes of the curve. Measured on
# small networks: untrained 3.8 to 44, trained 0 to 1.8.
_SIGNIFICANT = 3.0


def num_early(num_steps: int) -> int:
    """The first tenth of the steps, whose rates are too small to matter."""
    return max(num_steps // 10, 1)


def smooth(losses, beta: float, early: int) -> np.ndarray:
    """Average of each loss and its neighbours on both sides, weighing `beta^distance`.

    An average of the past alone comes too late: at `beta` 0.9 by 9 steps, a factor of 5
    in the rate. What exceeds the highest of the first `early` losses counts as that,
    or the explosion at the end would reach back into the valley before it.
    """
    losses = np.asarray(losses, "float64")
    if not losses.size:
        return losses
    capped = np.minimum(losses, losses[:early].max())
    place = np.arange(losses.size)
    weights = float(beta) ** np.abs(place[:, None] - place)
    return weights @ capped / weights.sum(axis=1)


def suggest(rates, losses, smoothed, *, beta: float, early: int) -> dict:
    """Rates by three rules, all None where the curve has no fall to read."""
    none = dict.fromkeys(("steepest", "valley", "minimum"))
    if len(rates) < early + 3:
        return none
    curve, rates = smoothed[early:], np.asarray(rates)[early:]
    lowest = int(curve.argmin())
    noise = _noise(losses[: early + max(lowest, early)], beta)
    if curve[: lowest + 1].max() - curve[lowest] <= _SIGNIFICANT * noise:
        return none
    return {
        "steepest": float(rates[_steepest(curve[: lowest + 1])]),
        "valley": float(rates[_middle_of_longest_fall(curve)]),
        "minimum": float(rates[lowest] / 10),
    }


def _noise(losses, beta):
    """Standard deviation of the difference of two smoothed losses far apart."""
    of_one = np.std(np.diff(losses)) / np.sqrt(2)
    return of_one * np.sqrt(2 * (1 - beta) / (1 + beta))


def _steepest(curve):
    """The rates are evenly spaced in their logarithm, so places do for slopes."""
    return int(np.gradient(curve).argmin()) if len(curve) > 1 else 0


def _middle_of_longest_fall(curve):
    """The longest subsequence in which each value is below the one before."""
    length, before = np.ones(len(curve), int), np.full(len(curve), -1)
    for place in range(1, len(curve)):
        higher = np.flatnonzero(curve[:place] > curve[place])
        if higher.size:
            nearest_first = higher[::-1]
            before[place] = nearest_first[length[nearest_first].argmax()]
            length[place] = length[before[place]] + 1
    last = first = int(length.argmax())
    while before[first] >= 0:
        first = before[first]
    return (first + last) // 2
