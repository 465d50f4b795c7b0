"""Hyperband's brackets: who may be stopped when, and who is."""

import math


def brackets(max_epochs: int, factor: int) -> list[tuple[int, list[int]]]:
    """For each bracket, from the hardest on, its trials and the epochs of its rungs.

    Bracket s has trials that are judged s times before `max_epochs`, first at
    `max_epochs / factor**s`. Sizes are KerasTuner's: about the same epochs in each.
    """
    most = 0
    while factor ** (most + 1) <= max_epochs:
        most += 1
    found = []
    for halvings in range(most, -1, -1):
        final = math.ceil(1 + math.log(max_epochs, factor)) / (halvings + 1)
        size = math.ceil(final * factor**halvings)
        rungs = [math.ceil(max_epochs / factor**s) for s in range(halvings, 0, -1)]
        found.append((size, rungs))
    return found


def rungs_of(place: int, max_epochs: int, factor: int) -> list[int]:
    """The epochs at which the trial at this place is judged."""
    planned = brackets(max_epochs, factor)
    place %= sum(size for size, _ in planned)
    for size, rungs in planned:
        if place < size:
            return rungs
        place -= size
    raise AssertionError(place)


def goes_on(value: float | None, others: list[float], factor: int, maximize: bool):
    """Whether a trial is among the best `1 / factor` of those that came so far.

    With fewer than `factor` trials at the rung only the best goes on.
    """
    if value is None:
        return False
    sign = -1 if maximize else 1
    better = sum(sign * other < sign * value for other in others)
    return better < max(1, (len(others) + 1) // factor)
