import functools
import gc
import os
import threading

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:  # has a core to itself
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
import pytest  # noqa: E402

# Keras is imported where it is used: the process that only hands out tests, which loads
# this file first, has no need of it.
LONGEST = ("test_readme.py", "test_memory.py")
MOST_WORKERS = 4  # each of them loads a backend: a second and half a gigabyte


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the options
def pytest_cmdline_main(config):
    """Spreads folders over the cores, a file stays in this process.

    `-n` goes before, and without pytest-xdist there is nothing to spread.
    """
    option = config.option
    free = getattr(option, "numprocesses", 0) is None and not option.usepdb
    folders = any(os.path.isdir(argument) for argument in config.args)
    if free and folders and not hasattr(config, "workerinput"):
        option.numprocesses = min(MOST_WORKERS, cores())
        option.dist = "worksteal"


def pytest_make_parametrize_id(val):
    """Functions by name: their addresses differ between the processes of a run."""
    return getattr(val, "__name__", None) if callable(val) else None


def cores():
    """Those that this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def backend():
    import keras

    return keras.config.backend()


@pytest.hookimpl(tryfirst=True)  # before `-m` is read
def pytest_collection_modifyitems(items):
    """Skips what the backend under test cannot do; the reason names the marker.

    The longest begin first, so that none of them is alone at the end.
    """
    mark_further_cases_slow(items)
    items.sort(key=lambda item: item.path.name not in LONGEST)
    excluded = {"tensorflow_only"} if backend() != "tensorflow" else set()
    if backend() == "torch":
        excluded.add("not_torch")
    for item in items:
        for name in excluded & {marker.name for marker in item.iter_markers()}:
            item.add_marker(pytest.mark.skip(reason=f"{name}, backend is {backend()}"))


def mark_further_cases_slow(items):
    """Of a function marked `first_quick` the first case stays quick."""
    seen = set()
    for item in items:
        marked = item.get_closest_marker("first_quick")
        if marked and not {"slow", "soak"} & {m.name for m in item.iter_markers()}:
            case = item.path, item.originalname
            if case in seen:
                item.add_marker(pytest.mark.slow)
            seen.add(case)


@pytest.fixture(autouse=True, scope="session")
def migrations_read_once():
    """Optuna reads its migrations anew for each study, for a quarter of a second."""
    import alembic.util

    load = alembic.util.load_python_file
    cached = functools.cache(load)

    def load_python_file(folder, file):  # env.py is a script: reading it runs it
        return load(folder, file) if file == "env.py" else cached(folder, file)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(alembic.util, "load_python_file", load_python_file)
        yield


@pytest.fixture(autouse=True, scope="session")
def contexts_shared_by_programs():
    """JAX makes a context of MLIR for each program, of a small one a fifth of the time.

    A context keeps what it has seen, so each thread has a new one now and then.
    """
    if backend() != "jax":
        yield
        return
    from jax._src.interpreters import mlir

    make, used = mlir.make_ir_context, threading.local()

    def make_ir_context():
        used.times = getattr(used, "times", 0) + 1
        if used.times % 100 == 1:
            used.context = make()
        return used.context

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mlir, "make_ir_context", make_ir_context)
        yield


@pytest.fixture(autouse=True, scope="module")
def old_objects_out_of_collections():
    """Keras and its backend bring half a million objects, for ever alive.

    A collection looks at each of them for a third of a second, and KerasTuner collects
    twice for every model that it builds. What JAX compiled for the files before is as
    much again and more.
    """
    import keras  # noqa: F401 (brings its backend)

    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)  # not 700: a graph has more, and all of it lives


@pytest.fixture
def libraries_in_collections():
    """As in a process that has frozen nothing."""
    gc.unfreeze()
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def eagerly(monkeypatch):
    """Takes training steps one by one on TensorFlow, where nothing hangs on a graph.

    To trace a graph takes longer than ten steps of a small model. JAX and torch train
    as ever: the one compiles each operation by itself, the other has no graph.
    """
    if backend() == "tensorflow":
        import keras

        always = property(lambda model: True, lambda model, value: None)
        monkeypatch.setattr(keras.Model, "run_eagerly", always)


@pytest.fixture(autouse=True)
def fixed_seed():
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture
def blobs():
    """Two clouds of 2D points, 3 apart: `(x, y)`, 64 rows, labels 0 and 1."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 32)
    points = rng.normal(size=(64, 2)) + 3 * labels[:, None]
    order = rng.permutation(64)
    return points[order].astype("float32"), labels[order]
