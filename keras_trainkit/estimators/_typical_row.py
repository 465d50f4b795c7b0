"""A row that no table holds, for what needs an example and may not show a real one."""

from typing import Any

import numpy as np

from keras_trainkit.layers import TableEncoder


def typical_row(encoder: TableEncoder) -> dict[str, Any]:
    """Columns of one row: the encoder's fill values, and the most frequent levels.

    Missing where texts stand for numbers, since their notation is not known here.
    """
    states = (encoder.get_build_config() or {})["columns"]
    return {state["name"]: [_value(state)] for state in states}


def _value(state: dict[str, Any]) -> Any:
    if state["notation"] is not None:
        return None
    if state["kind"] == "categorical":
        return state["levels"][0] if state["levels"] else None
    if state["kind"] == "datetime":
        return np.datetime64(round(state["fill"]), "s")
    return bool(state["fill"]) if state["kind"] == "boolean" else state["fill"]
