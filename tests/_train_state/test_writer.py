"""States that are written beside the training."""

import gc
import threading
import weakref

import numpy as np
import pytest

from keras_trainkit._train_state import state_file
from keras_trainkit._train_state.generations import Generations
from keras_trainkit._train_state.writer import Writer, wait_for_folder

pytestmark = pytest.mark.backend_free
SECONDS = 60  # a thread that is waited for longer hangs


@pytest.fixture
def held(monkeypatch):
    """Holds the writing of files until the event is set."""
    go, write = threading.Event(), state_file.write

    def wait_and_write(folder, files):
        assert go.wait(SECONDS)
        write(folder, files)

    monkeypatch.setattr(state_file, "write", wait_and_write)
    yield go
    go.set()


def step_in(folder):
    state, _ = Generations(folder, 2).read()
    return None if state is None else int(state["step"])


def test_the_training_goes_on_while_a_state_is_written(tmp_path, held):
    writer = Writer(Generations(tmp_path, 2))
    weights = np.ones(3)
    writer.write({"step": 1, "weights": weights})
    weights += 1  # as a step does in place
    assert step_in(tmp_path) is None
    held.set()
    writer.wait()
    state, _ = Generations(tmp_path, 2).read()
    assert state["step"] == 1 and state["weights"].tolist() == [1, 1, 1]


def test_the_next_state_waits_for_the_one_before(tmp_path, held):
    writer = Writer(Generations(tmp_path, 2))
    writer.write({"step": 1})
    second = threading.Thread(target=writer.write, args=({"step": 2},))
    second.start()
    second.join(0.2)
    assert second.is_alive()
    held.set()
    second.join(SECONDS)
    writer.wait()
    assert step_in(tmp_path) == 2


def test_what_fails_is_raised_once_by_the_next_call(tmp_path, monkeypatch):
    def full(folder, files):
        raise OSError("No space left on device")

    writer = Writer(Generations(tmp_path, 2))
    with monkeypatch.context() as patch:
        patch.setattr(state_file, "write", full)
        writer.write({"step": 1})
        with pytest.raises(OSError, match="No space"):
            writer.write({"step": 2})
        writer.write({"step": 3})
        with pytest.raises(OSError, match="No space"):
            writer.wait()
    writer.wait()
    writer.write({"step": 4})
    writer.wait()
    assert step_in(tmp_path) == 4


def test_the_next_fit_of_the_folder_waits_for_the_last_state(tmp_path, held):
    Writer(Generations(tmp_path, 2)).write({"step": 1})
    threading.Timer(0.2, held.set).start()
    wait_for_folder(tmp_path / ".." / tmp_path.name)
    assert step_in(tmp_path) == 1
    wait_for_folder(tmp_path)  # of one that is not written to


def test_a_value_that_is_no_state_is_refused_at_once(tmp_path):
    with pytest.raises(ValueError, match="files that run no code"):
        Writer(Generations(tmp_path, 2)).write({"step": object()})


def test_a_writer_that_has_ended_is_let_go_of_with_its_bytes(tmp_path):
    """Also where an error has ended its `fit`, and nobody waits."""
    writer = Writer(Generations(tmp_path, 2))
    writer.write({"step": 1, "weights": np.ones(3)})
    writer._thread.join(SECONDS)
    alive = weakref.ref(writer)
    del writer
    gc.collect()
    assert alive() is None
    assert step_in(tmp_path) == 1
