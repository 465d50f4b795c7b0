"""Configs of a hostile file end in a ValueError, whatever they hold.

Some values are fine in some places, so a single one may be taken. How many are refused
is counted, and what no entry may take is listed: a check that is gone is seen.
"""

import collections
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


CLASSES = {
    key.split(">")[1]: cls
    for key, cls in sorted(keras.saving.get_custom_objects().items())
    if key.startswith("keras_trainkit>")
}
REGISTERED = list(CLASSES)
BUILT = [name for name, cls in CLASSES.items() if hasattr(cls, "build_from_config")]
registered = pytest.mark.parametrize("name", REGISTERED)
# Entries that Keras keeps as they come; every other one refuses most of `HOSTILE`.
UNCHECKED_BY_KERAS = {
    ("EmbeddingBag", "quantization_config"),
    ("Head", "use_bias"),
    ("Head", "quantization_config"),
    ("TaskModel", "trainable"),
    ("MemberModel", "trainable"),
}
# Their variables, where they have any, are of the same shape for every input.
OF_ANY_SHAPE = {
    "Bigrams",
    "EmbeddingBag",
    "LastSteps",
    "MemberModel",
    "MissingIndicator",
    "MultiScale",
    "PiecewiseMean",
    "SequenceMean",
    "SequenceTruncation",
    "TaskModel",
    "TemperatureScaling",
    "TimeMask",
    "TimeShift",
    "TimeWarp",
    "TokenDropout",
}


def is_refused(function, given, kind=object):
    """True after a ValueError with words, False after a result of `kind`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = function(given)
        except ValueError as error:
            assert str(error)
            return True
    assert isinstance(result, kind)
    return False


def test_every_public_class_of_a_file_is_registered():
    assert {path.split(".")[1] for path in CASES} <= set(REGISTERED)
    assert {"TaskModel", "MemberModel"} <= set(BUILT)


@registered
def test_its_own_config_is_taken(name):
    original = made(name)
    assert not is_refused(original.from_config, original.get_config(), type(original))


@registered
def test_a_config_with_one_wrong_or_missing_entry(name):
    original = made(name)
    cls, config = type(original), original.get_config()
    for key in config:
        rest = {other: value for other, value in config.items() if other != key}
        is_refused(cls.from_config, dict(rest), cls)
        given = [{**rest, key: value} for value in HOSTILE]
        refused = sum(is_refused(cls.from_config, one, cls) for one in given)
        assert refused >= 20 or (name, key) in UNCHECKED_BY_KERAS, key


@registered
@pytest.mark.parametrize("value", [object(), 1j, {"class_name": 7}], ids=range(3))
def test_what_no_entry_may_be_is_refused_by_each(name, value):
    original = made(name)
    config = original.get_config()
    taken = {
        (name, key)
        for key in config
        if not is_refused(original.from_config, {**config, key: value}, type(original))
    }
    assert taken <= UNCHECKED_BY_KERAS


@registered
def test_an_argument_without_a_default_must_be_in_the_config(name):
    original = made(name)
    config = original.get_config()
    needed = [
        key
        for key, parameter in inspect.signature(type(original)).parameters.items()
        if parameter.default is parameter.empty and key in config
    ]
    if name.endswith("Model"):
        needed = ["layers", "input_layers", "output_layers"]
    for key in needed:
        rest = {other: value for other, value in config.items() if other != key}
        assert is_refused(original.from_config, rest), key


@registered
def test_a_config_that_is_none(name):
    cls = type(made(name))
    for value in [*HOSTILE, {"another": 1}]:
        is_refused(cls.from_config, value, cls)
    with pytest.raises(ValueError, match=f"{name} again.*Received"):
        cls.from_config(None)
    for value in (7, [None], "relu", object(), {"another": 1}):
        assert is_refused(cls.from_config, value), value


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
    refused = collections.Counter()
    for number in range(count):
        cls, config = configs[number % len(configs)]
        changed = mutated(config, rng)
        refused[cls] += is_refused(cls.from_config, changed, cls)
    assert min(refused[cls] for cls, _ in configs) > count / len(configs) / 2


@pytest.mark.parametrize("name", BUILT)
def test_a_build_config_of_shapes_that_are_none(name):
    shapes, of_many = (
        sum(is_refused(made(name).build_from_config, {key: one}) for one in SHAPES)
        for key in ("input_shape", "shapes_dict")
    )
    assert shapes == len(SHAPES) or name in OF_ANY_SHAPE
    assert of_many == len(SHAPES) or name.endswith("Model")
    # Keras builds nothing of what is empty, nor of what has no shapes in it.
    assert sum(is_refused(made(name).build_from_config, one) for one in HOSTILE) >= 15


@registered
def test_a_file_of_it_names_the_class_and_opens_again(name):
    original = made(name)
    saved = keras.saving.serialize_keras_object(original)
    assert saved["registered_name"] == f"keras_trainkit>{name}"
    assert type(keras.saving.deserialize_keras_object(saved)) is type(original)


@pytest.mark.parametrize(
    ("check", "given", "taken"),
    [
        ("check_number", ["is tried"], [-1, 0, 2**63, 1e308, np.float32(0.5)]),
        ("check_count", ["is tried"], []),
        ("check_counts", ["is tried", 0], [[]]),
        ("check_choice", ["is tried", ("relu", 1)], ["relu"]),
        ("check_flag", ["is tried"], [True]),
        ("check_seed", [], [None, 0]),
    ],
)
def test_every_check_takes_what_it_says_and_refuses_the_rest(check, given, taken):
    function = getattr(_checks, check)
    found = [
        value
        for value in HOSTILE
        if not is_refused(lambda one: function("argument", one, *given), value)
    ]
    assert list(map(repr, found)) == list(map(repr, taken))


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
