"""Weights of each trial at its best epoch, in the folder of the search."""

import os
import pathlib
import warnings
from collections.abc import Callable

from optuna.trial import TrialState

from keras_trainkit._disk import replacing
from keras_trainkit._types import Model
from keras_trainkit.tuners._patient_storage import StorageFailed
from keras_trainkit.tuners._process_identity import is_orphan
from keras_trainkit.tuners._trial_record import TrialRecord

WEIGHTS = "checkpoint.weights.h5"


def weights_path(folder: pathlib.Path, trial_id: str) -> pathlib.Path:
    """File of the best weights of a trial."""
    return folder / f"trial_{trial_id}" / WEIGHTS


def kept_weights(folder: pathlib.Path, trial_id: str) -> pathlib.Path:
    """The same file; refused where it is not there."""
    path = weights_path(folder, trial_id)
    if not path.exists():
        raise ValueError(
            f"The weights of trial {trial_id} are in the directory of the "
            f"machine that ran it and must be at {path}. Received: no such file."
        )
    return path


def save_weights(model: Model, path: pathlib.Path) -> None:
    """Writes the weights whole or not at all.

    Raises:
        StorageFailed: They cannot be written there.
    """
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(temporary, path):
            model.save_weights(temporary)
    except OSError as error:
        raise StorageFailed(str(path), str(error)) from error


def load_weights(model: Model, path: pathlib.Path) -> None:
    """Reads what `save_weights` has written."""
    with warnings.catch_warnings():
        # The new model's optimizer has no slots yet to put the saved ones into.
        message = "Skipping variable loading for optimizer"
        warnings.filterwarnings("ignore", message, UserWarning)
        model.load_weights(path)


def remove_unfinished_weights(
    folder: pathlib.Path, read_records: Callable[[], list[TrialRecord]]
) -> None:
    """Deletes what killed processes were writing, each as large as a model.

    Args:
        folder: Folder of the search.
        read_records: Function that returns the records as they are now.
    """
    # Listed before it is asked who lives: a process that starts later is not in it.
    found = list(folder.glob(f"trial_*/.*.{WEIGHTS}"))
    living = {
        weights_path(folder, record.name).parent
        for record in (read_records() if found else ())
        if record.state == TrialState.RUNNING and not is_orphan(record.trial)
    }
    for path in found:
        if path.parent not in living:
            path.unlink(missing_ok=True)
