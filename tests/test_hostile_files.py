"""Files from elsewhere are refused or harmless; nothing runs, no other is touched."""

import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections import Counter

import h5py
import hostile_files
import keras
import numpy as np
import pytest
import watches

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
    "download, activation": {"RuntimeError"},  # torch: "Boolean value of Tensor ..."
}
# It makes the folder of its downloads before it refuses the tensor as a name.
SEEN_OF_KERAS = {"download, activation": "os.mkdir"}
# Keras reads a config and weights whole, and copies them: half a gigabyte here.
MEGABYTES = {"a bomb as config": 1200, "a bomb as weights": 1200}
# At least as many of each kind; a generator that stops early is no success.
COUNTS = {
    "model": 130,
    "weights": 12,
    "encoder": 32,
    "estimator": 79,
    "trial": 21,
    "search": 18,
    "state": 26,
}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(PROGRAM), str(folder)]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return cases_in(run.stdout)


def cases_in(output):
    """The lines of the cases, all of which the last line counts."""
    *found, counts = map(json.loads, output.splitlines())
    assert Counter(result["kind"] for result in found) == counts
    return found


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
    if result["megabytes"] > MEGABYTES.get(name, 200):
        yield f"took {result['megabytes']} MB"
    if not result["policy"]:
        yield "changed the dtype policy"


def _is_known(name, event):
    return name in SEEN_OF_KERAS and event.startswith(SEEN_OF_KERAS[name])


@pytest.mark.slow  # one process for all: 15 seconds
def test_hostile_files_are_refused_or_harmless(results):
    counts = Counter(result["kind"] for result in results)
    assert all(counts[kind] >= least for kind, least in COUNTS.items())
    assert all(
        any(r["kind"] == kind and r["name"].startswith("loads: ") for r in results)
        for kind in COUNTS
    )
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
        ({"error": "SystemExit", "text": "0"}, "SystemExit"),
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


def test_a_program_that_ends_early_is_no_success():
    first, second = '{"kind": "trial"}\n', '{"kind": "state"}\n'
    assert len(cases_in(first + second + '{"trial": 1, "state": 1}\n')) == 2
    for output in (first, first + second, first + '{"trial": 1, "state": 1}\n'):
        with pytest.raises((AssertionError, TypeError)):
            cases_in(output)


@pytest.fixture
def unwatched(tmp_path):
    """A watch that is no hook of this process, and no secrets."""
    return watches.Watch(tmp_path), watches.Secrets()


def test_an_action_that_ends_the_process_is_seen(unwatched):
    found = watches.observed(sys.exit, *unwatched)
    assert found["error"] == "SystemExit" and "loaded" not in found
    assert watches.observed(lambda: 7, *unwatched)["loaded"] == 7


of_linux = pytest.mark.skipif(not watches.LINUX, reason="told by Linux alone")


@of_linux
def test_memory_is_that_of_each_action_alone(unwatched):
    for size in (300, 0, 100):
        text = functools.partial(bytes.__mul__, b"x", size << 20)
        found = watches.observed(lambda: bool(text()), *unwatched)  # noqa: B023
        assert size - 20 < found["megabytes"] < size + 20


@of_linux
def test_a_secret_is_seen_however_it_is_opened(tmp_path):
    h5, text, other = (tmp_path / name for name in ("a.h5", "b.txt", "c.txt"))
    with h5py.File(h5, "w") as file:
        file["0"] = np.ones(3)
    text.write_text("a")
    other.write_text("a")
    watch, secrets = watches.Watch(tmp_path), watches.Secrets(h5, text)

    def read_in_c():
        with h5py.File(h5) as file:
            return file["0"][:].tolist()

    def link_in_c():
        with h5py.File(tmp_path / "link.h5", "w") as file:
            file["1"] = h5py.ExternalLink(str(h5), "/0")
            return file["1"][:].tolist()

    for action in (read_in_c, link_in_c):
        found = watches.observed(action, watch, secrets)
        assert found["loaded"] == [1, 1, 1] and found["seen"] == [f"open {h5}"]
    assert watches.observed(text.read_text, watch, secrets)["seen"] == [f"open {text}"]
    assert watches.observed(other.read_text, watch, secrets)["seen"] == []


@pytest.mark.slow
@pytest.mark.skipif(keras.config.backend() != "jax", reason="of XLA on JAX")
def test_xla_still_ends_the_process_for_a_layer_that_no_tensor_can_hold():
    """Where it raises an error, the file belongs to the others on JAX too."""
    units = hostile_files.TOO_MANY
    script = f"import keras; keras.layers.Dense({units}).build((None, 3))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert run.returncode == -signal.SIGABRT


@pytest.mark.slow
def test_a_watched_process_tells_what_is_done(tmp_path):
    """The hook sees what the files are to bring about."""
    script = (
        "import os, pathlib, pickle, shutil, subprocess, sys, watches\n"
        "watch = watches.Watch(sys.argv[1])\n"
        "sys.addaudithook(watch)\n"
        "watch.on = True\n"
        "os.system('true')\n"
        "subprocess.run(['true'])\n"
        "os.mkdir(os.path.join(sys.argv[1], '..', 'other'))\n"
        "open(os.path.join(sys.argv[1], '..', 'file'), 'w').close()\n"
        "open(os.path.join(sys.argv[1], 'inside'), 'w').close()\n"
        "pathlib.Path(sys.argv[1] + '-beside').touch()\n"
        "os.rename(os.path.join(sys.argv[1], 'inside'), sys.argv[1] + '-moved')\n"
        "shutil.rmtree(os.path.join(sys.argv[1], '..', 'other'))\n"
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
    events = ["os.system", "subprocess.Popen", "os.mkdir", "os.rename", "shutil.rmtree"]
    for event in [*events, "pickle.find_class", "exec"]:
        assert event in run.stdout
    for name in ("file", f"{inner}-beside"):
        assert f"{name} to write" in run.stdout
    assert "inside to write" not in run.stdout
