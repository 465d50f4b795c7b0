"""Files from elsewhere are refused or harmless; nothing runs, no other is touched."""

import json
import os
import pathlib
import subprocess
import sys
from collections import Counter

import pytest

PROGRAM = pathlib.Path(__file__).with_name("hostile_files.py")
REFUSED = {"ValueError", "TypeError", "JSONDecodeError"}
# `callbacks.TrainState` makes a ValueError of it, where no other state is whole.
REFUSED_BY = {"state": {"DamagedState"}}
# What Keras raises before anything of the kit is asked.
OF_KERAS = {
    "no config": {"KeyError"},  # `zipfile`, for a file without config.json
    "deep": {"RecursionError"},  # `json.loads` of config.json
    "deep lists": {"RecursionError"},
    "a bomb as weights": {"OSError"},  # h5py, for what is no HDF5
    "cut-off weights": {"OSError"},
    "cut-off weights inside": {"OSError"},
    "no HDF5": {"OSError"},
    "no HDF5 inside": {"OSError"},
    # Any function of Keras may be named as an activation, and is called with a tensor.
    "plot, activation": {"AttributeError"},
}
# It makes the folder of its downloads before it refuses the tensor as a name.
SEEN_OF_KERAS = {"download, activation": "os.mkdir"}
MEGABYTES = {"model": 1200}  # Keras reads a config whole, of half a gigabyte here


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(PROGRAM), str(folder)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return [json.loads(line) for line in run.stdout.splitlines()]


def faults(result):
    kind, name = result["kind"], result["name"]
    seen = [e for e in result["seen"] if not _is_known(name, e)]
    if seen:
        yield f"brought about {seen}"
    if "error" in result:
        allowed = REFUSED | REFUSED_BY.get(kind, set()) | OF_KERAS.get(name, set())
        if result["error"] not in allowed:
            yield f"{result['error']}: {result['text']}"
    elif not result["loaded"]:
        yield "loaded as something else"
    elif not name.startswith("loads: "):
        yield "not refused"
    if result["megabytes"] > MEGABYTES.get(kind, 200):
        yield f"took {result['megabytes']} MB"
    if not result["policy"]:
        yield "changed the dtype policy"


def _is_known(name, event):
    return name in SEEN_OF_KERAS and event.startswith(SEEN_OF_KERAS[name])


@pytest.mark.slow  # one process for all: 15 seconds
def test_hostile_files_are_refused_or_harmless(results):
    counts = Counter(result["kind"] for result in results)
    assert all(counts[kind] >= 10 for kind in ("model", "weights", "encoder", "trial"))
    assert all(counts[kind] >= 10 for kind in ("estimator", "search", "state"))
    found = [
        f"{result['kind']}: {result['name']}: {fault}"
        for result in results
        for fault in faults(result)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seen": ["os.system"], "error": "ValueError"}, "brought about"),
        ({"error": "KeyError", "text": "'a'"}, "KeyError"),
        ({"loaded": True}, "not refused"),
        ({"loaded": False}, "something else"),
        ({"error": "ValueError", "megabytes": 900}, "900 MB"),
        ({"error": "ValueError", "policy": False}, "dtype policy"),
    ],
)
def test_each_fault_is_told(change, words):
    result = {"kind": "trial", "name": "a", "seen": [], "megabytes": 0, "policy": True}
    (fault,) = faults({**result, **change})
    assert words in fault


@pytest.mark.slow
def test_a_watched_process_tells_what_is_done(tmp_path):
    """The hook sees what the files are to bring about."""
    script = (
        "import os, pickle, subprocess, socket, sys, hostile_files\n"
        "watch = hostile_files.Watch(sys.argv[1], '/etc/passwd')\n"
        "sys.addaudithook(watch)\n"
        "watch.on = True\n"
        "os.system('true')\n"
        "subprocess.run(['true'])\n"
        "open('/etc/passwd').close()\n"
        "os.mkdir(os.path.join(sys.argv[1], '..', 'other'))\n"
        "open(os.path.join(sys.argv[1], '..', 'file'), 'w').close()\n"
        "open(os.path.join(sys.argv[1], 'inside'), 'w').close()\n"
        "pickle.loads(b'cos\\nsystem\\n.')\n"
        "exec('1')\n"
        "watch.on = False\n"
        "print(*watch.seen, sep='\\n')\n"
    )
    inner = tmp_path / "inner"
    inner.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parent)}
    run = subprocess.run(
        [sys.executable, "-c", script, str(inner)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    for event in ("os.system", "subprocess.Popen", "open /etc/passwd", "os.mkdir"):
        assert event in run.stdout
    for event in ("to write", "pickle.find_class", "exec"):
        assert event in run.stdout
    assert "inside" not in run.stdout
