"""What both optimizers do with their arguments."""

import inspect
import json

import keras
import numpy as np
import pytest

from keras_trainkit import callbacks, schedules
from keras_trainkit.optimizers import SGDW, AdamW
from keras_trainkit.schedules import OneCycle, OneCycleMomentum

both = pytest.mark.parametrize("optimizer_class", [AdamW, SGDW])


@both
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"learning_rate": -1}, "`learning_rate` scales .*at least 0.*rate=-1"),
        ({"learning_rate": -0.1}, "`learning_rate`.*Received: learning_rate=-0.1"),
        ({"learning_rate": float("nan")}, "`learning_rate`.*learning_rate=nan"),
        ({"learning_rate": "fast"}, "`learning_rate`.*LearningRateSchedule.*'fast'"),
        ({"weight_decay": -0.1}, "`weight_decay` is the share .*at least 0.*=-0.1"),
        ({"weight_decay": "none"}, "`weight_decay`.*weight_decay='none'"),
        ({"decay_biases_and_scales": 1}, "`decay_biases.* lets .*True or False.*=1"),
        ({"clipnorm": -1.0}, "`clipnorm` limits the gradient.*above 0.*clipnorm=-1.0"),
        ({"clipvalue": 0.0}, "`clipvalue` limits .*clipvalue=0.0"),
        ({"global_clipnorm": "1"}, "`global_clipnorm` limits .*global_clipnorm='1'"),
        ({"use_ema": 1}, "`use_ema` switches .*True or False.*use_ema=1"),
        ({"ema_momentum": 1.5}, "`ema_momentum` is the weight .*at most 1.*=1.5"),
        (
            {"use_ema": True, "ema_momentum": -0.5},
            "`ema_momentum` is the weight .*-0.5",
        ),
        (
            {"clipnorm": 1.5, "clipvalue": 0.25},
            "None but for one.*Received: clipnorm=1.5, clipvalue=0.25",
        ),
        ({"ema_overwrite_frequency": 0}, "`ema_overwrite_frequency` is .*at least 1"),
        ({"loss_scale_factor": 0}, "`loss_scale_factor` multiplies .*above 0"),
        ({"gradient_accumulation_steps": 2.5}, "`gradient_accum.*integer at least 2"),
        ({"gradient_accumulation_steps": 1}, "`gradient_accum.*of one update.*=1\\."),
    ],
)
def test_refuses_what_is_out_of_range(optimizer_class, arguments, words):
    with pytest.raises(ValueError, match=words):
        optimizer_class(**arguments)


@both
def test_refuses_at_assignment_too_and_keeps_what_it_had(optimizer_class):
    optimizer = optimizer_class(0.25, weight_decay=0.5)
    momentum = optimizer.momentum_argument
    before = getattr(optimizer, momentum)
    with pytest.raises(ValueError, match=f"`{momentum}`.*below 1.*{momentum}=1.5"):
        setattr(optimizer, momentum, 1.5)
    with pytest.raises(ValueError, match="`weight_decay`.*weight_decay=-0.5"):
        optimizer.weight_decay = -0.5
    with pytest.raises(ValueError, match="`learning_rate`.*learning_rate=-2"):
        optimizer.learning_rate = -2
    assert getattr(optimizer, momentum) == before
    assert optimizer.weight_decay == 0.5
    assert float(optimizer.learning_rate) == 0.25


@both
def test_takes_a_rate_in_any_form_that_keras_code_assigns(optimizer_class):
    optimizer = optimizer_class(1)
    for rate in (0.5, 2, np.float32(0.125), optimizer.learning_rate * 0.5):
        optimizer.learning_rate = rate
        assert float(optimizer.learning_rate) == float(rate)


@both
def test_a_number_for_a_scheduled_rate_is_refused_as_by_keras(optimizer_class):
    optimizer = optimizer_class(OneCycle(0.1, total_steps=20))
    with pytest.raises(TypeError, match="LearningRateSchedule"):
        optimizer.learning_rate = 0.1


@both
@pytest.mark.parametrize("rate", [0.1, 0.002, 1 / 3])
def test_the_saved_rate_is_the_one_given_not_its_float32_neighbour(
    optimizer_class, rate
):
    saved = optimizer_class(rate).get_config()["learning_rate"]
    assert saved == pytest.approx(rate, rel=1e-7)
    assert np.float32(saved) == np.float32(rate)
    assert len(str(saved)) <= len(str(np.float32(rate)))


@both
def test_schedules_come_back_from_json(optimizer_class):
    momentum = optimizer_class.momentum_argument
    decay = keras.optimizers.schedules.PolynomialDecay(0.3, 30, 0.05)
    original = optimizer_class(
        OneCycle(0.1, total_steps=20),
        weight_decay=decay,
        **{momentum: OneCycleMomentum(20, 0.9, 0.6)},
    )
    text = json.dumps(keras.saving.serialize_keras_object(original))
    copy = keras.saving.deserialize_keras_object(json.loads(text))
    assert copy.get_config() == original.get_config()
    assert isinstance(getattr(copy, momentum), OneCycleMomentum)
    assert float(copy.weight_decay(15)) == pytest.approx(0.175)  # halfway


@both
def test_a_file_can_name_nothing_but_schedules(optimizer_class):
    config = optimizer_class().get_config()
    function = keras.saving.serialize_keras_object(keras.activations.relu)
    layer = keras.saving.serialize_keras_object(keras.layers.Dense(1))
    for name in ("learning_rate", "weight_decay", optimizer_class.momentum_argument):
        for hostile in (function, layer):
            if not isinstance(hostile, dict):  # Keras names its functions by a word
                hostile = {
                    "module": "builtins",
                    "class_name": "function",
                    "config": hostile,
                    "registered_name": "function",
                }
            with pytest.raises(ValueError, match=f"`{name}` of a saved optimizer"):
                optimizer_class.from_config({**config, name: hostile})


@both
def test_keras_finds_our_class_though_its_own_has_the_name(optimizer_class):
    config = keras.optimizers.serialize(optimizer_class())
    assert type(keras.optimizers.get(config)) is optimizer_class


@both
@pytest.mark.parametrize("argument", ["learning_rate", "weight_decay", "momentum"])
def test_callback_or_class_in_the_place_of_a_schedule_is_told_what_it_is(
    optimizer_class, argument
):
    name = optimizer_class.momentum_argument if argument == "momentum" else argument
    with pytest.raises(ValueError, match=f"`{name}`.*a callback belongs in `fit"):
        optimizer_class(**{name: callbacks.OneCycle(0.1)})
    with pytest.raises(ValueError, match=f"`{name}`.*a class has to be called"):
        optimizer_class(**{name: schedules.OneCycle})


@both
@pytest.mark.parametrize("rate", [0, 0.0])
def test_rate_of_zero_changes_nothing(optimizer_class, rate):
    variable = keras.Variable([[1.0, -2.0]])
    optimizer = optimizer_class(rate)
    optimizer.apply([keras.ops.ones((1, 2))], [variable])
    np.testing.assert_array_equal(variable.numpy(), [[1.0, -2.0]])
    optimizer.learning_rate = 0
    assert float(optimizer.learning_rate) == 0


@both
def test_no_weight_decay_may_be_said_as_keras_says_it(optimizer_class):
    variables = [keras.Variable([[1.0, -2.0]]) for _ in range(2)]
    for variable, decay in zip(variables, (None, 0.0), strict=True):
        optimizer = optimizer_class(0.1, weight_decay=decay)
        optimizer.apply([keras.ops.ones((1, 2))], [variable])
        assert optimizer.get_config()["weight_decay"] == decay
        assert optimizer_class.from_config(optimizer.get_config()).weight_decay == decay
    np.testing.assert_array_equal(*(variable.numpy() for variable in variables))


@both
def test_every_argument_of_keras_is_taken(optimizer_class):
    twin = {"AdamW": keras.optimizers.AdamW, "SGDW": keras.optimizers.SGD}
    theirs = inspect.signature(twin[optimizer_class.__name__]).parameters
    mine = list(inspect.signature(optimizer_class).parameters)
    assert set(theirs) - {"kwargs"} <= set(mine)
    assert mine[:4] == list(theirs)[:4]
