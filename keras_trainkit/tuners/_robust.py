"""The best configuration by its neighbourhood."""

import numpy as np

from keras_trainkit.tuners._slots import RESULT
from keras_trainkit.tuners._views import ranked

_NEIGHBOURS = 5


def ranked_by_neighbours(slots, space, direction):
    """The completed places by the mean score of the nearest ones, themselves included.

    Distances are between cumulative probabilities (so a logarithmic range counts in
    its logarithm), choices without an order are 0 or 1 apart, and an entry that only
    one of two trials has is 1 apart.
    """
    done = ranked(slots, direction)
    values = [slot.trial.user_attrs[RESULT]["values"] for slot in done]
    definitions = {hp.name: hp for hp in space.space}
    scores = np.array([slot.trial.value for slot in done])
    means = []
    for mine in values:
        distances = [_distance(mine, other, definitions) for other in values]
        nearest = np.argsort(distances, kind="stable")[:_NEIGHBOURS]
        means.append(scores[nearest].mean())
    sign = -1 if direction == "max" else 1
    order = np.argsort(sign * np.array(means), kind="stable")
    return [done[index] for index in order]


def _distance(mine, other, definitions):
    total = 0.0
    for name in mine.keys() | other.keys():
        if name not in mine or name not in other:
            total += 1
        elif mine[name] != other[name]:
            total += _apart(definitions.get(name), mine[name], other[name]) ** 2
    return total


def _apart(hp, mine, other):
    if hp is None or not getattr(hp, "ordered", hasattr(hp, "min_value")):
        return 1.0
    return hp.value_to_prob(mine) - hp.value_to_prob(other)
