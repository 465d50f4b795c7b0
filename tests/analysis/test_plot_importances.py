import functools
import math

import keras_tuner
import numpy as np
import optuna
import pytest
from finished import finished

from keras_trainkit import analysis
from keras_trainkit.analysis._trials import finished_trials
from keras_trainkit.analysis.plot_importances import _draw, _ranks


def space(hp):
    """Decided by the decade of the rate alone; a hundredth of it moves nothing."""
    rate = hp.Float("rate", 1e-6, 1.0, sampling="log")
    hp.Float("idle", 0, 1)
    kind = hp.Choice("kind", ["a", "b", "c"])
    hp.Int("depth", 1, 4, parent_name="kind", parent_values=["c"])
    hp.Fixed("version", 7)
    return abs(math.log10(rate) + 4) + 0 * len(kind)


def searched(folder, score_of=space, count=24, **options):
    rng = np.random.default_rng(5)
    rows = [{"rate": float(10 ** rng.uniform(-6, 0))} for _ in range(count)]
    return finished(folder, score_of, rows, **options)


@pytest.fixture(scope="module")
def tuner(tmp_path_factory):
    """A search of 24 random trials, which no test changes."""
    return searched(tmp_path_factory.mktemp("tuner"))


@pytest.fixture
def tuner_of(tmp_path):
    """Function from an objective to another such search."""
    return functools.partial(searched, tmp_path)


@pytest.mark.slow
def test_what_decides_stands_above_what_does_nothing(tuner, tmp_path):
    shares = analysis.plot_importances(tuner, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000
    assert next(iter(shares)) == "rate" and shares["rate"] > 0.6
    assert set(shares) == {"rate", "idle", "kind", "depth"}
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


@pytest.mark.slow
def test_trials_that_diverged_do_not_hide_what_decides_among_the_others(
    tuner_of, tmp_path
):
    def diverging(hp):
        score = space(hp)
        return 1e9 if hp.get("idle") > 0.93 else score

    tuner = tuner_of(diverging)
    scores = [trial.score for trial in tuner.oracle.trials.values()]
    assert 1 <= scores.count(1e9) <= 3
    shares = analysis.plot_importances(tuner, tmp_path / "a.png")
    assert next(iter(shares)) == "rate" and shares["rate"] > 0.5


@pytest.mark.slow
def test_a_maximized_score_has_the_shares_of_its_negative(tuner, tuner_of, tmp_path):
    down = analysis.plot_importances(tuner, tmp_path / "a.png")
    points = keras_tuner.Objective("points", "max")
    upwards = tuner_of(lambda hp: -space(hp), name="b", objective=points)
    up = analysis.plot_importances(upwards, tmp_path / "a.png")
    assert up["rate"] == pytest.approx(down["rate"], abs=0.1)


@pytest.mark.slow
def test_the_same_trials_give_the_same_shares(tuner, tmp_path):
    first, second = (
        analysis.plot_importances(tuner, tmp_path / "a.svg") for _ in range(2)
    )
    assert first == second


def test_nothing_is_printed(tuner_of, tmp_path, capfd):
    tuner, level = tuner_of(count=10), optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.INFO)
    try:
        analysis.plot_importances(tuner, tmp_path / "a.png")
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        optuna.logging.set_verbosity(level)
    assert capfd.readouterr() == ("", "")


def test_equal_scores_share_a_rank():
    scores = np.array([4.0, 2.0, 2.0, 9.0, 4.0, 4.0])
    assert _ranks(scores).tolist() == [3.0, 0.5, 0.5, 5.0, 3.0, 3.0]


@pytest.mark.slow
def test_bars_are_the_shares_and_pale_below_what_chance_gives(tuner):
    trials = finished_trials(tuner, 2, "")
    found = {"rate": 0.5, "kind": 0.3, "depth": 0.2}
    figure = _draw(trials, found, 0.4)
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [50, 30, 20]
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert colours[0] != colours[1] == colours[2]
    (line,) = axes.get_lines()
    assert line.get_xdata()[0] == 40
    assert figure.legends[0].get_texts()[0].get_text() == "largest by chance: 40%"


@pytest.mark.slow
def test_a_hyperparameter_that_some_trials_use_says_in_how_many(tuner):
    used = sum("depth" in trial.hyperparameters.values for trial in _trials(tuner))
    assert 0 < used < 24
    (axes,) = _draw(
        finished_trials(tuner, 2, ""), {"rate": 0.7, "depth": 0.3}, 0.4
    ).axes
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["rate", f"depth (used in {used})"]


def _trials(tuner):
    return tuner.oracle.trials.values()


def test_few_trials_are_refused(tuner_of, tmp_path):
    with pytest.raises(ValueError, match="at least 10 completed .* Received: 9 compl"):
        analysis.plot_importances(tuner_of(count=9), tmp_path / "a.png")


def test_equal_scores_are_refused(tuner_of, tmp_path):
    def equal(hp):
        return 0 * space(hp) + 2.5

    with pytest.raises(ValueError, match="not all score the same.* 12 scores of 2.5"):
        analysis.plot_importances(tuner_of(equal, count=12), tmp_path / "a.png")


@pytest.mark.parametrize(
    ("tuner", "path", "words"),
    [
        (3, "a.png", "`tuner` is the finished search"),
        (3, "a.txt", "`path` is the file to draw into"),
    ],
)
def test_refuses(tuner, path, words):
    with pytest.raises(ValueError, match=words):
        analysis.plot_importances(tuner, path)
