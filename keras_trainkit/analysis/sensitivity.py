import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from keras_trainkit._checks import check_count, check_given_seed
from keras_trainkit._tensorflow.custom_gradients import release_graphs
from keras_trainkit.analysis._restoration import random_numbers_kept
from keras_trainkit.analysis._samples import checked_fit_arguments
from keras_trainkit.analysis.hyperparameter_effects import HyperparameterEffects

if TYPE_CHECKING:
    import keras_tuner

_GIVEN = ("x", "y", "validation_data")
_BATCH_SIZE = 32  # that of `fit`


def sensitivity(
    build: Any,
    hyperparameters: Mapping[str, Sequence[Any]],
    x: Any,
    y: Any = None,
    *,
    validation_data: Any,
    base: Any = None,
    pairs: Sequence[tuple[str, str]] = (),
    seeds: int = 3,
    objective: Any = None,
    fit_arguments: Mapping[str, Any] | None = None,
    seed: int = 0,
) -> HyperparameterEffects:
    """Trains models with hyperparameters changed one at a time, or two together.

    An effect is what the mean score differs by from one value to another. What the
    seeds alone make it differ by stands beside it: all settings are trained with the
    same seeds, so that two trainings with equal values tell how large chance is.

    The score of a training is that of its best epoch, as in a search. Trained are
    `seeds` models for each value, and for each two values of a pair.

    Args:
        build: `keras_tuner.HyperModel`, such as those of `hypermodels`, or function of
            a `keras_tuner.HyperParameters` that returns a compiled model: what a
            search takes. `fit` of the former trains it. Of the latter a hyperparameter
            "batch_size" goes to `model.fit`.
        hyperparameters: Dict of names to two or more values, that of `base` among them
            or not.
        x: As `fit` takes it.
        y: As `fit` takes it.
        validation_data: As `fit` takes it. The rows that are scored.
        base: `keras_tuner.HyperParameters`, such as the best of a search, or dict:
            the values from which one or two at a time are changed. What it lacks has
            the default of `build`.
        pairs: Pairs of names of `hyperparameters`, for contours of the score.
        seeds: Int >= 2. Trainings of each setting.
        objective: `keras_tuner.Objective`, or the name of a loss in the history of
            `fit`, such as "val_loss". None: that of the hypermodel, else "val_loss".
            Where hyperparameters change the loss itself (penalties, label smoothing),
            take a metric.
        fit_arguments: Further arguments of `fit`, by name. "callbacks" may be a
            function that returns new ones.
        seed: Int >= 0. Keras' seed of the first training of a setting; the next has
            the next. Random numbers go on afterwards as if none had been drawn.

    Returns:
        `HyperparameterEffects`: scores, effects, noise, a verdict and a picture.

    Raises:
        ValueError: An argument is out of range, a name is not known to `build`, or the
            objective is missing from the history.

    Example:

    ```python
    def build(hp):
        rate = hp.Float("learning_rate", 1e-4, 1.0, sampling="log", default=0.01)
        model = models.mlp((30,), 1, (8,), dropout=hp.Float("dropout", 0.0, 0.5))
        model.compile(keras.optimizers.Adam(rate), "mse")
        return model

    found = analysis.sensitivity(
        build,
        {"dropout": [0.0, 0.2]},
        x,
        y,
        validation_data=(x_valid, y_valid),
        seeds=2,
        fit_arguments={"epochs": 1, "verbose": 0},
    )
    print(found.verdict)
    ```

    Source: one at a time with repeats, as in any design of experiments.
    """
    check_count("seeds", seeds, "is how often a setting is trained", at_least=2)
    seed = check_given_seed("seed", seed)
    values = _checked_values(hyperparameters, pairs)
    why = ", some of which are given here,"
    arguments = checked_fit_arguments(fit_arguments, _GIVEN, why)
    _check_validated(validation_data)
    name, direction = _objective(build, objective)
    if "batch_size" in values and not hasattr(build, "build"):
        _check_has_no_batches(x)
    with random_numbers_kept():
        if hasattr(build, "prepare"):
            build.prepare(x, y)
        start = _start(build, base, values, arguments, seed)
        values = {n: _with_start(v, start[n]) for n, v in values.items()}
        settings = _settings(values, start, pairs)

        def score(setting: dict[str, Any], number: int) -> float:
            keras.utils.set_random_seed(seed + number)
            given = {"x": x, "y": y, "validation_data": validation_data}
            history = _trained(build, {**start, **setting}, {**given, **arguments})
            return _best(history, name, direction)

        scores = [[score(setting, n) for n in range(seeds)] for setting in settings]
    return HyperparameterEffects(
        name,
        direction,
        values,
        {n: start[n] for n in values},
        [tuple(pair) for pair in pairs],
        settings,
        np.array(scores),
    )


def _checked_values(
    hyperparameters: Any, pairs: Sequence[tuple[str, str]]
) -> dict[str, list[Any]]:
    if not isinstance(hyperparameters, Mapping) or not hyperparameters:
        raise ValueError(
            "`hyperparameters` are what is changed and must be a dict of names to "
            f"lists of values. Received: {hyperparameters!r}."
        )
    for name, values in hyperparameters.items():
        if not isinstance(values, list | tuple | np.ndarray) or len(values) < 2:
            raise ValueError(
                f"`hyperparameters[{name!r}]` are the values to compare and must be a "
                f"list of two or more. Received: {values!r}."
            )
    for index, size in enumerate(hyperparameters.get("batch_size", ())):
        argument = f"hyperparameters['batch_size'][{index}]"
        check_count(argument, size, "is the number of rows per step")
    known = set(hyperparameters)
    for pair in pairs:
        names = set() if isinstance(pair, str) else set(pair)
        if len(names) != 2 or not names <= known:
            raise ValueError(
                "`pairs` are what is changed together and must be pairs of different "
                f"names of {sorted(known)}. Received: {pair!r}."
            )
    return {
        name: [v.item() if isinstance(v, np.generic) else v for v in values]
        for name, values in hyperparameters.items()
    }


def _check_validated(validation_data: Any) -> None:
    if validation_data is None:
        raise ValueError(
            "`validation_data` are the rows that are scored and must be as `fit` takes "
            "them. Received: None."
        )


def _check_has_no_batches(x: Any) -> None:
    if not _is_of_arrays(x):
        raise ValueError(
            "`hyperparameters` are what is changed and must be without 'batch_size' "
            "where `x` comes in batches. "
            f"Received: 'batch_size', with x of type {type(x).__name__}."
        )


def _objective(build: Any, given: Any) -> tuple[str, str]:
    """Name and direction, "min" or "max"."""
    if given is None:
        given = getattr(build, "objective", "val_loss")
    if isinstance(given, str) and given.endswith("loss"):
        return given, "min"
    if not hasattr(given, "direction"):
        raise ValueError(
            "`objective` is the score and must be a keras_tuner.Objective(name, "
            "direction), or the name of a loss: of others it is not known if more is "
            f"better. Received: objective={given!r}."
        )
    return given.name, given.direction


def _start(
    build: Any,
    base: Any,
    values: dict[str, list[Any]],
    arguments: dict[str, Any],
    seed: int,
) -> dict[str, Any]:
    """All values from which those of a setting differ."""
    given = {} if base is None else getattr(base, "values", None)
    given = base if isinstance(base, Mapping) else given
    if not isinstance(given, Mapping):
        raise ValueError(
            "`base` holds the values that are left as they are and must be a dict, a "
            "`keras_tuner.HyperParameters` as of `get_best_hyperparameters()`, or "
            f"None. Received: base={base!r}."
        )
    given = dict(given)
    hp = _hyperparameters(given)
    keras.utils.set_random_seed(seed)
    _model(build, hp)
    found = {**given, **hp.values}
    if not hasattr(build, "build"):
        found.setdefault("batch_size", arguments.get("batch_size") or _BATCH_SIZE)
    unknown = sorted(set(values) - set(found))
    if unknown:
        raise ValueError(
            "`hyperparameters` are what is changed and must have names that `build` "
            f"asks for with the values of `base`, or that `base` has: {sorted(found)}. "
            f"Received: {unknown}."
        )
    return found


def _with_start(values: list[Any], start: Any) -> list[Any]:
    """The values with that of the base; numbers in rising order."""
    every = list(dict.fromkeys([*values, start]))
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in every)
    return sorted(every) if numbers else every


def _settings(
    values: dict[str, list[Any]],
    start: dict[str, Any],
    pairs: Sequence[tuple[str, str]],
) -> list[dict[str, Any]]:
    """Values of all that is changed, for each setting; that of the base first."""
    base = {name: start[name] for name in values}
    found = [base]
    groups = [*((name,) for name in values), *pairs]
    for names in groups:
        for chosen in itertools.product(*(values[name] for name in names)):
            setting = {**base, **dict(zip(names, chosen, strict=True))}
            if setting not in found:
                found.append(setting)
    return found


def _hyperparameters(values: dict[str, Any]) -> "keras_tuner.HyperParameters":
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    hp.values = dict(values)
    return hp


def _model(build: Any, hp: "keras_tuner.HyperParameters") -> keras.Model:
    make: Callable = build.build if hasattr(build, "build") else build
    model = make(hp)
    if not isinstance(model, keras.Model) or not model.compiled:
        raise ValueError(
            "`build` makes the model of a setting and must return a compiled model. "
            f"Received: {model!r}."
        )
    return model


def _trained(
    build: Any, values: dict[str, Any], arguments: dict[str, Any]
) -> dict[str, list[float]]:
    """The history of a new model with these values."""
    if callable(arguments.get("callbacks")):
        arguments["callbacks"] = arguments["callbacks"]()
    hp = _hyperparameters(values)
    release_graphs()
    model = _model(build, hp)
    if hasattr(build, "build"):
        x, y = arguments.pop("x"), arguments.pop("y")
        found = build.fit(hp, model, x, y, **arguments)
        return found.history
    if "batch_size" in values and _is_of_arrays(arguments["x"]):
        arguments["batch_size"] = values["batch_size"]
    return model.fit(**arguments).history


def _is_of_arrays(x: Any) -> bool:
    """True for what `fit` divides into batches itself."""
    parts = keras.tree.flatten(x)
    return all(hasattr(part, "shape") for part in parts) and not hasattr(
        x, "element_spec"
    )


def _best(history: dict[str, list[float]], name: str, direction: str) -> float:
    """The score of the best epoch; NaN where no epoch has a finite one."""
    if name not in history:
        raise ValueError(
            "`objective` is the score and must be in the history of `fit`: "
            f"{sorted(history)}. Received: objective={name!r}."
        )
    finite = [float(value) for value in history[name] if np.isfinite(value)]
    best = max if direction == "max" else min
    return best(finite, default=float("nan"))
