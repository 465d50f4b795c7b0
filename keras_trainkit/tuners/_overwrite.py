"""`overwrite=True`: deletes the search in a folder, unless a process is at work on it.

The kit deletes what it wrote, nothing else.
"""

import pathlib
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.trial import TrialState

from keras_trainkit._process import is_dead, is_on_this_host, this_process
from keras_trainkit.tuners._database import (
    RefusedDatabase,
    Url,
    file_of,
    open_database,
)
from keras_trainkit.tuners._files import (
    DATABASE,
    begin,
    naming_folder,
    searching_processes,
)
from keras_trainkit.tuners._patient_storage import PatientStorage
from keras_trainkit.tuners._process_identity import OWNER, is_alive_here
from keras_trainkit.tuners._search_study import runs_in_this_process
from keras_trainkit.tuners._study_connection import GRACE_SECONDS, HEARTBEAT_SECONDS
from keras_trainkit.tuners._trial_weights import WEIGHTS


def delete_search(
    folder: pathlib.Path, content: dict[str, Any], url: Url, *, is_shared: bool
) -> None:
    """Deletes the search that is there, if there is one.

    Args:
        folder: Folder of the search.
        content: Content of its marker.
        url: Database of the study, which `content` names.
        is_shared: Bool. The database has other studies too: only this one goes.

    Raises:
        ValueError: A living process is searching in it.
    """
    for identity in searching_processes(folder):
        if is_on_this_host(identity) and not is_dead(identity):
            raise _searched_by(identity)
    name = content["study"]
    if is_shared:
        _delete_study(url, name)
    else:
        _check_file_is_not_in_use(url, name)
    begin(folder, content, anew=True)
    _delete_files(folder)


def _delete_study(url: Url, name: str) -> None:
    storage = open_database(url, HEARTBEAT_SECONDS, GRACE_SECONDS)
    try:
        key = storage.get_study_id_from_name(name)
        _check_nobody_runs_a_trial(storage, key, url, name)
        storage.delete_study(key)
    except KeyError:
        return
    finally:
        storage.dispose()


def _check_file_is_not_in_use(url: Url, name: str) -> None:
    """Raises if a living process runs a trial of the study in this file.

    A file without a study, or a torn one, is in nobody's use.
    """
    file = file_of(url)
    if file is None or not file.exists() or not file.stat().st_size:
        return
    try:
        storage = open_database(url, HEARTBEAT_SECONDS, GRACE_SECONDS)
    except (StorageInternalError, RefusedDatabase):
        return
    try:
        key = storage.get_study_id_from_name(name)
        _check_nobody_runs_a_trial(storage, key, url, name)
    except (KeyError, StorageInternalError):
        return
    finally:
        storage.dispose()


def _check_nobody_runs_a_trial(
    storage: PatientStorage, key: int, url: Url, name: str
) -> None:
    stale = storage.stale(key)
    for trial in storage.get_all_trials(key, deepcopy=False):
        owner = trial.user_attrs.get(OWNER)
        if trial.state != TrialState.RUNNING or owner is None:
            continue
        number = trial._trial_id
        if owner == this_process():
            is_busy = runs_in_this_process(url, name, number)
        else:
            is_silent = is_on_this_host(owner) or number in stale
            is_busy = is_alive_here(trial) or not is_silent
        if is_busy:
            raise _searched_by(owner)


def _searched_by(identity: dict[str, Any]) -> ValueError:
    host = identity["place"].split()[0]
    where = "" if is_on_this_host(identity) else f" on {host}"
    return ValueError(
        "`overwrite=True` deletes the search that is there, so no process may be "
        "searching in it: wait for its end, or end it. "
        f"Received: a search by the process {identity['pid']}{where}."
    )


def _delete_files(folder: pathlib.Path) -> None:
    """Deletes all but the marker; foreign files stay, and their folders.

    The log goes before the database, which would take up another one's log.
    """
    with naming_folder(folder):
        for end in ("-wal", "-shm", "-journal", ""):
            (folder / f"{DATABASE}{end}").unlink(missing_ok=True)
        for weights in folder.glob(f"trial_*/*{WEIGHTS}"):
            weights.unlink()
        for trial in folder.glob("trial_*"):
            if trial.is_dir() and not any(trial.iterdir()):
                trial.rmdir()
