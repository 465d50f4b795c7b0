"""Runs that MLflow's SQLite files hold."""

import ast
import contextlib
import datetime
import pathlib
import tempfile
import urllib.parse
from typing import Any

from keras_trainkit.analysis._tracked import pass_over, read_description
from keras_trainkit.analysis.run_description import plain
from keras_trainkit.analysis.tracked_runs import TrackedRun

DATABASES = "*.db"
DESCRIPTION = "run.json"  # what `mlflow.log_dict` was told to call it
_BEGIN = b"SQLite format 3\0"


def mlflow_runs(directory: pathlib.Path) -> list[TrackedRun]:
    """Runs of every store of MLflow in the directory, by experiment and name.

    A store that cannot be read is passed over with a warning.
    """
    found: list[TrackedRun] = []
    for file in sorted(directory.rglob(DATABASES)):
        if not file.is_file() or not is_store(file):
            continue
        try:
            found += _runs_of(file)
        except ImportError:
            raise
        except Exception as error:  # of whatever a broken store brings about
            pass_over(file, error)
    return found


def is_store(file: pathlib.Path) -> bool:
    """True if the file is a database with MLflow's tables."""
    import sqlite3

    try:
        with file.open("rb") as opened:
            if opened.read(len(_BEGIN)) != _BEGIN:
                return False
        with contextlib.closing(
            sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)
        ) as db:
            names = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
    except (OSError, sqlite3.Error) as error:
        pass_over(file, error)
        return False
    return {"experiments", "runs", "latest_metrics"} <= names


def _runs_of(file: pathlib.Path) -> list[TrackedRun]:
    try:
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise ImportError(
            f"{file} is a store of MLflow, which is read by its own client: "
            "`pip install mlflow-skinny`, or `mlflow`."
        ) from error
    found = []
    with tempfile.TemporaryDirectory() as folder:
        link = pathlib.Path(folder, "store.db")  # a URL has no `?`, `#` and `%`
        link.symlink_to(file)
        client = MlflowClient(f"sqlite:///{link}")
        for experiment in client.search_experiments():
            for run in _all_runs(client, experiment.experiment_id):
                found.append(_run(client, experiment.name, run))
    return sorted(found, key=lambda run: (str(run.started), run.name))


def _all_runs(client: Any, experiment: str) -> list[Any]:
    found, token = [], None
    while True:
        page = client.search_runs([experiment], page_token=token)
        found += page
        token = page.token
        if not token:
            return found


def _run(client: Any, experiment: str, run: Any) -> TrackedRun:
    values = {
        name: {
            m.step: m.value for m in client.get_metric_history(run.info.run_id, name)
        }
        for name in run.data.metrics
    }
    steps = {name: sorted(found) for name, found in values.items()}
    series = {name: [values[name][step] for step in steps[name]] for name in values}
    length = max(
        (len(series[n]) for n in ("loss", "val_loss") if n in series), default=0
    )
    history = {
        name: found
        for name, found in series.items()
        if name.startswith("val_") or len(found) == length > 0
    }
    began, ended = run.info.start_time, run.info.end_time
    return TrackedRun(
        name=f"{experiment}/{run.info.run_name}",
        source="MLflow",
        started=None if began is None else _moment(began),
        seconds=None if None in (began, ended) else (ended - began) / 1000,
        parameters={name: _plain(text) for name, text in run.data.params.items()},
        history=history,
        scalars={
            name: (steps[name], series[name]) for name in series if name not in history
        },
        description=_description(run),
    )


def _description(run: Any) -> dict[str, Any]:
    """The dict of `run_description`, where it was logged and lies on this machine."""
    url = urllib.parse.urlsplit(run.info.artifact_uri)
    file = pathlib.Path(urllib.parse.unquote(url.path), DESCRIPTION)
    if url.scheme not in ("", "file") or not file.is_file():
        return {}
    return read_description(file.read_bytes())


def _plain(text: str) -> Any:
    """The number, truth value or list that a text stands for, or the text."""
    try:
        return plain(ast.literal_eval(text)) if "_" not in text else text
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text


def _moment(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
