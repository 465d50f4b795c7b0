"""The numbers of the recipes for measurements and for texts, and the reason for each.

Where they come from is in docs/figures/sequences.md.
"""

from collections.abc import Mapping
from typing import Any

from keras_trainkit.estimators._recipe import with_given

MOST_STEPS = 500
MOST_WORDS = 250
SEQUENCES_SEEN = 540_000  # sequences times epochs, at most
TEXTS_SEEN = 120_000
EVERY = "the recipe's"
FAST = 'of the preset "fast"'


def chosen_for_measurements(
    rows: int,
    longest: int,
    task: str,
    preset: str,
    given: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Each number for sequences of measurements as `{"value": ..., "reason": ...}`.

    Args:
        rows: Int. Training rows.
        longest: Int. Steps of the longest training row.
        task: As in `Goal`.
        preset: One of `_recipe.PRESETS`.
        given: As in `_recipe.with_given`.
    """
    found: dict[str, tuple[Any, str]] = {
        "units": ((64, 64), EVERY),
        "max_length": (
            MOST_STEPS,
            f"{EVERY}; the longest training row has {longest:,} steps",
        ),
        "keep": ("end", EVERY),
        "scales": ((1,), EVERY),
        "convolutions": ((), EVERY),
        "pool_size": (1, EVERY),
        "dropout": (0.2, EVERY),
        "recurrent_dropout": (0.1, EVERY),
        "epochs": _epochs(rows, SEQUENCES_SEEN),
        "batch_size": _batch_size(rows),
        "learning_rate": (0.002, EVERY),
        "weight_decay": (0.02, EVERY),
        "global_clipnorm": (1.0, EVERY),
    }
    if task != "regression":
        found["label_smoothing"] = (0.1, EVERY)
    if preset == "fast":
        found |= {"units": ((32,), FAST), "epochs": (40, f"the most {FAST}")}
    return with_given(found, given)


def chosen_for_texts(
    rows: int, preset: str, given: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Each number for texts, as `chosen_for_measurements`."""
    found: dict[str, tuple[Any, str]] = {
        "max_tokens": (8_000, f"{EVERY}: at most, the most frequent words"),
        "embedding_units": (128, EVERY),
        "units": ((64,), EVERY),
        "max_length": (MOST_WORDS, EVERY),
        "keep": ("end", EVERY),
        "dropout": (0.5, EVERY),
        "recurrent_dropout": (0.2, EVERY),
        "epochs": _epochs(rows, TEXTS_SEEN),
        "batch_size": _batch_size(rows),
        "learning_rate": (0.003, EVERY),
        "weight_decay": (0.02, EVERY),
        "global_clipnorm": (1.0, EVERY),
        "label_smoothing": (0.1, EVERY),
    }
    if preset == "fast":
        found |= {"units": ((32,), FAST), "embedding_units": (64, FAST)}
        found["epochs"] = (10, f"the most {FAST}")
    return with_given(found, given)


def _epochs(rows: int, seen: int) -> tuple[int, str]:
    most = min(135, max(30, seen // rows))
    return most, (
        f"the most: {rows:,} training rows are seen {seen:,} times in all, from 30 to "
        "135 epochs; ended where validation gets no better"
    )


def _batch_size(rows: int) -> tuple[int, str]:
    return 32 if rows < 1_000 else 64, f"{rows:,} training rows, 64 from 1,000 on"
