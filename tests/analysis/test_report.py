"""Reports as pages and as JSON, and how a browser shows them."""

import html.parser
import json
import os
import re

import keras
import numpy as np
import pandas as pd
import pytest
from browser import CHROMIUM, problems_in
from finished import finished

from keras_trainkit import analysis, callbacks, layers, models, tuners
from keras_trainkit.analysis import CrossValidation, TrackedRun

LOSSES = [1.0, 0.6, 0.4, 0.25, 0.15, 0.1, 0.06, 0.03]
RUN = {"loss": LOSSES, "val_loss": [1.0, 0.7, 0.6, 0.58, 0.6, 0.66, 0.72, 0.8]}
HOSTILE = "</td><script>alert('x')</script>"


class Page(html.parser.HTMLParser):
    """Headings, pictures and tags of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.pictures, self.headings, self._open = [], [], [], None
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._open = tag
        if tag == "img":
            self.pictures.append(dict(attrs))

    def handle_data(self, data):
        if self._open == "h2" and data.strip():
            self.headings.append(data)


def report(run, tmp_path, **arguments):
    path = analysis.report(run, tmp_path / "deep" / "report.html", **arguments)
    return Page(path), json.loads(
        path.with_suffix(".json").read_text(), parse_constant=pytest.fail
    )


def test_findings_stand_first_with_code_rule_and_action(tmp_path):
    page, numbers = report(RUN, tmp_path, title="A run & more")
    assert page.headings == ["Findings", "Learning curves"]
    assert "<title>A run &amp; more</title>" in page.text
    finding = numbers["sections"]["findings"]["numbers"]["findings"][0]
    assert finding["code"] == "KTK008" and "KTK008: overfitting" in page.text
    assert numbers["verdict"] == finding["verdict"]
    curves = numbers["sections"]["learning_curves"]["numbers"]
    assert curves == RUN
    assert "overfitting" in page.pictures[0]["alt"]
    muted, _ = report(RUN, tmp_path, mute=["KTK008"])
    assert "KTK008: " not in muted.text and "Muted: KTK008" in muted.text


def test_a_page_is_one_file_without_scripts_and_each_picture_has_words(tmp_path):
    page, _ = report(RUN, tmp_path)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:image/svg)""", page.text)
    assert all(len(picture["alt"]) > 20 for picture in page.pictures)
    assert sorted(p.name for p in (tmp_path / "deep").iterdir()) == [
        "report.html",
        "report.json",
    ]


def test_names_of_others_stay_text(tmp_path):
    table = pd.DataFrame({HOSTILE: [HOSTILE, "b"], "score": [np.nan, 0.5]})
    page, numbers = report(
        RUN, tmp_path, title=HOSTILE, results={HOSTILE: table, "More": table}
    )
    assert "script" not in page.tags
    assert page.text.count("&lt;script&gt;") > 5
    assert numbers["sections"]["more"]["numbers"][0]["score"] in (None, "nan")


def test_classes_are_counted_and_their_probabilities_judged(tmp_path):
    inputs = keras.Input((3,))
    head = layers.Head(3, "classification", ["a", "b", "c"])
    model = models.TaskModel(inputs, head(inputs))
    x = 9.0 * np.eye(3, dtype="float32")[[0, 0, 1, 2, 2, 1]]
    model.layers[-1].set_weights([np.eye(3), np.zeros(3)])
    y = np.array([0, 0, 1, 2, 1, 1])
    page, numbers = report(RUN, tmp_path, model=model, data=(x, y))
    found = numbers["sections"]["confusion_of_the_classes"]["numbers"]
    assert found["counts"] == [[2, 0, 0], [0, 2, 1], [0, 0, 1]]
    assert found["accuracy"] == pytest.approx(5 / 6)
    assert "Most often b is taken for c (1 row)" in page.text
    judged = numbers["sections"]["calibration"]["numbers"]
    assert judged["right"] == [pytest.approx(5 / 6)] and judged["rows"] == [6]
    assert "it is surer than it may be" in page.text
    summary = numbers["sections"]["data"]["numbers"]
    assert summary[0]["column"] == "x[0]" and summary[0]["highest"] == 9.0
    assert summary[3] == {
        "column": "y",
        "rows": 6,
        "missing": 0,
        "different": 3,
        "mean": pytest.approx(5 / 6),
        "lowest": 0.0,
        "highest": 2.0,
    }
    one_hot = report(RUN, tmp_path, model=model, data=(x, np.eye(3)[y]))[1]
    again = one_hot["sections"]["confusion_of_the_classes"]["numbers"]
    assert again == found
    assert page.headings[-2:] == ["Model", "How to make it again"]
    assert numbers["sections"]["model"]["numbers"]["model"]["trainable_weights"] == 12


def test_lists_are_read_as_arrays(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    x, y = np.arange(10.0).reshape(5, 2), np.arange(5.0)
    given = [(x, y), (x.tolist(), y.tolist()), [x.tolist(), y], (x, list(y))]
    found = [report(RUN, tmp_path, model=model, data=each)[1] for each in given]
    for numbers in found:
        numbers.pop("made")
    assert found[1:] == found[:1] * 3
    assert [row["rows"] for row in found[0]["sections"]["data"]["numbers"]] == [5] * 3


def test_a_model_of_several_inputs_gets_them_as_they_are(tmp_path):
    inputs = [keras.Input((2,), name="a"), keras.Input((1,), name="b")]
    model = keras.Model(inputs, keras.layers.Concatenate()(inputs))
    a, b = np.ones((4, 2)), np.zeros((4, 1))
    y = np.ones((4, 3))
    for x in ([a, b], {"a": a.tolist(), "b": b}):
        _, numbers = report(RUN, tmp_path, model=model, data=(x, y))
        assert numbers["sections"]["residuals"]["numbers"]["rmse"] == [0.0, 0.0, 1.0]


def test_answers_that_are_no_numbers_are_refused(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="`data` hold the answers of a model and must"):
        report(RUN, tmp_path, model=model, data=(np.ones((2, 1)), ["a", "b"]))


@pytest.mark.parametrize("as_pair", [tuple, list])
def test_attention_stands_over_its_sequences(as_pair, tmp_path):
    weights = np.array([[0.25, 0.75], [0.5, 0.5]])
    pair = as_pair([weights, np.ones((2, 2, 3))])
    for given in (pair, weights, weights.tolist()):
        page, numbers = report(RUN, tmp_path, attention=given)
        found = numbers["sections"]["attention"]["numbers"]["weights"]
        assert found == weights.tolist() and len(page.pictures) == 3


def test_numbers_have_residuals(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.layers[-1].set_weights([np.ones((1, 1)), np.ones(1)])
    x = np.arange(5.0)[:, None]
    _, numbers = report(RUN, tmp_path, model=model, data=(x, x[:, 0]))
    found = numbers["sections"]["residuals"]["numbers"]
    assert found["rmse"] == [1.0] and found["mean_error"] == [1.0]
    assert found["r2"] == [pytest.approx(0.5)]


def test_a_table_says_what_is_missing(tmp_path):
    x = pd.DataFrame({"a": [1.0, np.nan, 3.0], "town": ["Ulm", None, "Ulm"]})
    _, numbers = report(RUN, tmp_path, data=(x, np.array([0, 1, 1])))
    rows = {row["column"]: row for row in numbers["sections"]["data"]["numbers"]}
    assert rows["a"]["missing"] == rows["town"]["missing"] == 1
    assert rows["town"]["different"] == 1 and rows["a"]["mean"] == 2.0


def folds():
    scores = {"loss": np.array([1.0, 2.0, 3.0])}
    return CrossValidation(scores, [], [np.arange(3)] * 3, [6] * 3, 3)


def test_results_of_the_family_have_verdict_and_picture(tmp_path):
    rise = analysis.LossRise(1.0, np.array([0.1]), np.ones((1, 1)), np.ones(1))
    page, numbers = report(RUN, tmp_path, results=[folds(), rise, folds()])
    assert page.headings[2:] == ["Cross-validation", "Sharpness", "Cross-validation 2"]
    assert numbers["sections"]["sharpness"]["verdict"] == rise.verdict
    alone, _ = report(folds(), tmp_path)
    assert alone.headings == ["Cross-validation"]


def test_a_tracked_run_brings_its_description(tmp_path):
    about = {
        "parameters": {"units": 8},
        "seed": 3,
        "data": [],
        "versions": {"keras": "3"},
        "backend": {"name": "jax", "floatx": "float32", "system": "Linux"},
    }
    run = TrackedRun("a", "MLflow", None, None, {}, RUN, {}, about)
    page, numbers = report(run, tmp_path)
    assert page.headings == ["Findings", "Learning curves", "How to make it again"]
    assert numbers["sections"]["how_to_make_it_again"]["numbers"]["seed"] == 3


class Formula(tuners.RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        rate = trial.hyperparameters.Float("rate", 1e-3, 1e-1, sampling="log")
        return {"val_loss": rate + trial.hyperparameters.Float("dropout", 0.0, 0.5)}


def test_a_search_shows_its_trials(tmp_path):
    tuner = Formula(max_trials=3, seed=0, directory=tmp_path)
    tuner.search(verbose=0)
    page, numbers = report(tuner, tmp_path)
    assert page.headings == ["Search", "Trials", "What mattered", "Two hyperparameters"]
    trials = numbers["sections"]["search"]["numbers"]["trials"]
    best = min(trial["score"] for trial in trials)
    assert f"The best val_loss is {best:.4g}" in numbers["verdict"]
    assert "Not drawn" in numbers["sections"]["what_mattered"]["verdict"]


@pytest.mark.parametrize(
    ("run", "arguments", "message"),
    [
        (RUN, {"path": "report.pdf"}, "`path` is the page to write, with a JSON of"),
        (RUN, {"path": None}, "and must end in .html. Received: path='None'"),
        ([1, 2], {}, "`run` is what is reported and must be what `fit` returned"),
        ({"accuracy": [1]}, {}, "`run` is what is reported"),
        (RUN, {"results": [7]}, "`results` are what else is known and must have"),
        (RUN, {"model": 3}, "`model` is what was trained and must be a `keras.Model`"),
        (RUN, {"data": np.ones(3)}, "`data` are rows that were not trained on and"),
        (RUN, {"mute": ["KTK999"]}, "KTK999"),
        (RUN, {"data": (None, [1])}, "`data` are rows that were not trained on and"),
        (RUN, {"data": ([1.0], 1)}, "must be arrays or tables of as many rows each"),
        (RUN, {"data": ([1.0, 2.0], [[1], [1, 2]])}, "hold rows of one length"),
        (RUN, {"data": ([np.ones(2), np.ones(3)], np.ones(2))}, "as many rows each"),
        (
            RUN,
            {"data": (np.ones((0, 3)), np.ones(0))},
            "Received: 0 rows and 0 answers",
        ),
        (
            RUN,
            {"monitor": 3},
            "`monitor` has seen the gradients of the run and must be",
        ),
        (RUN, {"attention": np.ones((1, 2, 3))}, "weights of shape (1, 2, 3)"),
        (RUN, {"attention": [[0.5], [0.5, 0.5]]}, "in lists of one length"),
        (RUN, {"attention": (np.ones((1, 2)),)}, "Received: 1 parts"),
        (RUN, {"description": 7}, "`description` says what the run was and must be"),
        (RUN, {"description": {"model": "x"}}, "Received: 'model' with 'x'."),
        (RUN, {"description": {"model": {"layers": [1]}}}, "Received: 'model' with"),
        (RUN, {"description": {"versions": ["a"]}}, "Received: 'versions' with ['a']"),
        (
            RUN,
            {"description": {"training": "adam"}},
            "Received: 'training' with 'adam'",
        ),
    ],
)
def test_what_cannot_be_reported_is_refused_and_leaves_nothing(
    run, arguments, message, tmp_path
):
    arguments = {"path": tmp_path / "report.html", **arguments}
    with pytest.raises(ValueError, match=re.escape(message)):
        analysis.report(run, **arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("title", ["half \ud800", "", 3, None])
def test_a_title_that_no_page_can_have_is_refused(tmp_path, title):
    with pytest.raises(ValueError, match="`title` stands at the top .*whole char"):
        analysis.report(RUN, tmp_path / "report.html", title=title)
    assert not list(tmp_path.iterdir())


def test_halves_of_characters_in_names_are_written_as_numbers(tmp_path):
    class Result:
        verdict = "the column \ud800 matters"

        def plot(self, path):
            path.write_text("<svg/>")

    path = analysis.report(RUN, tmp_path / "report.html", results=Result())
    assert "the column \\ud800 matters" in path.read_text(encoding="utf-8")


def test_a_report_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = analysis.report(RUN, tmp_path / "report.html")
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        analysis.report(RUN, path, title="Another")
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 2


def test_neither_file_is_new_when_one_cannot_be_written(tmp_path, monkeypatch):
    path = analysis.report(RUN, tmp_path / "report.html")
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    write = type(path).write_text

    def full_for_pages(file, text, **options):
        if ".html" in file.name:
            raise OSError(28, "No space left on device")
        return write(file, text, **options)

    monkeypatch.setattr("pathlib.Path.write_text", full_for_pages)
    with pytest.raises(OSError, match="No space left"):
        analysis.report(RUN, path, title="Another")
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("folder", ["report.html", "report.json"])
def test_a_folder_in_the_place_of_a_file_is_refused(folder, tmp_path):
    (tmp_path / folder).mkdir()
    with pytest.raises(ValueError, match=f"`path` is the page.*{folder}', a folder"):
        analysis.report(RUN, tmp_path / "report.html")
    assert [file.name for file in tmp_path.iterdir()] == [folder]


@pytest.mark.parametrize("is_new", [True, False])
@pytest.mark.parametrize("suffix", [".html", ".json"])
def test_neither_file_is_new_when_one_cannot_take_its_place(
    suffix, is_new, tmp_path, monkeypatch
):
    path = tmp_path / "report.html"
    if not is_new:
        analysis.report(RUN, path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    replace, refused = os.replace, []

    def of_another(source, target):
        if str(target).endswith(suffix) and not refused:
            refused.append(target)
            raise PermissionError(1, "Operation not permitted")
        return replace(source, target)

    monkeypatch.setattr("os.replace", of_another)
    with pytest.raises(PermissionError):
        analysis.report(RUN, path, title="Another")
    assert refused and len(before) == 2 * (not is_new)
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_titles_without_latin_letters_keep_their_sections(tmp_path):
    table = pd.DataFrame({"score": [0.5]})
    results = {"学習": table, "注意": table, "A b": table, "a-B": table}
    page, numbers = report(RUN, tmp_path, results=results)
    assert page.headings[2:] == ["学習", "注意", "A b", "a-B"]
    names = list(numbers["sections"])[2:]
    assert names == ["section", "section_2", "a_b", "a_b_2"]


def judged(task, outputs, y, tmp_path):
    """Sections on a model that gives `outputs` for each of three rows."""
    inputs = keras.Input((2,))
    model = models.TaskModel(inputs, layers.Head(len(outputs), task)(inputs))
    model.layers[-1].set_weights([np.zeros((2, len(outputs))), np.array(outputs)])
    given = {"model": model, "data": (np.ones((3, 2)), np.array(y))}
    return report(RUN, tmp_path, **given)[1]["sections"]


@pytest.mark.parametrize(
    ("task", "y"), [("classification", [0, 1, 2]), ("regression", [[1.0] * 3] * 3)]
)
def test_predictions_of_nan_are_told_and_not_judged(task, y, tmp_path):
    found = judged(task, [0.0, np.nan, 1.0], y, tmp_path)
    assert found["predictions"]["numbers"] == {"rows": 3, "not_finite": 3}
    assert "NaN or infinity for 3 of 3 rows" in found["predictions"]["verdict"]
    assert not {"calibration", "residuals"} & set(found)


def test_several_labels_of_a_row_have_no_confusion(tmp_path):
    found = judged("binary", [0.0, 1.0], [[0, 1], [1, 1], [0, 0]], tmp_path)
    assert "confusion_of_the_classes" not in found and "data" in found


@pytest.mark.parametrize("y", [[0, 1, 3], [0, 1, -1], [0.5, 1, 2]])
def test_numbers_that_are_no_classes_are_refused(y, tmp_path):
    with pytest.raises(ValueError, match="whole numbers from 0 to 2"):
        judged("classification", [0.0, 1.0, 2.0], y, tmp_path)


@pytest.mark.slow
def test_contours_are_of_those_that_mattered(tmp_path):
    def score(hp):
        kind = hp.Choice("kind", ["a", "b"])
        return hp.Float("slope", 0, 1) + hp.Float("width", 0, 0.5) + 0 * len(kind)

    drawn = np.random.default_rng(0).uniform(0, 0.5, (12, 2)).tolist()
    rows = [{"slope": 2 * slope, "width": width} for slope, width in drawn]
    tuner = finished(tmp_path / "tuner", score, rows)
    page, numbers = report(tuner, tmp_path)
    found = numbers["sections"]
    assert set(found["what_mattered"]["numbers"]) == {"slope", "width", "kind"}
    assert "Not drawn" not in found["two_hyperparameters"]["verdict"]
    assert len(page.pictures) == 3


def test_a_page_may_load_and_run_nothing(tmp_path):
    page, _ = report(RUN, tmp_path)
    assert "default-src 'none'; img-src data:" in page.text


CHECKS = """
const found = [];
const light = (text) => {
  const part = text.match(/[\\d.]+/g).map(Number);
  const linear = part.slice(0, 3).map((v) =>
    (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
};
const behind = (element) => {
  for (; element; element = element.parentElement) {
    const colour = frame.getComputedStyle(element).backgroundColor;
    if (!/rgba\\(.*, 0\\)/.test(colour)) return light(colour);
  }
  return 1;
};
for (const text of root.querySelectorAll("h1, h2, h3, p, a, dt, dd, td, th, caption")) {
  const pair = [light(frame.getComputedStyle(text).color), behind(text)];
  const contrast = (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  if (contrast < 4.5) found.push(`contrast ${contrast} of ${text.innerText}`);
}
for (const image of root.querySelectorAll("img"))
  if (!image.complete || !image.naturalWidth || !image.alt)
    found.push(`not shown: ${image.alt}`);
for (const image of root.querySelectorAll("img"))
  if (image.getBoundingClientRect().width < Math.min(image.width, 300))
    found.push(`too small to read: ${image.alt}`);
const dark = frame.matchMedia("(prefers-color-scheme: dark)").matches;
if (dark !== DARK) found.push(`dark is ${dark}`);
if (dark === light(frame.getComputedStyle(root.querySelector("body")).color) < 0.5)
  found.push("the text has the colour of another scheme");
return found;
"""


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.parametrize("dark", [False, True])
def test_a_browser_shows_all_of_it_at_each_width(dark, tmp_path):
    model = models.mlp((3,), 3, (4,), task="classification")
    model.compile("adam", models.loss_for(model))
    x = np.random.default_rng(0).normal(size=(60, 3))
    monitor = callbacks.GradientMonitor(every=1)
    y = np.arange(60) % 3
    run = model.fit(x, y, epochs=6, verbose=0, callbacks=[monitor])
    pages = tmp_path / "pages"
    wide = pd.DataFrame({f"a column with a long name {n}": [n] for n in range(20)})
    given = {"model": model, "data": (x, y), "monitor": monitor, "results": [wide]}
    analysis.report(run, pages / "long.html", title="A" * 200, baseline=y, **given)
    flags = [f"--blink-settings=preferredColorScheme={0 if dark else 1}"]
    checks = CHECKS.replace("DARK", str(dark).lower())
    assert problems_in(pages, tmp_path, checks, flags) == []


# What was met by reading on


def test_texts_and_numbers_that_are_missing_count_in_any_table(tmp_path):
    x = pd.DataFrame({"t": ["a", None, "b"], "n": [1, None, 3]})
    x = x.astype({"t": "string", "n": "Int64"})
    frames = {"pandas": x, "pyarrow": pytest.importorskip("pyarrow").table(x)}
    for frame in frames.values():
        _, numbers = report(RUN, tmp_path, data=(frame, np.array([0, 1, 1])))
        rows = {row["column"]: row for row in numbers["sections"]["data"]["numbers"]}
        assert rows["t"]["missing"] == rows["n"]["missing"] == 1
    twice = pd.concat([x, x], axis=1)
    _, numbers = report(RUN, tmp_path, data=(twice, np.zeros(3)), results=[twice])
    assert [r["rows"] for r in numbers["sections"]["data"]["numbers"]] == [3] * 5
    assert list(numbers["sections"]["leaderboard"]["numbers"][0]) == [
        *("t", "n", "t (2)", "n (2)")
    ]


def test_answers_that_are_missing_or_too_few_are_said(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    x = np.arange(5.0)[:, None]
    y = np.array([0.0, np.nan, 1.0, 2.0, 3.0])
    page, numbers = report(RUN, tmp_path, model=model, data=(x, y))
    assert "1 rows without an answer" in page.text
    assert np.isfinite(numbers["sections"]["residuals"]["numbers"]["rmse"]).all()
    with pytest.raises(ValueError, match="5 rows and 3 answers"):
        report(RUN, tmp_path, model=model, data=(x, y[:3]))
    page, _ = report(RUN, tmp_path, model=model, data=(x, np.ones((5, 2))))
    assert "Not judged: predictions (5, 1), answers (5, 2)." in page.text


def test_several_inputs_are_summed_up_one_by_one(tmp_path):
    x = [np.ones((4, 2)), np.zeros((4, 1))]
    _, numbers = report(RUN, tmp_path, data=(x, np.ones(4)))
    names = [row["column"] for row in numbers["sections"]["data"]["numbers"]]
    assert names == ["x[0][0]", "x[0][1]", "x[1]", "y"]


def test_a_single_result_and_partial_descriptions_do(tmp_path):
    page, _ = report(RUN, tmp_path, results=folds(), description={"versions": {"a": 1}})
    assert page.headings[2:] == ["Cross-validation", "How to make it again"]
    about = {"model": {"name": "m", "layers": [{"name": "a"}]}, "training": {"loss": 1}}
    page, _ = report(RUN, tmp_path, description=about)
    assert page.headings[2:] == ["Model"] and "m: 0 trained weights" in page.text
    polars = pytest.importorskip("polars")
    page, _ = report(RUN, tmp_path, results={1: polars.DataFrame({"a": [1]})})
    assert page.headings[-1] == "1"


def test_a_tuner_before_its_search_has_no_trials(tmp_path):
    tuner = Formula(max_trials=3, seed=0, directory=tmp_path / "search")
    page, _ = report(tuner, tmp_path)
    assert page.headings == ["Search"] and "0 trials." in page.text
