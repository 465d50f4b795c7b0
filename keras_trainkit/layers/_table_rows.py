"""Whole tables, column by column: learned, or read by what was learned."""

import numpy as np

from keras_trainkit._tables.reading import chunks_of, raw_columns, read
from keras_trainkit.layers._table_arguments import check_named, check_rows
from keras_trainkit.layers._table_kinds import values_as
from keras_trainkit.layers._table_learned import Learned
from keras_trainkit.layers._table_learning import Learner


def learn(table, kinds, scaling, max_categories) -> list[Learned]:
    """What there is to learn from a table, or from chunks of one.

    Args:
        kinds: Dict of column name to the kind that the user wants it to be.
    """
    learners: dict[str, Learner] = {}
    total = 0
    for chunk in chunks_of(table):
        columns = raw_columns(chunk)
        if not learners:
            _check_there(kinds, list(columns))
            learners = {
                name: Learner(name, kinds.get(name), scaling, max_categories)
                for name in columns
            }
        check_named(list(learners), list(columns))
        found = {name: read(name, column) for name, column in columns.items()}
        rows = {name: len(column.values) for name, column in found.items()}
        check_rows(rows)
        for name, column in found.items():
            learners[name].update(column)
        total += next(iter(rows.values()))
    if not total:
        raise ValueError(
            "`table` is what is learned from and must have at least one row. "
            "Received: none."
        )
    return [learner.learned() for learner in learners.values()]


def plain_table(table, columns, kinds) -> dict[str, np.ndarray]:
    """The values of each learned column, in their order; see `values_as`."""
    given = raw_columns(table)
    check_named([column.name for column in columns], list(given))
    plain = {
        column.name: values_as(
            column.name,
            read(column.name, given[column.name]),
            column.kind,
            column.levels_are,
            parsed=column.name in kinds,
        )
        for column in columns
    }
    check_rows({name: len(values) for name, values in plain.items()})
    return plain


def _check_there(kinds, names):
    absent = [name for name in kinds if name not in names]
    if absent:
        raise ValueError(
            "`categories` and `kinds` say what columns are and must name columns "
            f"of the table, {names}. Received: {absent}."
        )
