"""NumPy's masked arrays in the data of a model: NaN takes the place of what is masked.

Keras reads the numbers below a mask on TensorFlow and torch, and JAX refuses masks.
"""

from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import without_masks
from keras_trainkit.models._data_arrays import leaves_of, refuse
from keras_trainkit.models._data_checks import INPUTS, with_inputs
from keras_trainkit.models._nan_reading import nan_is_read

_PURPOSES = {
    "y": "is what the model learns to predict",
    "sample_weight": "says how much each row counts",
}


def unmasked_arguments(model: keras.Model, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `fit`, `evaluate`, `predict` and the like, without masks.

    Raises:
        ValueError: An input with masked numbers of which no layer makes something;
            masked targets or weights.
    """
    found = _unmasked(model, "", given)
    judged = given.get("validation_data")
    if isinstance(judged, list | tuple) and len(judged) <= 3:
        parts = dict(zip(("x", "y", "sample_weight"), judged, strict=False))
        parts = _unmasked(model, "validation_data: ", parts)
        found["validation_data"] = tuple(parts.values())
    return found


def _unmasked(model: keras.Model, of: str, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the inputs as arrays, if any of them is masked.

    Args:
        of: The beginning of messages: "" or "validation_data: ".
    """
    for argument, purpose in _PURPOSES.items():
        for name, leaf in leaves_of(argument, given.get(argument)):
            if isinstance(leaf, np.ma.MaskedArray) and _hidden(leaf):
                allowed = "have no masked numbers (fill them, or leave the rows out)"
                refuse(of, name, purpose, allowed, f"{_hidden(leaf)} masked")
    x = given.get("x")
    leaves = list(leaves_of("x", x))
    if any(isinstance(leaf, np.ma.MaskedArray) for _, leaf in leaves):
        for name, leaf, wanted in with_inputs(model, of, x, leaves):
            if isinstance(leaf, np.ma.MaskedArray):
                _check_input(model, of, name, leaf, wanted)
    return {
        name: _as_arrays(value) if name in ("x", *_PURPOSES) else value
        for name, value in given.items()
    }


def _check_input(
    model: keras.Model, of: str, name: str, leaf: np.ma.MaskedArray, wanted: Any
) -> None:
    """Refuses masked numbers of which the model would not know that they are NaN."""
    of_numbers = leaf.dtype.kind in "biuf"
    into_floats = wanted is None or "float" in wanted.dtype
    if _hidden(leaf) and not (of_numbers and into_floats and nan_is_read(model, leaf)):
        allowed = "have no masked values (fill them), as no layer reads them as missing"
        purpose = f"{INPUTS} {model.name}"
        refuse(of, name, purpose, allowed, f"{_hidden(leaf)} masked")


def _hidden(leaf: np.ma.MaskedArray) -> int:
    return int(np.ma.count_masked(leaf))


def _as_arrays(part: Any) -> Any:
    """The same, with an array in the place of each that is masked."""
    if isinstance(part, dict):
        return {name: _as_arrays(value) for name, value in part.items()}
    if isinstance(part, list | tuple):
        masked = any(isinstance(leaf, np.ma.MaskedArray) for leaf in part)
        return [without_masks(leaf) for leaf in part] if masked else part
    return without_masks(part)
