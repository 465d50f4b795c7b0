"""Levels of a column of categories: which there may be, and what is odd about them."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from keras_trainkit._tables.objects import EXACT

MAX_LEVELS = 1_000_000
MIN_WORD = 3  # letters; of shorter codes capitals are part
# Soft hyphen, space without width, word joiner, byte order mark.
UNSEEN = str.maketrans("", "", "\u00ad\u200b\u2060\ufeff")


def by_frequency(counts: Mapping[Any, int]) -> list:
    """The levels, the most frequent first, equally frequent ones in their order."""
    return sorted(counts, key=lambda level: (-counts[level], level))


def variants_remark(levels: Sequence[str], called: str = "levels") -> str:
    """Remark on levels that are spelled alike, after the column's name; "" for none.

    Args:
        levels: Different texts, the most frequent first.
        called: Word for them.
    """
    first: dict[str, str] = {}
    pairs = []
    for level in levels:
        known = first.setdefault(_spelling(level), level)
        if known != level:
            pairs.append((known, level))
    if not pairs:
        return ""
    one, other = pairs[0]
    more = f" (and {len(pairs) - 1:,} more)" if len(pairs) > 1 else ""
    return (
        f"takes {one!r} and {other!r}{more} for different {called}, though only "
        "blanks, unseen characters, capitals or the bytes of a letter tell them apart: "
        "write them alike where they mean the same"
    )


def _spelling(level: str) -> str:
    if not level.isascii():
        level = unicodedata.normalize("NFC", level.translate(UNSEEN))
    spelling = " ".join(level.split())
    return spelling if len(spelling) < MIN_WORD else spelling.lower()


def check_exact(name: str, values: np.ndarray) -> None:
    """Refuses numbers as levels of which float64 has no longer the last digit."""
    if (np.abs(values) >= EXACT).any():
        raise ValueError(
            f"The column {name!r} is encoded by its levels, compared as float64, and "
            "must hold numbers below 2^53 (longer ones as texts). "
            f"Received: {np.abs(values).max():.17g}."
        )


def check_unicode(name: str, level: str) -> None:
    """Refuses a level that no served model could be sent."""
    try:
        level.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"The column {name!r} is served as texts in UTF-8 and must hold no other "
            f"bytes or surrogates. Received: {level!r}."
        ) from error


def refuse_levels(name: str, levels: Mapping[Any, int]) -> NoReturn:
    """Says that there are more than `MAX_LEVELS`."""
    raise ValueError(
        f"The column {name!r} is encoded by its levels and must have at most "
        f"{MAX_LEVELS:,} different ones (an identifier is better dropped). "
        f"Received: {len(levels):,} or more, such as {next(iter(levels))!r}."
    )
