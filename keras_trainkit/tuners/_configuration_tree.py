"""What a search has tried, as a tree, and what is left.

A trial's path is the list of names and values in the order in which they were asked
for. What is asked next depends on the values before, so the paths form a tree. Nothing
is left when every value of every name has been followed to an end.
"""

import math
import time

from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from keras_trainkit.tuners._process_identity import is_orphan
from keras_trainkit.tuners._trial_queue import SETTLED

_MOST_LISTED = 10_000
# One that failed before it drew anything does not tell that there is nothing to draw.
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class Repeated(Exception):
    """The configuration has been tried, or another process is trying it."""


class Tried:
    """The tree of the configurations that are done or under way.

    Args:
        records: Records of the search, that of the trial which asks left out.
    """

    def __init__(self, records):
        self._root = _Node()
        for record in records:
            if record.path or record.state in _ENDED:
                self._root.add(record.path)

    def has_more(self) -> bool:
        """Whether something is left."""
        return not self._root.is_closed()

    def is_open(self, steps, name, distribution, value) -> bool:
        """Whether something is left behind a value.

        Args:
            steps: List of `step_of` of the names asked for before.
            name: String.
            distribution: Optuna's distribution.
            value: What might be drawn.
        """
        return not self.is_tried([*steps, step_of(name, distribution, value)])

    def is_tried(self, steps) -> bool:
        """Whether nothing is left behind these steps."""
        node: _Node | None = self._root
        for step in steps:
            node = node.children.get(step) if node is not None else None
        return node is not None and node.is_closed()

    def is_joint_open(self, values: dict, distributions: dict) -> bool:
        """Whether values that are drawn together lead to something that is left."""
        node: _Node | None = self._root
        while node is not None and not node.is_closed():
            name = next((name for name in node.sizes if name in values), None)
            if name is None:
                return True
            step = step_of(name, distributions[name], values[name])
            node = node.children.get(step)
        return node is None

    def open_values(self, steps, name, distribution) -> list:
        """The values with something left behind them; none where they are too many."""
        if size_of(distribution) > _MOST_LISTED:
            return []
        values = _values(distribution)
        return [v for v in values if self.is_open(steps, name, distribution, v)]


class _Node:
    """What was asked next after the same values."""

    def __init__(self):
        self.children: dict = {}
        self.sizes: dict = {}
        self._ends = False

    def add(self, path):
        node = self
        for name, distribution, value in path:
            node.sizes[name] = size_of(distribution)
            step = step_of(name, distribution, value)
            node = node.children.setdefault(step, _Node())
        node._ends = True

    def is_closed(self):
        if not self.sizes:
            return self._ends
        for name, size in self.sizes.items():
            found = [node for step, node in self.children.items() if step[0] == name]
            if len(found) < size or not all(node.is_closed() for node in found):
                return False
        return True


def step_of(name, distribution, value) -> tuple:
    """A name and a value, equal where the values mean the same."""
    if isinstance(distribution, CategoricalDistribution):
        return name, distribution.to_internal_repr(value)
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        return name, float(value)
    return name, round((value - distribution.low) / distribution.step)


def size_of(distribution) -> float:
    """How many values there are; infinity for a range without steps."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if distribution.single():
        return 1
    if distribution.step is None:
        return math.inf
    return round((distribution.high - distribution.low) / distribution.step) + 1


def _values(distribution):
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices
    if distribution.single():
        return [distribution.low]
    steps = range(int(size_of(distribution)))
    return [distribution.low + step * distribution.step for step in steps]


_LOOK_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 60


def settle(store, claim):
    """Says that this trial has drawn its values; raises `Repeated` if it must go.

    Waits for trials of lower indices that may still come to the same values, a minute
    at most. Values from ranges without steps are never the same, and nothing is
    looked up for them.
    """
    deadline = time.monotonic() + _LONGEST_WAIT_SECONDS
    records = store.records()
    mine = _steps(next(record for record in records if record.index == claim.index))
    if mine is None:
        return
    store.storage.set_trial_user_attr(claim.key, SETTLED, True)
    while True:
        others = [record for record in store.records() if record.index != claim.index]
        if any(_has_taken(record, mine, claim.index) for record in others):
            raise Repeated
        undecided = any(_may_take(record, mine, claim.index) for record in others)
        if not undecided or time.monotonic() > deadline:
            return
        time.sleep(_LOOK_SECONDS)


def _steps(record):
    """What a place has drawn; None where its values cannot come twice."""
    path = record.path
    if any(size_of(distribution) == math.inf for _, distribution, _ in path):
        return None
    return {step_of(*part) for part in path}


def _has_taken(record, mine, index):
    decided = record.is_finished or record.index < index and not _is_drawing(record)
    return decided and _steps(record) == mine


def _may_take(record, mine, index):
    if record.index > index or not _is_drawing(record) or is_orphan(record.trial):
        return False
    theirs = _steps(record)
    return theirs is not None and theirs <= mine


def _is_drawing(record):
    return record.state == TrialState.RUNNING and not record.is_settled
