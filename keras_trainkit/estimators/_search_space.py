"""The space around the recipe for tables, in which its numbers are searched."""

from collections.abc import Mapping
from typing import Any

import keras_tuner

from keras_trainkit.estimators._table_recipe import NO_NUMBERS

WIDTHS = (128, 256, 512)
MOST_LAYERS = 4
MOST_DROPOUT = 0.3

Recipe = Mapping[str, Mapping[str, Any]]


def search_space(recipe: Recipe) -> keras_tuner.HyperParameters:
    """The values that may be tried in place of the recipe's numbers.

    | name                | range                                                 |
    | ------------------- | ----------------------------------------------------- |
    | `layers`            | 1 to 4, all as wide                                   |
    | `units`             | 128, 256, 512                                         |
    | `members`           | half the recipe's, as many, or twice                  |
    | `dropout`           | 0 to 0.3                                              |
    | `learning_rate`     | a third of the recipe's to three times as much, log   |
    | `weight_decay`      | a tenth of the recipe's to ten times as much, log     |
    | `batch_size`        | half the recipe's, the same, or twice                 |
    | `numeric_embedding` | with and without                                      |
    | `label_smoothing`   | 0, 0.05, 0.1                                          |

    What the user has given is not searched, nor what a given optimizer or loss has of
    its own, nor an embedding where there are no numbers. Scaling is not: the networks
    of one model take the same encoded columns.
    """
    space = keras_tuner.HyperParameters()
    value = {name: recipe[name]["value"] for name in searched(recipe)}
    if "hidden_units" in value:
        space.Int("layers", 1, MOST_LAYERS, default=len(value["hidden_units"]))
        space.Choice("units", list(WIDTHS), default=value["hidden_units"][0])
    if "members" in value:
        members = value["members"]
        counts = sorted({max(1, members // 2), members, 2 * members})
        space.Choice("members", counts, default=members)
    if "dropout" in value:
        space.Float("dropout", 0.0, MOST_DROPOUT, default=value["dropout"])
    for name, factor in (("learning_rate", 3), ("weight_decay", 10)):
        if name in value:
            low, high = value[name] / factor, value[name] * factor
            space.Float(name, low, high, sampling="log", default=value[name])
    if "batch_size" in value:
        size = value["batch_size"]
        sizes = sorted({max(1, size // 2), size, 2 * size})
        space.Choice("batch_size", sizes, default=size)
    if "numeric_embedding" in value:
        space.Boolean("numeric_embedding", default=value["numeric_embedding"])
    if "label_smoothing" in value:
        smoothing = value["label_smoothing"]
        space.Choice("label_smoothing", [0.0, 0.05, 0.1], default=smoothing)
    return space


def searched(recipe: Recipe) -> list[str]:
    """Names of the recipe whose numbers are searched."""
    names = (
        *("hidden_units", "members", "dropout", "learning_rate", "weight_decay"),
        *("batch_size", "numeric_embedding", "label_smoothing"),
    )
    return [name for name in names if _is_free(recipe.get(name))]


def values_of(recipe: Recipe, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of the recipe, with those of a trial in their place.

    Args:
        chosen: Dict of name in the space to value.
    """
    values = {name: choice["value"] for name, choice in recipe.items()}
    values |= {name: chosen[name] for name in chosen if name in values}
    if "layers" in chosen:
        values["hidden_units"] = (chosen["units"],) * chosen["layers"]
    return values


def _is_free(choice: Mapping[str, Any] | None) -> bool:
    if choice is None or choice["value"] is None:
        return False
    return choice["reason"] not in ("given", NO_NUMBERS)
