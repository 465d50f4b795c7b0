"""Learning of all columns of a table, or of chunks of one."""

from collections.abc import Mapping
from typing import Any

from keras_trainkit._tables.column_learner import ColumnLearner
from keras_trainkit._tables.column_state import ColumnState
from keras_trainkit._tables.columns import chunks_of, raw_columns, read_columns
from keras_trainkit._tables.kinds import missing_words
from keras_trainkit._warnings import warn_user


def learn(
    table: Any,
    kinds: Mapping[str, str],
    missing_values: Any,
    scaling: str | None,
    max_categories: int,
) -> list[ColumnState]:
    """Learns the state of each column, in the order of the table.

    Args:
        table: One table, or an iterable of chunks with the same columns.
        kinds: Kinds that the user gives, by column name.
        missing_values: As the encoder has it.
        scaling: "robust", "standard" or None.
        max_categories: Int. Most levels of a column that get a code of their own.
    """
    learners: dict[str, ColumnLearner] = {}
    total = 0
    for chunk in chunks_of(table):
        raw = raw_columns(chunk)
        if not learners:
            _check_named(kinds, list(raw))
            _check_has_columns(missing_values, list(raw))
            learners = {
                name: ColumnLearner(
                    name,
                    kinds.get(name),
                    scaling,
                    max_categories,
                    missing_words(missing_values, name),
                )
                for name in raw
            }
        columns = read_columns(raw, list(learners))
        for name, column in columns.items():
            learners[name].update(column)
        total += len(next(iter(columns.values())).values)
    if not total:
        raise ValueError(
            "`table` is what is learned from and must have at least one row. "
            "Received: none."
        )
    states = [learner.state() for learner in learners.values()]
    for name, learner in learners.items():
        if learner.warning:
            warn_user(f"The column {name!r} {learner.warning}.")
    return states


def _check_named(kinds: Mapping[str, str], names: list[str]) -> None:
    unknown = [name for name in kinds if name not in names]
    if unknown:
        raise ValueError(
            "`categories` and `kinds` say what columns are and must name columns "
            f"of the table, {names}. Received: {unknown}."
        )


def _check_has_columns(missing_values: Any, names: list[str]) -> None:
    given = missing_values if isinstance(missing_values, dict) else {}
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(
            "`missing_values` says which texts of a column stand for a missing value "
            f"and must name columns of the table, {names}. Received: {unknown}."
        )
