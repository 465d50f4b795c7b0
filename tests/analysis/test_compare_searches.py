import datetime
import functools
import sys
import time

import keras
import keras_tuner
import numpy as np
import optuna
import pytest
from finished import finished
from searching import METHODS, in_child, killed_at, searcher

from keras_trainkit import analysis, tuners
from keras_trainkit.analysis.compare_searches import _draw, _read

FAILS, STOPS = "fails", "stops"
SCORES = [STOPS, 5.0, FAILS, 3.0, 4.0, 3.0]


def searched(folder, scores, name="a", **options):
    def objective(hp):
        score = scores[hp.Int("n", 0, 20)]
        if score == STOPS:
            raise optuna.TrialPruned
        if score == FAILS:
            raise OSError("no disk")
        return score

    rows = [{"n": n} for n in range(len(scores))]
    return finished(folder, objective, rows, name, **options)


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """The search that got `SCORES`, which no test changes."""
    return searched(tmp_path_factory.mktemp("mine"), SCORES)


@pytest.fixture
def search_of(tmp_path):
    """Function from scores to a search that got them one after the other."""
    return functools.partial(searched, tmp_path)


def study_of(*trials, direction="minimize"):
    """An Optuna study: (score or None for failed, start and end in seconds)."""
    study = optuna.create_study(direction=direction)
    noon = datetime.datetime(2026, 3, 1, 12)
    for number, (score, start, end) in enumerate(trials):
        state = "FAIL" if score is None else "COMPLETE"
        trial = optuna.trial.FrozenTrial(
            number=number,
            trial_id=number,
            state=optuna.trial.TrialState[state],
            value=score,
            datetime_start=noon + datetime.timedelta(seconds=start),
            datetime_complete=noon + datetime.timedelta(seconds=end),
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )
        study.add_trial(trial)
    return study


def lines(axes):
    """The steps of each search, by its name."""
    return {
        line.get_label(): (line.get_xdata(), line.get_ydata())
        for line in axes.get_lines()
        if line.get_drawstyle() == "steps-post"
    }


def test_the_row_of_a_search_with_stopped_and_failed_trials(mine):
    row = analysis.compare_searches({"mine": mine}).loc["mine"]
    assert row["trials"] == 6 and row["completed"] == 4
    assert row["stopped"] == 1 and row["failed"] == 1
    assert row["best_score"] == 3.0
    # The first of the two that scored 3, the fourth trial to end.
    assert row["best_trial"] == "0003" and row["trials_to_best"] == 4
    assert 0 < row["seconds_to_best"] < row["seconds"]
    assert row["epochs"] == 0


def test_the_highest_is_best_where_the_objective_says_so(search_of):
    points = keras_tuner.Objective("points", "max")
    tuner = search_of([2.0, 7.0, STOPS, 6.0], objective=points)
    row = analysis.compare_searches({"mine": tuner}).loc["mine"]
    assert row["best_score"] == 7.0 and row["trials_to_best"] == 2
    (_, steps), *_ = lines(_draw(_read({"mine": tuner})).axes[0]).values()
    assert steps.tolist() == [2.0, 7.0, 7.0, 7.0]


def test_the_best_so_far_is_drawn_over_trials_from_the_first_score_on(mine):
    over_trials, over_seconds = _draw(_read({"mine": mine})).axes
    trials, scores = lines(over_trials)["mine"]
    assert list(trials) == [1, 2, 3, 4, 5, 6]
    assert np.isnan(scores[0])  # stopped: no score yet
    assert scores[1:].tolist() == [5.0, 5.0, 3.0, 3.0, 3.0]
    seconds, same = lines(over_seconds)["mine"]
    assert np.array_equal(same, scores, equal_nan=True)
    assert (np.diff(seconds) > 0).all()
    assert over_trials.get_ylabel() == "best val_loss so far"
    assert over_seconds.get_xlabel() == "seconds at work"


def test_a_dot_marks_where_the_best_was_found(mine):
    axes, _ = _draw(_read({"mine": mine})).axes
    (dot,) = (line for line in axes.get_lines() if line.get_marker() == "o")
    assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([4], [3.0])


def test_parallel_trials_count_once_and_a_pause_counts_nothing():
    # At work from 0 to 12 and from 100 to 103.
    study = study_of((4.0, 0, 10), (6.0, 5, 12), (None, 100, 101), (2.0, 101, 103))
    row = analysis.compare_searches({"study": study}).loc["study"]
    assert row["seconds"] == row["seconds_to_best"] == 15.0
    assert row["best_trial"] == "3" and row["trials_to_best"] == 4
    _, axes = _draw(_read({"study": study})).axes
    seconds, scores = lines(axes)["study"]
    assert list(seconds) == [10.0, 12.0, 13.0, 15.0]
    assert scores.tolist() == [4.0, 4.0, 4.0, 2.0]


def test_trials_are_taken_in_the_order_in_which_they_ended():
    study = study_of((1.0, 0, 30), (8.0, 0, 10), (5.0, 10, 20))
    axes, _ = _draw(_read({"study": study})).axes
    assert lines(axes)["study"][1].tolist() == [8.0, 5.0, 1.0]
    row = analysis.compare_searches({"study": study}).loc["study"]
    assert row["best_trial"] == "0" and row["trials_to_best"] == 3


def test_neither_a_killed_trial_nor_the_time_until_it_goes_on_counts(tmp_path):
    def search(objective=lambda hp: hp.Float("x", 0, 1)):
        cls, options = METHODS["random"]
        tuner = searcher(cls, objective)(directory=tmp_path, seed=3, **options)
        tuner.search(verbose=0)
        return tuner

    begun = time.monotonic()
    killed = killed_at(3, lambda hp: hp.Float("x", 0, 1))
    assert in_child(lambda: search(killed)) == -9
    time.sleep(1)
    tuner = search()
    row = analysis.compare_searches({"killed": tuner}).loc["killed"]
    assert row["trials"] == row["completed"] == 7
    assert row["seconds"] < time.monotonic() - begun - 1


def test_a_study_of_the_kit_gives_the_row_of_its_tuner(mine):
    rows = analysis.compare_searches({"tuner": mine, "study": mine.study})
    assert rows.loc["tuner"].equals(rows.loc["study"])


@pytest.mark.usefixtures("eagerly")
@pytest.mark.slow
def test_epochs_of_all_trials_are_summed(tmp_path, blobs):
    def build(hp):
        model = keras.Sequential([keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-3, 1e-2)), "mse")
        return model

    tuner = tuners.RandomSearch(build, max_trials=2, directory=tmp_path, seed=3)
    x, y = blobs
    tuner.search(x, y, validation_data=(x, y), epochs=3, verbose=0)
    assert analysis.compare_searches({"a": tuner})["epochs"]["a"] == 2 * 3


@pytest.mark.filterwarnings("ignore:currentThread\\(\\):DeprecationWarning")
@pytest.mark.filterwarnings("ignore:getName\\(\\):DeprecationWarning")
def test_searches_of_kerastuner_are_drawn_over_trials_only(tmp_path, search_of):
    scores = iter([9.0, None, 2.0, 4.0])

    class Stock(keras_tuner.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            trial.hyperparameters.Float("x", 0, 1)
            score = next(scores)
            if score is None:
                raise keras_tuner.errors.FailedTrialError("too big")
            return score

    stock = Stock(max_trials=4, directory=tmp_path, project_name="stock", seed=3)
    stock.search(verbose=0)
    row = analysis.compare_searches({"stock": stock}).loc["stock"]
    assert row["trials"] == 4 and row["completed"] == 3 and row["failed"] == 1
    assert row["best_score"] == 2.0 and row["trials_to_best"] == 3
    assert np.isnan(row["seconds"]) and row.isna()["epochs"]
    assert len(_draw(_read({"stock": stock})).axes) == 1
    assert stock.oracle.objective.name == "default_objective"
    ours = search_of([1.0, 2.0], objective=None)
    over_trials, over_seconds = _draw(_read({"stock": stock, "ours": ours})).axes
    assert set(lines(over_trials)) == {"stock", "ours"}
    assert set(lines(over_seconds)) == {"ours"}


def test_a_search_without_a_completed_trial_has_a_row_and_says_so():
    searches = {"bad": study_of((None, 0, 1)), "good": study_of((3.0, 0, 1))}
    rows = analysis.compare_searches(searches)
    assert np.isnan(rows["best_score"]["bad"]) and rows["failed"]["bad"] == 1
    assert rows.isna()["trials_to_best"]["bad"]
    texts = [text.get_text() for text in _draw(_read(searches)).legends[0].get_texts()]
    assert texts == ["bad: no trial completed", "good"]


def test_a_score_that_is_not_finite_is_never_best():
    study = study_of((-np.inf, 0, 1), (2.0, 1, 2))
    assert analysis.compare_searches({"a": study})["best_score"]["a"] == 2.0


@pytest.mark.parametrize(
    ("scores", "scale"),
    [((50.0, 0.5), "log"), ((5.0, 0.51), "linear"), ((50.0, -0.5), "linear")],
)
def test_the_axis_is_logarithmic_where_scores_spread_tenfold(scores, scale):
    study = study_of((scores[0], 0, 1), (scores[1], 1, 2))
    panels = _draw(_read({"a": study})).axes
    assert [axes.get_yscale() for axes in panels] == [scale, scale]


def test_the_picture_is_written_beside_the_table(mine, tmp_path):
    path = tmp_path / "searches.png"
    rows = analysis.compare_searches({"a": mine}, path)
    assert path.stat().st_size > 10_000 and list(rows.index) == ["a"]


def test_scores_of_different_objectives_are_not_compared(search_of):
    searches = {
        "a": search_of([1.0]),
        "b": search_of([1.0], "b", objective=keras_tuner.Objective("points", "max")),
    }
    with pytest.raises(ValueError, match=r"'a': val_loss \(min\), 'b': points \(max\)"):
        analysis.compare_searches(searches)


def test_an_unnamed_study_is_compared_by_its_direction(search_of):
    tuner = search_of([1.0])
    study = study_of((3.0, 0, 1))
    assert len(analysis.compare_searches({"tuner": tuner, "study": study})) == 2
    upwards = study_of((3.0, 0, 1), direction="maximize")
    with pytest.raises(ValueError, match=r"must have one objective .* None \(max\)"):
        analysis.compare_searches({"tuner": tuner, "study": upwards})


@pytest.mark.parametrize(
    ("searches", "path", "words"),
    [
        ({}, None, r"`searches` holds .* Received: searches=\{\}"),
        ([1], None, r"must be a dict .* Received: searches=\[1\]"),
        ({"a": 3}, None, "tuners of KerasTuner. Received: 'a': 3"),
        ({}, "a.txt", "`path` is the file to draw into"),
    ],
)
def test_what_cannot_be_compared_is_refused(searches, path, words):
    with pytest.raises(ValueError, match=words):
        analysis.compare_searches(searches, path)


def test_a_study_of_two_objectives_is_refused():
    study = optuna.create_study(directions=["minimize", "minimize"])
    with pytest.raises(ValueError, match="Optuna studies of one objective"):
        analysis.compare_searches({"a": study})


def test_without_pandas_the_message_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"pip install keras-trainkit\[examples\]"):
        analysis.compare_searches({"a": study_of((3.0, 0, 1))})
