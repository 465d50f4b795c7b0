"""Two devices, and two processes, train what one device does, on the same batches.

Devices are virtual ones of the processor, in processes of their own, since their number
is fixed when a backend starts.
"""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys

import numpy as np
import pytest
from conftest import backend

pytestmark = pytest.mark.not_torch

TESTS = pathlib.Path(__file__).parent
SCRIPT = TESTS / "parallel_training.py"
PAGE = TESTS.parent / "docs" / "data_parallel.md"
TWO_DEVICES = "--xla_force_host_platform_device_count=2"
SAME = ["mlp", "clipped", "clipped values", "members", "words", "sequences"]
SAME += ["averages", "decay", "plateau", "scaled", "data set"]
# Of TensorFlow's replicas each has a part of these to itself, or Keras cannot do them.
WHOLE_BATCH = ["dropout", "batch normalization"]
REFUSED = ["accumulated", "overwritten", "steps at once"]
SHARED = ["mlp", "sequences", "members", "words"]  # by two processes of JAX
STOCK = ["stock clipped", "stock accumulated", "stock overwritten"]
STOCK += ["stock steps at once"]
# The others wait for `-m soak`.
SLOW = ["mlp", "clipped", "members", "sequences", "dropout", "accumulated"]
SLOW += ["stock clipped"]
SLOW_SHARED = SHARED[:2]


def cases(names, slow=SLOW):
    """Each with the mark that says when it is run."""
    marks = pytest.mark.slow, pytest.mark.soak
    return pytest.mark.parametrize(
        "case", [pytest.param(name, marks=marks[name not in slow]) for name in names]
    )


def start(folder, *cases, **variables):
    """The script in a process with two devices; what it finds goes to found.json."""
    paths = [str(TESTS.parent), str(TESTS), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend(),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {TWO_DEVICES}",
        **variables,
    }
    folder.mkdir(exist_ok=True)
    command = [sys.executable, SCRIPT, folder / "found.json", folder.parent, *cases]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(process, folder):
    _, errors = process.communicate(timeout=1200)
    if process.returncode:  # no AssertionError, which some tests expect
        raise RuntimeError(errors.decode()[-3000:])
    return json.loads((folder / "found.json").read_text())


def found(folder, *cases):
    return finish(start(folder / "run", *cases), folder / "run")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def assert_same(one, other):
    assert list(one["history"]) == list(other["history"])
    for name, values in one["history"].items():
        np.testing.assert_allclose(other["history"][name], values, 1e-5, 0, name)
    for a, b in zip(one["weights"], other["weights"], strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-5)


def assert_same_on_two(case):
    assert (case["one"]["devices"], case["two"]["devices"]) == (1, 2)
    assert_same(case["one"], case["two"])
    assert case["one"]["attributes"] == case["two"]["attributes"]


def refusals(found):
    (messages,) = (v for name, v in found.items() if name.startswith("refused"))
    return messages


def distance(case):
    losses = (np.array(case[n]["history"]["loss"]) for n in ("one", "two"))
    return np.max(np.abs(np.subtract(*losses)))


@pytest.fixture(scope="module")
def slow_cases(tmp_path_factory):
    """Trainings on two devices, all in one process: it loads a backend."""
    on_jax = ["monitor", "refused: last batch, odd batch, judged, split off"]
    on_tensorflow = ["refused: accumulated, overwritten, steps at once, monitor"]
    names = [name for name in (*SAME, *WHOLE_BATCH) if name in SLOW]
    if backend() == "jax":
        names += [name for name in REFUSED if name in SLOW] + on_jax
    else:
        names += [*on_tensorflow, "masks", "stock clipped"]
    return found(tmp_path_factory.mktemp("parallel"), *names, "killed")


@pytest.fixture(scope="module")
def soak_cases(tmp_path_factory):
    """The rest of them; the last ones fail while they are traced."""
    names = [*SAME, *WHOLE_BATCH]
    names += REFUSED if backend() == "jax" else ["stock", *STOCK]
    rest = [name for name in names if name not in SLOW]
    return found(tmp_path_factory.mktemp("parallel"), *rest)


@pytest.fixture
def case_found(request, case):
    cases = request.getfixturevalue("slow_cases" if case in SLOW else "soak_cases")
    if case not in cases:  # no KeyError, which some tests expect
        raise RuntimeError(f"{case} was not trained, but {sorted(cases)}")
    return cases[case]


@cases(SAME)
def test_two_devices_train_as_one_does(case_found, case):
    assert_same_on_two(case_found)


@cases(WHOLE_BATCH)
def test_dropout_and_batch_statistics_are_of_the_whole_batch_on_jax_alone(
    case_found, case
):
    if backend() == "jax":
        assert_same_on_two(case_found)
    else:
        assert distance(case_found) > 1e-3


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_replicas_draw_the_same_dropout_mask_for_their_rows(slow_cases):
    """As the page says of Keras 3.15. On JAX the masks are those of one device."""
    for first, second in slow_cases["masks"]:
        assert first == second
        assert len({tuple(row) for row in first}) == 4
    assert slow_cases["masks"][0] != slow_cases["masks"][1]


@cases(REFUSED)
def test_what_keras_cannot_do_with_replicas_is_refused_and_done_on_jax(request, case):
    if backend() == "jax":
        assert_same_on_two(request.getfixturevalue("case_found"))
        return
    messages = refusals(request.getfixturevalue("slow_cases"))
    argument = {
        "accumulated": "gradient_accumulation_steps=2, with 2 replicas",
        "overwritten": "ema_overwrite_frequency=4, with 2 replicas",
        "steps at once": "steps_per_execution=2, 2 replicas",
    }
    assert f"Received: {argument[case]}." in messages[case]


@pytest.mark.slow
def test_gradients_are_measured_on_two_devices_of_jax_and_refused_for_replicas(
    slow_cases,
):
    if backend() == "tensorflow":
        refused = refusals(slow_cases)["monitor"]
        assert "Received: a model with 2 replicas" in refused
        return
    one, two = (slow_cases["monitor"][name] for name in ("one", "two"))
    assert_same(one, two)
    measured, shared = one["attributes"][-1], two["attributes"][-1]
    assert measured["steps"] == shared["steps"] == [0, 4, 8, 12, 16]
    for name in ("gradient_norms", "update_ratios", "dead_shares"):
        for path, values in measured[name].items():
            np.testing.assert_allclose(shared[name][path], values, 1e-4, 1e-6, path)


@pytest.mark.slow
def test_rows_that_two_devices_of_jax_cannot_share_are_refused(slow_cases):
    if backend() != "jax":
        pytest.skip("replicas of TensorFlow may have unequal shares")
    messages = refusals(slow_cases)
    shared = "`batch_size` is the number of rows that the 2 devices of `keras.dist"
    assert len(messages) == 4
    assert all(shared in message for message in messages.values())
    assert messages["last batch"].endswith("25 rows, of which the last batch has 1.")
    assert messages["odd batch"].endswith("Received: batch_size=3.")
    assert messages["judged"].startswith("validation_data: `batch_size`")
    assert messages["judged"].endswith("5 rows, of which the last batch has 5.")
    assert messages["split off"].endswith("43 rows, of which the last batch has 3.")


@pytest.mark.slow
def test_a_killed_training_on_two_devices_goes_on_bit_for_bit(slow_cases):
    killed, whole = slow_cases["killed"]["two, killed"], slow_cases["mlp"]["two"]
    assert killed["attributes"][-1]["resumed_epoch"] == 1
    assert killed["history"] == whole["history"]
    assert killed["weights"] == whole["weights"]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["one, then two", "two, then one"])
def test_a_killed_training_goes_on_with_another_number_of_devices(slow_cases, way):
    killed = slow_cases["killed"][way]
    assert killed["devices"] == {"one, then two": 2, "two, then one": 1}[way]
    assert killed["attributes"][-1]["resumed_epoch"] == 1
    assert_same(slow_cases["mlp"]["one"], killed)


def trained_together(folder, names):
    """What each of two processes finds, which train together on four devices."""
    if backend() != "jax":
        pytest.skip("Keras 3.15 trains over processes on JAX alone")
    shared = {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{free_port()}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    }
    folders = [folder / "first", folder / "second"]
    started = [
        start(own, *names, **shared, KERAS_DISTRIBUTION_PROCESS_ID=str(number))
        for number, own in enumerate(folders)
    ]
    try:
        pairs = zip(started, folders, strict=True)
        return [finish(process, own) for process, own in pairs]
    finally:
        for process in started:
            process.kill()
            process.communicate()


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    return folder, trained_together(folder, [f"together: {n}" for n in SLOW_SHARED])


@pytest.fixture(scope="module")
def soak_processes(tmp_path_factory):
    rest = [f"together: {n}" for n in SHARED if n not in SLOW_SHARED]
    folder = tmp_path_factory.mktemp("processes")
    return folder, trained_together(folder, rest)


@cases(SHARED, SLOW_SHARED)
def test_two_processes_train_as_one_device_does(request, case):
    kind = "processes" if case in SLOW_SHARED else "soak_processes"
    _, both = request.getfixturevalue(kind)
    cases = "slow_cases" if case in SLOW else "soak_cases"
    single = request.getfixturevalue(cases)[case]["one"]
    for one in both:
        together = one[f"together: {case}"]["all"]
        assert together["devices"] == 4
        assert_same(single, together)
        assert together["attributes"] == single["attributes"]


@pytest.mark.slow
def test_two_killed_processes_go_on_from_the_state_of_the_first(processes):
    folder, both = processes
    for one in both:
        results = one["together: mlp"]
        assert results["killed"]["attributes"][-1]["resumed_epoch"] == 1
        assert results["killed"]["history"] == results["all"]["history"]
        assert results["killed"]["weights"] == results["all"]["weights"]
    assert (folder / "0" / "CURRENT").exists()
    assert not (folder / "1").exists()


@pytest.mark.slow
def test_two_processes_measure_the_gradients_of_the_whole_batch(slow_cases, processes):
    single = slow_cases["monitor"]["one"]["attributes"][-1]["gradient_norms"]
    for one in processes[1]:
        monitored = one["together: mlp"]["monitored"]["attributes"][-1]
        for path, values in monitored["gradient_norms"].items():
            np.testing.assert_allclose(values, single[path], 1e-4, 1e-6, path)


@pytest.mark.soak
@pytest.mark.tensorflow_only
def test_stock_keras_trains_with_replicas_as_on_one_device(soak_cases):
    assert_same_on_two(soak_cases["stock"])


@cases(STOCK)
@pytest.mark.tensorflow_only
@pytest.mark.xfail(strict=True, raises=(AssertionError, KeyError))
def test_stock_keras_does_with_replicas_what_it_does_on_one_device(case_found, case):
    """Keras 3.15 clips the gradients of each replica; to count steps is an error."""
    assert_same_on_two(case_found)


@pytest.mark.soak
@pytest.mark.tensorflow_only
def test_stock_keras_fails_within_tensorflow(slow_cases, soak_cases):
    """The cause, without which the test above would prove less."""
    for case in ("stock accumulated", "stock overwritten"):
        assert "synchronization boundary" in soak_cases[case]["error"]
    assert "Placeholder" in soak_cases["stock steps at once"]["error"]
    assert distance(slow_cases["stock clipped"]) > 1e-3


def jax_blocks():
    return re.findall(r"^```py\n(.*?)^```", PAGE.read_text(), re.M | re.S)


@pytest.mark.slow
def test_blocks_of_the_page_for_jax_run(tmp_path):
    if backend() != "jax":
        pytest.skip("the others run with the blocks of all pages")
    single, together = jax_blocks()
    done = run_block(single, tmp_path).communicate(timeout=600)
    assert done[0].splitlines()[-1] == "(5, 1)", done
    shared = {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{free_port()}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    }
    running = [
        run_block(together, tmp_path, **shared, KERAS_DISTRIBUTION_PROCESS_ID=number)
        for number in "01"
    ]
    try:
        for one in running:
            output, errors = one.communicate(timeout=600)
            assert one.returncode == 0, errors[-3000:]
            assert output.splitlines()[-1] == "5 epochs", output
    finally:
        for one in running:
            one.kill()
            one.communicate()
    assert (tmp_path / "model.keras").exists()


def run_block(block, folder, **variables):
    paths = [str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    quick = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "OMP_NUM_THREADS": "1"}
    paths = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return subprocess.Popen(
        [sys.executable, "-c", block],
        cwd=folder,
        env={**os.environ, **quick, **paths, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class KerasCannot(Exception):
    """Keras has failed where it is known to fail."""


WORKER = """
import json, os, sys
import tensorflow as tf

strategy = tf.distribute.MultiWorkerMirroredStrategy()
import keras
import numpy as np
from keras_trainkit import models

x = np.random.default_rng(0).normal(size=(16, 4)).astype("float32")
with strategy.scope():
    keras.utils.set_random_seed(0)
    if sys.argv[1] == "stock":
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    else:
        model = models.mlp((4,), 1, (3,))
    model.compile("sgd", "mse")
print(strategy.num_replicas_in_sync, "replicas", file=sys.stderr, flush=True)
run = model.fit(x, x[:, :1], batch_size=8, shuffle=False, verbose=0)
print(json.dumps(run.history["loss"]))
"""


def workers(kind):
    """Output and errors of two processes with `MultiWorkerMirroredStrategy`."""
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    running = []
    for index in range(2):
        task = {"type": "worker", "index": index}
        config = {"cluster": {"worker": addresses}, "task": task}
        environment = {**os.environ, "TF_CONFIG": json.dumps(config)}
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", WORKER, kind],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    try:
        return [one.communicate(timeout=300) for one in running]
    finally:
        for one in running:
            one.kill()
            one.communicate()


@pytest.mark.soak
@pytest.mark.tensorflow_only
@pytest.mark.xfail(strict=True, raises=KerasCannot, reason="Keras 3.15, issue 20585")
def test_stock_keras_trains_in_two_processes_of_tensorflow():
    results = workers("stock")
    for output, errors in results:
        assert "2 replicas" in errors, errors[-2000:]
        if "PerReplica" in errors and "unsupported type" in errors:
            raise KerasCannot(errors[-500:])
        assert json.loads(output)


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_two_processes_of_tensorflow_are_refused_before_the_first_step():
    for _, errors in workers("kit"):
        assert "several processes train one model on JAX" in errors, errors[-2000:]
