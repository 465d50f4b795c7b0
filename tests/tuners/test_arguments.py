"""What the tuners refuse or warn of before they write anything."""

import warnings

import keras
import keras_tuner
import pytest

from keras_trainkit import hypermodels, tuners

# As in pyproject.toml; `pytest.warns` raises it again, and not from Keras.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
MEMBERS = [
    tuners.RandomSearch,
    tuners.GridSearch,
    tuners.BayesianOptimization,
    tuners.Hyperband,
    tuners.CoarseToFine,
]


@pytest.mark.parametrize("cls", MEMBERS)
@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({"logger": object()}, "`logger` .*`study`.*TensorBoard.*Received: logger="),
        ({"tuner_id": "tuner0"}, "`tuner_id` .*`workers`.*Received: tuner_id='tuner0'"),
    ],
)
def test_arguments_that_make_no_sense_name_what_to_use(cls, argument, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        cls(lambda hp: None, directory=tmp_path, **argument)
    assert not list(tmp_path.iterdir())


class Space(keras_tuner.HyperModel):
    """A space that a test gives as a class."""


def no_model(hp):
    """A space that is never built."""


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        (
            {"objective": "val_f1"},
            "`objective` .*Objective\\('val_f1', 'max'\\).*val_f1'",
        ),
        ({"objective": []}, r"`objective` .*list must hold one.*objective=\[\]"),
        ({"objective": ("val_loss", "min")}, "`objective` .*Received: .*'min'\\)"),
        (
            {"objective": [keras_tuner.Objective("val_loss", "up")]},
            "`objective` .*direction 'min' or 'max'.*direction=\"up\"",
        ),
        ({"directory": 3}, "`directory` is where .*string or a path.*directory=3"),
        ({"overwrite": "no"}, "`overwrite` deletes .*True or False.*overwrite='no'"),
        ({"hyperparameters": {"units": 3}}, "`hyperparameters` .*`enqueue`.*'units'"),
        ({"tune_new_entries": 0}, "`tune_new_entries` .*tune_new_entries=0"),
        ({"allow_new_entries": 0}, "`allow_new_entries` .*allow_new_entries=0"),
        ({"optimizer": "adamm"}, "`optimizer` replaces .*optimizer='adamm'"),
        ({"optimizer": keras.optimizers.Adam}, "`optimizer` replaces .*Adam"),
        ({"loss": "mce"}, "`loss` replaces .*a loss of Keras.*loss='mce'"),
        ({"metrics": "accuracy"}, "`metrics` replace .*a list.*metrics='accuracy'"),
        ({"max_model_size": 0.5}, "`max_model_size` is the number .*=0.5"),
        ({"hypermodel": Space}, "`hypermodel` .*called with its arguments.*Space"),
        ({"hypermodel": keras.Sequential()}, "`hypermodel` .*a new model for every"),
        ({"hypermodel": 3}, r"`hypermodel` .*function `build\(hp\)`.*hypermodel=3"),
    ],
)
def test_what_makes_no_search_is_refused_before_anything_is_written(
    argument, words, tmp_path
):
    (tmp_path / "search").mkdir()
    arguments = {"hypermodel": no_model, "directory": tmp_path, **argument}
    with pytest.raises(ValueError, match=words):
        tuners.RandomSearch(**arguments)
    assert not list((tmp_path / "search").iterdir())


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        (["early"], "`callbacks` watch .*Received: 'early' among"),
        ([keras.callbacks.EarlyStopping], "`callbacks` watch .*EarlyStopping"),
    ],
)
def test_callbacks_that_are_none_are_refused(callbacks, words, tmp_path):
    tuner = tuners.RandomSearch(no_model, directory=tmp_path)
    with pytest.raises(ValueError, match=words):
        tuner.search(callbacks=callbacks)
    assert tuner.trials_frame().empty


def penalized(penalty):
    return hypermodels.HyperMLP((2,), 1, "regression", space={"penalty": penalty})


def test_a_loss_that_holds_what_is_searched_is_warned_of(tmp_path):
    with pytest.warns(UserWarning, match="Take objective=hypermodel.objective"):
        tuners.RandomSearch(penalized(["none", "l2"]), directory=tmp_path)


def test_a_fair_objective_is_not(tmp_path):
    hypermodel = penalized(["none", "l2"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tuners.RandomSearch(hypermodel, hypermodel.objective, directory=tmp_path / "a")
        tuners.RandomSearch(penalized("none"), directory=tmp_path / "b")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({"max_retries_per_trial": -1}, "tried again .* at least 0.*Received: .*=-1"),
        ({"max_consecutive_failed_trials": 0}, "ends the search .*Received: .*=0"),
    ],
)
def test_failures_are_counted_in_whole_numbers(argument, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        tuners.RandomSearch(lambda hp: None, directory=tmp_path, **argument)
    assert not list(tmp_path.iterdir())
