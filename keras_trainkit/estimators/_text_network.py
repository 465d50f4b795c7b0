"""The network of texts, and the vectors of words that it begins with."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from keras_trainkit._types import Model
from keras_trainkit.data import word_vectors
from keras_trainkit.estimators._parts import Rows
from keras_trainkit.estimators._texts import cut_words
from keras_trainkit.estimators._training import Goal, targets
from keras_trainkit.models import bilstm_attention


def networks_of(
    goal: Goal, vocabulary_size: int
) -> Callable[[Rows, Mapping[str, Any]], Model]:
    """Function of the network of each fold; all begin with the same vectors."""
    learned: list[np.ndarray] = []

    def network(seen: Rows, values: Mapping[str, Any]) -> Model:
        epochs, units = values["vector_epochs"], values["embedding_units"]
        if epochs and not learned:
            if goal.verbose:
                print(f"Vectors of words; passes over the training texts: {epochs}")
            vectors = word_vectors(seen.x, vocabulary_size, units, epochs=epochs)
            learned.append(vectors)
        return _network(goal, vocabulary_size, values, seen, *learned)

    return network


def _network(
    goal: Goal,
    vocabulary_size: int,
    values: Mapping[str, Any],
    seen: Rows,
    vectors: np.ndarray | None = None,
) -> Model:
    """The uncompiled model."""
    return bilstm_attention(
        (None,),
        targets(seen.y[:1], goal).shape[1],
        values["units"],
        vocabulary_size=vocabulary_size,
        embedding_units=values["embedding_units"],
        embedding_matrix=vectors,
        max_length=values["max_length"],
        keep=values["keep"],
        dropout=values["dropout"],
        recurrent_dropout=values["recurrent_dropout"],
        task=goal.task,
        classes=goal.classes,
    )


def as_read(rows: Rows, values: Mapping[str, Any]) -> Rows:
    """The rows as the network reads them."""
    return dataclasses.replace(
        rows, x=cut_words(rows.x, values["max_length"], values["keep"])
    )
