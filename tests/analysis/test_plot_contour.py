import functools

import keras_tuner
import numpy as np
import pytest
from finished import finished

from keras_trainkit import analysis
from keras_trainkit.analysis._figures import beyond_colours, colour_scale
from keras_trainkit.analysis._trials import Axis, finished_trials
from keras_trainkit.analysis.plot_contour import (
    _draw,
    _interpolated,
    _points,
)

CORNERS = [(1e-4, 16), (1e-4, 128), (1e-1, 16), (1e-1, 128)]
SCORES = [5.0, 7.0, 1.0, 2.0]
NAMES = ("learning_rate", "batch_size")


def space(hp):
    rate = hp.Float("learning_rate", 1e-5, 1.0, sampling="log")
    batch = hp.Int("batch_size", 16, 128, step=2, sampling="log")
    hp.Float("dropout", 0.2, 0.7)
    hp.Choice("width", [64, 10, 300])
    kind = hp.Choice("kind", ["a", "b"])
    hp.Boolean("flag")
    if kind == "b":
        raise OSError("no disk")
    return dict(zip(CORNERS, SCORES, strict=True)).get((rate, batch), 3.0)


def searched(folder, pairs=CORNERS, score_of=space, **options):
    rows = [
        {"learning_rate": rate, "batch_size": batch, "kind": "b" if bad else "a"}
        for rate, batch, bad in ((*pair, pair[0] == 0.3) for pair in pairs)
    ]
    rows = [{**row, "dropout": 0.3 + 0.01 * n} for n, row in enumerate(rows)]
    return finished(folder, score_of, rows, **options)


@pytest.fixture(scope="module")
def tuner(tmp_path_factory):
    """A search of the corners, which no test changes."""
    return searched(tmp_path_factory.mktemp("tuner"))


@pytest.fixture
def tuner_of(tmp_path):
    """Function from pairs of rate and batch size to a search; 0.3 fails."""
    return functools.partial(searched, tmp_path)


def panel(tuner, names=NAMES):
    return _draw(finished_trials(tuner, 2, ""), names).axes[0]


def ticks(axis):
    return [text.get_text() for text in axis.get_ticklabels()]


def test_axes_are_logarithmic_where_the_ranges_are(tuner):
    axes = panel(tuner)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_xlabel(), axes.get_ylabel()) == NAMES
    axes = panel(tuner, ("dropout", "batch_size"))
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "log")


def test_ticks_are_values_of_the_whole_range(tuner):
    axes = panel(tuner)
    assert ticks(axes.xaxis) == ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]
    assert ticks(axes.yaxis) == ["16", "32", "64", "128"]
    assert axes.get_xlim()[0] < 1e-5 and axes.get_xlim()[1] > 1


def test_choices_of_numbers_stand_in_their_order(tuner_of):
    pairs = [(10.0**-n, 16) for n in range(1, 5)] + CORNERS
    axes = panel(tuner_of(pairs), ("learning_rate", "width"))
    assert ticks(axes.yaxis) == ["10", "64", "300"]
    assert axes.get_yticks().tolist() == [0, 1, 2]


def test_dots_are_trials_and_the_star_is_the_best(tuner_of):
    axes = panel(tuner_of([*CORNERS, (0.3, 32)]))
    dots = axes.collections[-1].get_offsets()
    assert sorted(map(tuple, dots)) == sorted(CORNERS)
    labels = {line.get_label(): line for line in axes.get_lines()}
    assert set(labels) == {"1 stopped or failed", "4 completed", "best: 1"}
    assert list(labels["best: 1"].get_xdata()) == [1e-1]
    assert list(labels["1 stopped or failed"].get_xdata()) == [0.3]


def test_the_highest_is_the_best_where_the_objective_says_so(tuner_of):
    points = keras_tuner.Objective("points", "max")
    tuner = tuner_of(score_of=lambda hp: {"points": space(hp)}, objective=points)
    labels = [line.get_label() for line in panel(tuner).get_lines()]
    assert "best: 7" in labels


def test_halfway_on_a_logarithmic_axis_is_the_mean_of_the_ends():
    across = Axis("rate", low=1e-4, high=1e-2, log=True)
    up = Axis("dropout", low=2.0, high=6.0)
    places = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    surface, heights = _interpolated(places, np.array([5.0, 1.0, 5.0, 1.0]), across, up)
    middle = np.isclose(surface.x, 1e-3)
    assert middle.any() and np.allclose(heights[middle], 3.0)
    assert (surface.y.min(), surface.y.max()) == (2.0, 6.0)
    assert np.allclose(heights[np.isclose(surface.x, 1e-4)], 5.0)


def test_trials_at_one_place_count_as_their_mean(tuner_of):
    calls = []

    def noisy(hp):
        calls.append(space(hp))
        return calls[-1] + (10 if len(calls) == 5 else 0)

    tuner = tuner_of([*CORNERS, CORNERS[0]], noisy)
    trials = finished_trials(tuner, 2, "")
    places, scores = _points(trials, *(trials.axis(name) for name in NAMES))
    where = [tuple(place) for place in np.round(places, 9)].index((0.2, 0.0))
    assert len(places) == 4 and scores[where] == 10.0  # of 5 and 15


@pytest.mark.parametrize(
    ("direction", "scores", "limits", "end"),
    [
        ("min", [1.0, 2.0, 3.0, 4.0, 900.0], (1.0, 4.0), "max"),
        ("min", [-900.0, 2.0, 3.0, 4.0, 5.0], (-900.0, 5.0), "neither"),
        ("max", [-900.0, 2.0, 3.0, 4.0, 5.0], (2.0, 5.0), "min"),
    ],
)
def test_one_that_diverged_takes_no_colours_but_the_best_does(
    direction, scores, limits, end
):
    norm, levels = colour_scale(np.array(scores), direction)
    assert (norm.vmin, norm.vmax) == limits
    assert (levels[0], levels[-1]) == pytest.approx(limits)
    assert beyond_colours(np.array(scores), norm) == end


def test_the_picture_is_written(tuner, tmp_path):
    analysis.plot_contour(tuner, tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    "names",
    [
        ("learning_rate", "units"),
        ("learning_rate", "kind"),
        ("learning_rate", "flag"),
        ("dropout", "dropout"),
        ("dropout",),
        "dropout",
    ],
)
def test_only_two_different_names_with_numbers_are_axes(names, tuner, tmp_path):
    words = r"two different names of \['learning_rate', 'batch_size', 'dropout', 'wid"
    with pytest.raises(ValueError, match=words):
        analysis.plot_contour(tuner, tmp_path / "a.png", names)


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (
            [(1e-4, 16), (1e-3, 16), (1e-2, 16), (1e-1, 16)],
            "in both. Received: 4 places",
        ),
        ([(1e-4, 16), (1e-3, 32), (1e-2, 64), (1e-1, 128)], "differ in both"),
        ([CORNERS[0], CORNERS[0], *CORNERS[1:3]], "Received: 3 places"),
        (CORNERS[:3], "at least 4 completed trials in `tuner` are needed. Received: 3"),
    ],
)
def test_trials_that_span_no_area_are_refused(pairs, words, tuner_of, tmp_path):
    with pytest.raises(ValueError, match=words):
        analysis.plot_contour(tuner_of(pairs), tmp_path / "a.png")


def test_another_suffix_is_refused():
    with pytest.raises(ValueError, match="`path` is the file to draw into"):
        analysis.plot_contour(3, "a.txt")
