"""Configs of a hostile file end in a ValueError, whatever they hold."""

import copy
import inspect
import warnings

import keras
import numpy as np
import pytest
from contract_cases import CASES

import keras_trainkit
from keras_trainkit import _checks, models

HOSTILE = [
    None,
    True,
    -1,
    0,
    2**63,
    10**400,
    10**5000,  # Python writes no more than 4300 digits
    1e308,
    float("nan"),
    float("inf"),
    np.float32(0.5),
    np.bool_(True),
    "",
    "relu",
    b"x",
    [],
    [None],
    [10**400],
    {},
    {"a": 1},
    {"class_name": "Dense", "config": None},
    object(),
    1j,
    np.zeros((2, 2)),
    len,
]
SHAPES = [
    None,
    7,
    "xy",
    [],
    [None],
    [None, -3],
    [None, 10**400],
    [None, 2.5],
    ["a"],
    {"a": [1]},
    [[None, 4], [None, 4]],
    [None, float("nan")],
]


def task_model():
    return models.mlp((4,), 2, (), task="classification", classes=["a", "b"])


def member_model():
    return models.mlp((4,), 2, (), task="classification", members=2)


def made(name):
    """An object of the registered class."""
    if name in ("TaskModel", "MemberModel"):
        return member_model() if name == "MemberModel" else task_model()
    (path,) = [path for path in CASES if path.split(".")[1] == name]
    family = getattr(keras_trainkit, path.split(".")[0])
    return getattr(family, name)(**CASES[path])


REGISTERED = sorted(
    key.split(">")[1]
    for key in keras.saving.get_custom_objects()
    if key.startswith("keras_trainkit>")
)
registered = pytest.mark.parametrize("name", REGISTERED)


def only_value_errors(function, given):
    """Some values are fine in some places."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            function(given)
        except ValueError as error:
            assert str(error)


def test_every_public_class_of_a_file_is_registered():
    assert {path.split(".")[1] for path in CASES} <= set(REGISTERED)
    assert {"TaskModel", "MemberModel"} <= set(REGISTERED)


@registered
def test_a_config_with_one_wrong_or_missing_entry(name):
    original = made(name)
    config = original.get_config()
    for key in config:
        rest = {other: value for other, value in config.items() if other != key}
        only_value_errors(type(original).from_config, dict(rest))
        for value in HOSTILE:
            only_value_errors(type(original).from_config, {**rest, key: value})


@registered
def test_a_config_that_is_none(name):
    cls = type(made(name))
    for value in [*HOSTILE, {"another": 1}]:
        only_value_errors(cls.from_config, value)
    with pytest.raises(ValueError, match=f"{name} again.*Received"):
        cls.from_config(None)


def mutated(config, rng):
    """A copy with one to three changes at any depth."""
    config = copy.deepcopy(config)
    for _ in range(rng.integers(1, 4)):
        places = list(dicts_in(config))
        place = places[rng.integers(len(places))]
        keys = [*place, "unknown"]
        key = keys[rng.integers(len(keys))]
        if rng.random() < 0.2:
            place.pop(key, None)
        else:
            value = copy.deepcopy(HOSTILE[rng.integers(len(HOSTILE))])
            wraps = [value, [value, value], {"config": value}, {str(key): [value]}]
            place[key] = wraps[rng.integers(len(wraps))]
    return config


def dicts_in(value):
    if isinstance(value, dict):
        yield value
    if isinstance(value, dict | list | tuple):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from dicts_in(entry)


@pytest.mark.parametrize("count", [1000, pytest.param(20_000, marks=pytest.mark.soak)])
def test_random_changes_of_configs(count):
    rng = np.random.default_rng(count)
    configs = [(type(one), one.get_config()) for one in map(made, REGISTERED)]
    for number in range(count):
        cls, config = configs[number % len(configs)]
        only_value_errors(cls.from_config, mutated(config, rng))


@registered
def test_a_build_config_of_shapes_that_are_none(name):
    if not hasattr(made(name), "build_from_config"):
        return
    configs = [
        {key: shape} for key in ("input_shape", "shapes_dict") for shape in SHAPES
    ]
    for config in [*configs, *HOSTILE]:
        only_value_errors(made(name).build_from_config, config)


@registered
def test_a_file_of_it_names_the_class_and_opens_again(name):
    original = made(name)
    saved = keras.saving.serialize_keras_object(original)
    assert saved["registered_name"] == f"keras_trainkit>{name}"
    assert type(keras.saving.deserialize_keras_object(saved)) is type(original)


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_every_check_takes_what_it_says_or_raises_a_value_error(value):
    for name in ("check_number", "check_count", "check_flag", "check_seed"):
        check = getattr(_checks, name)
        purpose = (
            ["is tried"] if "purpose" in inspect.signature(check).parameters else []
        )
        only_value_errors(lambda given: check("argument", given, *purpose), value)  # noqa: B023
    only_value_errors(
        lambda given: _checks.check_choice("argument", given, "is tried", ("a", 1)),
        value,
    )


@pytest.mark.parametrize(
    "value", [2**63, -(2**63) - 1, 10**400, 10**5000], ids=range(4)
)
def test_counts_and_numbers_that_no_file_or_tensor_holds_are_refused(value):
    with pytest.raises(ValueError, match="`units` is tried and must be an integer"):
        _checks.check_count("units", value, "is tried", at_least=None)
    if abs(value) > 2**64:
        with pytest.raises(ValueError, match="`rate` is tried and must be a number"):
            _checks.check_number("rate", value, "is tried")


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(3), 3, 0.5, 2**64])
def test_numbers_of_numpy_count_as_numbers(value):
    _checks.check_number("rate", value, "is tried", above=0)
