"""What a URL must be, and what is said of one that is not."""

import pytest
from searching import searcher

from keras_trainkit import tuners

Searcher = searcher(tuners.RandomSearch)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("searches", "'searches'"),
        (7, "'7'"),
        ("postgresql+nothing://me:word@host/a", r"//me:\*\*\*@host/a'"),
        ("postgresql+psycopg://me:word@host:port/a", r"//\*\*\*@host:port/a'"),
    ],
)
def test_what_is_no_url_is_refused_without_showing_its_password(url, shown, tmp_path):
    with pytest.raises(ValueError, match="must be a URL such as postgres") as caught:
        Searcher(directory=tmp_path, storage=url)
    caught.match(f"Received: storage=.*{shown}")
    assert "word" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named(tmp_path):
    pytest.importorskip("psycopg")
    url = "postgresql+psycopg://me:word@127.0.0.1:1/a"
    with pytest.raises(ValueError, match="must be one that this machine reaches") as e:
        Searcher(directory=tmp_path, storage=url)
    e.match(r"Received: storage='postgresql\+psycopg://me:\*\*\*@127.0.0.1:1/a'")
    e.match("onnection refused")


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("mine, and longer than a header of a database")
    url = f"sqlite:///{tmp_path / 'notes.txt'}"
    with pytest.raises(ValueError, match=r"notes.txt': file is not a database"):
        Searcher(directory=tmp_path, storage=url)


def test_a_missing_driver_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "psycopg", None)
    with pytest.raises(ImportError, match=r"pip install keras-trainkit\[postgres\]"):
        Searcher(directory=tmp_path, storage="postgresql+psycopg://me@127.0.0.1:1/a")
