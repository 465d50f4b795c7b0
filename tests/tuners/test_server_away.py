"""A PostgreSQL that stops and comes back while trials end."""

import os
import pathlib
import subprocess
import tempfile
import threading
import time

import pytest
from searching import forked, hill, searcher, table, waited_for

from keras_trainkit import tuners

SCRIPT = pathlib.Path(__file__).parents[2] / ".ci" / "postgresql"
AWAY_SECONDS = 3

pytestmark = pytest.mark.skipif(
    "KERAS_TRAINKIT_POSTGRES" not in os.environ,
    reason="KERAS_TRAINKIT_POSTGRES is not set: here are no servers",
)


def server(action, folder):
    """Starts or stops it; a stop is a crash: no connection is said goodbye to."""
    done = subprocess.run([SCRIPT, action, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def folder():
    """Of a server of this test alone, which its owner can reach.

    Not one of pytest, which takes the rights of others away whenever it starts.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as path:
        os.chmod(path, 0o755)
        yield path
        server("stop", path)


@pytest.mark.parametrize(
    ("processes", "trials", "stops"),
    [
        pytest.param(1, 6, 3, marks=pytest.mark.slow),
        pytest.param(2, 6, 3, marks=pytest.mark.slow),
        pytest.param(2, 40, 10, marks=pytest.mark.soak),
    ],
)
def test_trials_that_end_while_the_server_is_away_are_kept(
    processes, trials, stops, folder, tmp_path
):
    url = server("start", folder)
    log, every = tmp_path / "trained", trials // stops

    def is_first(stop):
        """True for one process alone."""
        try:
            (tmp_path / f"stop{stop}").touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def leaving(hp):
        """Every second, or fourth, trial of all ends in front of a stopped server."""
        value = hill(hp)
        with log.open("a") as file:
            file.write(f"{value}\n")
        stop = len(log.read_text().splitlines()) // every
        if stop and is_first(stop):
            server("stop", folder)
            threading.Timer(AWAY_SECONDS, server, ("start", folder)).start()
        else:
            time.sleep(0.5)
        return value

    options = {"max_trials": trials, "seed": 3, "max_retries_per_trial": 0}
    shared = {**options, "storage": url, "project_name": "away", "directory": tmp_path}

    def search():
        searcher(tuners.RandomSearch, leaving)(**shared).search(verbose=0)

    children = [forked(search, seconds=60 * trials) for _ in range(processes)]
    assert waited_for(children) == [0] * processes
    alone = searcher(tuners.RandomSearch)(**options, directory=tmp_path / "alone")
    alone.search(verbose=0)
    found = table(searcher(tuners.RandomSearch)(**shared))
    assert found == table(alone)
    assert len(found) == trials
    assert len(list(tmp_path.glob("stop*"))) == stops
    trained = sorted(map(float, log.read_text().split()))
    assert trained == pytest.approx(sorted(row[3] for row in found))
