"""Scores by name, for the choice between trials: of scikit-learn and of Keras."""

import dataclasses
from collections.abc import Callable

import numpy as np
from sklearn.metrics import f1_score, roc_auc_score

Weights = np.ndarray | None
SMALLEST = 1e-15  # probability, in a logarithm


@dataclasses.dataclass(frozen=True)
class Scoring:
    """A measure of predictions on rows that were not trained on.

    Args:
        name: Name of the measure.
        direction: "max" or "min": which way it gets better.
        measure: Function of truth, predictions and weights of rows, or None for those.
    """

    name: str
    direction: str
    measure: Callable[[np.ndarray, np.ndarray, Weights], float]

    def score(self, y: np.ndarray, found: np.ndarray, weights: Weights) -> float:
        """The measure with the sign by which higher is better.

        Args:
            y: Codes `(rows,)`, or numbers `(rows, outputs)`.
            found: Probabilities `(rows, classes)`, or numbers `(rows, outputs)`.
            weights: `(rows,)`, or None where all count alike.
        """
        value = self.measure(y, found, weights)
        return value if self.direction == "max" else -value


def scoring_for(
    name: str | None,
    task: str,
    outputs: int,
    purpose: str = "chooses between trials",
    others: str = "",
) -> Scoring:
    """The measure of this name for the task.

    None: log loss, RMSE, or for several numbers R2, which their units do not touch.

    Args:
        purpose: What the measure is for, for messages.
        others: What else it may be, for messages.

    Raises:
        ValueError: No such name; a measure of another task.
    """
    numbers = task == "regression"
    if name is None:
        name = "log_loss" if not numbers else "rmse" if outputs == 1 else "r2"
    known = _OF_NUMBERS if numbers else _OF_CLASSES
    found = _ALIASES.get(name, name) if isinstance(name, str) else name
    if not isinstance(found, str) or found not in known:
        kind = "numbers" if numbers else "classes"
        raise ValueError(
            f"`scoring` {purpose} and must be, for {kind}, one of "
            f"{', '.join(_names(known))}{others}. Received: scoring={name!r}."
        )
    if found == "f1" and task == "classification":
        raise ValueError(
            f"`scoring` {purpose} and must be for more than two classes "
            f'"f1_macro", the mean over them, not "f1". Received: scoring={name!r}.'
        )
    direction, measure = known[found]
    return Scoring(found, direction, measure)


def check_classes(scoring: Scoring, y: np.ndarray) -> None:
    """Refuses rows of one class where their order is measured.

    Args:
        y: Codes `(rows,)` of the rows that are scored.
    """
    if scoring.name == "roc_auc" and len(np.unique(y)) < 2:
        raise ValueError(
            "`scoring` compares models on rows not trained on and must be another than "
            f'"roc_auc" where these are of one class. Received: {len(y)} such rows.'
        )


def predictions_of(outputs: np.ndarray, task: str) -> np.ndarray:
    """Probabilities `(rows, classes)` of logits; numbers as they are. In float64."""
    outputs = np.asarray(outputs, "float64")
    if task == "regression":
        return outputs
    if task == "binary":
        outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=1)
    powers = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _names(known: dict) -> list[str]:
    return [*known, *(alias for alias, name in _ALIASES.items() if name in known)]


def _mean(values: np.ndarray, weights: Weights) -> float:
    return float(np.average(values, axis=0, weights=weights).mean())


def _accuracy(y: np.ndarray, found: np.ndarray, weights: Weights) -> float:
    return _mean(found.argmax(1) == y, weights)


def _balanced_accuracy(y: np.ndarray, found: np.ndarray, weights: Weights) -> float:
    """Mean over the classes that occur."""
    right = found.argmax(1) == y
    weights = np.ones(len(y)) if weights is None else weights
    totals = np.bincount(y, weights)
    shares = np.bincount(y, weights * right)[totals > 0] / totals[totals > 0]
    return float(shares.mean())


def _log_loss(y: np.ndarray, found: np.ndarray, weights: Weights) -> float:
    truth = found[np.arange(len(y)), y]
    return _mean(-np.log(np.maximum(truth, SMALLEST)), weights)


def _roc_auc(y: np.ndarray, found: np.ndarray, weights: Weights) -> float:
    """Of two classes; of more the mean of each against the rest, of those that occur.

    `check_classes` has seen two classes.
    """
    classes = [1] if found.shape[1] == 2 else range(found.shape[1])
    kept = np.ones(len(y), bool) if weights is None else weights > 0
    areas = [
        roc_auc_score(
            y[kept] == code,
            found[kept, code],
            sample_weight=None if weights is None else weights[kept],
        )
        for code in classes
        if 0 < np.count_nonzero(y[kept] == code) < np.count_nonzero(kept)
    ]
    return float(np.mean(areas))


def _f1(y: np.ndarray, found: np.ndarray, weights: Weights) -> float:
    """Of the second of two classes."""
    chosen = found.argmax(1)
    return float(f1_score(y, chosen, sample_weight=weights, zero_division=0))


def _f1_macro(y: np.ndarray, found: np.ndarray, weights: Weights) -> float:
    given = {"average": "macro", "sample_weight": weights, "zero_division": 0}
    return float(f1_score(y, found.argmax(1), labels=np.unique(y), **given))


def _rmse(y: np.ndarray, found: np.ndarray, weights: Weights) -> float:
    """Mean over the outputs of the root of each."""
    squares = np.average((y - found) ** 2, axis=0, weights=weights)
    return float(np.sqrt(squares).mean())


def _mae(y: np.ndarray, found: np.ndarray, weights: Weights) -> float:
    return _mean(np.abs(y - found), weights)


def _mse(y: np.ndarray, found: np.ndarray, weights: Weights) -> float:
    return _mean((y - found) ** 2, weights)


def _r2(y: np.ndarray, found: np.ndarray, weights: Weights) -> float:
    """Mean over the outputs; of a constant one 0, or 1 where all of it is met."""
    mean = np.average(y, axis=0, weights=weights)
    left = np.average((y - found) ** 2, axis=0, weights=weights)
    all_ = np.average((y - mean) ** 2, axis=0, weights=weights)
    constant = all_ == 0
    shares = 1 - left / np.where(constant, 1, all_)
    return float(np.where(constant, np.where(left == 0, 1.0, 0.0), shares).mean())


_OF_CLASSES = {
    "log_loss": ("min", _log_loss),
    "accuracy": ("max", _accuracy),
    "balanced_accuracy": ("max", _balanced_accuracy),
    "roc_auc": ("max", _roc_auc),
    "f1": ("max", _f1),
    "f1_macro": ("max", _f1_macro),
}
_OF_NUMBERS = {
    "rmse": ("min", _rmse),
    "mae": ("min", _mae),
    "mse": ("min", _mse),
    "r2": ("max", _r2),
}
# Other names of the same, of scikit-learn's scorers and of Keras' metrics.
_ALIASES = {
    "neg_log_loss": "log_loss",
    "crossentropy": "log_loss",
    "binary_crossentropy": "log_loss",
    "categorical_crossentropy": "log_loss",
    "binary_accuracy": "accuracy",
    "categorical_accuracy": "accuracy",
    "auc": "roc_auc",
    "roc_auc_ovr": "roc_auc",
    "f1_score": "f1",
    "root_mean_squared_error": "rmse",
    "neg_root_mean_squared_error": "rmse",
    "mean_absolute_error": "mae",
    "neg_mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "neg_mean_squared_error": "mse",
    "r2_score": "r2",
}
