import os
import subprocess
import sys

import pytest

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


def test_what_a_killed_process_has_left_goes_with_the_next(tmp_path):
    path = tmp_path / "a [1].png"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    others = [f".{os.getppid()}.{path.name}", f".{dead.pid}.b.png", f".x.{path.name}"]
    for name in (f".{dead.pid}.{path.name}", *others):
        (tmp_path / name).touch()
    with writing(path) as file:
        file.write_text("new")
    assert {f.name for f in tmp_path.iterdir()} == {path.name, *others}


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
