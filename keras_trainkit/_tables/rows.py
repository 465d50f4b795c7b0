"""Whole tables, column by column: learned, or read by what was learned."""

import warnings

import numpy as np

from keras_trainkit._tables.arguments import check_named, check_rows
from keras_trainkit._tables.column_state import Learned
from keras_trainkit._tables.kinds import values_as, values_of_texts
from keras_trainkit._tables.learning import Learner
from keras_trainkit._tables.objects import objects, refuse_mixed
from keras_trainkit._tables.reading import chunks_of, raw_columns, read


def learn(table, kinds, absent, scaling, max_categories) -> list[Learned]:
    """What there is to learn from a table, or from chunks of one.

    Args:
        kinds: Dict of column name to the kind that the user wants it to be.
        absent: Function of a column name to the list of texts that are missing there.
    """
    learners: dict[str, Learner] = {}
    total = 0
    for chunk in chunks_of(table):
        columns = raw_columns(chunk)
        if not learners:
            _check_there(kinds, list(columns))
            learners = {
                name: Learner(
                    name, kinds.get(name), scaling, max_categories, absent(name)
                )
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
    learned = [learner.learned() for learner in learners.values()]
    for name, learner in learners.items():
        if learner.doubt:
            warnings.warn(f"The column {name!r} {learner.doubt}.", stacklevel=3)
    return learned


def plain_table(table, columns, kinds) -> dict[str, np.ndarray]:
    """The values of each learned column, in their order; see `values_as`."""
    read_columns = _read_columns(table, columns)
    return {c.name: _values(c, read_columns[c.name], kinds) for c in columns}


def sent_table(table, columns, kinds) -> dict[str, np.ndarray]:
    """The same, but for columns that a model is sent as texts: texts."""
    read_columns = _read_columns(table, columns)
    sent = {}
    for learned in columns:
        column = read_columns[learned.name]
        as_it_is = learned.written and column.holds == "text" and not column.mixed
        values = column.values if as_it_is else _values(learned, column, kinds)
        if learned.written and not as_it_is:
            values = objects([learned.written.written(value) for value in values])
        sent[learned.name] = values
    return sent


def _read_columns(table, columns):
    given = raw_columns(table)
    check_named([column.name for column in columns], list(given))
    found = {c.name: read(c.name, given[c.name]) for c in columns}
    check_rows({name: len(column.values) for name, column in found.items()})
    return found


def _values(learned, column, kinds):
    name = learned.name
    if column.holds == "text" and learned.absent is not None:
        return values_of_texts(name, column, learned)
    if column.mixed:
        refuse_mixed(name)
    return values_as(name, column, learned.kind, learned.levels_are, name in kinds)


def _check_there(kinds, names):
    absent = [name for name in kinds if name not in names]
    if absent:
        raise ValueError(
            "`categories` and `kinds` say what columns are and must name columns "
            f"of the table, {names}. Received: {absent}."
        )
