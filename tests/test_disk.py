import os

from keras_trainkit._disk import replace


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
