"""What a URL must be, and what is said of one that is not."""

import json
import pathlib

import pytest
import sqlalchemy
from searching import searcher, table

from keras_trainkit import tuners
from keras_trainkit.tuners._database import _is_race, masked_text, masked_url

pytestmark = pytest.mark.backend_free

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


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["a?b", "a%20b", "a#b", "{x}", "a b&c=d", "é;+", "a?mode=ro", "%", "x'y"]
)
def test_any_name_of_a_folder_is_taken_as_it_is(name, tmp_path):
    options = {"directory": tmp_path / name, "project_name": name, "seed": 3}
    Searcher(max_trials=2, **options).search(verbose=0)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / name / "study.db").stat().st_size
    assert len(table(Searcher(**options))) == 2


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:apricot@h/d", "postgresql://u:***@h/d"),
        (
            "postgresql+psycopg://h/d?password=apricot&sslmode=require",
            "postgresql+psycopg://h/d?password=***&sslmode=require",
        ),
        ("postgresql://h/d?sslpassword=apricot", "postgresql://h/d?sslpassword=***"),
        ("mysql+pymysql://h/d?passwd=apricot", "mysql+pymysql://h/d?passwd=***"),
        (
            "mssql+pyodbc:///?odbc_connect=PWD%3Dapricot",
            "mssql+pyodbc:///?odbc_connect=***",
        ),
        (
            "postgresql://h:port/d?password=apricot",
            "postgresql://h:port/d?password=***",
        ),
        ("no url ?PASSWORD=apricot&a=b", "no url ?PASSWORD=***&a=b"),
    ],
)
def test_every_password_of_a_url_is_masked(url, expected):
    assert masked_url(url) == expected
    assert masked_text(f"invalid: {url}, 'apricot'", url).count("apricot") == 0


def test_a_password_that_was_quoted_is_masked_in_both_forms():
    url = "postgresql://u:apri%20cot@h/d?password=plum%2Bjam"
    said = masked_text("apri%20cot apri cot plum%2Bjam plum+jam", url)
    assert said == "*** *** *** ***"


def test_a_password_in_the_query_is_written_nowhere(tmp_path, capsys):
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}?password=apricot"
    said = ""
    try:  # SQLite's driver knows no such option; SQLAlchemy 2.0 asks it or not
        Searcher(directory=tmp_path, storage=url)
    except Exception as error:
        said = str(error)
    assert "apricot" not in said
    marker = tmp_path / "search" / "keras_trainkit_search.json"
    assert json.loads(marker.read_text())["storage"].endswith("?password=***")
    assert "apricot" not in "".join(capsys.readouterr())


def test_a_url_may_be_an_object(tmp_path):
    file = pathlib.Path(tmp_path, "a?b.db")
    url = sqlalchemy.URL.create("sqlite", database=str(file))
    Searcher(directory=tmp_path, storage=url, max_trials=2).search(verbose=0)
    assert file.exists()


def test_braces_in_a_url_are_not_optunas(tmp_path):
    url = f"sqlite:///{tmp_path}/{{x}}.db?timeout=5"
    Searcher(directory=tmp_path, storage=url, max_trials=1).search(verbose=0)
    assert (tmp_path / "{x}.db").exists()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ('relation "studies" already exists', True),
        ("deadlock detected", True),
        ('database "serch" does not exist', False),  # waiting does not help
    ],
)
def test_only_what_another_process_made_is_waited_for(message, expected):
    error = sqlalchemy.exc.ProgrammingError("CREATE", {}, Exception(message))
    assert _is_race(error) == expected
