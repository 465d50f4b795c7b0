from typing import Any

import numpy as np

from keras_trainkit._arrays import as_numpy, class_labels
from keras_trainkit._checks import check_choice, check_count

_ROUNDING = 1e-3  # by which probabilities of float16 may miss the sum 1


def calibration_error(
    y: Any, probabilities: Any, bins: int = 15, *, binning: str = "width"
) -> float:
    """Expected calibration error of a classifier: 0 if it is as often right as it says.

    Rows are put into bins by their confidence c; with r the outcome of a row,

        error = sum over bins of |sum of (r - c) over the rows of the bin| / rows

    | probabilities            | confidence c       | outcome r                       |
    | ------------------------ | ------------------ | ------------------------------- |
    | `(rows,)`, `(rows, 1)`   | of label 1         | 1 if the label is 1             |
    | `(rows, classes)`        | the highest of row | 1 if that class is the label    |

    Comparisons need the same bins; few rows per bin make the error larger.

    Args:
        y: Labels `(rows,)` or `(rows, 1)`: 0 or 1, or class numbers from 0.
        probabilities: As in the table, each from 0 to 1, those of a row of classes
            summing to 1: what sigmoid or softmax make of logits.
        bins: Int >= 1.
        binning: `"width"`: bins of equal width, closed on the right. `"mass"`: bins of
            equally many rows, but for equal confidences, which stay together.

    Returns:
        Float from 0 to 1.

    Raises:
        ValueError: Numbers that are no probabilities, labels that are none of the
            classes, lengths that differ, no rows.

    Example:

    >>> calibration_error([1, 0, 1, 1], [0.75, 0.75, 1, 1], bins=10)
    0.125

    Source: classes and equal widths after Guo, Pleiss, Sun and Weinberger, 2017,
    arXiv:1706.04599, equation 3; two classes and sorted rows after Naeini, Cooper and
    Hauskrecht, 2015, doi:10.1609/aaai.v29i1.9602.
    """
    check_count("bins", bins, "is the number of bins of confidence")
    check_choice(
        "binning", binning, "says what the bins have in common", ("width", "mass")
    )
    probabilities = _checked(as_numpy(probabilities))
    labels = class_labels(as_numpy(y), *probabilities.shape)
    if probabilities.shape[1] == 1:
        confidence, outcome = probabilities[:, 0], labels
    else:
        confidence = probabilities.max(axis=1)
        outcome = probabilities.argmax(axis=1) == labels
    if binning == "width":
        edges = np.linspace(0, 1, bins + 1)[1:-1]
    else:
        last = np.arange(1, bins) * len(confidence) // bins - 1
        edges = np.unique(np.sort(confidence)[last[last >= 0]])
    number = np.searchsorted(edges, confidence, side="left")
    gaps = np.bincount(number, weights=outcome - confidence)
    return float(np.abs(gaps).sum() / len(confidence))


def _checked(probabilities: np.ndarray) -> np.ndarray:
    is_fit = probabilities.ndim in (1, 2) and probabilities.size
    if not is_fit or probabilities.dtype.kind not in "biuf":
        raise ValueError(
            "`probabilities` are the predictions and must be numbers of the shape "
            "(rows,), (rows, 1) or (rows, classes), at least one. "
            f"Received: {probabilities.dtype} of shape {probabilities.shape}."
        )
    probabilities = probabilities.astype("float64").reshape(len(probabilities), -1)
    outside = ~((probabilities >= 0) & (probabilities <= 1))
    if outside.any():
        raise ValueError(
            "`probabilities` are the predictions and must be from 0 to 1 (sigmoid or "
            f"softmax of logits). Received: {outside.sum()} that are not, such as "
            f"{probabilities[outside][0]}."
        )
    sums = probabilities.sum(axis=1)
    if probabilities.shape[1] > 1 and np.abs(sums - 1).max() > _ROUNDING:
        raise ValueError(
            "`probabilities` of a row belong to classes of which one is true and must "
            "have the sum 1 (softmax of logits). "
            f"Received: sums from {sums.min()} to {sums.max()}."
        )
    return probabilities
