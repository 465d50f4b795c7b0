"""Split-conformal prediction: how far off validation rows were, for other rows."""

import math

import numpy as np

from keras_trainkit._checks import check_number

ROUNDING = 1e-6  # of a prediction; a batch of another size may round otherwise


def conformal_quantile(scores: np.ndarray, coverage: float) -> np.ndarray:
    """The score that a new row stays below with probability `coverage` or more.

    Of n scores the one of rank `ceil((n + 1) * coverage)`, which holds for any n where
    the new row and the n rows are exchangeable.

    Args:
        scores: `(rows,)` or `(rows, outputs)`, larger where a prediction was worse.
        coverage: Float in (0, 1).

    Returns:
        Array `()` or `(outputs,)`.

    Raises:
        ValueError: Fewer rows than the coverage needs, `coverage / (1 - coverage)`.

    Source: Vovk, Gammerman and Shafer, 2005; Angelopoulos and Bates, 2021,
    arXiv:2107.07511, section 1.
    """
    check_number(
        "coverage", coverage, "is the share of rows to be covered", above=0, below=1
    )
    rank = math.ceil(round((len(scores) + 1) * coverage, 9))  # 10 * 0.9 is 9
    if rank > len(scores):
        needed = math.ceil(round(coverage / (1 - coverage), 9))
        raise ValueError(
            "`coverage` is the share of rows to be covered, learned from the rows "
            f"kept for validation, and needs at least {needed} of them. "
            f"Received: coverage={coverage} with {len(scores)} validation rows."
        )
    return np.sort(scores, axis=0)[rank - 1]
