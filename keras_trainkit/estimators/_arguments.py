"""Arguments of an estimator's constructor, which scikit-learn has `fit` check."""

import inspect
from collections.abc import Callable
from typing import Any, NoReturn

import keras

from keras_trainkit._checks import (
    check_choice,
    check_count,
    check_counts,
    check_flag,
    check_number,
)
from keras_trainkit._tables.kinds import (
    check_categories,
    check_kinds,
    check_missing_values,
)
from keras_trainkit.callbacks._monitor import mode_of
from keras_trainkit.estimators._read_length import ENDS, PURPOSE
from keras_trainkit.estimators._recipe import PRESETS
from keras_trainkit.estimators._search_folder import check_directory
from keras_trainkit.estimators._sequence_recipe import OF_NETWORKS

_VERBOSE = ("auto", 0, 1, 2, True, False)  # what Keras' `fit` takes
_ACCURACY = ("accuracy", "acc")  # of which `compile` makes the one that fits
_LARGEST = 3.4e38  # of float32, in which Keras keeps them
_COUNTS = {
    "members": "is the number of members of the ensemble",
    "epochs": "is the number of epochs, at most,",
    "batch_size": "is the number of rows per step",
    "max_length": PURPOSE,
    "pool_size": "is the number of steps that become one behind the convolutions",
    "embedding_units": "is the number of units per word",
}
_NUMBERS: dict[str, tuple[str, dict[str, float]]] = {
    "dropout": ("is the share of units set to 0", {"at_least": 0, "below": 1}),
    "recurrent_dropout": (
        "is the share of states set to 0",
        {"at_least": 0, "below": 1},
    ),
    "linear_weight": (
        "is the share of the linear function alone",
        {"at_least": 0, "at_most": 1},
    ),
    "mlp_weight": (
        "is the share of an MLP beside the shapes",
        {"at_least": 0, "below": 1},
    ),
    "kernel_weight": (
        "is the share of a kernel machine beside the networks",
        {"at_least": 0, "below": 1},
    ),
    "learning_rate": ("is the rate that is held", {"above": 0, "at_most": _LARGEST}),
    "weight_decay": ("pulls weights to 0", {"at_least": 0, "at_most": _LARGEST}),
    "label_smoothing": (
        "is the share of a label given to all classes alike",
        {"at_least": 0, "below": 1},
    ),
}


def check_table_arguments(given: dict[str, Any]) -> None:
    """Refuses what is out of range, of all that an estimator of tables takes."""
    check_arguments(given)
    _check_search(given)
    if given["hidden_units"] is not None:
        purpose = "gives the units per hidden layer"
        check_counts("hidden_units", given["hidden_units"], purpose, 0)
    if given["numeric_embedding"] is not None:
        purpose = "gives each number a vector"
        check_flag("numeric_embedding", given["numeric_embedding"], purpose)
    check_categories(given["categories"])
    check_kinds(given["kinds"], given["categories"])
    check_missing_values(given["missing_values"])


def check_sequence_arguments(given: dict[str, Any]) -> None:
    """Refuses what is out of range, of what estimators of sequences and texts take."""
    check_arguments(given)
    lists = {
        "units": "gives the units per direction and layer",
        "scales": "gives the widths of windows whose means are read too",
    }
    for name, purpose in lists.items():
        if given.get(name) is not None:
            check_counts(name, given[name], purpose, 0 if name == "units" else 1)
    if given.get("convolution_mean") is not None:
        purpose = "shows the head the mean of the convolved steps"
        check_flag("convolution_mean", given["convolution_mean"], purpose)
    if given.get("vector_epochs") is not None:
        purpose = "is the number of passes in which vectors of words are learned"
        check_count("vector_epochs", given["vector_epochs"], purpose, at_least=0)
    if given.get("num_bigrams") is not None:
        purpose = "is the number of pairs of words that a linear model reads"
        check_count("num_bigrams", given["num_bigrams"], purpose, at_least=0)
    if given.get("linear_steps") is not None:
        purpose = "is the number of the last steps that a linear function reads"
        check_count("linear_steps", given["linear_steps"], purpose, at_least=0)
    _check_share(given)
    _check_shapes(given)
    if given["keep"] is not None:
        purpose = "is the end that stays of longer rows"
        check_choice("keep", given["keep"], purpose, ENDS)


def _check_shapes(given: dict[str, Any]) -> None:
    """Refuses arguments of a network beside those of a linear model of shapes."""
    count = given.get("features_per_kernel")
    beside = {
        "segments": "is the number of parts whose means are features too",
        "mlp_weight": "is the share of an MLP beside the shapes",
    }
    asked = {name: given[name] for name in beside if given.get(name) is not None}
    if count is None and not asked:
        return
    of_networks = [name for name in OF_NETWORKS if given[name] is not None]
    if count is not None:
        purpose = "is the number of features of each kernel of `layers.MiniRocket`"
        check_count("features_per_kernel", count, purpose, at_least=0)
    if "segments" in asked:
        check_count("segments", asked["segments"], beside["segments"], at_least=0)
    for name, value in asked.items():
        if count == 0 or (count is None and of_networks):
            other = "features_per_kernel=0" if count == 0 else f"`{of_networks[0]}`"
            raise ValueError(
                f"`{name}` {beside[name]}, of a linear model of shapes, and must be "
                f"None beside what asks for a network. Received: {name}={value} and "
                f"{other}."
            )
    if count and of_networks:
        raise ValueError(
            f"`{of_networks[0]}` is of a network and must be None where "
            "`features_per_kernel` asks for a linear model of shapes in its place. "
            f"Received: {of_networks[0]}={given[of_networks[0]]!r} and "
            f"features_per_kernel={count}."
        )


def _check_share(given: dict[str, Any]) -> None:
    """Refuses a share of a linear function that there is not."""
    share = given.get("linear_weight")
    name = "num_bigrams" if "num_bigrams" in given else "linear_steps"
    count = given.get(name)
    is_none = count == 0 or (count is None and given["loss"] is not None)
    if share is not None and is_none:
        raise ValueError(
            "`linear_weight` is the share of the linear function alone and must be "
            f"None where there is none: with `{name}` 0, or a `loss` and no `{name}`. "
            f"Received: linear_weight={share}, {name}={count}, loss={given['loss']!r}."
        )


def _check_search(given: dict[str, Any]) -> None:
    trials, time_limit = given["trials"], given["time_limit"]
    if trials is not None:
        check_count("trials", trials, "is the number of trials of a search")
    if time_limit is not None:
        purpose = "is the seconds that a search may take"
        check_number("time_limit", time_limit, purpose, above=0)
    if trials is None and time_limit is None:
        for name in ("scoring", "directory"):
            if given[name] is not None:
                raise ValueError(
                    f"`{name}` is of a search and must be None without `trials` and "
                    f"`time_limit`. Received: {name}={given[name]!r}."
                )
    check_directory(given["directory"])


def check_precision() -> None:
    """Refuses policies with weights in half precision.

    What a step changes them by is lost in rounding, and Keras starts no recurrent layer
    with them but float16 ones on TensorFlow.
    """
    policy = keras.config.dtype_policy()
    if policy.variable_dtype in ("float16", "bfloat16"):
        raise ValueError(
            "`keras.config.set_dtype_policy` chooses the precision and must be one "
            "that keeps weights in float32 or float64, as 'mixed_float16' and "
            "'mixed_bfloat16' do, where an estimator is fitted. "
            f"Received: {policy.name!r}."
        )


def check_arguments(given: dict[str, Any]) -> None:
    """Refuses what is out of range, of what all estimators take and some others.

    None leaves a number to the recipe.
    """
    check_choice("preset", given["preset"], "is the cost of the recipe", PRESETS)
    check_choice("verbose", given["verbose"], "is what `fit` prints", _VERBOSE)
    for name, purpose in _COUNTS.items():
        if given.get(name) is not None:
            check_count(name, given[name], purpose)
    for name, (purpose, bounds) in _NUMBERS.items():
        if given.get(name) is not None:  # a regressor smooths no labels
            check_number(name, given[name], purpose, **bounds)
    _check_not_both(given, "weight_decay", "optimizer")
    _check_not_both(given, "label_smoothing", "loss")
    _check_list("metrics", given["metrics"], "are shown while training", 1)
    _check_list("keras_callbacks", given["keras_callbacks"], "watch the training", 0)
    _check_parts(given)


def _check_parts(given: dict[str, Any]) -> None:
    """Refuses what Keras would not take for an optimizer, a loss and the like."""
    parts = (
        ("optimizer", "changes the weights", keras.optimizers.get, "an optimizer"),
        ("loss", "is what training lowers", keras.losses.get, "a loss"),
    )
    for name, purpose, get, what in parts:
        part = given[name]
        is_one = name == "loss" and isinstance(part, list) and len(part) == 1
        part = part[0] if is_one else part
        if part is not None and not _is_known(part, get):
            _refuse_part(name, purpose, f"None, {what} of Keras or its name", given)
    _check_metrics(given)
    for callback in given["keras_callbacks"] or ():
        if not isinstance(callback, keras.callbacks.Callback):
            allowed = "None or a list of callbacks of Keras"
            _refuse_part("keras_callbacks", "watch the training", allowed, given)


def _check_metrics(given: dict[str, Any]) -> None:
    purpose = "are shown while training, and the first chooses the best epoch,"
    for number, metric in enumerate(given["metrics"] or ()):
        if isinstance(metric, str) and metric in _ACCURACY:
            continue
        if not _is_known(metric, keras.metrics.get):
            allowed = "None or a list of metrics of Keras and their names"
            _refuse_part("metrics", purpose, allowed, given)
        if number == 0 and mode_of(keras.metrics.get(metric)) is None:
            allowed = (
                "None or a list whose first is one of Keras' metrics that knows which "
                "way it gets better (no function)"
            )
            _refuse_part("metrics", purpose, allowed, given)


def _is_known(part: Any, get: Callable) -> bool:
    if inspect.isclass(part):  # calls of one make objects, no numbers
        return False
    try:
        return get(part) is not None
    except (ValueError, TypeError):
        return False


def _refuse_part(
    name: str, purpose: str, allowed: str, given: dict[str, Any]
) -> NoReturn:
    raise ValueError(
        f"`{name}` {purpose} and must be {allowed}. Received: {name}={given[name]!r}."
    )


def _check_not_both(given: dict[str, Any], number: str, part: str) -> None:
    if given.get(number) is not None and given[part] is not None:
        raise ValueError(
            f"`{number}` is of the recipe's {part} and must be None beside another, "
            f"which has its own. Received: {number}={given[number]!r}, "
            f"{part}={given[part]!r}."
        )


def _check_list(name: str, values: Any, purpose: str, min_length: int) -> None:
    fine = isinstance(values, list | tuple) and len(values) >= min_length
    if values is not None and not fine:
        raise ValueError(
            f"`{name}` {purpose} and must be None or a list of at least {min_length}. "
            f"Received: {name}={values!r}."
        )
