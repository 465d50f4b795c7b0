"""The study of a search: all that is known of it, read and written."""

import json
import random
from typing import Any

import keras_tuner
import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from keras_trainkit._process import this_process
from keras_trainkit.tuners._database import Url, masked_url
from keras_trainkit.tuners._patient_storage import PatientStorage, locked_before_reading
from keras_trainkit.tuners._process_identity import OWNER, is_alive_here
from keras_trainkit.tuners._seeds import derive
from keras_trainkit.tuners._study_connection import StudyConnection

# Attributes of the study. Each is written once, or under a name of its own.
_SEARCH = "keras_trainkit"
_DATA = "data"
_VALUES = "values"
_SPACE = "space"
_NEW = "space:"
_CHOSEN = "chosen:"

# Attributes of a trial; `TrialRecord` says what they hold.
RETRY_OF = "retry_of"
CHOSEN = "chosen"
REASON = "reason"
RESULT = "result"
SETTLED = "settled"

# Reasons of trials that are not counted: one too many, and values that came twice.
SURPLUS = "surplus"
REPEATED = "repeated"

# The trials that this process runs now: URL, name of the study, key.
_running: set[tuple[str, str, int]] = set()


class SearchStudy:
    """Reads and writes the study of a search, named by URL and name.

    It may be pickled; a process that gets it opens its own connection.

    Args:
        url: String or `sqlalchemy.URL`.
        name: String. Name of the study.
        direction: `"min"` or `"max"`.
        exists: Bool. The study was made before, and is refused if it is gone.
    """

    def __init__(self, url: Url, name: str, direction: str, *, exists: bool = False):
        self.url = url
        self.name = name
        self._connection = StudyConnection(url, name, direction, exists=exists)

    @property
    def optuna_study(self) -> optuna.Study:
        """Optuna's study; made if there is none."""
        return self._connection.study

    @property
    def storage(self) -> PatientStorage:
        """Optuna's storage of the study."""
        return self._connection.storage

    def study_of_one_trial(self, sampler: optuna.samplers.BaseSampler) -> optuna.Study:
        """Optuna's study for the draws of one trial, with all trials that ended.

        A study of Optuna reads the trials for its sampler once and keeps them until its
        own `tell`, which ends no trial here: see `end`.
        """
        return optuna.load_study(
            study_name=self.name,
            storage=self.storage,
            sampler=sampler,
            pruner=self.optuna_study.pruner,
        )

    def check_file(self) -> None:
        """Raises if the file was deleted or replaced while it was open."""
        self._connection.check_file()

    def trials(self) -> list[FrozenTrial]:
        """All trials of Optuna, read now; `read_trials` tells which are counted."""
        return self.optuna_study.get_trials(deepcopy=False)

    def key(self, trial: FrozenTrial) -> int:
        """Optuna's key of the trial in its storage."""
        return trial._trial_id

    def add(self, **fields: Any) -> int:
        """Adds a trial, see `optuna.trial.create_trial`, and returns its key."""
        template = optuna.trial.create_trial(**fields)
        return self.storage.create_new_trial(self._connection.key, template)

    def set_attribute(self, key: int, name: str, value: Any) -> None:
        """Writes an attribute of a trial."""
        self.storage.set_trial_user_attr(key, name, value)

    def take(self, key: int) -> bool:
        """Moves a waiting trial to running; False if another process has it."""
        storage = self.storage
        storage.patiently(lambda: storage.record_heartbeat(key), masked_url(self.url))
        with locked_before_reading():
            return storage.set_trial_state_values(key, TrialState.RUNNING)

    def begin(self, key: int) -> None:
        """Notes that this process runs the trial."""
        _running.add((str(self.url), self.name, key))

    def leave(self, key: int) -> None:
        """Notes that this process runs the trial no more, however it ended."""
        _running.discard((str(self.url), self.name, key))

    def is_left(self, trial: FrozenTrial) -> bool:
        """True if this process claimed the trial and runs it no more."""
        is_mine = trial.user_attrs.get(OWNER) == this_process()
        return is_mine and not runs_in_this_process(
            self.url, self.name, self.key(trial)
        )

    def end(self, key: int, state: TrialState, value: float | None = None) -> None:
        """Ends a trial of this process.

        Raises:
            UpdateFinishedTrialError: Another process ended it.
        """
        values = None if value is None else [value]
        self.storage.set_trial_state_values(key, state, values)

    def fail(self, key: int, reason: str | None = None) -> None:
        """Ends a trial as failed; without a reason it will be run again."""
        try:
            if reason is not None:
                self.set_attribute(key, REASON, reason)
            self.storage.set_trial_state_values(key, TrialState.FAIL)
        except UpdateFinishedTrialError:
            pass  # another process ended it

    def fail_stale(self) -> None:
        """Fails the trials without a heartbeat for too long, on any machine.

        A living process of this machine may have missed its heartbeats while it, the
        machine or its clock stood still; its trials are left to it.
        """
        stale = self._connection.stale()
        if not stale:
            return
        for trial in self.trials():
            is_stale = trial.state == TrialState.RUNNING and self.key(trial) in stale
            if is_stale and (self.is_left(trial) or not is_alive_here(trial)):
                self.fail(self.key(trial))

    def agree_on_search(self, description: dict[str, Any]) -> int:
        """Writes what the search is, or refuses a study that is of another one.

        Args:
            description: Dict of plain values; among them the `seed`, or None.

        Returns:
            The seed; if None was given, that of the first process to begin the search.
        """
        seed = description["seed"]
        drawn = random.SystemRandom().randrange(2**31) if seed is None else seed
        written = self._write_once(_SEARCH, {**description, "seed": drawn})
        first_seed = written["seed"]
        if seed is None:
            description = {**description, "seed": first_seed}
        self._agree(_SEARCH, description)
        return first_seed

    def agree_on_data(self, shapes: dict[str, Any], values: dict[str, Any]) -> None:
        """Writes what `data_description` says of the data, or refuses other data."""
        written = self._attributes().get(_DATA, {})
        told = shapes if written else {**shapes, _VALUES: values}
        self._agree(_DATA, _plain(told))
        before = written.get(_VALUES, values)  # earlier releases wrote none
        changed = [name for name in values if before.get(name) != values[name]]
        if changed:
            raise ValueError(
                f"The study {self.name!r} goes on only with the data that it was begun "
                "with, bit for bit; use another `project_name` or `overwrite=True` for "
                "a new search. Received: other values of "
                f"{', '.join(changed)}."
            )

    def space(self) -> keras_tuner.HyperParameters | None:
        """The search space, with what was found in trials; None in a new study."""
        attributes = self._attributes()
        if _SPACE not in attributes:
            return None
        names = sorted(name for name in attributes if name.startswith(_NEW))
        found = [attributes[name] for name in names]
        space = keras_tuner.HyperParameters.from_config(
            {"space": [*attributes[_SPACE], *found], "values": {}}
        )
        for hp in space.space:
            if space.is_active(hp):
                space.values.setdefault(hp.name, hp.default)
        return space

    def agree_on_space(self, space: keras_tuner.HyperParameters) -> None:
        """Writes the space that building shows, or refuses another one."""
        wanted = _plain(space.get_config()["space"])
        written = self._write_once(_SPACE, wanted)
        changed = set(map(_without_default, written)) ^ set(
            map(_without_default, wanted)
        )
        if changed:
            names = sorted({json.loads(text)["config"]["name"] for text in changed})
            raise ValueError(
                f"The study {self.name!r} goes on only over the space that it was "
                "begun with; use another `project_name` or `overwrite=True` for a new "
                f"search. Received: other definitions of {', '.join(names)}."
            )

    def add_to_space(self, configs: list[dict[str, Any]]) -> None:
        """Writes definitions that only trials have shown."""
        for config in _plain(configs):
            self.optuna_study.set_user_attr(f"{_NEW}{derive(config):010d}", config)

    def choose(self, values: dict[str, Any]) -> None:
        """Queues values chosen by hand; the same values once only."""
        key = f"{_CHOSEN}{derive(sorted(values.items(), key=str)):010d}"
        attributes = self._attributes()
        if key not in attributes:
            order = sum(name.startswith(_CHOSEN) for name in attributes)
            entry = {"key": key, "order": order, "values": values}
            self.optuna_study.set_user_attr(key, entry)

    def chosen(self) -> list[dict[str, Any]]:
        """Entries queued by hand, `{"key", "order", "values"}`, in their order."""
        attributes = self._attributes()
        names = [name for name in attributes if name.startswith(_CHOSEN)]
        entries = [attributes[name] for name in names]
        return sorted(entries, key=lambda entry: (entry["order"], entry["key"]))

    def add_attribute(self, name: str, value: Any) -> bool:
        """Writes an attribute of the study; False if another process has done so."""
        return self.storage.add_study_user_attr(self._connection.key, name, value)

    def _agree(self, attribute: str, description: dict[str, Any]) -> None:
        """Writes the description, or refuses a study with another one.

        What a study of an earlier release does not say is no reason to refuse it.
        """
        written = self._write_once(attribute, description)
        for name, value in description.items():
            if name in written and written[name] != value:
                raise ValueError(
                    f"The study {self.name!r} goes on only as the search that it was "
                    f"begun as, with {name}={written[name]!r}; use another "
                    f"`project_name` or `overwrite=True` for a new one. "
                    f"Received: {name}={value!r}."
                )

    def _attributes(self) -> dict[str, Any]:
        return self.optuna_study.user_attrs

    def _write_once(self, name: str, value: Any) -> Any:
        """The attribute as whoever came first wrote it, maybe this call."""
        attributes = self._attributes()
        if name not in attributes:
            self.add_attribute(name, value)
            attributes = self._attributes()
        return attributes[name]


def runs_in_this_process(url: Url, name: str, key: int) -> bool:
    """True if this process runs the trial of this study now."""
    return (str(url), name, key) in _running


def _plain(config: Any) -> Any:
    return json.loads(json.dumps(config))


def _without_default(config: dict[str, Any]) -> str:
    """The definition but for its default, on which no search depends."""
    kept = {name: part for name, part in config["config"].items() if name != "default"}
    return json.dumps({**config, "config": kept}, sort_keys=True)
