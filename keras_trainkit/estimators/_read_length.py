"""The part of a long row that is read, and a warning where that is not all."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from keras_trainkit._checks import check_choice, check_count
from keras_trainkit._warnings import warn_user

ENDS = ("start", "end")
PURPOSE = "is the number of steps, or words, that are read of a row, at most,"


def check_read_length(recipe: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuses a recipe, of a file, that does not say what is read of a longer row."""
    length, keep = recipe["max_length"]["value"], recipe["keep"]["value"]
    check_count("max_length", length, PURPOSE)
    check_choice("keep", keep, "is the end that stays of longer rows", ENDS)
    if "linear_length" in recipe:
        count = recipe["linear_length"]["value"]
        check_count("linear_length", count, PURPOSE, at_least=0)


def tell_unread(
    lengths: np.ndarray, recipe: Mapping[str, Mapping[str, Any]], rows: str, parts: str
) -> None:
    """Warns of training rows of which less than all is read; called by `_plan`.

    Args:
        lengths: `(rows,)`. Of each, whole.
        rows: Word for the rows.
        parts: Word for what they are made of.
    """
    length, keep = recipe["max_length"]["value"], recipe["keep"]["value"]
    longer = int(np.count_nonzero(lengths > length))
    if longer:
        warn_user(
            f"{longer:,} of {len(lengths):,} {rows} have more than {length:,} {parts}, "
            f"the longest {lengths.max():,}: of these the {keep} is read. "
            f"`max_length={lengths.max()}` reads all.",
        )
