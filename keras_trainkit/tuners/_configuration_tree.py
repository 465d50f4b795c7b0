"""The configurations that a search has tried, as a tree, and those that are left.

A trial's path is the list of names and values in the order in which they were asked
for. What is asked next depends on the values before, so the paths form a tree. Nothing
is left when every value of a name has been followed to an end. Where a hypermodel asks
in an order of its own at each start, as when it goes through a set, there are several
names at the same place; each of them leads to the same configurations.

A trial that failed may have had more to draw. What lies behind its last value is tried
when nothing else is left, unless it failed there `_MAX_FAILURES` times.

Each configuration is tried once. Two processes may still draw the same at the same
moment; then `settle` lets the first of them keep it.
"""

import collections
import math
import time
from collections.abc import Hashable, Iterable
from typing import Any, TypeAlias

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
)
from optuna.trial import FrozenTrial, TrialState

from keras_trainkit.tuners._process_identity import is_orphan
from keras_trainkit.tuners._search_study import REPEATED, SETTLED, SearchStudy
from keras_trainkit.tuners._trial_queue import Claim
from keras_trainkit.tuners._trial_record import TrialRecord, read_trials

Step: TypeAlias = tuple[str, Hashable]

_SETTLE_POLL_SECONDS = 0.05
_MAX_SETTLE_SECONDS = 60
_MAX_FAILURES = 3
# A trial that failed before it drew anything may have had something to draw.
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class Repeated(Exception):
    """The configuration has been tried, or another process is trying it."""


class ConfigurationTree:
    """The tree of the configurations that are done or under way.

    Args:
        records: Records of the search, that of the trial which asks left out. Those
            whose values came twice count too: asked for in another order, the same
            values are another path, which must not be followed again.
        is_last: Bool. True leaves out trials that failed before they had drawn
            everything, so that their branch is open again.
    """

    def __init__(self, records: Iterable[TrialRecord], *, is_last: bool = False):
        self._root = _Node()
        records = list(records)
        whole = {_names(record) for record in records if record.state in _ENDED}
        failures = collections.Counter(map(failed_steps, records))
        for record in records:
            if record.reason == REPEATED and not record.is_settled:
                continue  # it may have had more to draw
            steps = failed_steps(record)
            is_given_up = bool(steps) and failures[steps] >= _MAX_FAILURES
            may_go_on = bool(steps) and _names(record) not in whole
            if is_last and may_go_on and not is_given_up:
                continue
            if record.path or record.state in _ENDED:
                self._root.add(record.path, is_given_up=is_given_up)

    def has_more(self) -> bool:
        """True if some configuration is left."""
        return not self._root.is_closed()

    def is_closed(self, steps: Iterable[Step]) -> bool:
        """True if nothing is left behind these steps."""
        node: _Node | None = self._root
        for step in steps:
            node = node.children.get(step) if node is not None else None
        return node is not None and node.is_closed()

    def is_joint_open(
        self, values: dict[str, Any], distributions: dict[str, BaseDistribution]
    ) -> bool:
        """True if values that are drawn together lead to something that is left."""
        node: _Node | None = self._root
        while node is not None and not node.is_closed():
            name = next((name for name in node.sizes if name in values), None)
            if name is None:
                return True
            step = step_of(name, distributions[name], values[name])
            node = node.children.get(step)
        return node is None


class PartialConfiguration:
    """The values that one trial has drawn so far, among those of the other trials.

    Args:
        index: Int. Index of the trial's record.
        tree: `ConfigurationTree` of the others, or None where a configuration may be
            tried again.
    """

    def __init__(self, index: int, tree: ConfigurationTree | None = None):
        self.index = index
        self._tree = tree
        self._steps: list[Step] = []

    def add(self, name: str, distribution: BaseDistribution, value: Any) -> None:
        """Takes a value; raises `Repeated` if nothing is left behind it."""
        self._steps.append(step_of(name, distribution, value))
        if self._tree is not None and self._tree.is_closed(self._steps):
            raise Repeated

    def is_open(self, name: str, distribution: BaseDistribution, value: Any) -> bool:
        """True if something is left behind a value that might be drawn next."""
        if self._tree is None:
            return True
        step = step_of(name, distribution, value)
        return not self._tree.is_closed([*self._steps, step])

    def first_open(
        self, name: str, distribution: BaseDistribution, start: int = 0
    ) -> Any | None:
        """The first value with something left behind it; None if there is none.

        Looks at one value more than have been tried at most, so a range of millions is
        no slower. A range without steps has no first value.

        Args:
            name: String.
            distribution: Distribution of the values.
            start: Int >= 0. Number of the value to begin with; after the last one
                come those before it.
        """
        size = size_of(distribution)
        if size == math.inf:
            return None
        for number in range(int(size)):
            value = _value_at(distribution, (start + number) % int(size))
            if self.is_open(name, distribution, value):
                return value
        return None

    def is_joint_open(
        self, values: dict[str, Any], distributions: dict[str, BaseDistribution]
    ) -> bool:
        """True if values that are drawn together lead to something that is left."""
        return self._tree is None or self._tree.is_joint_open(values, distributions)


class _Node:
    """The names that were asked for next after the same values."""

    def __init__(self) -> None:
        self.children: dict[Step, _Node] = {}
        self.sizes: dict[str, float] = {}
        self._ends = False
        self.is_given_up = False

    def add(
        self,
        path: Iterable[tuple[str, BaseDistribution, Any]],
        *,
        is_given_up: bool = False,
    ) -> None:
        node = self
        for name, distribution, value in path:
            node.sizes[name] = size_of(distribution)
            step = step_of(name, distribution, value)
            node = node.children.setdefault(step, _Node())
        node._ends = True
        node.is_given_up |= is_given_up

    def is_closed(self) -> bool:
        if self.is_given_up:
            return True
        if not self.sizes:
            return self._ends
        return any(self._has_all(name, size) for name, size in self.sizes.items())

    def _has_all(self, name: str, size: float) -> bool:
        found = [node for step, node in self.children.items() if step[0] == name]
        return len(found) >= size and all(node.is_closed() for node in found)


def tree_of(
    trials: Iterable[FrozenTrial], index: int | None = None
) -> ConfigurationTree:
    """The tree of all trials of a search but that of this index."""
    records = read_trials(trials, with_repeated=True)
    others = [record for record in records if record.index != index]
    tree = ConfigurationTree(others)
    return tree if tree.has_more() else ConfigurationTree(others, is_last=True)


def failed_steps(record: TrialRecord) -> tuple[Step, ...]:
    """Values drawn by a trial that failed before its model was built; () for others.

    `FailedTrialError` does not count: by it a hypermodel refuses a whole configuration.
    """
    failed = record.state == TrialState.FAIL and record.is_finished
    reason = record.reason or ""
    if not failed or record.is_settled or reason.startswith("FailedTrialError"):
        return ()
    return tuple(step_of(*part) for part in record.path)


def _names(record: TrialRecord) -> frozenset[str]:
    return frozenset(name for name, _, _ in record.path)


def step_of(name: str, distribution: Any, value: Any) -> Step:
    """A name and a value, equal where the values mean the same."""
    if isinstance(distribution, CategoricalDistribution):
        return name, distribution.to_internal_repr(value)
    if isinstance(distribution, FloatDistribution) and distribution.step is None:
        return name, float(value)
    return name, round((value - distribution.low) / distribution.step)


def size_of(distribution: Any) -> float:
    """Number of values; infinity for a range without steps."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if distribution.single():
        return 1
    if distribution.step is None:
        return math.inf
    return round((distribution.high - distribution.low) / distribution.step) + 1


def _value_at(distribution: Any, number: int) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[number]
    return distribution.low + number * distribution.step if number else distribution.low


def settle(study: SearchStudy, claim: Claim) -> None:
    """Says that this trial has drawn its values; raises `Repeated` if it must go.

    Waits for trials of lower indices that may still come to the same values, a minute
    at most. Values from ranges without steps are never the same, and nothing is
    looked up for them.
    """
    deadline = time.monotonic() + _MAX_SETTLE_SECONDS
    records = read_trials(study.trials())
    own = next(record for record in records if record.index == claim.index)
    steps = _steps(own)
    if steps is None:
        return
    study.set_attribute(claim.key, SETTLED, True)
    while True:
        others = [r for r in read_trials(study.trials()) if r.index != claim.index]
        if any(_has_taken(record, steps, claim.index) for record in others):
            raise Repeated
        undecided = any(_may_take(record, steps, claim.index) for record in others)
        if not undecided or time.monotonic() > deadline:
            return
        time.sleep(_SETTLE_POLL_SECONDS)


def _steps(record: TrialRecord) -> set[Step] | None:
    """The values that were drawn; None if a range without steps is among them."""
    path = record.path
    if any(size_of(distribution) == math.inf for _, distribution, _ in path):
        return None
    return {step_of(*part) for part in path}


def _has_taken(record: TrialRecord, steps: set[Step], index: int) -> bool:
    is_first = record.index < index and not _is_drawing(record)
    if failed_steps(record):
        return False
    return (record.is_finished or is_first) and _steps(record) == steps


def _may_take(record: TrialRecord, steps: set[Step], index: int) -> bool:
    if record.index > index or not _is_drawing(record) or is_orphan(record.trial):
        return False
    theirs = _steps(record)
    return theirs is not None and theirs <= steps


def _is_drawing(record: TrialRecord) -> bool:
    return record.state == TrialState.RUNNING and not record.is_settled
