"""What the tuners refuse or warn of before they write anything."""

import warnings

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
