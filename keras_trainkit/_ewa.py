"""Exponentially weighted averages; public as `keras_trainkit.analysis.ewa`."""

from collections.abc import Iterable

import numpy as np

from keras_trainkit._checks import check_number


def ewa(values: Iterable[float], beta: float) -> np.ndarray:
    """Exponentially weighted average of a series, with bias correction.

    `v_t = beta v_(t-1) + (1 - beta) x_t`, `v_0 = 0`, returned as
    `v_t / (1 - beta^t)`, so the first value is the first input itself.

    Args:
        values: Sequence of floats, `(time,)`. A NaN or an infinity stays in every
            later value.
        beta: Float in [0, 1). Weight of the past; about `1 / (1 - beta)` values
            are averaged. 0 returns the values.

    Returns:
        float64 array, `(time,)`.

    Source: Kingma and Ba, 2015, arXiv:1412.6980, section 3 (bias correction).
    """
    average = RunningAverage(beta)
    return np.array([average.update(value) for value in values], "float64")


class RunningAverage:
    """The same average, one value at a time."""

    def __init__(self, beta: float):
        check_number(
            "beta",
            beta,
            "is the weight of the past in an exponentially weighted average",
            at_least=0,
            below=1,
        )
        self.beta = beta
        self.steps = 0
        self.raw = 0.0

    def update(self, value: float) -> float:
        """Takes in `value`; returns the corrected average so far."""
        self.steps += 1
        self.raw = self.beta * self.raw + (1 - self.beta) * float(value)
        return self.raw / (1 - self.beta**self.steps)
