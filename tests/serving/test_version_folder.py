import fcntl
import os
import pathlib
import signal
import subprocess
import sys

import pytest

from keras_trainkit import _disk
from keras_trainkit.serving import _version_folder

pytestmark = pytest.mark.tensorflow_only

CONTENTS = {"saved_model.pb": "graph", "variables/index": "weights"}
KILLED_AT_STEP = """
import fcntl, importlib.util, os, pathlib, signal, sys

def load(name, file):  # without the package, which would import Keras
    spec = importlib.util.spec_from_file_location(name, file)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]

file, directory, left = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
load("keras_trainkit._disk", pathlib.Path(file).parents[1] / "_disk.py")
publish = load("publish", file)

def counted(function):
    def step(*args, **kwargs):
        global left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        return function(*args, **kwargs)
    return step

def write(folder):
    for name, text in {contents}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

for name in ("mkdir", "open", "fsync", "close", "rename", "stat", "scandir"):
    setattr(os, name, counted(getattr(os, name)))
fcntl.flock = counted(fcntl.flock)
pathlib.Path.write_text = counted(pathlib.Path.write_text)
publish.publish(directory, 3, write)
print(int(sys.argv[3]) - left)
""".replace("{contents}", repr(CONTENTS))


class Stopped(BaseException):
    pass


def write(folder):
    for name, text in CONTENTS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def stop(*_):
    raise Stopped


def read(folder):
    files = [p for p in folder.rglob("*") if p.is_file()]
    return {str(p.relative_to(folder)): p.read_text() for p in files}


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def kill_at(step, directory):
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        KILLED_AT_STEP,
        _version_folder.__file__,
    ]
    command += [str(directory), str(step)]
    return subprocess.run(command, capture_output=True, text=True)


def test_killed_at_any_file_step_the_version_is_absent_or_complete(tmp_path):
    steps = int(kill_at(10**6, tmp_path / "whole").stdout)
    assert steps > 20
    absent = 0
    for step in range(steps):
        directory = tmp_path / str(step) / "models"
        directory.parent.mkdir()
        assert kill_at(step, directory).returncode == -signal.SIGKILL
        if directory.exists() and "3" in names(directory):
            assert read(directory / "3") == CONTENTS
        else:
            absent += 1
        path = _version_folder.publish(directory, 4, write)
        assert read(path) == CONTENTS
        assert names(directory) in (["3", "4"], ["4"])
    assert 0 < absent < steps


@pytest.mark.parametrize("function", ["fsync", "rename"])
def test_nothing_is_left_when_the_disk_fails(tmp_path, monkeypatch, function):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="No space left"):
        _version_folder.publish(tmp_path / "shop" / "models", None, write)
    assert names(tmp_path) == []


def test_a_version_whose_folder_entry_cannot_be_forced_to_disk_is_taken_back(
    tmp_path, monkeypatch
):
    sync = _version_folder.sync
    monkeypatch.setattr(
        _version_folder, "sync", lambda p: stop() if p == tmp_path else sync(p)
    )
    with pytest.raises(Stopped):
        _version_folder.publish(tmp_path, 2, write)
    assert names(tmp_path) == []


def test_files_are_forced_to_disk_before_the_rename_and_the_directory_after(
    tmp_path, monkeypatch
):
    order = []
    sync, rename = _version_folder.sync, os.rename
    monkeypatch.setattr(
        _version_folder, "sync", lambda p: (order.append(p.name), sync(p))
    )
    monkeypatch.setattr(
        os, "rename", lambda a, b: (order.append("rename"), rename(a, b))
    )
    _version_folder.publish(tmp_path, None, write)
    assert sorted(order[:2]) == ["index", "variables"]
    assert order[2] == "saved_model.pb"
    assert order[3].startswith(".export-")
    assert order[4:] == ["rename", tmp_path.name]


def test_a_directory_that_was_there_survives_a_failed_export(tmp_path):
    with pytest.raises(Stopped):
        _version_folder.publish(tmp_path, None, stop)
    assert tmp_path.exists()


def test_no_name_in_the_directory_is_a_number_while_a_draft_is_written(tmp_path):
    seen = []
    _version_folder.publish(tmp_path, 5, lambda draft: seen.extend(names(tmp_path)))
    assert len(seen) == 1
    assert _version_folder.DRAFT_NAME.fullmatch(seen[0])


def test_a_draft_that_another_export_is_writing_stays(tmp_path):
    def write_while_another_runs(draft):
        _version_folder.publish(tmp_path, 8, write)
        write(draft)

    path = _version_folder.publish(tmp_path, 9, write_while_another_runs)
    assert read(path) == CONTENTS
    assert names(tmp_path) == ["8", "9"]


def test_only_dead_drafts_of_ours_are_removed(tmp_path):
    for name in (".export-0123456789abcdef", ".export-mine", "notes", ".git"):
        (tmp_path / name).mkdir()
    live = tmp_path / ".export-fedcba9876543210"
    live.mkdir()
    with _version_folder._open_folder(live) as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        _version_folder.publish(tmp_path, 1, write)
    assert names(tmp_path) == [".export-fedcba9876543210", ".export-mine"] + [
        ".git",
        "1",
        "notes",
    ]


def test_a_version_that_appeared_meanwhile_is_skipped_or_refused(tmp_path):
    def write_while_version_one_appears(draft):
        _version_folder.publish(tmp_path, None, write)
        write(draft)

    path = _version_folder.publish(tmp_path, None, write_while_version_one_appears)
    assert path.name == "2"

    def write_while_version_seven_appears(draft):
        _version_folder.publish(tmp_path, 7, write)
        write(draft)

    with pytest.raises(ValueError, match="does not exist yet.*version=7"):
        _version_folder.publish(tmp_path, 7, write_while_version_seven_appears)
    assert names(tmp_path) == ["1", "2", "7"]


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], "1"),
        (["1", "4"], "5"),
        (["009"], "10"),  # servers read it as 9
        (["2", "v7", "-3", "3.5", "notes"], "3"),
        (["10", "9"], "11"),  # numbers, not text
    ],
)
def test_next_version_is_one_above_the_highest(tmp_path, there, expected):
    for name in there:
        (tmp_path / name).mkdir()
    assert _version_folder.publish(tmp_path, None, write) == tmp_path / expected


@pytest.mark.parametrize("there", ["6", "006"])
def test_a_version_that_exists_is_refused_before_anything_is_written(tmp_path, there):
    (tmp_path / there).mkdir()
    with pytest.raises(ValueError, match="does not exist yet.*version=6"):
        _version_folder.publish(tmp_path, 6, stop)
    assert names(tmp_path) == [there]


def test_no_version_is_higher_than_a_server_can_read(tmp_path):
    (tmp_path / str(2**63 - 1)).mkdir()
    with pytest.raises(ValueError, match="does not exist yet"):
        _version_folder.publish(tmp_path, None, write)


def test_needs_the_standard_library_only():
    for module in (_version_folder, _disk):
        lines = pathlib.Path(module.__file__).read_text().splitlines()
        imported = [line for line in lines if line.startswith(("import ", "from "))]
        roots = {line.split()[1].removeprefix("keras_trainkit.") for line in imported}
        roots = {root.split(".")[0] for root in roots}
        assert roots <= sys.stdlib_module_names | {"_disk"}
