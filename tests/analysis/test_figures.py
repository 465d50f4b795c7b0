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
