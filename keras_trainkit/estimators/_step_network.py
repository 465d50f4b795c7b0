"""The network of sequences of one length: an MLP of all values by their place."""

from collections.abc import Mapping
from typing import Any

import keras

from keras_trainkit._types import Model
from keras_trainkit.estimators._outputs import predicted
from keras_trainkit.estimators._parts import Rows
from keras_trainkit.estimators._sequence_estimator import linear_network
from keras_trainkit.estimators._training import Goal, targets
from keras_trainkit.layers import PiecewiseLinearEmbedding
from keras_trainkit.models import mlp


def step_network(
    goal: Goal, missing: str | None, seen: Rows, values: Mapping[str, Any]
) -> Model:
    """The uncompiled model; scaling and embedding learn from `seen`.

    The last steps are the columns of a table: those of shorter sequences stand at its
    end, behind zeros.
    """
    steps = {**values, "linear_steps": values["mlp_steps"]}
    linear = linear_network(goal, missing, seen, steps)
    past = keras.Model(linear.input, linear.get_layer("past").output)
    embedding = PiecewiseLinearEmbedding()
    embedding.adapt(predicted(past, seen.x))
    network = mlp(
        past.output.shape[1:],
        targets(seen.y[:1], goal).shape[1],
        values["hidden_units"],
        dropout=values["dropout"],
        numeric_embedding=embedding,
        members=values["members"],
        task=goal.task,
        classes=goal.classes,
    )
    last = network.layers[-1]
    x = keras.Model(network.input, last.input, name="mlp")(past.output)
    outputs = type(last).from_config(last.get_config())(x)
    return type(network)(past.input, outputs, name="mlp_of_steps")
