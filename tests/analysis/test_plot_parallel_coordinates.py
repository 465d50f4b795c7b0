import keras_tuner
import numpy as np
import pytest
from finished import finished

from keras_trainkit import analysis
from keras_trainkit.analysis._trials import finished_trials
from keras_trainkit.analysis.plot_parallel_coordinates import _UNUSED, _draw


def space(hp):
    """Score: the rate, and 100 more with sgd; fails with "bad"."""
    rate = hp.Float("rate", 1e-5, 1e-1, sampling="log")
    units = hp.Int("units", 8, 128, step=2, sampling="log")
    hp.Fixed("version", 7)
    optimizer = hp.Choice("optimizer", ["adam", "sgd", "bad"])
    momentum = hp.Float(
        "momentum", 0.2, 0.7, parent_name="optimizer", parent_values=["sgd"]
    )
    if optimizer == "bad":
        raise OSError("no disk")
    return rate + (100 + momentum if optimizer == "sgd" else 0) + 0 * units


ROWS = [
    {"rate": 1e-3, "units": 32, "optimizer": "adam"},
    {"rate": 1e-5, "units": 8, "optimizer": "sgd", "momentum": 0.45},
    {"rate": 1e-4, "units": 128, "optimizer": "adam"},
    {"rate": 1e-1, "units": 16, "optimizer": "bad"},
]


def axes_of(tuner):
    (axes,) = _draw(finished_trials(tuner, 2, "")).axes
    return axes


def trial_lines(axes):
    """Heights of each trial's line."""
    found = [line for line in axes.get_lines() if len(line.get_xdata()) > 3]
    return {tuple(np.round(line.get_ydata(), 9)): line for line in found}


def tick_texts(axes, place):
    return {text.get_text() for text in axes.texts if text.xy[0] == place}


@pytest.fixture(scope="module")
def tuner(tmp_path_factory):
    """A search of the rows, which no test changes."""
    return finished(tmp_path_factory.mktemp("tuner"), space, ROWS)


def test_axes_are_the_names_of_the_hypermodel_and_the_score_comes_last(tuner):
    names = [text.get_text() for text in axes_of(tuner).get_xticklabels()]
    assert names == ["rate", "units", "optimizer", "momentum", "val_loss"]


def test_lines_pass_where_the_scales_put_the_values(tuner):
    drawn = list(trial_lines(axes_of(tuner)))
    # Two of four decades, two of four doublings, the first of three choices.
    middle = (0.5, 0.5, 0.0, _UNUSED)
    assert [heights for heights in drawn if heights[:4] == middle]
    # The worst score is the top of the last axis; half of 0.2 to 0.7 is 0.45.
    assert (0.0, 0.0, 0.5, 0.5, 1.0) in drawn
    # The best score is the bottom of it.
    assert (0.25, 1.0, 0.0, _UNUSED, 0.0) in drawn


def test_the_best_is_red_and_named(tuner):
    axes = axes_of(tuner)
    best = trial_lines(axes)[(0.25, 1.0, 0.0, _UNUSED, 0.0)]
    assert best.get_color() == "C3"
    assert best.get_label() == "best of 3 completed: 1e-4, trial 0002"


def test_the_first_of_equals_is_the_best(tmp_path):
    rows = [{"n": 3}, {"n": 5}, {"n": 7}]
    tuner = finished(tmp_path, lambda hp: float(hp.Int("n", 1, 9) > 6), rows)
    labels = [line.get_label() for line in axes_of(tuner).get_lines()]
    assert "best of 3 completed: 0, trial 0000" in labels


def test_the_highest_is_best_where_the_objective_says_so(tmp_path):
    points = keras_tuner.Objective("points", "max")
    rows = [{"n": 3}, {"n": 5}]
    tuner = finished(tmp_path, lambda hp: hp.Int("n", 1, 9), rows, objective=points)
    labels = [line.get_label() for line in axes_of(tuner).get_lines()]
    assert "best of 2 completed: 5, trial 0001" in labels


def test_failed_trials_are_grey_and_have_no_score(tuner):
    lines = trial_lines(axes_of(tuner))
    (failed,) = (line for heights, line in lines.items() if len(heights) == 4)
    assert failed.get_color() == "0.8"
    assert failed.get_label() == "1 stopped or failed"
    assert failed.get_ydata() == pytest.approx([1.0, 0.25, 1.0, _UNUSED])


def test_ticks_are_values_that_the_user_wrote(tuner):
    axes = axes_of(tuner)
    assert tick_texts(axes, 0) == {"1e-5", "1e-4", "0.001", "0.01", "0.1"}
    assert tick_texts(axes, 1) == {"8", "16", "32", "64", "128"}
    assert tick_texts(axes, 2) == {"adam", "sgd", "bad"}
    assert tick_texts(axes, 3) == {"0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "unused"}


def test_a_name_that_is_defined_twice_has_one_axis_for_both(tmp_path):
    def twice(hp):
        kind = hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["a"]):
            if kind == "a":
                return hp.Float("x", 0.0, 1.0)
        with hp.conditional_scope("kind", ["b"]):
            return hp.Float("x", 0.5, 5.0)

    rows = [{"kind": "a", "x": 1.0}, {"kind": "b", "x": 3.0}]
    tuner = finished(tmp_path, twice, rows)
    lines = [line.get_ydata() for line in axes_of(tuner).get_lines()]
    heights = {round(line[1], 9) for line in lines if len(line) == 3}
    assert heights == {0.2, 0.6}  # 1 and 3 of 0 to 5


@pytest.mark.filterwarnings("ignore:currentThread\\(\\):DeprecationWarning")
@pytest.mark.filterwarnings("ignore:getName\\(\\):DeprecationWarning")
def test_a_search_of_kerastuner_is_drawn_too(tmp_path):
    class Stock(keras_tuner.RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return trial.hyperparameters.Int("n", 1, 5)

    stock = Stock(max_trials=3, directory=tmp_path, seed=3)
    stock.search(verbose=0)
    assert tick_texts(axes_of(stock), 0) == {"1", "2", "3", "4", "5"}


def test_many_hyperparameters_make_a_wider_picture(tmp_path):
    def many(hp):
        return sum(hp.Float(f"x_{number}", 0, 1) for number in range(12))

    tuner = finished(tmp_path, many, [{"x_0": 0.25}, {"x_0": 0.75}])
    figure = axes_of(tuner).figure
    assert figure.get_size_inches()[0] > 12
    analysis.plot_parallel_coordinates(tuner, tmp_path / "many.pdf")
    assert (tmp_path / "many.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("rows", "path", "words"),
    [
        ([{"x": 0.5}], "a.png", r"at least 2 completed .* 1 completed of 1 trials"),
        ([{"x": 0.5}], "a.txt", "`path` is the file to draw into"),
    ],
)
def test_refuses(rows, path, words, tmp_path):
    tuner = finished(tmp_path, lambda hp: hp.Float("x", 0, 1), rows)
    with pytest.raises(ValueError, match=words):
        analysis.plot_parallel_coordinates(tuner, tmp_path / path)


def test_refuses_a_search_of_fixed_values(tmp_path):
    scores = iter([3.0, 4.0])
    tuner = finished(
        *(tmp_path, lambda hp: next(scores) * hp.Fixed("x", 2), []),
        max_trials=2,
        allow_repeats=True,
    )
    with pytest.raises(ValueError, match="have a hyperparameter that is not fixed"):
        analysis.plot_parallel_coordinates(tuner, tmp_path / "a.png")


def test_refuses_what_is_no_tuner():
    with pytest.raises(ValueError, match="`tuner` is the finished .* tuner=3"):
        analysis.plot_parallel_coordinates(3, "a.png")
