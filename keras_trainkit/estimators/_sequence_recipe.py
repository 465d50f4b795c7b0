"""The numbers of the recipes for measurements and for texts, and the reason for each.

Where they come from is in docs/figures/sequences.md.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_trainkit.estimators._recipe import (
    MIN_EPOCH_STEPS,
    choice,
    lengths_of,
    with_given,
)

MOST_STEPS = 500
MOST_CONVOLVED = 2_000  # steps, of which the recurrence sees some hundred
STEPS_BEHIND = 250  # of the longest sequence, at most, behind the convolutions
FEW_SERIES = 100  # rows up to which classes of one channel are learned in folds
STEPS_FOR_SHAPES = 64  # as `MIN_EPOCH_STEPS`: shapes are learned for longer
SHAPES = ((64, 8), (128, 5), (64, 3))
FEATURES_PER_KERNEL = 119  # of `layers.MiniRocket`: 9,996 in all
SEGMENTS = 12
MOST_PLACED = 200  # values of a sequence that an MLP reads by their place
MOST_FITTED = 8_000  # rows: minutes and gigabytes, which grow with their square
# Arguments that only a network has.
OF_NETWORKS = (
    "units",
    "scales",
    "convolutions",
    "pool_size",
    "convolution_mean",
    "dropout",
    "recurrent_dropout",
    "epochs",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "label_smoothing",
    "folds",
    "optimizer",
    "loss",
    "metrics",
    "keras_callbacks",
)
MOST_WORDS = 250
SEQUENCES_SEEN = 540_000  # sequences times epochs, at most
TEXTS_SEEN = 120_000
WORDS_SEEN = 4_000_000  # of the training texts, while vectors are learned
MOST_VECTOR_EPOCHS = 20
MOST_BIGRAMS = 200_000
MOST_WORDS_COUNTED = 1_000  # of a text, by the linear model
MOST_WEIGHTS = 4_000_000  # of pairs of words, for all logits
MOST_LINEAR = 500  # numbers that the linear model reads
MANY_ROWS = 1_000  # for batches of like length, and for vectors of words
MUCH_PADDING = 0.25  # share of the steps
LIKE_LENGTHS = 4
EVERY = "the recipe's"
FAST = 'of the preset "fast"'


def chosen_for_measurements(
    rows: int,
    longest: int,
    channels: int,
    task: str,
    preset: str,
    given: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """Each number for sequences of measurements as `{"value": ..., "reason": ...}`.

    Args:
        rows: Int. Training rows.
        longest: Int. Steps of the longest training row.
        channels: Int. Values of each step.
        task: As in `Goal`.
        preset: One of `_recipe.PRESETS`.
        given: As in `_recipe.with_given`.
    """
    batch_size = given.get("batch_size") or _batch_size(rows)[0]
    parts = _parts(channels, longest, task, preset, given)
    convolutions = parts["convolutions"][0]
    most = MOST_CONVOLVED if convolutions else MOST_STEPS
    found: dict[str, tuple[Any, str]] = {
        **parts,
        "max_length": (
            most,
            f"{EVERY}; the longest training row has {longest:,} steps",
        ),
        "keep": ("end", EVERY),
        "scales": ((1,), EVERY),
        "dropout": (0.2, EVERY),
        "recurrent_dropout": (0.1, EVERY),
        **lengths_of(
            rows,
            SEQUENCES_SEEN,
            batch_size,
            STEPS_FOR_SHAPES if convolutions else MIN_EPOCH_STEPS,
        ),
        "batch_size": _batch_size(rows),
        "learning_rate": (0.002, EVERY),
        "weight_decay": (0.02, EVERY),
        "global_clipnorm": (1.0, EVERY),
    }
    if task == "regression":
        found["linear_steps"] = _linear_steps(longest, most, channels, given)
    else:
        found["label_smoothing"] = (0.1, EVERY)
    if preset == "fast":
        found["epochs"] = (40, f"the most {FAST}")
        found["min_epoch_steps"] = (1, FAST)
    return with_given(found, given)


def chosen_for_shapes(
    longest: int, share: tuple[float, str], given: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Each number of a linear model of shapes, as `chosen_for_measurements`.

    Args:
        share: As `mlp_share` gives it.
    """
    found: dict[str, tuple[Any, str]] = {
        "mlp_weight": share,
        "features_per_kernel": (FEATURES_PER_KERNEL, f"{EVERY}, for classes"),
        "segments": (SEGMENTS, f"{EVERY}: means of as many equal parts tell too"),
        "max_length": (
            MOST_CONVOLVED,
            f"{EVERY}; the longest training row has {longest:,} steps",
        ),
        "keep": ("end", EVERY),
    }
    return with_given(found, given)


def reads_shapes(rows: int, given: Mapping[str, Any]) -> bool:
    """True where classes are told by a linear model of shapes, not by a network."""
    if given["features_per_kernel"] is not None:
        return bool(given["features_per_kernel"])
    of_networks = [name for name in OF_NETWORKS if given[name] is not None]
    return not of_networks and rows <= MOST_FITTED


def mlp_share(
    lengths: np.ndarray, channels: int, given: Mapping[str, Any]
) -> tuple[float, str]:
    """Share of an MLP of all values beside the linear model of shapes, and why.

    Args:
        lengths: Ints `(rows,)`. Steps of each row, validated ones too.
        channels: Int. Values of each step.
    """
    rows, values = len(lengths), int(lengths.max()) * channels
    if given["mlp_weight"] is not None:
        return given["mlp_weight"], "given"
    if rows < MANY_ROWS:
        return 0.0, f"{rows:,} rows, fewer than {MANY_ROWS:,}"
    if lengths.min() < lengths.max():
        return 0.0, "sequences of several lengths, whose steps have no place"
    if values > MOST_PLACED:
        return 0.0, f"{values:,} values of a sequence, more than {MOST_PLACED}"
    return 0.5, f"half: {rows:,} sequences of one length, of {values:,} values"


def series_in_folds(channels: int, given: Mapping[str, Any]) -> int:
    """Rows up to which classes are learned in folds; 0 for never."""
    is_bare = given.get("convolutions") is not None and not given["convolutions"]
    has_mlp = bool(given.get("mlp_weight"))
    is_other = is_bare or has_mlp or bool(given.get("units"))
    return 0 if channels > 1 or is_other else FEW_SERIES


def chosen_for_texts(
    rows: int, outputs: int, preset: str, given: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Each number for texts, as `chosen_for_measurements`.

    Args:
        outputs: Int. Logits of a text.
    """
    batch_size = given.get("batch_size") or _batch_size(rows)[0]
    found: dict[str, tuple[Any, str]] = {
        "max_tokens": (8_000, f"{EVERY}: at most, the most frequent words"),
        "embedding_units": (128, EVERY),
        "units": ((64,), EVERY),
        "max_length": (MOST_WORDS, EVERY),
        "keep": ("end", EVERY),
        "dropout": (0.5, EVERY),
        "recurrent_dropout": (0.2, EVERY),
        **_words_beside(outputs, given),
        **lengths_of(rows, TEXTS_SEEN, batch_size),
        "batch_size": _batch_size(rows),
        "learning_rate": (0.003, EVERY),
        "weight_decay": (0.02, EVERY),
        "global_clipnorm": (1.0, EVERY),
        "label_smoothing": (0.1, EVERY),
    }
    if preset == "fast":
        found |= {"units": ((32,), FAST), "embedding_units": (64, FAST)}
        found["epochs"] = (10, f"the most {FAST}")
        found["min_epoch_steps"] = (1, FAST)
    return with_given(found, given)


def like_lengths(lengths: np.ndarray) -> dict[str, dict[str, Any]]:
    """The number of lengths that batches of training rows are padded to.

    Args:
        lengths: Ints `(rows,)`. Steps of each training row, of those that are read.
    """
    share = 1 - lengths.mean() / lengths.max()
    if len(lengths) < MANY_ROWS:
        groups, why = 1, f"{len(lengths):,} training rows, fewer than {MANY_ROWS:,}"
    elif share < MUCH_PADDING:
        groups, why = 1, f"{share:.0%} of the steps of one length would be padding"
    else:
        groups = LIKE_LENGTHS
        why = f"{share:.0%} of the steps of one length would be padding"
    return {"num_lengths": choice(groups, why)}


def vector_epochs(
    lengths: np.ndarray, preset: str, given: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The passes in which vectors of words are learned from the training texts.

    Args:
        lengths: Ints `(rows,)`. Words of each training text, of those that are read.
        preset: One of `_recipe.PRESETS`.
        given: As in `_recipe.with_given`.

    Raises:
        ValueError: Passes are given, and no text has two words.
    """
    rows, words = len(lengths), int(lengths.sum())
    if given.get("vector_epochs") is not None:
        found = given["vector_epochs"], "given"
        if found[0] and lengths.max() < 2:
            raise ValueError(
                "`vector_epochs` is the number of passes in which vectors of words are "
                "learned, from words beside them, and must be 0 where no training text "
                f"has two. Received: vector_epochs={found[0]}, and {rows} training "
                "texts of at most one word."
            )
    elif preset == "fast":
        found = 0, FAST
    elif rows < MANY_ROWS or lengths.max() < 2:
        found = 0, f"{rows:,} training texts, fewer than {MANY_ROWS:,}, or of one word"
    else:
        epochs = min(MOST_VECTOR_EPOCHS, max(1, WORDS_SEEN // words))
        found = (
            epochs,
            f"{words:,} words are read {WORDS_SEEN:,} times in all, from 1 to "
            f"{MOST_VECTOR_EPOCHS} times each",
        )
    return {"vector_epochs": choice(*found)}


def _parts(
    channels: int, longest: int, task: str, preset: str, given: Mapping[str, Any]
) -> dict[str, tuple[Any, str]]:
    """The parts that the network has: convolutions, their mean, recurrent layers."""
    convolutions, why = given.get("convolutions"), "given"
    if convolutions is None:
        convolutions = SHAPES if channels == 1 else ()
        why = "one channel, whose shapes tell" if convolutions else "several channels"
    units: tuple[Sequence[int], str]
    units = ((32,), FAST) if preset == "fast" else ((64, 64), EVERY)
    if channels == 1 and convolutions and task != "regression":
        units = (), "classes of one channel are told by the mean of the convolutions"
    is_recurrent = bool(units[0] if given.get("units") is None else given["units"])
    read = min(longest, given.get("max_length") or MOST_CONVOLVED)
    return {
        "convolutions": (convolutions, why),
        "convolution_mean": (
            bool(convolutions) and not is_recurrent,
            "by itself, where there are no recurrent layers",
        ),
        "pool_size": _pool_size(convolutions if is_recurrent else (), read),
        "units": units,
    }


def _pool_size(convolutions: Sequence, steps: int) -> tuple[int, str]:
    if not convolutions:
        return 1, "no convolutions that recurrent layers read"
    times = math.ceil(steps / STEPS_BEHIND)
    return max(2, times), (
        f"half of the {steps:,} steps that are read of the longest training row, or at "
        f"most {STEPS_BEHIND}"
    )


def _linear_steps(
    longest: int, most: int, channels: int, given: Mapping[str, Any]
) -> tuple[int, str]:
    """The last steps that the linear function reads; 0 for none.

    Args:
        most: Steps that are read of a longer sequence, where none are given.
    """
    if given.get("loss") is not None:
        return 0, "a linear function lowers the squared error, and not the given loss"
    read = min(longest, given.get("max_length") or most)
    steps = min(read, max(1, MOST_LINEAR // channels))
    if steps == read:
        return steps, "all that are read of the longest training row"
    return steps, (
        f"the last that have at most {MOST_LINEAR} numbers together, or the last one "
        f"alone; of the longest training row {read:,} are read"
    )


def _words_beside(outputs: int, given: Mapping[str, Any]) -> dict[str, tuple]:
    """Of a linear model its pairs of words, 0 for none, share, and words it reads."""
    most = max(1, min(MOST_BIGRAMS, MOST_WEIGHTS // outputs))
    found = most, f"{EVERY}: the most frequent pairs, at most, for {outputs} logits"
    if given.get("num_bigrams") is None and given.get("loss") is not None:
        found = 0, "a linear model lowers the cross-entropy, and not the given loss"
    if given.get("linear_weight") == 0:
        found = 0, "the share of a linear model is 0"
    count = found[0] if given.get("num_bigrams") is None else given["num_bigrams"]
    share, length = (0.5, f"{EVERY}: half"), (MOST_WORDS_COUNTED, EVERY)
    if given.get("max_length") is not None:
        length = given["max_length"], "as `max_length`, given"
    if not count:
        share, length = ((0, "there is no linear model") for _ in range(2))
    return {"num_bigrams": found, "linear_weight": share, "linear_length": length}


def _batch_size(rows: int) -> tuple[int, str]:
    size = 64 if rows >= 1_000 else max(8, min(32, rows // 8))
    return size, f"of {rows:,} training rows an eighth, from 8 to 32; 64 from 1,000 on"
