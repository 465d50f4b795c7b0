"""The arguments that every tuner takes, by name."""

from typing import Any, TypedDict


class Options(TypedDict, total=False):
    """See `RandomSearch` for what each is."""

    seed: int | None
    directory: Any
    project_name: str
    storage: str | None
    executions_per_trial: int
    folds: int
    min_improvement: float | None
    patience: int | None
    isolate: bool
    trial_timeout: float | None
    overwrite: bool
    hyperparameters: Any
    tune_new_entries: bool
    allow_new_entries: bool
    max_retries_per_trial: int
    max_consecutive_failed_trials: int
    optimizer: Any
    loss: Any
    metrics: Any
    max_model_size: int | None
    distribution_strategy: Any
