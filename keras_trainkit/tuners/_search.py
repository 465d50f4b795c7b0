"""A search with its data, and the names by which its parts use the tuner.

Loop, trials and trainings use no other names of a tuner than those of `Tuner`, which a
user's subclass may override.
"""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, Protocol

from keras_tuner.engine.trial import Trial

from keras_trainkit._types import Model
from keras_trainkit.tuners._hyperparameters import Parameter
from keras_trainkit.tuners._oracle import StudyOracle
from keras_trainkit.tuners._sampler import SeededSampler
from keras_trainkit.tuners._search_study import SearchStudy


class Tuner(Protocol):
    """Settings of a tuner, and its methods, which a subclass may override.

    The settings are arguments of `RandomSearch`. All methods but the last three are
    KerasTuner's.
    """

    hypermodel: Any
    oracle: StudyOracle
    seed: int
    executions_per_trial: int
    folds: int
    min_improvement: float | None
    patience: int | None
    isolate: bool
    trial_timeout: float | None
    allow_repeats: bool
    max_model_size: int | None

    def on_search_begin(self) -> None:
        """Called before the first trial."""

    def on_search_end(self) -> None:
        """Called after the last trial."""

    def run_trial(self, trial: Trial, *args: Any, **kwargs: Any) -> Any:
        """Trains one configuration and returns the result, or a list of results."""

    def on_trial_begin(self, trial: Trial) -> None:
        """Called before a trial."""

    def on_trial_end(self, trial: Trial) -> None:
        """Called when the trial is in the study."""

    def on_epoch_begin(
        self, trial: Trial, model: Model, epoch: int, logs: Any = None
    ) -> None:
        """Called before each epoch of a training."""

    def on_epoch_end(
        self, trial: Trial, model: Model, epoch: int, logs: Any = None
    ) -> None:
        """Called after each epoch of a training."""

    def on_batch_begin(self, trial: Trial, model: Model, batch: int, logs: Any) -> None:
        """Called before each batch of a training."""

    def on_batch_end(
        self, trial: Trial, model: Model, batch: int, logs: Any = None
    ) -> None:
        """Called after each batch of a training."""

    def get_best_models(self, num_models: int = 1) -> list[Model]:
        """Models of the best trials, from the best on."""
        ...

    def judge(self, index: int, epochs: int, best: float | None) -> bool:
        """Called after each epoch of a trial's first training; False stops it."""
        ...

    def is_over(self) -> bool:
        """Called before each trial; True ends the search."""
        ...

    def fit_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Keyword arguments of `fit`, made of those of `search`."""
        ...


@dataclasses.dataclass(frozen=True)
class Search:
    """A search with its data, as workers and isolated trials get it too.

    Args:
        tuner: `Tuner`.
        study: `SearchStudy`.
        sampler: `SeededSampler`.
        as_parameter: Function from a definition to a `Parameter`.
        build: Function of `HyperParameters` that returns a model, with the tuner's
            optimizer, loss and metrics.
        copy_callbacks: Function of callbacks, a trial and the number of its training
            that returns copies for this training.
        folder: Folder of the search.
        args: Positional arguments of `search`.
        kwargs: Its keyword arguments.
    """

    tuner: Tuner
    study: SearchStudy
    sampler: SeededSampler
    as_parameter: Callable[[Any], Parameter]
    build: Callable[[Any], Model]
    copy_callbacks: Callable[[list[Any], Trial, int], list[Any]]
    folder: pathlib.Path
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
