"""Every example runs to its last line, small, and leaves what it promises."""

import importlib.util
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from keras_trainkit import layers, models

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
pytestmark = pytest.mark.tensorflow_only  # they end in a SavedModel


def load(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def train_table():
    return load("train_table")


def test_every_example_is_tested():
    trained = {"train_table", "train_bilstm_attention", "track_runs"}
    trained |= {"compare_optimizers"}
    searched = {"search_mlp", "search_bilstm_attention"}  # test_search_examples.py
    others = {"quiet_start", "methods_of_search", "served_folder"}  # what they share
    files = {file.stem for file in EXAMPLES.glob("*.py")}
    assert files == trained | searched | others


def test_each_example_writes_into_a_folder_of_its_own():
    for file in EXAMPLES.glob("*_*.py"):
        text = file.read_text()
        if "--out" in text:
            assert f'out="out/{file.stem}"' in text, file.name


@pytest.mark.slow
def test_an_example_starts_without_lines_of_tensorflow():
    command = [sys.executable, EXAMPLES / "search_bilstm_attention.py", "--help"]
    environment = {k: v for k, v in os.environ.items() if k[:3] != "TF_"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "--npz" in done.stdout
    assert done.stderr == ""


@pytest.mark.slow
def test_train_table_beats_chance_and_leaves_its_files(train_table, houses, tmp_path):
    tmp_path /= "out"
    small = {"members": 3, "epochs": 6, "folds": 2, "verbose": 0}
    scores = train_table.main(out=tmp_path, **small)
    assert scores["as served"]["accuracy"] > 0.9
    assert scores["as served"]["accuracy"] == scores["as trained"]["accuracy"]
    assert scores["boosted trees"]["accuracy"] > 0.9
    names = {file.name for file in tmp_path.iterdir()}
    assert names >= {"model.keras", "encoder.keras", "learning_curves.png"}
    assert (tmp_path / "saved_model" / "1" / "saved_model.pb").exists()
    # The folder of one table is not another's, and that is said before it is touched.
    left = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    with pytest.raises(ValueError, match="'mean area'.*there and \\['age'.*now"):
        train_table.main(houses, "price", out=tmp_path)
    assert left == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}


class Reached(Exception):
    """Raised where a test has seen enough."""


def test_train_table_has_a_row_of_each_of_many_small_classes_to_train_on(
    train_table, tmp_path, monkeypatch
):
    def fit(self, table, y):
        names, counts = np.unique(y, return_counts=True)
        raise Reached(len(table), len(names), min(counts))

    names = [f"c{number % 20}" for number in range(60)]
    rows = [f"{number},{name}" for number, name in enumerate(names)]
    (tmp_path / "few.csv").write_text("\n".join(["a,kind", *rows]))
    monkeypatch.setattr(train_table.estimators.TableClassifier, "fit", fit)
    with pytest.raises(Reached) as reached:
        train_table.main(tmp_path / "few.csv", "kind", out=tmp_path / "out")
    assert reached.value.args == (40, 20, 2)  # of three rows one is a test row


def test_a_folder_is_refused_for_other_data_alone(tmp_path):
    folder = load("served_folder")
    about = {"inputs": "texts", "outputs": "2 classes"}
    folder.check_folder(tmp_path, about)  # nothing is served there
    folder.note_data(tmp_path, about)
    folder.check_folder(tmp_path, about)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / folder.NAME).write_text("{")
    with pytest.raises(ValueError, match="inputs None there and texts now"):
        folder.check_folder(tmp_path / "broken", about)
    with pytest.raises(ValueError, match="outputs 2 classes there and a number now"):
        folder.check_folder(tmp_path, about | {"outputs": "a number"})
    with pytest.raises(ValueError, match="inputs texts there and steps of 3 f"):
        folder.check_folder(tmp_path, about | {"inputs": "steps of 3 features"})


@pytest.fixture
def houses(tmp_path):
    """Numbers with gaps, texts and booleans, all of which make the price."""
    rng = np.random.default_rng(0)
    rooms, age = rng.normal(5, 1, 400), rng.normal(30, 9, 400)
    towns = np.array(["Ulm", "Bonn", None], object)[rng.integers(3, size=400)]
    table = pd.DataFrame(
        {
            "rooms": rooms,
            "age": np.where(rng.random(400) < 0.1, np.nan, age),
            "town": towns,
            "garden": rng.random(400) < 0.5,
        }
    )
    table["price"] = 1e5 * rooms + 1e5 * (towns == "Ulm") + 5e4 * table["garden"]
    table.to_csv(tmp_path / "houses.csv", index=False)
    return tmp_path / "houses.csv"


@pytest.mark.soak
def test_train_table_predicts_in_the_units_of_the_csv_file(
    train_table, houses, tmp_path
):
    small = {"members": 2, "hidden_units": (64, 64), "epochs": 40, "verbose": 0}
    small["folds"] = 2
    scores = train_table.main(houses, "price", out=tmp_path / "out", **small)
    assert scores["as served"]["rmse"] < 4e4  # the standard deviation is 1.2e5
    raw = {
        "rooms": np.array([5.0, 5.0, np.nan]),
        "age": np.array([30.0, np.nan, 30.0]),
        "town": ["Ulm", "Bonn", ""],
        "garden": np.array([1, 1, 0], "int32"),
    }
    answers = served(tmp_path / "out")(**raw)["predictions"].numpy()[:, 0]
    np.testing.assert_allclose(answers, [6.5e5, 5.5e5, 5e5], atol=4e4)


def test_train_table_draws_the_first_training_alone(train_table):
    history = {"loss": [3.0, 2.0, 1.0, 5.0], "fold": [0, 0, 1, 0]}
    assert train_table.first_training({"loss": [3.0]}) == {"loss": [3.0]}
    assert train_table.first_training(history | {"fold": [0, 0, 1, 1]}) == {
        "loss": [3.0, 2.0]
    }
    assert train_table.first_training(history | {"trial": [2, 2, 2, 0]}) == {
        "loss": [3.0, 2.0]
    }


@pytest.mark.soak
def test_train_table_weighs_rare_classes_and_takes_a_numeric_target_as_classes(
    train_table, houses, tmp_path
):
    table = pd.read_csv(houses)
    table["dear"] = np.where(table["price"] > 7e5, 7, np.where(table["garden"], 3, 5))
    table.to_csv(houses, index=False)
    small = {"members": 1, "hidden_units": (64,), "epochs": 15, "folds": 2}
    small["class_weight"] = "balanced"
    scores = train_table.main(houses, "dear", out=tmp_path / "out", **small)
    assert scores["as served"]["accuracy"] > 0.8


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("prize", "'rooms', 'age', 'town', 'garden', 'price'.*target='prize'"),
        (None, "'price'.*target=None"),
    ],
)
def test_train_table_names_a_target_it_cannot_use(
    train_table, houses, tmp_path, target, words
):
    with pytest.raises(ValueError, match=words):
        train_table.main(houses, target, out=tmp_path / "out")


def test_train_table_states_what_it_does_with_a_dirty_file(
    train_table, houses, tmp_path, capsys
):
    table = pd.read_csv(houses)
    clean = table.copy()
    table["price"] = [f"${price:,.2f}" for price in table["price"]]
    table["rooms"] = [f"{rooms:.9f}".replace(".", ",") for rooms in table["rooms"]]
    table.loc[:4, "price"] = ["?", "", "n/a", "-", None]
    table["nothing"], table["same"] = None, 7
    table["id"] = [f"house {row}" for row in range(400)]
    header = ";".join(table.columns).replace("same", "age")  # a second one
    body = table.to_csv(sep=";", index=False, header=False)
    houses.write_text(f"{header}\n{body}".replace("Ulm", "M\xfcnster"), "latin-1")
    read, answers, task, classes = train_table.read_table(
        houses, "price", None, drop=["id"]
    )
    said = capsys.readouterr().out
    assert (task, classes) == ("regression", None)
    np.testing.assert_allclose(answers, clean["price"][5:], rtol=1e-6)
    assert list(read) == ["rooms", "age", "town", "garden", "age.1"]
    assert set(read["town"].dropna()) == {"M\xfcnster", "Bonn"}
    for words in [
        "400 rows, 8 columns",
        "not UTF-8",
        "Columns of one name: age",
        "Left out: 5 rows without 'price'",
        "Left out, without a value: nothing",
    ]:
        assert words in said
    encoder = layers.TableEncoder(scaling=None)
    encoder.adapt(read)
    rooms = encoder(read)["numeric"][:, 0]
    np.testing.assert_allclose(rooms, clean["rooms"][5:], rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "price", "said"),
    [
        (b"price\n\x80 12\n", "\u20ac 12", "Windows-1252"),
        (b"price\n\x81 12\n", "\x81 12", "Latin-1"),
        ("price\n\u20ac 12\n".encode(), "\u20ac 12", None),
    ],
)
def test_train_table_reads_what_excel_writes(
    train_table, tmp_path, capsys, content, price, said
):
    (tmp_path / "prices.csv").write_bytes(content)
    assert train_table.read_csv(tmp_path / "prices.csv")["price"].tolist() == [price]
    printed = capsys.readouterr().out
    assert f"read as {said}" in printed if said else not printed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,x,\n2,y,\n", "without a name and a value"),
        ("a;b\n1;x;;\n2;y;;\n", "without a name and a value"),
        ("a,b\nr1,1,x\nr2,2,y\n", "The first value of each row"),
        ("a,b\n\n1,x\n2,y\n", ""),
    ],
)
def test_train_table_keeps_values_under_their_names(
    train_table, tmp_path, capsys, content, said
):
    """Pandas takes the first column for labels and moves the others to its left."""
    (tmp_path / "rows.csv").write_text(content)
    read = train_table.read_csv(tmp_path / "rows.csv")
    assert read.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    printed = capsys.readouterr().out
    assert said in printed and bool(said) == bool(printed)


def test_train_table_says_that_a_target_of_dates_is_in_days(train_table, capsys):
    days = [f"1970-02-{day:02d}" for day in range(1, 26)]
    frame = pd.DataFrame({"x": range(25), "y": days})
    _, y, task, _ = train_table.split_target(frame, "y", None)
    assert (task, y[0], y[-1]) == ("regression", 31, 55)
    assert "Predicts 'y', days since 1970-01-01" in capsys.readouterr().out


def test_train_table_tells_many_small_classes_in_a_few_lines(train_table, capsys):
    classes = [*"aaabbb", *(f"k{number}" for number in range(50))]
    frame = pd.DataFrame({"x": range(56), "y": classes})
    assert len(train_table.split_target(frame, "y", None)[0]) == 6
    said = capsys.readouterr().out
    assert said.count("Left out: the class") == 3
    assert "Left out: 47 more classes of fewer than 3 rows" in said


def test_train_table_leaves_out_classes_too_small_to_be_split(
    train_table, tmp_path, capsys
):
    frame = pd.DataFrame({"x": range(9), "y": [*"aaaabbbbc"]})
    table, codes, task, classes = train_table.split_target(frame, "y", None)
    assert (len(table), task, classes) == (8, "binary", ["a", "b"])
    assert codes.tolist() == [0] * 4 + [1] * 4
    assert "Left out: the class 'c', which has fewer than 3" in capsys.readouterr().out
    with pytest.raises(ValueError, match="at least two classes of three rows"):
        train_table.split_target(frame[3:], "y", None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"drop": ["id"]}, r"`drop` .*\['id'\]"),
        ({"target": "town", "task": "regression"}, "classification for 'town'"),
    ],
)
def test_train_table_names_options_it_cannot_use(train_table, houses, arguments, words):
    arguments = {"csv": houses, "target": "price", "task": None} | arguments
    with pytest.raises(ValueError, match=words):
        train_table.read_table(**arguments)


@pytest.fixture(scope="module")
def train_bilstm_attention():
    return load("train_bilstm_attention")


def served(folder):
    tf = pytest.importorskip("tensorflow")
    return tf.saved_model.load(folder / "saved_model" / "1").signatures[
        "serving_default"
    ]


PICTURES = {"learning_curves.png", "attention.png"}


@pytest.mark.slow
def test_train_bilstm_attention_reads_digits(train_bilstm_attention, tmp_path):
    scores = train_bilstm_attention.main(out=tmp_path, epochs=12, units=16)
    assert scores["accuracy"] > 0.8
    names = {file.name for file in tmp_path.iterdir()}
    assert names >= {"model.keras", *PICTURES}
    answer = served(tmp_path)(sequences=np.zeros((2, 8, 8), "float32"))
    assert answer["probabilities"].shape == (2, 10)
    assert answer["classes"].numpy()[0].tolist() == list(range(10))


@pytest.fixture
def ramps(tmp_path):
    """Sequences of unequal length that rise or fall, and how steeply."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 9, 160)
    slopes = rng.normal(size=160)
    x = slopes[:, None] * np.arange(10) + 100 * (np.arange(10) >= lengths[:, None])
    arrays = {"x": x[..., None], "lengths": lengths}
    np.savez(tmp_path / "signs.npz", y=slopes > 0, **arrays)
    np.savez(tmp_path / "slopes.npz", y=1e3 * slopes, **arrays)
    return tmp_path


@pytest.mark.soak
def test_train_bilstm_attention_reads_an_npz_file_up_to_its_lengths(
    train_bilstm_attention, ramps
):
    scores = train_bilstm_attention.main(
        ramps / "signs.npz", out=ramps / "out", epochs=30, units=8, batch_size=8
    )
    assert scores["accuracy"] > 0.9
    model = keras.saving.load_model(ramps / "out" / "model.keras")
    rising = np.full((1, 10, 1), train_bilstm_attention.PADDING, "float32")
    rising[0, :4, 0] = [0, 1, 2, 3]
    assert models.predict_labels(model, rising, verbose=0).tolist() == [True]


@pytest.mark.slow
def test_classes_of_one_feature_are_trained_without_attention(
    train_bilstm_attention, ramps, capsys
):
    out = ramps / "out"
    scores = train_bilstm_attention.main(ramps / "signs.npz", out=out, epochs=10)
    assert scores["accuracy"] > 0.8
    assert "without attention; see --units" in capsys.readouterr().out
    assert (out / "learning_curves.png").is_file()
    assert not (out / "attention.png").exists()
    model = keras.saving.load_model(out / "model.keras")
    assert not any("attention" in layer.name for layer in model.layers)


@pytest.mark.soak
def test_train_bilstm_attention_predicts_in_the_units_of_the_file(
    train_bilstm_attention, ramps
):
    scores = train_bilstm_attention.main(
        ramps / "slopes.npz", out=ramps / "out", epochs=30, units=8, batch_size=8
    )
    assert scores["root_mean_squared_error"] < 600  # the standard deviation is 1000
    assert {file.name for file in (ramps / "out").iterdir()} >= PICTURES


@pytest.mark.slow
def test_train_bilstm_attention_serves_raw_texts_and_reads_them_from_its_files(
    train_bilstm_attention, tmp_path
):
    good, bad = "what a good, good film {}", "number {} is a bad one, alas"
    rows = [f'"{good.format(n)}",yes' for n in range(60)]
    rows += [f'"{bad.format(n)}",no' for n in range(60)]
    content = "\n".join(["Text,Label", *rows])
    (tmp_path / "films.csv").write_text(content, encoding="utf-8-sig")
    scores = train_bilstm_attention.main(
        text=tmp_path / "films.csv",
        out=tmp_path / "out",
        epochs=6,
        units=4,
        batch_size=16,
    )
    assert scores["accuracy"] > 0.9
    assert {file.name for file in (tmp_path / "out").iterdir()} >= PICTURES
    text = keras.saving.load_model(tmp_path / "out" / "text.keras")
    model = keras.saving.load_model(tmp_path / "out" / "model.keras")
    said = ["A GOOD film!", "bad, bad, bad"]
    assert models.predict_labels(model, text(said)).tolist() == ["yes", "no"]
    assert models.predict_labels(model, text([""])).shape == (1,)
    answer = served(tmp_path / "out")(text=said)
    assert answer["label"].numpy().tolist() == [b"yes", b"no"]
    assert answer["classes"].numpy()[0].tolist() == [b"no", b"yes"]


READ = [("ham", "so, so"), ("spam", "win\tnow")]


@pytest.mark.parametrize(
    ("name", "content", "arguments"),
    [
        ("a.tsv", "ham\tso, so\nspam\twin\tnow\n", {}),
        ("a.tsv", "Label\tText\r\nham\tso, so\r\nspam\twin\tnow\r\n", {}),
        ("a.csv", 'label,text\nham,"so, so"\nspam,win\tnow\n', {}),
        ("a.csv", 'ham,"so, so"\n\nspam,win\tnow\n', {}),
        ("a.csv", "text;y\nso, so;ham\nwin\tnow;spam\n", {}),
        ("a.csv", 'id,class,message\n7,ham,"so, so"\n8, spam ,win\tnow\n', {}),
        (
            "a.csv",
            'v1,v2,,\nham,"so, so",,\nspam,win\tnow,,\n',
            {"columns": ["v1", "V2"]},
        ),
        (
            "a.txt",
            "n\tv1\tv2\n1\tham\tso, so\n2\tspam\twin\tnow\n",
            {"columns": ["v1", "v2"]},
        ),
    ],
)
def test_train_bilstm_attention_reads_columns_of_labels_and_texts(
    train_bilstm_attention, tmp_path, name, content, arguments
):
    (tmp_path / name).write_bytes(content.encode())
    texts, labels = train_bilstm_attention.read_text(tmp_path / name, **arguments)
    assert list(zip(labels.tolist(), texts.tolist(), strict=True)) == READ


def test_train_bilstm_attention_reads_a_text_of_several_lines(
    train_bilstm_attention, tmp_path
):
    (tmp_path / "a.csv").write_text('label,text\nham,"two\nlines, ""quoted"""\n')
    texts, _ = train_bilstm_attention.read_text(tmp_path / "a.csv")
    assert texts.tolist() == ['two\nlines, "quoted"']


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "UTF8"])
def test_train_bilstm_attention_reads_other_letters_when_told(
    train_bilstm_attention, tmp_path, encoding
):
    path = tmp_path / "a.csv"
    path.write_bytes("gut,sch\u00f6n\n".encode(encoding))
    texts, _ = train_bilstm_attention.read_text(path, encoding=encoding)
    assert texts.tolist() == ["sch\u00f6n"]


@pytest.mark.parametrize(
    ("content", "arguments", "words"),
    [
        ("gut,sch\u00f6n", {}, "`encoding` is how .*latin-1.*utf-8.*0xf6"),
        ("a,b", {"encoding": "klingon"}, "`encoding` is how .*'klingon'"),
        ("a,b", {"columns": ["a", "c"]}, r"`columns` are .*\['a', 'b'\]"),
        ("label,text\nham\n", {}, "in line 2: 'ham'"),
        ("ham,so, so\n", {}, "in quotes .*in line 1: 'ham', 'so', ' so'"),
        ("label,text\n,so\n", {}, "in line 2: '', 'so'"),
        (" \n", {}, "`text` holds .*which is empty"),
    ],
)
def test_train_bilstm_attention_refuses_texts_it_cannot_read(
    train_bilstm_attention, tmp_path, content, arguments, words
):
    (tmp_path / "a.csv").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=words):
        train_bilstm_attention.read_text(tmp_path / "a.csv", **arguments)


@pytest.mark.parametrize("content", ["v1,v2\n" + 9 * "ham,so\n", 9 * "ham,so\n"])
def test_train_bilstm_attention_asks_for_two_classes_of_three_rows(
    train_bilstm_attention, tmp_path, content
):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match="3 rows each.*`columns`"):
        train_bilstm_attention.main(text=tmp_path / "a.csv", out=tmp_path)


def test_train_bilstm_attention_names_the_line_without_a_label(
    train_bilstm_attention, tmp_path
):
    (tmp_path / "texts.tsv").write_text("yes\tfine\n\nno label here\n")
    with pytest.raises(ValueError, match="in line 3: 'no label here'"):
        train_bilstm_attention.main(text=tmp_path / "texts.tsv", out=tmp_path)


def test_train_bilstm_attention_ends_texts_at_line_breaks_alone(
    train_bilstm_attention, tmp_path
):
    lines = "\ufeffyes\tone\u2028text\twith\x85a tab\r\nno\t\r\n"
    (tmp_path / "texts.tsv").write_bytes(lines.encode())
    texts, labels = train_bilstm_attention.read_text(tmp_path / "texts.tsv")
    assert labels.tolist() == ["yes", "no"]
    assert texts.tolist() == ["one\u2028text\twith\x85a tab", ""]


@pytest.fixture
def drawn(train_bilstm_attention, monkeypatch):
    """What the example gives to `analysis.plot_attention`."""
    calls = []

    def plot_attention(weights, path, **what):
        calls.append((weights, *what.values()))

    analysis = train_bilstm_attention.analysis
    monkeypatch.setattr(analysis, "plot_attention", plot_attention)
    return calls


def test_train_bilstm_attention_draws_the_steps_that_attention_saw(
    train_bilstm_attention, drawn
):
    """A sequence of 7 steps that count, cut to 5, behind one of none."""
    body = models.bilstm_attention((9, 1), 2, (3,), max_length=5, mask_value=-1e9)
    x = np.full((3, 9, 1), -1e9, "float32")
    x[1, :7, 0] = [1, 2, 3, 4, 5, 6, 7]
    x[2] = 8
    train_bilstm_attention.draw_attention(body, x, None, "a.png")
    ((weights, steps),) = drawn
    assert steps.ravel().tolist() == [3, 4, 5, 6, 7]
    assert weights.sum() == pytest.approx(1)


def test_train_bilstm_attention_draws_words(train_bilstm_attention, drawn):
    body = models.bilstm_attention((None,), 2, (3,), vocabulary_size=4, max_length=2)
    words = ["", "[UNK]", "good", "bad"]
    ids = np.array([[0, 0, 0], [2, 1, 3]])
    train_bilstm_attention.draw_attention(body, ids, words, "a.png")
    assert drawn[0][1] == ["[UNK]", "bad"]


def test_train_bilstm_attention_leaves_out_sequences_without_a_step_and_says_so(
    train_bilstm_attention, tmp_path, capsys
):
    arrays = {"x": np.arange(6.0).reshape(3, 2, 1), "lengths": np.array([2, 0, 1])}
    np.savez(tmp_path / "steps.npz", y=[4, 5, 6], **arrays)
    x, y = train_bilstm_attention.read_sequences(tmp_path / "steps.npz")
    assert [steps.ravel().tolist() for steps in x] == [[0, 1], [4]]
    assert y.tolist() == [4, 6]
    assert "Left out: 1 sequences without a step" in capsys.readouterr().out


@pytest.mark.slow
def test_train_bilstm_attention_reads_nan_as_missing_in_rows_of_its_training(
    train_bilstm_attention, tmp_path
):
    x = np.random.default_rng(0).normal(size=(30, 4, 2))
    x[:, 1, 0] = np.nan
    path = tmp_path / "steps.npz"
    np.savez(path, x=x, y=np.arange(30) % 2)
    scores = train_bilstm_attention.main(path, out=tmp_path / "out", epochs=1, units=2)
    assert 0 <= scores["accuracy"] <= 1
    assert (tmp_path / "out" / "attention.png").is_file()
    in_tests = train_bilstm_attention.train_test_split(
        np.arange(30), test_size=0.2, stratify=np.arange(30) % 2, random_state=0
    )[1]
    x = np.where(np.isin(np.arange(30), in_tests)[:, None, None], x, 0.5)
    np.savez(path, x=x, y=np.arange(30) % 2)
    with pytest.raises(ValueError, match=r"training rows too.*6 of the rows for tests"):
        train_bilstm_attention.main(path, out=tmp_path / "out", epochs=1)


STEPS = {"x": np.ones((4, 2, 1)), "y": np.ones(4)}


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y": np.ones(3)}, r"be arrays x .*\(4, 2, 1\)"),
        ({"y": np.ones((4, 2))}, r"y \(sequences,\).*\(4, 2\)"),
        ({"x": np.ones(4)}, r"x \(sequences, time, features\).*\(4,\)"),
        ({"lengths": np.array([2])}, r"maybe lengths, like y.*\(1,\)"),
        ({"lengths": np.array([0, 1, 2, 3])}, r"from 0 to 2.*\[0 1 2 3\]"),
        ({"lengths": np.array([0, 1, -1, 2])}, r"from 0 to 2.*-1"),
        ({"lengths": np.full(4, 1.5)}, "whole numbers from 0 to 2"),
        ({"x": np.full((4, 2, 1), np.inf)}, "x within lengths that is finite.*inf"),
        ({"x": np.full((4, 2, 1), 1e39)}, "x within lengths that is finite.*inf"),
        ({"x": np.full((4, 2, 1), "a")}, "must have x of numbers. Received: <U1"),
        ({"x": np.ones((0, 2, 1)), "y": np.ones(0)}, r"be arrays x .*\(0, 2, 1\)"),
        ({"y": np.array([1, np.inf, 2, 3])}, "finite targets y.*inf"),
    ],
)
def test_train_bilstm_attention_refuses_arrays_it_cannot_use(
    train_bilstm_attention, tmp_path, arrays, words
):
    np.savez(tmp_path / "steps.npz", **{**STEPS, **arrays})
    with pytest.raises(ValueError, match=words):
        train_bilstm_attention.main(tmp_path / "steps.npz", out=tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
@pytest.mark.parametrize("tracker", ["tensorboard", "mlflow"])
def test_runs_are_tracked_and_compared(tracker, tmp_path, capsys):
    if tracker == "mlflow":
        pytest.importorskip("mlflow")
    found = load("track_runs").main(tracker, tmp_path, epochs=2)
    assert sorted(run.parameters["units"] for run in found) == [8, 64]
    for run in found:
        assert len(run.history["val_loss"]) == 2
        assert run.description["seed"] == 0
        assert run.description["data"][0]["shapes"] == [364, 30]
        assert any("gradient norm" in name for name in run.scalars)
    assert (tmp_path / "runs.png").exists()
    assert "param units" in capsys.readouterr().out


def optimizers_compared(tmp_path, **arguments):
    compared = load("compare_optimizers")
    return compared.main(out=tmp_path, verbose=0, hidden_units=(16,), **arguments)


@pytest.mark.slow
def test_optimizers_are_compared_on_a_table_of_numbers(houses, tmp_path):
    names = ("SGD", "Adam", "SGDW")
    table = optimizers_compared(
        tmp_path, csv=houses, target="price", names=names, epochs=3, seeds=2
    )
    assert list(table["optimizer"]) == [name for name in names for _ in range(2)]
    assert list(table["schedule"]) == ["constant", "one cycle"] * 3
    rates = table.groupby("optimizer")["rate"].unique()
    assert all(len(found) == 1 for found in rates)  # one range test for each
    assert rates["Adam"][0] != rates["SGD"][0]
    assert table["test score"].between(0.01, 2).all()
    # Plain SGD at a constant rate reaches its own lowest loss.
    assert table["epochs to SGD's loss"].iloc[0] in (1.0, 1.5, 2.0, 2.5, 3.0)
    assert (tmp_path / "optimizers.png").stat().st_size > 10_000
    saved = pd.read_csv(tmp_path / "optimizers.csv")
    assert saved["test score"].tolist() == table["test score"].tolist()


@pytest.mark.soak
def test_all_optimizers_learn_both_sets(tmp_path):
    table = optimizers_compared(tmp_path, epochs=5)
    assert len(table) == 2 * 8 * 2
    assert table.groupby("set")["test score"].median().min() > 0.8


def test_epochs_to_a_loss_are_counted_from_one():
    compared = load("compare_optimizers")
    losses = np.array([3.0, np.nan, 2.0, 2.5])
    assert compared.epochs_to(losses, 2.0) == 3
    assert np.isnan(compared.epochs_to(losses, 1.9))
