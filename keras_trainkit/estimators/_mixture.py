"""The mean of networks and of models that were fitted in closed form."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_trainkit._types import Model
from keras_trainkit.estimators._parts import Part
from keras_trainkit.estimators._training import Goal, Trained, compile_network
from keras_trainkit.layers import MemberMean
from keras_trainkit.models import ensemble


def mean_with(
    networks: Sequence[Trained],
    fitted: Sequence[Model],
    outputs: np.ndarray,
    weight: float,
    part: Part,
    goal: Goal,
    values: Mapping[str, Any],
) -> Trained:
    """The mean of networks, one for each fold, and of as many fitted models.

    Args:
        networks: None where the fitted models count alone.
        fitted: Of the same fold as the network at the same place.
        outputs: Of the fitted models for the validation rows, logits.
        weight: Share of the fitted models.
        part: Rows to train on.
        values: Numbers of the recipe.
    """
    members = [*(network.model for network in networks), *fitted]
    shares = [(1 - weight) / len(fitted)] * len(networks)
    shares += [weight / len(fitted)] * len(fitted)
    model = fitted[0]
    if len(members) > 1:
        model = ensemble(members, weights=shares)
    compile_network(model, values, part.training, goal)
    if not networks:
        return Trained(model, [], outputs)
    shares = [1 - weight, weight]
    mean = MemberMean(model.layers[-1].kind, shares=shares, dtype="float32")
    of_networks = np.concatenate([network.outputs for network in networks])
    mixed = mean(np.stack([of_networks, outputs], axis=1))
    histories = [history for network in networks for history in network.histories]
    return Trained(model, histories, ops.convert_to_numpy(mixed))
