"""The space around the recipe."""

import pytest

from keras_trainkit.estimators._search_space import search_space, values_of
from keras_trainkit.estimators._table_recipe import NO_NUMBERS, chosen

pytestmark = pytest.mark.backend_free


def recipe(folds=None, rows=4_000, task="binary", preset="default", **given):
    return chosen(rows, 5, task, preset, given, folds)


@pytest.mark.parametrize("folds", [None, 5])
@pytest.mark.parametrize("preset", ["default", "fast"])
@pytest.mark.parametrize("rows", [20, 4_000, 100_000])
def test_the_recipe_is_a_point_of_the_space(folds, preset, rows):
    around = recipe(folds, rows, preset=preset)
    values = {name: choice["value"] for name, choice in around.items()}
    space = search_space(around)
    assert values_of(around, space.values) == values
    for parameter in space.space:
        value = space.values[parameter.name]
        if hasattr(parameter, "min_value"):
            assert parameter.min_value <= value <= parameter.max_value
        else:
            assert value in parameter.values


def test_names_and_ranges():
    space = {parameter.name: parameter for parameter in search_space(recipe()).space}
    assert set(space) == {
        *("layers", "units", "members", "dropout", "learning_rate", "weight_decay"),
        *("batch_size", "numeric_embedding", "label_smoothing"),
    }
    rate = space["learning_rate"]
    assert (rate.min_value, rate.max_value) == pytest.approx((0.001, 0.009))
    assert space["members"].values == [8, 16, 32]
    assert space["batch_size"].values == [50, 100, 200]


def test_given_numbers_are_not_searched():
    given = {"members": 4, "hidden_units": (), "learning_rate": 0.1}
    space = search_space(recipe(**given))
    assert not {"members", "layers", "units", "learning_rate"} & set(space.values)
    values = values_of(recipe(**given), {"dropout": 0.3})
    assert (values["members"], values["dropout"]) == (4, 0.3)
    assert values["hidden_units"] == ()


def test_what_a_given_optimizer_and_loss_have_is_not_searched():
    space = search_space(recipe(optimizer="sgd", loss="mse"))
    absent = {"learning_rate", "weight_decay", "label_smoothing"}
    assert not absent & set(space.values)


def test_an_embedding_of_numbers_is_not_searched_where_there_are_none():
    around = recipe()
    around["numeric_embedding"] = {"value": False, "reason": NO_NUMBERS}
    assert "numeric_embedding" not in search_space(around).values


def test_width_and_depth_of_a_trial_become_hidden_units():
    assert values_of(recipe(), {"layers": 2, "units": 128})["hidden_units"] == (
        128,
        128,
    )
