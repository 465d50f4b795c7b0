"""The temperature at which logits explain labels best."""

import numpy as np

STEPS = 2000  # a bound; about 10 are needed, some more beside a huge logit
PRECISION = 1e-10


def best_temperature(logits, labels):
    """The T > 0 with the highest likelihood of `softmax(logits / T)`.

    In 1 / T the negative log likelihood is convex, so its only minimum is where the
    slope changes sign: Newton's steps, or halves of the bracket where they leave it.

    Args:
        logits: float64, `(rows, classes)`.
        labels: Ints `(rows,)`.

    Raises:
        ValueError: No such T: all rows right, or no better than without logits.
    """
    logits = logits - logits.max(axis=1, keepdims=True)
    scale = np.abs(logits).max() or 1.0
    logits = logits / scale
    truth = np.take_along_axis(logits, labels[:, np.newaxis], axis=1).mean()
    if logits.mean() >= truth:
        _refuse("say less about the labels than equal probabilities do", "lowest")
    if truth == 0:
        _refuse("have the label's first in every row", "highest")
    low, high, inverse = 0.0, np.inf, 1.0
    for _ in range(STEPS):
        slope, curvature = _derivatives(inverse, logits, truth)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        previous, inverse = inverse, inverse - slope / curvature if curvature else -1.0
        if not low < inverse < high:
            inverse = 2 * low if high == np.inf else (low + high) / 2
        if abs(inverse - previous) <= PRECISION * inverse:
            break
    return scale / inverse


def _derivatives(inverse, logits, truth):
    """First and second derivative of the mean negative log likelihood."""
    weights = np.exp(inverse * logits)
    weights /= weights.sum(axis=1, keepdims=True)
    mean = (weights * logits).sum(axis=1)
    variance = (weights * logits**2).sum(axis=1) - mean**2
    return mean.mean() - truth, max(variance.mean(), 0.0)


def _refuse(reason, end):
    raise ValueError(
        "`logits` and `y` fix the temperature and must be of rows that were not "
        "trained on, some of them right and some wrong, so that the likelihood is "
        f"highest in between. Received: logits that {reason}; it is best at the {end} "
        "confidence."
    )
