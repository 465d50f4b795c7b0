"""Ended trials of a search, whichever library ran it."""

import dataclasses
import datetime
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Ended:
    """A trial that is over; a score only where it completed with a finite one."""

    name: str
    state: str
    score: float | None = None
    epochs: int | None = None
    start: datetime.datetime | None = None
    end: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True)
class Search:
    """The trials in the order in which they ended; an objective of None is unknown."""

    objective: str | None
    direction: str
    trials: list[Ended]

    def best(self) -> int | None:
        """The first of the best trials as an index, None where no trial completed."""
        sign = -1 if self.direction == "max" else 1
        scores = [(n, t.score) for n, t in enumerate(self.trials)]
        ranked = [(sign * score, n) for n, score in scores if score is not None]
        return min(ranked)[1] if ranked else None

    def seconds(self) -> list[float] | None:
        """Seconds at work until each trial's end, None where no times are kept.

        At work is whenever at least one trial is running. So trials at the same time
        count once, and the pause before a search goes on counts nothing.
        """
        timed = [trial for trial in self.trials if trial.start and trial.end]
        if len(timed) < len(self.trials) or not timed:
            return None
        spans: list[list[Any]] = []
        for start, end in sorted((trial.start, trial.end) for trial in timed):
            if spans and start <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], end)
            else:
                spans.append([start, end])
        return [_passed(spans, trial.end) for trial in timed]


def read_search(name: str, source: Any) -> Search:
    """The trials of a tuner or a study."""
    import keras_tuner
    import optuna

    from keras_trainkit.tuners._study_tuner import StudyTuner

    if isinstance(source, StudyTuner):
        return _of_kit(source.study, _named(source.oracle.objective))
    if isinstance(source, keras_tuner.engine.base_tuner.BaseTuner):
        return _of_keras_tuner(source.oracle)
    if not isinstance(source, optuna.Study) or len(source.directions) > 1:
        raise ValueError(
            "`searches` holds what is compared and must be a dict from names to tuners "
            "of the kit, Optuna studies of one objective, or tuners of KerasTuner. "
            f"Received: {name!r}: {source!r}."
        )
    record = source.user_attrs.get("keras_trainkit")
    return (
        _of_optuna(source) if record is None else _of_kit(source, record["objective"])
    )


def _of_kit(study: Any, objective: str | None) -> Search:
    from keras_trainkit.tuners._trial_record import finished, read_trials

    ended = []
    for record in finished(read_trials(study.get_trials(deepcopy=False))):
        ended.append(_ended(record.name, record.trial, record.epochs or 0))
    return Search(objective, _direction(study), _in_order(ended))


def _of_optuna(study: Any) -> Search:
    trials = study.get_trials(deepcopy=False)
    ended = [_ended(str(t.number), t) for t in trials if t.state.is_finished()]
    objective = study.metric_names[0] if study.metric_names else None
    return Search(objective, _direction(study), _in_order(ended))


def _of_keras_tuner(oracle: Any) -> Search:
    ended = []
    for name in dict.fromkeys(oracle.end_order):
        trial = oracle.trials[name]
        completed = trial.status == "COMPLETED"
        score = _finite(trial.score) if completed else None
        ended.append(Ended(name, "completed" if completed else "failed", score))
    return Search(_named(oracle.objective), oracle.objective.direction, ended)


def _ended(name: str, trial: Any, epochs: int | None = None) -> Ended:
    states = {"COMPLETE": "completed", "PRUNED": "stopped", "FAIL": "failed"}
    state = states[trial.state.name]
    score = _finite(trial.value) if state == "completed" else None
    times = (trial.datetime_start, trial.datetime_complete)
    return Ended(name, state, score, epochs, *times)


def _finite(score: float | None) -> float | None:
    return score if score is not None and math.isfinite(score) else None


def _in_order(ended: list[Ended]) -> list[Ended]:
    timed = [(trial.end, trial) for trial in ended if trial.end is not None]
    if len(timed) < len(ended):
        return ended
    return [trial for _, trial in sorted(timed, key=lambda pair: pair[0])]


def _direction(study: Any) -> str:
    return "max" if study.direction.name == "MAXIMIZE" else "min"


def _named(objective: Any) -> str:
    parts = getattr(objective, "objectives", None)
    if parts is None:
        return objective.name
    return " + ".join(f"{part.name} ({part.direction})" for part in parts)


def _passed(spans: list[list[Any]], moment: Any) -> float:
    parts = (min(moment, end) - start for start, end in spans if start < moment)
    return sum(part.total_seconds() for part in parts)
