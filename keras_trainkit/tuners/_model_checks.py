"""Checks of the models that a hypermodel builds, before the first trial."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras

from keras_trainkit.tuners._arguments import MADE_TO_FIT, is_known

_OWN_MODULES = ("keras", "keras_trainkit")


@contextlib.contextmanager
def watched_builds(hypermodel: Any, check: Callable[[Any], None]) -> Iterator[None]:
    """Within it `check` gets each model that the hypermodel builds."""
    build, is_own = hypermodel.build, "build" in vars(hypermodel)

    def watched(*args: Any, **kwargs: Any) -> Any:
        model = build(*args, **kwargs)
        check(model)
        return model

    hypermodel.build = watched
    try:
        yield
    finally:
        del hypermodel.build
        if is_own:
            hypermodel.build = build


def check_model(model: Any, loss: Any = None, metrics: Any = None) -> None:
    """Refuses what no `fit` of Keras trains, whatever the hyperparameters.

    Args:
        model: What was built.
        loss: What the tuner replaces the model's own by, or None.
        metrics: Likewise.

    Raises:
        ValueError: No model, one that is not compiled, or a name among its losses and
            metrics that Keras does not know.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(
            "The function `build(hp)`, or `HyperModel.build`, makes the model of a "
            "trial and must return a `keras.Model`. "
            f"Received: {model!r} of type {type(model).__name__}."
        )
    if type(model).fit.__module__.partition(".")[0] not in _OWN_MODULES:
        return  # trained in the way of its author
    if not model.compiled:
        raise ValueError(
            "The model that is built is trained by `fit` and must be compiled first, "
            f"with an optimizer and a loss. Received: {model.name!r}, not compiled."
        )
    if loss is None:
        _check_names("loss", model.loss, keras.losses.get, ())
    if metrics is None:
        config = _compile_config(model)
        for name in ("metrics", "weighted_metrics"):
            _check_names(name, config.get(name), keras.metrics.get, MADE_TO_FIT)


def _compile_config(model: keras.Model) -> dict[str, Any]:
    """Arguments of `compile`; none where there is an object that no file holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return model.get_compile_config() or {}
        except Exception:
            return {}


def _check_names(
    argument: str, given: Any, get: Callable[[Any], Any], others: tuple[str, ...]
) -> None:
    for name in _names_in(given):
        if name not in others and not is_known(name, get):
            raise ValueError(
                f"`{argument}` of the model that is built must be objects of Keras, "
                f"functions, or names that Keras knows. Received: {name!r} among them."
            )


def _names_in(given: Any) -> Iterator[str]:
    """Names, also in lists and in dicts by output; the config of an object has none."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, list | tuple):
        for one in given:
            yield from _names_in(one)
    elif isinstance(given, dict) and "class_name" not in given:
        for one in given.values():
            yield from _names_in(one)
