import numpy as np
import pytest

from keras_trainkit.analysis import plot_attention
from keras_trainkit.analysis.plot_attention import _draw

WEIGHTS = [0.1, 0.6, 0.3, 0.0]


def ticks(axes):
    return [text.get_text() for text in axes.get_xticklabels()]


def test_bars_are_the_weights():
    (axes,) = _draw(WEIGHTS).axes
    assert [bar.get_height() for bar in axes.patches] == WEIGHTS
    assert axes.get_xlabel() == "step"


def test_dotted_line_is_the_even_share_of_the_steps_that_count():
    (axes,) = _draw(WEIGHTS).axes
    (line,) = axes.get_lines()
    assert line.get_ydata()[0] == pytest.approx(1 / 3)
    assert "at 3 steps" in line.get_label()


@pytest.mark.parametrize("sequence", [None, np.ones((20, 2))])
def test_steps_are_whole_numbers_in_both_panels(sequence):
    for axes in _draw(np.ones(20) / 20, sequence).axes:
        assert (axes.get_xticks() % 1 == 0).all()


def test_words_stand_under_their_steps():
    (axes,) = _draw(WEIGHTS, labels=["not", "a", "bad", ""]).axes
    assert ticks(axes) == ["not", "a", "bad", ""]


def test_of_many_words_the_heaviest_are_written():
    weights = np.arange(100.0)
    (axes,) = _draw(weights, labels=[f"w{step}" for step in range(100)]).axes
    assert ticks(axes) == [f"w{step}" for step in range(40, 100)]


@pytest.mark.parametrize("shape", [(4,), (4, 1), (4, 2)])
def test_few_features_are_lines_below_the_bars(shape):
    above, below = _draw(WEIGHTS, np.ones(shape)).axes
    assert len(below.get_lines()) == np.ones(shape).reshape(4, -1).shape[1]
    assert above.get_position().y0 > below.get_position().y0
    assert below.get_xlabel() == "step" and above.get_xlabel() == ""


def test_two_features_are_told_apart():
    figure = _draw(WEIGHTS, np.ones((4, 2)))
    assert len({line.get_color() for line in figure.axes[1].get_lines()}) == 2
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names[1:] == ["feature 0", "feature 1"]


def test_many_features_are_a_heat_map_with_a_column_per_step():
    sequence = np.arange(12.0).reshape(4, 3)
    _, below, _ = _draw(WEIGHTS, sequence).axes
    (image,) = below.get_images()
    assert np.array_equal(image.get_array(), sequence.T)


@pytest.mark.parametrize("features", [1, 3])
def test_missing_steps_are_gaps(tmp_path, features):
    sequence = np.arange(4.0 * features).reshape(4, features)
    sequence[1] = np.nan
    figure = _draw(WEIGHTS, sequence)
    below = figure.axes[1]
    drawn = below.lines[0].get_ydata() if features == 1 else below.images[0].get_array()
    assert np.isnan(np.ma.filled(drawn, np.nan)).sum() == features
    plot_attention(WEIGHTS, tmp_path / "a.png", sequence=np.full((4, 3), np.nan))


def test_row_without_a_valid_step_is_drawn_too(tmp_path):
    plot_attention([0.0, 0.0], tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": [[0.5, 0.5]]}, r"`weights` are .* shape \(1, 2\)"),
        ({"weights": []}, r"`weights` are .* shape \(0,\)"),
        ({"weights": [0.5, np.nan]}, "`weights` are .* finite"),
        ({"weights": [1.5, -0.5]}, "`weights` are .* at least 0"),
        ({"weights": ["much", "less"]}, "`weights` are .* numbers.*'much'"),
        ({"sequence": [[1, 2], [3], [4], [5]]}, "`sequence` is .* one length.*3"),
        ({"sequence": np.ones(3)}, r"`sequence` is .* a step per weight, 4.*\(3,\)"),
        ({"sequence": [1, 2, 3, np.inf]}, "`sequence` is .* with 1 infinite"),
        ({"sequence": np.ones((4, 1, 1))}, "`sequence` is drawn"),
        ({"labels": ["a"]}, "`labels` name the steps .* Received: 1 labels"),
        ({"path": "a.txt"}, "`path` is the file to draw into"),
    ],
)
def test_refuses(arguments, message):
    arguments = {"weights": WEIGHTS, "path": "a.png", **arguments}
    with pytest.raises(ValueError, match=message):
        plot_attention(**arguments)


def test_heat_map_has_a_bar_for_its_colours_and_steps_stay_below_their_bars():
    figure = _draw([0.2, 0.3, 0.5], sequence=np.arange(9.0).reshape(3, 3))
    bars, steps, colours = figure.axes
    assert colours.get_ylabel() == "value"
    figure.draw_without_rendering()
    assert bars.get_position().x0 == pytest.approx(steps.get_position().x0)
    assert bars.get_position().x1 == pytest.approx(steps.get_position().x1)


def test_words_are_written_as_they_are_and_long_ones_cut():
    labels = ["$x_{", "$5$", "Donaudampfschifffahrtsgesellschaft"]
    figure = _draw([0.2, 0.3, 0.5], labels=labels)
    written = [tick.get_text() for tick in figure.axes[0].get_xticklabels()]
    assert written == ["$x_{", "$5$", "Donaudampfschifffah…"]
