"""Much work in one process: the kit leaves no more behind than Keras alone does.

What TensorFlow would keep of each fit, and what is let go of, is in
tests/_tensorflow/test_custom_gradients.py.
"""

import os
import pathlib
import subprocess
import sys

import keras
import pytest

PROGRAM = pathlib.Path(__file__).with_name("memory_of_fits.py")
FITS = 18
JITTER = 1.0  # MB per fit: allocators take pages in blocks, XLA in larger ones

pytestmark = pytest.mark.skipif(
    not os.path.exists("/proc/self/statm"), reason="memory is read as on Linux"
)


def growth(*arguments):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "MALLOC_ARENA_MAX": "1",
    }
    run = subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return float(run.stdout.splitlines()[-1])


@pytest.mark.tensorflow_only
@pytest.mark.parametrize(
    ("length", "most"),
    [
        pytest.param(["6"], 8.0, marks=pytest.mark.slow),
        pytest.param(["--seconds", "7200"], 2.0, marks=pytest.mark.soak),
    ],
    ids=["six turns", "two hours"],
)
def test_turns_of_everything_leave_little_behind(length, most):
    """Megabytes by a turn of ten trainings: Keras' own leave six each.

    The first turns still fill pools of TensorFlow, the allocator and Keras.
    """
    assert growth("all", *length) < most


@pytest.fixture(scope="module")
def of_keras():
    return growth("keras", FITS)


@pytest.mark.soak
def test_fits_grow_no_more_than_those_of_keras(of_keras):
    of_the_kit = growth("kit", FITS)
    assert of_the_kit <= of_keras + JITTER
    if keras.config.backend() == "tensorflow":  # which keeps the graphs of Keras'
        assert of_the_kit < of_keras / 2


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["monitor", "range"])
def test_so_do_monitored_fits_and_range_tests(of_keras, kind):
    assert growth(kind, FITS) <= of_keras + JITTER
