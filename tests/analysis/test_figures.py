"""Letters, legends and titles of the pictures."""

import pathlib
import warnings

import numpy as np
import pytest
from matplotlib import font_manager

from keras_trainkit.analysis import (
    LearningRateRange,
    plot_attention,
    plot_learning_curves,
)
from keras_trainkit.analysis._figures import new_figure, save
from keras_trainkit.analysis.learning_rate_range import _draw as draw_range
from keras_trainkit.analysis.plot_attention import _draw as draw_attention
from keras_trainkit.analysis.plot_learning_curves import _draw as draw_curves

CHINESE = "\u4f60\u597d"


def range_test():
    rates = np.geomspace(1e-5, 1, 40)
    losses = 1 - 0.2 * np.log10(rates / 1e-5)
    suggestions = {"steepest": 1e-3, "valley": 3e-3, "minimum": 0.1}
    return LearningRateRange(rates, losses, losses, suggestions, 3e-3, "", 0.8)


@pytest.mark.parametrize(
    "figure",
    [
        lambda: draw_curves({"loss": [3, 2, 1], "val_loss": [3, 2.5, 2]}),
        lambda: draw_range(range_test()),
        lambda: draw_attention(np.full(8, 0.125), sequence=np.ones((8, 2))),
    ],
)
def test_no_legend_lies_over_a_line_and_every_picture_has_a_title(figure):
    figure = figure()
    figure.draw_without_rendering()
    assert any(axes.get_title() for axes in figure.axes)
    legends = [*figure.legends, *filter(None, (a.get_legend() for a in figure.axes))]
    assert legends
    for legend in legends:
        box = legend.get_window_extent()
        assert not any(box.overlaps(a.get_window_extent()) for a in figure.axes)


def test_a_folder_in_the_place_of_a_picture_is_refused(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(
        ValueError, match="`path` is the file to draw into and must not"
    ):
        plot_attention([0.5, 0.5], tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_an_error_in_drawing_leaves_the_old_picture(tmp_path, monkeypatch, suffix):
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(b"old")
    figure, _ = new_figure()

    def drawn_in_part(file, **arguments):
        pathlib.Path(file).write_bytes(b"a part")
        raise OSError("no space left")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no space"):
        patch.setattr(figure, "savefig", drawn_in_part)
        save(figure, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    save(figure, path)
    assert path.stat().st_size > 500
    assert list(tmp_path.iterdir()) == [path]


def test_letters_that_no_font_has_become_question_marks_and_are_named(tmp_path):
    figure, (axes,) = new_figure()
    axes.set(title=f"a {CHINESE}")
    axes.set_xticks([0, 1], [CHINESE, "b"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        save(figure, tmp_path / "picture.png")
    if _installed(CHINESE):
        assert not caught
        return
    assert axes.get_title() == "a ??"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["??", "b"]
    (warning,) = caught
    said = str(warning.message)
    assert "\u4f60 \u597d" in said and "Noto Sans CJK SC" in said
    assert "fonts-noto-cjk" in said


def test_letters_come_from_another_font_where_one_is_installed(tmp_path):
    """STIX, which matplotlib brings, has the letter that DejaVu Sans lacks."""
    letter, family = "\u29c4", "STIXGeneral"
    from keras_trainkit.analysis import _figures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_figures, "_FONTS", ("No Such Font", family))
        known = font_manager.get_font(font_manager.findfont(family)).get_charmap()
        assert ord(letter) in known
        families, missing = _figures._families_for("\u29c4 \U000f0000", ["cmr10"])
    assert (families, missing) == (["cmr10", family], {"\U000f0000"})


@pytest.mark.parametrize("words", ["$x_{", "costs $5 or $6", "\\frac{", "a_b^c"])
def test_texts_are_no_formulas(words, tmp_path):
    plot_attention([0.4, 0.6], tmp_path / "a.png", labels=[words, "b"], title=words)
    plot_learning_curves({"loss": [2, 1], words: [1, 2]}, tmp_path / "b.png")
    assert (tmp_path / "a.png").exists() and (tmp_path / "b.png").exists()


def test_powers_of_ten_stay_powers(tmp_path):
    figure = draw_range(range_test())
    save(figure, pathlib.Path(tmp_path / "range.png"))
    labels = [tick for tick in figure.axes[0].get_xticklabels() if tick.get_text()]
    assert all(tick.get_parse_math() for tick in labels if "10^" in tick.get_text())
    assert any("10^" in tick.get_text() for tick in labels)


def _installed(letters):
    files = {entry.fname for entry in font_manager.fontManager.ttflist}
    charmaps = (font_manager.get_font(file).get_charmap() for file in sorted(files))
    last_resort = (m for m in charmaps if len(m) < 1_000_000)
    return any(all(ord(c) in known for c in letters) for known in last_resort)


def test_what_is_not_finite_is_marked_in_the_pictures_of_results():
    from keras_trainkit.analysis import cross_validation, loss_rise

    losses = np.array([[0.6, np.nan], [0.7, np.nan]])
    rise = loss_rise.LossRise(0.5, np.array([0.1, 0.2]), losses, np.array([1, np.inf]))
    folds = cross_validation.CrossValidation(
        {"loss": np.array([0.5, np.nan, 0.7])}, [], [np.arange(3)] * 3, [6] * 3, 3
    )
    for figure, place in (
        (loss_rise._draw(rise), 0.2),
        (cross_validation._draw(folds), 2),
    ):
        (axes,) = figure.axes
        marks = [line for line in axes.lines if line.get_label() == "not finite"]
        assert [line.get_xdata().tolist() for line in marks] == [[place]]
        texts = [text.get_text() for text in axes.get_legend().get_texts()]
        assert "not finite" in texts


def test_a_run_that_diverged_is_drawn_on_a_logarithmic_axis():
    from keras_trainkit.analysis.plot_learning_curves import _draw

    diverged = _draw({"loss": [1.0, 0.9, 0.8, 0.8, 1e6], "val_loss": [1, 1, 1, 1, 1e5]})
    assert diverged.axes[0].get_yscale() == "log"
    usual = _draw({"loss": [1.0, 0.4, 0.2, 0.1, 0.05]})
    assert usual.axes[0].get_yscale() == "linear"


def test_values_with_a_zero_stand_evenly_where_others_are_far_apart():
    from keras_trainkit.analysis.hyperparameter_effects import _scale

    def positions(values):
        _, (axes,) = new_figure()
        at = _scale(axes, "x", "decay", values)
        return at.tolist(), axes

    assert positions([0.0, 1e-4, 1e-2])[0] == [0, 1, 2]
    assert positions([0.0, 0.25, 0.5])[0] == [0, 0.25, 0.5]
    assert positions([1e-4, 1e-2])[1].get_xscale() == "log"
    long = ["glorot_uniform", "lecun_normal", "he_normal_of_mine"]
    at, axes = positions(long)
    assert at == [0, 1, 2]
    assert {tick.get_rotation() for tick in axes.get_xticklabels()} == {90}
