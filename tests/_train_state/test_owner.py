"""One process at a time in a folder."""

import errno
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

import pytest

from keras_trainkit._process import this_process
from keras_trainkit._train_state import owner as owner_module
from keras_trainkit._train_state.owner import STALE_SECONDS, Owner

pytestmark = pytest.mark.backend_free


@pytest.fixture
def other():
    """Number of a process that does nothing."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def leave(folder, pid, **changes):
    identity = {**this_process(), "pid": pid, **changes}
    path = folder / f"owner.{pid}.json"
    path.write_text(json.dumps(identity))
    return path


def started(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[19])


def test_a_living_owner_is_named_at_once(tmp_path, other):
    path = leave(tmp_path, other.pid, started=started(other.pid))
    began = time.perf_counter()
    with pytest.raises(ValueError, match=f"owned by the process {other.pid}"):
        Owner(tmp_path)
    assert time.perf_counter() - began < 1
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_dead_owner_has_left_is_taken_over(tmp_path, other):
    path = leave(tmp_path, other.pid, started=started(other.pid))
    other.kill()
    other.wait()
    owner = Owner(tmp_path)
    assert not path.exists()
    owner.release()
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_another_process_has_now_is_no_owner(tmp_path, other):
    leave(tmp_path, other.pid, started=1)
    Owner(tmp_path).release()
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_killed_while_it_wrote_has_left_goes_when_it_is_old(tmp_path):
    old, young = tmp_path / ".owner.7.a.json.new", tmp_path / ".owner.7.b.json.new"
    for path in (old, young):
        path.touch()
    long_ago = time.time() - STALE_SECONDS - 5
    os.utime(old, (long_ago, long_ago))
    Owner(tmp_path).release()
    assert list(tmp_path.iterdir()) == [young]


def test_what_cannot_be_deleted_hides_no_other_owner(tmp_path, other):
    kept = tmp_path / ".owner.7.a.json.new"
    kept.mkdir()
    long_ago = time.time() - STALE_SECONDS - 5
    os.utime(kept, (long_ago, long_ago))
    Owner(tmp_path).release()
    path = leave(tmp_path, other.pid, started=started(other.pid))
    with pytest.raises(ValueError, match=f"owned by the process {other.pid}"):
        Owner(tmp_path)
    assert sorted(tmp_path.iterdir()) == [kept, path]


def test_the_same_process_may_begin_again(tmp_path):
    Owner(tmp_path)
    Owner(tmp_path).release()


def test_an_earlier_owner_of_the_process_lets_go_of_its_own_file_alone(tmp_path):
    earlier = Owner(tmp_path)
    newer = Owner(tmp_path)
    earlier.release()
    assert list(tmp_path.iterdir()) == [newer.file]
    newer.release()
    assert list(tmp_path.iterdir()) == []


def test_a_process_of_the_same_number_on_another_host_is_another(tmp_path):
    path = leave(tmp_path, os.getpid(), place="far boot namespace")
    with pytest.raises(ValueError, match=f"process {os.getpid()} on host far"):
        Owner(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.fixture
def hurried(monkeypatch):
    """`refresh` looks each time, not once in ten seconds."""
    monkeypatch.setattr(owner_module, "_REFRESH_SECONDS", -1)


@pytest.mark.usefixtures("hurried")
def test_a_living_owner_says_so_by_the_time_of_its_file(tmp_path):
    owner = Owner(tmp_path)
    os.utime(owner.file, (0, 0))
    owner.refresh()
    assert owner.file.stat().st_mtime > time.time() - 60
    owner.release()


@pytest.mark.usefixtures("hurried")
def test_a_file_that_was_lost_is_written_again(tmp_path):
    owner = Owner(tmp_path)
    text = owner.file.read_text()
    owner.file.unlink()
    owner.refresh()
    assert owner.file.read_text() == text
    owner.release()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("hurried")
def test_an_owner_whose_file_another_has_taken_away_gives_way_to_it(tmp_path, other):
    owner = Owner(tmp_path)
    owner.file.unlink()
    path = leave(tmp_path, other.pid, started=started(other.pid))
    with pytest.raises(ValueError, match=f"owned by the process {other.pid}"):
        owner.refresh()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("hurried")
def test_an_owner_gives_way_to_a_newer_one_of_its_process(tmp_path):
    earlier = Owner(tmp_path)
    newer = Owner(tmp_path)
    with pytest.raises(ValueError, match=f"owned by the process {os.getpid()}"):
        earlier.refresh()
    newer.refresh()
    assert list(tmp_path.iterdir()) == [newer.file]
    newer.release()


@pytest.mark.usefixtures("hurried")
def test_a_folder_that_cannot_be_reached_for_a_while_ends_nothing(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    owner = Owner(folder)
    folder.rename(tmp_path / "away")
    owner.refresh()
    (tmp_path / "away").rename(folder)
    owner.refresh()
    assert list(folder.iterdir()) == [owner.file]
    owner.release()


@pytest.fixture
def often(monkeypatch):
    """The thread of `refreshed` looks every 10 ms."""
    monkeypatch.setattr(owner_module, "_REFRESH_SECONDS", 0.01)


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.usefixtures("often")
def test_an_owner_with_much_else_to_do_says_that_it_lives(tmp_path):
    owner = Owner(tmp_path)
    with owner.refreshed():
        for _ in range(2):
            os.utime(owner.file, (0, 0))
            until(lambda: owner.file.stat().st_mtime > 0)
    os.utime(owner.file, (0, 0))
    time.sleep(0.05)
    assert owner.file.stat().st_mtime == 0
    owner.release()


@pytest.mark.usefixtures("often")
def test_an_owner_that_another_has_replaced_hears_of_it_at_the_end(tmp_path, other):
    owner = Owner(tmp_path)
    ran = []
    owned = pytest.raises(ValueError, match=f"owned by the process {other.pid}")
    before = threading.enumerate()
    with owned, owner.refreshed():
        (thread,) = (one for one in threading.enumerate() if one not in before)
        leave(tmp_path, other.pid, started=started(other.pid))
        owner.file.unlink()
        until(lambda: not thread.is_alive())
        ran.append("to its end")
    assert ran == ["to its end"]


def test_an_owner_on_another_host_is_believed_until_it_has_long_been_silent(tmp_path):
    path = leave(tmp_path, 7, place="far boot namespace")
    with pytest.raises(ValueError, match="process 7 on host far .*delete owner.7.json"):
        Owner(tmp_path)
    long_ago = time.time() - STALE_SECONDS - 5
    os.utime(path, (long_ago, long_ago))
    Owner(tmp_path).release()
    assert not path.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"place": 1}', "[" * 100_000])
def test_an_unreadable_file_of_an_owner_counts_as_one_of_another_host(tmp_path, text):
    (tmp_path / "owner.7.json").write_text(text)
    with pytest.raises(ValueError, match="process 7 on host unknown"):
        Owner(tmp_path)


def test_a_disk_without_room_is_told_and_nothing_is_left(tmp_path, monkeypatch):
    def write_text(path, text):
        path.touch()  # which takes no room
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pathlib.Path, "write_text", write_text)
    words = "^`directory` is .* on a disk with room left. Received: .*No space left"
    with pytest.raises(ValueError, match=words):
        Owner(tmp_path)
    assert not list(tmp_path.iterdir())
