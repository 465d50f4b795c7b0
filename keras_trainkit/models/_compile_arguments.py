"""Losses and metrics of Keras, checked against the head that they are computed from.

Each is known by its name in snake case, which a function, a loss and a metric share
(`binary_crossentropy`). Those that are not Keras' own are not checked.
"""

import functools
import inspect
import re
from collections.abc import Iterator
from typing import Any

import keras

from keras_trainkit.models._task import Task

_BINARY = ("binary_crossentropy", "binary_focal_crossentropy")
_CATEGORICAL = (
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "sparse_categorical_crossentropy",
)
_MARGINS = ("hinge", "squared_hinge", "categorical_hinge")
_OF_VALUES = (
    "cosine_similarity",
    "dice",
    "huber",
    "kl_divergence",
    "log_cosh",
    "log_cosh_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "r2_score",
    "root_mean_squared_error",
    "tversky",
)
_HIGHEST = (  # compare the index of the highest output
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
)
_ABOVE = (  # count outputs above thresholds, 0.5 unless told
    "binary_accuracy",
    "binary_io_u",
    "false_negatives",
    "false_positives",
    "precision",
    "recall",
    "true_negatives",
    "true_positives",
)
_CURVES = (
    "precision_at_recall",
    "recall_at_precision",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
)
_F_SCORES = ("f1_score", "f_beta_score")
_ACCURACIES = ("accuracy", "acc", "equal_values", *_HIGHEST)
_CHECKED = {*_BINARY, *_CATEGORICAL, *_OF_VALUES, *_MARGINS, *_HIGHEST, *_ABOVE}
_CHECKED |= {*_CURVES, *_F_SCORES, "auc"}
_OF_PROBABILITIES = "computed from `models.predict_proba(model, x)` after training"


def unfit_arguments(
    model: str, task: Task, loss: Any, metrics: Any, weighted: Any
) -> Iterator[str]:
    """A text for each argument of `compile` that does not fit the head."""
    for argument, given, get in (
        ("loss", loss, keras.losses.get),
        ("metrics", metrics, keras.metrics.get),
        ("weighted_metrics", weighted, keras.metrics.get),
    ):
        for one in keras.tree.flatten(given):
            remedy = _remedy(task, *named(one, get))
            if remedy is not None:
                helper = "loss_for" if argument == "loss" else "metrics_for"
                also = f" (or `models.{helper}(model)`)" if task.name else ""
                yield (
                    f"`{argument}` is computed from what {model!r} gives, "
                    f"{_described(task)}, and should be {remedy}{also}. "
                    f"Received: {_shown(one)}."
                )


def named(given: Any, get: Any) -> tuple[str, dict]:
    """Name in snake case, and options; "" for one that is not Keras' own."""
    if isinstance(given, str):
        if given.lower() in ("accuracy", "acc", "crossentropy", "ce"):
            return given.lower(), {}
        try:
            given = get(given)
        except ValueError:  # Keras says so itself
            return "", {}
    options = {}
    if isinstance(given, functools.partial):
        given, options = given.func, given.keywords
    named = inspect.isfunction(given) or inspect.isclass(given)
    cls = given if named else type(given)
    if not str(cls.__module__).startswith("keras."):
        return "", {}
    if cls is keras.metrics.Accuracy:
        return "equal_values", {}
    name = _snake_case(cls.__name__)
    if cls is not given and name in _CHECKED:
        options = given.get_config()
    return name, options


def _remedy(task: Task, name: str, options: dict) -> str | None:
    """A phrase for a loss or metric that fits; None if this one does, or may."""
    if name in (*_BINARY, *_CATEGORICAL, "crossentropy", "ce"):
        return None if _fits_entropy(task, name, options) else _entropy(task)
    if name in _OF_VALUES:
        of_logits = task.labelled and task.activation == "linear"
        return _entropy(task) if of_logits else None
    if name in _MARGINS:
        unfit = {"regression": _MARGINS, "binary": ("categorical_hinge",)}
        return _entropy(task) if name in unfit.get(str(task.name), ()) else None
    if task.name == "regression":
        counts = name in (*_ACCURACIES, *_ABOVE, *_CURVES, *_F_SCORES, "auc")
        shares = task.activation in ("sigmoid", "softmax") and name != "equal_values"
        return 'one of values, such as "mae"' if counts and not shares else None
    return _counting(task, name, options) if task.labelled else None


def _fits_entropy(task: Task, name: str, options: dict) -> bool:
    linear, made_by = task.activation == "linear", task.activation
    if made_by is not None and bool(options.get("from_logits")) is not linear:
        return False
    wanted = {"classification": "softmax", "binary": "sigmoid"}.get(str(task.name))
    if task.name == "regression":
        wanted = made_by if made_by in ("softmax", "sigmoid") else ""
    if wanted is None or name not in (*_BINARY, *_CATEGORICAL):
        return wanted != ""
    return wanted == ("sigmoid" if name in _BINARY else "softmax")


def _entropy(task: Task) -> str:
    logits = task.activation == "linear"
    if task.name == "classification":
        return (
            f"`SparseCategoricalCrossentropy(from_logits={logits})`, or of one-hot "
            f"labels `CategoricalCrossentropy(from_logits={logits})`"
        )
    if task.name == "binary":
        return f"`BinaryCrossentropy(from_logits={logits})`"
    if task.name == "regression":
        return 'one of values, such as "mse"'
    return f"one with `from_logits={logits}`"


def _counting(task: Task, name: str, options: dict) -> str | None:
    """A phrase for a metric that fits, where metrics count rows by their labels.

    None if the one of this name and these options does fit.
    """
    linear, binary = task.activation == "linear", task.name == "binary"
    threshold = 0 if linear else 0.5
    accuracy = f"`BinaryAccuracy(threshold={threshold})`" if binary else '"accuracy"'
    if name in ("accuracy", "acc"):
        return accuracy if binary and (linear or task.multi_label) else None
    if name == "equal_values" or (name in _HIGHEST and binary):
        return accuracy
    if name == "auc":
        fits = bool(options.get("from_logits")) is linear
        return None if fits else f"`AUC(from_logits={linear})`"
    if name in _CURVES:
        return _OF_PROBABILITIES if linear else None
    if name in _F_SCORES:
        fits = options.get("threshold") is None or not linear
        return _OF_PROBABILITIES if not fits or (binary and linear) else None
    if name not in _ABOVE or not linear or options.get("top_k") is not None:
        return None
    given = options.get("threshold", options.get("thresholds"))
    cuts = keras.tree.flatten(0.5 if given is None else given)
    if not any(0 < cut < 1 for cut in cuts):
        return None
    if name == "binary_accuracy":
        return accuracy
    return "one with a threshold of 0" if binary else "one with `top_k=1`"


def _described(task: Task) -> str:
    what = {"linear": "logits", None: "outputs"}.get(task.activation, "probabilities")
    if task.name == "regression":
        what = "values"
    of = f" of the task {task.name!r}" if task.name else ""
    return f"{what}{of}" if task.name or what != "logits" else "numbers of any size"


def _shown(given: Any) -> str:
    if isinstance(given, str):
        return repr(given)
    name = getattr(given, "__name__", None) or type(given).__name__
    config = given.get_config() if hasattr(given, "get_config") else {}
    told = ("from_logits", "threshold", "thresholds")
    options = [f"{key}={config[key]!r}" for key in told if key in config]
    return f"{name}({', '.join(options)})" if config else name


def _snake_case(name: str) -> str:
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
