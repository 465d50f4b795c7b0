"""The numbers of the recipe for tables, and the reason for each.

One recipe for every table; where its numbers come from is in docs/figures/tables.md.
"""

from collections.abc import Mapping
from typing import Any

from keras_trainkit._checks import check_count

PRESETS = ("default", "fast")
ROWS_SEEN = 540_000  # rows times epochs, at most
MANY_ROWS = 30_000
FEW_ROWS = 5_000  # up to so many all rows are trained on, in folds
FOLDS = 5


def folds_for(
    rows: int,
    units: int,
    what: str,
    preset: str,
    folds: int | None,
    validation: Any,
    order: Any,
) -> dict[str, Any]:
    """The number of folds, each of which one network does not train on.

    None: there is one network, and one part of the rows that it does not train on.

    Args:
        rows: Int. Rows there are.
        units: Int. Rows or groups that may be in any fold.
        what: "rows" or "groups".
        preset: One of `PRESETS`.
        folds: What the user gave, like `validation` and `order`.

    Raises:
        ValueError: Folds together with one part, or more of them than `units`.
    """
    if folds is not None:
        _check_folds(folds, units, what, validation, order)
        return choice(folds, "given")
    if validation is not None:
        return choice(None, "`validation` is given")
    if order is not None:
        return choice(None, "the last rows in time are validated")
    if preset == "fast":
        return choice(None, 'not by the preset "fast"')
    if rows > FEW_ROWS:
        return choice(None, f"{rows:,} rows, which are more than {FEW_ROWS:,}")
    if units < 4 * FOLDS:
        why = f"{units} {what} that may be validated, fewer than {4 * FOLDS}"
        return choice(None, why)
    return choice(FOLDS, f"{rows:,} rows, all of which are needed")


def _check_folds(
    folds: int, units: int, what: str, validation: Any, order: Any
) -> None:
    purpose = "is the number of networks, each of which leaves out another part"
    if validation is not None or order is not None:
        name = "validation" if validation is not None else "order"
        raise ValueError(
            f"`folds` {purpose}, and must be None beside `{name}`. "
            f"Received: folds={folds} and {name}."
        )
    check_count("folds", folds, f"{purpose} of the {what},", at_least=2)
    if folds > units:
        raise ValueError(
            f"`folds` {purpose}, and must be at most the number of {what} that may be "
            f"validated (no class has only one). Received: folds={folds}, with {units} "
            f"such {what}."
        )


def choice(value: Any, reason: str) -> dict[str, Any]:
    return {"value": value, "reason": reason}


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
        preset: One of `PRESETS`.
        given: What the user gave, by name; None leaves it to the recipe. Beside those
            of the result "optimizer" and "loss", which have numbers of their own.
        folds: Networks that are trained, if there are several.
    """
    every = "the recipe's for every table"
    found: dict[str, tuple[Any, str]] = {
        "members": (16, every),
        "hidden_units": ((256, 256, 256), every),
        "dropout": (
            0.0 if rows > MANY_ROWS else 0.1,
            f"{rows:,} training rows, of which more than {MANY_ROWS:,} need none",
        ),
        "numeric_embedding": (True, every),
        "epochs": (
            min(135, max(30, ROWS_SEEN // rows)),
            f"the most: {rows:,} training rows are seen {ROWS_SEEN:,} times in all, "
            "from 30 to 135 epochs; ended where validation gets no better",
        ),
        "batch_size": (
            min(256, max(64, rows // 40)),
            f"a fortieth of {rows:,} training rows, from 64 to 256",
        ),
        "learning_rate": (0.003, every),
        "weight_decay": (0.02, every),
    }
    if task != "regression":
        found["label_smoothing"] = (0.0, every)
    if folds:
        found["members"] = (3, f"in each of {folds} networks, one for each fold")
    if preset == "fast":
        found |= _fast(rows, found["epochs"][0])
    if given.get("optimizer") is not None:
        own = (None, "the given optimizer has its own")
        found |= {"learning_rate": own, "weight_decay": own}
    if given.get("loss") is not None and task != "regression":
        found["label_smoothing"] = (None, "the given loss has its own")
    for name in found:
        if given.get(name) is not None:
            found[name] = (given[name], "given")
    return {name: choice(*found[name]) for name in found}


def _fast(rows: int, epochs: int) -> dict[str, tuple[Any, str]]:
    """The numbers of the preset "fast", where they are others."""
    why = 'of the preset "fast"'
    batch_size = min(256, max(64, rows // 12))
    return {
        "members": (1, why),
        "epochs": (min(60, epochs), f"the most {why}"),
        "batch_size": (batch_size, f"a twelfth of the rows, from 64 to 256, {why}"),
    }
