import errno
import os
import subprocess
import sys

import pytest

from keras_trainkit import _disk
from keras_trainkit._disk import replace, writing


def test_the_file_is_on_disk_before_the_rename_and_the_folder_after(
    tmp_path, monkeypatch
):
    (tmp_path / "new").write_text("2")
    (tmp_path / "old").write_text("1")
    order = []
    fsync, rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda h: (order.append("fsync"), fsync(h)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("to"), rename(a, b)))
    replace(tmp_path / "new", tmp_path / "old")
    assert order == ["fsync", "to", "fsync"]
    assert (tmp_path / "old").read_text() == "2"
    assert not (tmp_path / "new").exists()


def test_what_is_written_takes_the_place_of_the_old_at_the_end(tmp_path):
    path = tmp_path / "picture.png"
    path.write_text("old")
    with writing(path) as file:
        file.write_text("new")
        assert file.suffix == ".png"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "picture.png"
    path.write_text("old")
    with pytest.raises(RuntimeError), writing(path) as file:
        file.write_text("ne")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_has_left_goes_when_it_is_old(tmp_path):
    path, others = tmp_path / "a [1].png", [".2023.a [1].png", ".ktk-b.png"]
    for name in others:
        (tmp_path / name).touch()
    left = []
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt), writing(path) as file:
            left.append(file.with_name(file.name + ".kept"))
            left[-1].touch()
            raise KeyboardInterrupt
    os.utime(left[0], (0, 0))
    with writing(path) as file:
        file.write_text("new")
    assert {f.name for f in tmp_path.iterdir()} == {path.name, left[1].name, *others}


def test_of_several_writers_the_last_one_wins(tmp_path):
    path = tmp_path / "picture.png"
    with writing(path) as first, writing(path) as second:
        first.write_text("1")
        second.write_text("2")
    assert path.read_text() == "1"
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_keeps_its_mode(tmp_path):
    path = tmp_path / "picture.png"
    path.touch(0o600)
    with writing(path) as file:
        file.write_text("new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_mount_is_written_itself(tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_text("old")

    def busy(temporary, target):
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(os, "replace", busy)
    with writing(path) as file:
        file.write_text("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="a system without it")
@pytest.mark.parametrize("to_file", [False, True])
def test_standard_output_is_written_itself(tmp_path, to_file):
    # The module alone: the kit would bring a backend.
    program = (
        "import pathlib, sys\n"
        f"sys.path.append({os.path.dirname(_disk.__file__)!r}); import _disk\n"
        "print('before', flush=True)\n"
        "with _disk.writing(pathlib.Path('/dev/stdout')) as path:\n"
        "    with path.open('a') as file: file.write('new\\n')\n"
    )
    out = tmp_path / "out.txt"
    with out.open("w") as file:
        run = subprocess.run(
            [sys.executable, "-c", program],
            stdout=file if to_file else subprocess.PIPE,
            text=True,
            check=True,
        )
    assert (out.read_text() if to_file else run.stdout) == "before\nnew\n"


def test_a_link_keeps_pointing_where_it_does(tmp_path):
    (tmp_path / "kept").mkdir()
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "kept" / "picture.png")
    with writing(link) as file:
        file.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "kept" / "picture.png").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without FIFOs")
def test_a_fifo_is_written_itself(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with writing(path) as file:
            file.write_text("new")
        assert os.read(reader, 10) == b"new"
    finally:
        os.close(reader)
    assert path.is_fifo()


def test_a_missing_folder_is_named(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="no such folder: .*missing'"),
        writing(tmp_path / "missing" / "picture.png"),
    ):
        pass
