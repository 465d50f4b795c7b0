"""What a grid search has tried and what it tries next.

A trial's path is the list of names and values in the order in which they were asked
for. The paths form a tree, since what is asked next depends on the values before. The
grid is done when every listed value of every name has been followed to an end.
"""

from keras_trainkit.tuners._slots import RESULT, is_counted


class Grid:
    """The tree of the trials so far.

    Args:
        slots: Places of the search, those of this trial left out.
    """

    def __init__(self, slots):
        self._done = [_path(slot) for slot in slots if is_counted(slot)]
        self._choices: dict = {}
        self._busy = []
        for slot in slots:
            for name, distribution in slot.trial.distributions.items():
                self._choices.setdefault(name, distribution.choices)
            if not is_counted(slot):
                self._busy.append(slot.trial.params)

    def next_choice(self, before: dict, name, choices):
        """The first value that leads to something new."""
        self._choices.setdefault(name, choices)
        new = [c for c in choices if self._leads_to_new({**before, name: c})]
        idle = [c for c in new if not self._is_busy({**before, name: c})]
        return (idle or new or list(choices))[0]

    def has_more(self) -> bool:
        """Whether something is untried that no running trial is on the way to."""
        return self._leads_to_new({}, apart_from_busy=True)

    def _leads_to_new(self, prefix, apart_from_busy=False):
        paths = [path for path in self._done if _starts(path, prefix)]
        if not paths:
            return not (apart_from_busy and self._is_busy(prefix))
        longest = max(paths, key=len)
        if len(longest) == len(prefix):
            return False
        name = longest[len(prefix)][0]
        return any(
            self._leads_to_new({**prefix, name: choice}, apart_from_busy)
            for choice in self._choices[name]
        )

    def _is_busy(self, prefix):
        return any(prefix.items() <= params.items() for params in self._busy)


def _path(slot):
    path = slot.trial.user_attrs.get(RESULT, {}).get("path")
    if path is None:  # failed before it could say
        return list(slot.trial.params.items())
    return [tuple(step) for step in path]


def _starts(path, prefix):
    return dict(path[: len(prefix)]) == prefix and len(path) >= len(prefix)
