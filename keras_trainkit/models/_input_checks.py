"""Inputs of `predict` and `evaluate` that somebody has forgotten to encode."""

from typing import Any

import keras

from keras_trainkit.models._data_arrays import is_array, is_table, leaves_of
from keras_trainkit.models._data_checks import INPUTS, check_numbers, with_inputs


def check_inputs(model: keras.Model, x: Any) -> None:
    """Refuses (ValueError) tables that are not encoded, and texts; NaN passes.

    Arrays of numbers are not looked at.
    """
    leaves = list(leaves_of("x", x))
    if not isinstance(x, dict) and not any(_may_hold_texts(leaf) for _, leaf in leaves):
        return
    for name, leaf, wanted in with_inputs(model, "", x, leaves):
        takes_texts = wanted is not None and wanted.dtype == "string"
        if _may_hold_texts(leaf) and not takes_texts:
            check_numbers("", name, leaf, f"{INPUTS} {model.name}", True)


def _may_hold_texts(leaf: Any) -> bool:
    if not is_array(leaf):
        return False
    return is_table(leaf) or getattr(leaf.dtype, "kind", "f") in "OUS"
