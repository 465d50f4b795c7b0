"""What every public, savable class owes its user, checked once for all of them."""

import inspect
import json

import keras
import numpy as np
import pytest
from contract_cases import CASES

import keras_trainkit

SAVABLE = ["initializers", "layers", "optimizers", "schedules"]
PUBLIC = [
    f"{family}.{name}"
    for family in SAVABLE
    for name in getattr(keras_trainkit, family).__all__
    if inspect.isclass(getattr(getattr(keras_trainkit, family), name))
]
public_class = pytest.mark.parametrize("path", PUBLIC)


def cls_of(path):
    family, name = path.split(".")
    return getattr(getattr(keras_trainkit, family), name)


def own_arguments(cls):
    # Of a class whose `__init__` is inherited, Python 3.11.2 shows Keras' `__new__`.
    _, *parameters = inspect.signature(cls.__init__).parameters.values()
    return {p.name for p in parameters if p.kind is not p.VAR_KEYWORD}


def test_every_public_class_has_a_case():
    assert sorted(CASES) == sorted(PUBLIC)


@public_class
def test_case_sets_every_argument(path):
    assert set(CASES[path]) == own_arguments(cls_of(path))


@public_class
def test_config_returns_every_argument_as_it_was_given(path):
    config = cls_of(path)(**CASES[path]).get_config()
    assert {name: config.get(name) for name in CASES[path]} == CASES[path]


@public_class
def test_each_argument_is_an_attribute_that_holds_what_was_passed(path):
    made = cls_of(path)(**CASES[path])
    assert {name: getattr(made, name) for name in CASES[path]} == CASES[path]


@public_class
def test_comes_back_from_json(path):
    original = cls_of(path)(**CASES[path])
    text = json.dumps(keras.saving.serialize_keras_object(original))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(copy) is type(original)
    assert copy.get_config() == original.get_config()


@public_class
def test_whole_numbers_may_be_those_of_numpy(path):
    """`y.max() + 1` is one of them."""
    given = CASES[path]
    integers = {
        name: np.int64(value)
        for name, value in given.items()
        if type(value) is int and name != "ema_overwrite_frequency"  # Keras refuses it
    }
    original = cls_of(path)(**{**given, **integers})
    text = json.dumps(keras.saving.serialize_keras_object(original))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert {name: copy.get_config()[name] for name in given} == given


@public_class
def test_saved_key_is_ours(path):
    name = path.split(".")[1]
    assert keras.saving.get_registered_name(cls_of(path)) == f"keras_trainkit>{name}"


@public_class
def test_docstring_documents_every_argument(path):
    cls = cls_of(path)
    # Indented as in the source up to Python 3.12, by less from 3.13 on.
    text = inspect.cleandoc(cls.__doc__)
    assert not {a for a in own_arguments(cls) if f"\n    {a}: " not in text}


@public_class
def test_no_argument_names_a_place_or_code(path):
    """A `.keras` file may be hostile, and safe mode builds what it names."""
    words = ("path", "url", "module", "code", "file", "directory", "fn", "callable")
    assert not [a for a in own_arguments(cls_of(path)) if a.split("_")[-1] in words]
