"""Every public callable says by name what it takes."""

import importlib
import inspect
import re

import keras
import pytest

FAMILIES = (
    *("initializers", "schedules", "optimizers", "layers", "callbacks", "models"),
    *("hypermodels", "tuners", "data", "analysis", "serving", "estimators"),
)
# Handed on to `fit` or `evaluate` of the user's own model or hypermodel.
HANDED_ON = {"search", "run_trial", "refit_best", "evaluate_best", "fit", "prepare"}
HANDED_ON |= {"evaluate"}  # of Keras, which takes more than it names
KERAS_TAKES = re.compile(r"\*\*kwargs: Passed to `keras\.(layers\.\w+|Model)`")


def public_callables():
    for family in FAMILIES:
        module = importlib.import_module(f"keras_trainkit.{family}")
        for name in module.__all__:
            found = getattr(module, name)
            yield pytest.param(found, id=f"{family}.{name}")
            if inspect.isclass(found):
                for method, function in vars(found).items():
                    if inspect.isfunction(function) and not method.startswith("_"):
                        yield pytest.param(function, id=f"{family}.{name}.{method}")


def starred(function):
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    if inspect.isclass(function) and issubclass(function, keras.layers.Layer):
        # Where it is inherited Python 3.11.2 shows the `__new__` of Keras.
        function = function.__init__
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind in kinds]


@pytest.mark.parametrize("function", list(public_callables()))
def test_signature_names_every_argument(function):
    if function.__name__ in HANDED_ON or not starred(function):
        return
    assert starred(function) == ["kwargs"]
    assert KERAS_TAKES.search(inspect.getdoc(function) or "")
