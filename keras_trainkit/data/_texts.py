"""Texts as a list of strings."""

import reprlib
from collections.abc import Iterable
from typing import Any

import numpy as np


def text_list(texts: Any) -> list[str]:
    """The texts of a list, array or Series; others are refused."""
    purpose = "`texts` are the training texts and must be a list of strings"
    if isinstance(texts, str | bytes) or not isinstance(texts, Iterable):
        raise ValueError(f"{purpose}. Received: {reprlib.repr(texts)}.")
    found = np.ravel(np.asarray(list(texts), dtype=object)).tolist()
    for number, text in enumerate(found):
        if not isinstance(text, str):
            raise ValueError(
                f"{purpose}. Received: {type(text).__name__} {reprlib.repr(text)} at "
                f"position {number}."
            )
    return [str(text) for text in found]
