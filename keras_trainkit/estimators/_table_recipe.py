"""The numbers of the recipe for tables, and the reason for each.

One recipe for every table; where its numbers come from is in docs/figures/tables.md.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from keras_trainkit.estimators._parts import Part
from keras_trainkit.estimators._recipe import choice, lengths_of, with_given
from keras_trainkit.layers import TableEncoder

ROWS_SEEN = 540_000  # rows times epochs, at most
NUMBERS_SEEN = 1_200_000  # likewise, where numbers are learned
MANY_ROWS = 30_000
MANY_LABELS = 10_000  # training rows with classes, above which a higher rate pays
NO_NUMBERS = "no column gives numbers"
FEW_ROWS = 5_000  # up to so many all rows are trained on, in folds
MOST_NUMBERS = 2_000_000  # of all rows, for kernel machines: more were not tried


def chosen(
    rows: int,
    columns: int,
    task: str,
    preset: str,
    given: Mapping[str, Any],
    folds: int | None = None,
) -> dict[str, dict[str, Any]]:
    """Each number of the recipe as `{"value": ..., "reason": ...}`.

    Args:
        rows: Int. Training rows.
        columns: Int. Columns of the table.
        task: As in `Goal`.
        preset: One of `_recipe.PRESETS`.
        given: What the user gave, by name; None leaves it to the recipe. Beside those
            of the result "optimizer" and "loss", which have numbers of their own.
        folds: Networks that are trained, if there are several.
    """
    every = "the recipe's for every table"
    seen = NUMBERS_SEEN if task == "regression" else ROWS_SEEN
    batch_size = min(256, max(16, min(64, rows // 8), rows // 40))
    found: dict[str, tuple[Any, str]] = {
        "members": (16, every),
        "hidden_units": ((256, 256, 256), every),
        "dropout": _dropout(rows, task),
        "numeric_embedding": (True, every),
        **lengths_of(rows, seen, given.get("batch_size") or batch_size),
        "batch_size": (
            batch_size,
            f"of {rows:,} training rows an eighth, from 16 to 64, or a fortieth, up to "
            "256",
        ),
        "learning_rate": (
            0.006 if task != "regression" and rows > MANY_LABELS else 0.003,
            f"{rows:,} training rows; more than {MANY_LABELS:,} with classes bear "
            "twice the rate",
        ),
        "weight_decay": (0.02, every),
    }
    if task != "regression":
        found["label_smoothing"] = (0.0, every)
    if folds:
        found["members"] = (3, f"in each of {folds} networks, one for each fold")
    if preset == "fast":
        found |= _fast(rows, found["epochs"][0])
    return with_given(found, given)


def kernel_weight(
    encoder: TableEncoder, parts: Sequence[Part], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The share of kernel machines; None where the validation rows choose it.

    Args:
        encoder: Adapted to the training rows.
        parts: As in `train`.
        given: As in `chosen`.
    """
    rows = sum(len(kind.y) for kind in parts[0])
    numbers = encoder.numeric_shape[0] + sum(encoder.category_sizes)
    if given["kernel_weight"] is not None:
        return choice(given["kernel_weight"], "given")
    if given["loss"] is not None:
        return choice(0.0, "the given loss is of the networks alone")
    if len(parts) == 1:
        return choice(0.0, "the share is chosen in folds alone")
    if rows > FEW_ROWS:
        return choice(0.0, f"{rows:,} rows, which are more than {FEW_ROWS:,}")
    if rows * numbers > MOST_NUMBERS:
        why = f"{rows:,} rows of {numbers:,} numbers, more than {MOST_NUMBERS:,} in all"
        return choice(0.0, why)
    return choice(None, "the validation rows choose")


def _dropout(rows: int, task: str) -> tuple[float, str]:
    if task == "regression":
        return 0.0, "numbers are learned, which the noise of dropout blurs"
    why = f"{rows:,} training rows, of which more than {MANY_ROWS:,} need none"
    return 0.0 if rows > MANY_ROWS else 0.1, why


def _fast(rows: int, epochs: int) -> dict[str, tuple[Any, str]]:
    """The numbers of the preset "fast", where they are others."""
    why = 'of the preset "fast"'
    batch_size = min(256, max(64, rows // 12))
    return {
        "members": (1, why),
        "hidden_units": ((128, 128, 128), why),
        "epochs": (min(60, epochs), f"the most {why}"),
        "min_epoch_steps": (1, why),
        "learning_rate": (0.003, why),
        "batch_size": (batch_size, f"a twelfth of the rows, from 64 to 256, {why}"),
    }
