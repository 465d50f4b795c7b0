"""A PostgreSQL that stops and comes back while trials end."""

import os
import pathlib
import subprocess
import threading
import time

import pytest
from searching import forked, hill, searcher, table, waited_for

from keras_trainkit import tuners

SCRIPT = pathlib.Path(__file__).parents[2] / ".ci" / "postgresql"
AWAY_SECONDS = 3

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "KERAS_TRAINKIT_POSTGRES" not in os.environ,
        reason="KERAS_TRAINKIT_POSTGRES is not set: here are no servers",
    ),
]


def server(action, folder):
    """Starts or stops it; a stop is a crash: no connection is said goodbye to."""
    done = subprocess.run(
        [SCRIPT, action, folder], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def folder(tmp_path_factory):
    """Of a server of this test alone, which its owner can reach."""
    folder = tmp_path_factory.mktemp("server")
    for place in [folder, *folder.parents]:
        if place.owner() == folder.owner() and place != place.parent:
            place.chmod(0o755)
    yield folder
    server("stop", folder)


@pytest.mark.parametrize("processes", [1, 2])
def test_trials_that_end_while_the_server_is_away_are_kept(processes, folder, tmp_path):
    url = server("start", folder)
    log = tmp_path / "trained"

    def leaving(hp):
        """The second and the fourth trial of all end in front of a stopped server."""
        value = hill(hp)
        with log.open("a") as file:
            file.write(f"{value}\n")
        if len(log.read_text().splitlines()) in (2, 4):
            server("stop", folder)
            threading.Timer(AWAY_SECONDS, server, ("start", folder)).start()
        else:
            time.sleep(0.5)
        return value

    options = {"max_trials": 6, "seed": 3, "max_retries_per_trial": 0}
    shared = {**options, "storage": url, "project_name": "away", "directory": tmp_path}

    def search():
        searcher(tuners.RandomSearch, leaving)(**shared).search(verbose=0)

    assert waited_for([forked(search) for _ in range(processes)]) == [0] * processes
    alone = searcher(tuners.RandomSearch)(**options, directory=tmp_path / "alone")
    alone.search(verbose=0)
    found = table(searcher(tuners.RandomSearch)(**shared))
    assert found == table(alone)
    trained = sorted(map(float, log.read_text().split()))
    assert trained == pytest.approx(sorted(row[3] for row in found))
