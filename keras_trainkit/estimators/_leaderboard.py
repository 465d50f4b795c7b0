"""The trials of a search as rows of a table, with AutoGluon's columns."""

import importlib.util
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_trainkit._types import Model
from keras_trainkit.estimators._outputs import PREDICTED_AT_ONCE
from keras_trainkit.estimators._scoring import scoring_for
from keras_trainkit.layers import MemberMean

COLUMNS = (
    *("model", "score_test", "score_val", "eval_metric", "pred_time_test"),
    *("pred_time_val", "fit_time", "pred_time_test_marginal"),
    *("pred_time_val_marginal", "fit_time_marginal", "stack_level", "can_infer"),
    *("fit_order", "weight"),
)
ENSEMBLE = "ensemble"
KERNEL = "kernel"  # the kernel machines beside the trials
Row = dict[str, Any]
_OF_A_SEARCH = ("models", "scoring", "leaderboard")  # entries of `recipe_`


def trial_row(
    name: str,
    order: int,
    score: float,
    scoring: str,
    seconds: tuple[float, float],
    weight: float,
) -> Row:
    """The row of a trial.

    Args:
        order: Int >= 1. Its place among the trials.
        score: Float, higher is better.
        seconds: Those of the fit, and of the prediction of the validation rows.
        weight: Float. Its share in the ensemble, 0 if it is not in it.
    """
    fit, predict = seconds
    return {
        "model": name,
        "score_val": score,
        "eval_metric": scoring,
        "pred_time_val": predict,
        "fit_time": fit,
        "pred_time_val_marginal": predict,
        "fit_time_marginal": fit,
        "stack_level": 1,
        "can_infer": weight > 0,
        "fit_order": order,
        "weight": weight,
    }


def ensemble_row(
    rows: Sequence[Row], score: float, scoring: str, seconds: tuple[float, float]
) -> Row:
    """The row of the ensemble.

    Args:
        rows: Those of all trials.
        seconds: Those of the choice, and of the mean over the trials that it takes.
    """
    used = [row for row in rows if row["can_infer"]]
    fit, predict = seconds
    return {
        **trial_row(ENSEMBLE, len(rows) + 1, score, scoring, seconds, 1.0),
        "fit_time": fit + sum(row["fit_time"] for row in used),
        "pred_time_val": predict + sum(row["pred_time_val"] for row in used),
        "stack_level": 2,
    }


def with_kernel_row(
    recipe: Mapping[str, Mapping[str, Any]],
    weight: float,
    scores: tuple[float, float],
    seconds: tuple[float, float],
) -> dict[str, dict[str, Any]]:
    """Entries of the recipe of a search, with kernel machines beside its trials.

    Args:
        weight: Float in [0, 1). Their share in the ensemble.
        scores: Their own, and that of the ensemble with them.
        seconds: Those of the fit, and of the prediction of the validation rows.
    """
    *trials, last = recipe["leaderboard"]["value"]
    rows = [row | {"weight": (1 - weight) * row["weight"]} for row in trials]
    order, scoring = len(rows) + 1, last["eval_metric"]
    rows.append(trial_row(KERNEL, order, scores[0], scoring, seconds, weight))
    own = last["fit_time_marginal"], last["pred_time_val_marginal"]
    rows.append(ensemble_row(rows, scores[1], scoring, own))
    models = [
        one | {"weight": (1 - weight) * one["weight"]}
        for one in recipe["models"]["value"]
    ]
    if weight:
        models.append({"model": KERNEL, "weight": weight})
    found = {"leaderboard": rows, "models": models}
    return {name: {**recipe[name], "value": value} for name, value in found.items()}


def tested(
    rows: Sequence[Row],
    names: Sequence[str],
    model: Model,
    networks: int,
    x: Any,
    score: Callable[[np.ndarray], float],
) -> list[Row]:
    """The rows with score and time on other data, where the model holds the networks.

    Args:
        names: Names of the trials, in the order in which the model holds them.
        model: That of the estimator: an ensemble, or a single network.
        networks: Int. Networks of each trial.
        x: Encoded rows.
        score: Function of outputs of a network, higher is better.
    """
    found = {}
    for number, name in enumerate(names):
        outputs, seconds = _outputs(model, number * networks, networks, x)
        found[name] = score(outputs), seconds
    outputs, whole = _predicted(model, x)
    of_trials = sum(seconds for _, seconds in found.values())
    tests = {
        name: (value, seconds, seconds) for name, (value, seconds) in found.items()
    }
    tests[ENSEMBLE] = score(outputs), whole, max(0.0, whole - of_trials)
    names = ("score_test", "pred_time_test", "pred_time_test_marginal")
    nothing = (math.nan,) * 3
    return [
        row | dict(zip(names, tests.get(row["model"], nothing), strict=True))
        for row in rows
    ]


def check_search(recipe: Mapping[str, Mapping[str, Any]], model: Model) -> None:
    """Refuses what a search has put into `recipe_`, if it is not of this model."""
    found = [name for name in _OF_A_SEARCH if name in recipe]
    if not found:
        return
    models, scoring, rows = (recipe[name]["value"] for name in _OF_A_SEARCH)
    scoring_for(scoring, model.task, 1)
    fields = trial_row("", 1, 0.0, "", (0.0, 0.0), 0.0)
    for row in rows:
        if {name: type(row[name]) for name in row} != {
            name: type(value) for name, value in fields.items()
        }:
            raise ValueError(f"a leaderboard with {row}")
    used = [row for row in rows if row["can_infer"] and row["stack_level"] == 1]
    weights = {entry["model"]: entry["weight"] for entry in models}
    if weights != {row["model"]: row["weight"] for row in used}:
        raise ValueError(f"models {list(weights)}, others than in the leaderboard")
    networks = sum(layer.name.startswith("network_") for layer in model.layers) or 1
    if networks != len(models) * (recipe["folds"]["value"] or 1):
        raise ValueError(f"{len(models)} models, and a model of {networks} networks")


def as_table(rows: Sequence[Row], by: str) -> Any:
    """Rows from the best on: a DataFrame of pandas, or a list of dicts without it."""
    ordered = sorted(rows, key=lambda row: _rank(row, by))
    names = [name for name in COLUMNS if name in rows[0]]
    table = [{name: row[name] for name in names} for row in ordered]
    if importlib.util.find_spec("pandas") is None:
        return table
    import pandas as pd

    return pd.DataFrame(table)


def _rank(row: Row, by: str) -> tuple:
    """By the score, then the validation score; the ensemble before its equals."""
    keys = (row[by], row["score_val"])
    numbers = [math.inf if math.isnan(key) else -key for key in keys]
    return (*numbers, -row["stack_level"], row["fit_order"])


def _outputs(model: Model, first: int, count: int, x: Any) -> tuple[np.ndarray, float]:
    """Outputs of some of the networks in an ensemble, and the seconds they took."""
    mean = model.layers[-1]
    if not _has(model, "network_1"):  # a single network
        return _predicted(model, x)
    pairs = [
        _predicted(model.get_layer(f"network_{number + 1}"), x)
        for number in range(first, first + count)
    ]
    members = np.concatenate([members for members, _ in pairs], axis=1)
    together = MemberMean(mean.kind, mean.target_scaling, dtype="float32")(members)
    outputs = keras.ops.convert_to_numpy(together)
    return outputs, sum(seconds for _, seconds in pairs)


def _has(model: Model, name: str) -> bool:
    return any(layer.name == name for layer in model.layers)


def _predicted(model: Model, x: Any) -> tuple[np.ndarray, float]:
    model.predict(x, batch_size=PREDICTED_AT_ONCE, verbose=0)  # compiles it
    began = time.perf_counter()
    outputs = model.predict(x, batch_size=PREDICTED_AT_ONCE, verbose=0)
    return outputs, time.perf_counter() - began
