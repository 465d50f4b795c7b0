"""Matplotlib figures of runs, drawn without pyplot and so without global state."""

import math
import pathlib
import unicodedata
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_trainkit._disk import writing
from keras_trainkit._warnings import warn_user

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEVELS = 12
_SUFFIXES = (".pdf", ".png", ".svg")
# Fonts for letters that matplotlib's own fonts lack, in the order of preference.
_FONTS = (
    *("Noto Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR"),
    *("Noto Sans SC", "Noto Sans JP", "Noto Sans KR", "Source Han Sans SC"),
    *("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "Droid Sans Fallback"),
    *("Microsoft YaHei", "SimHei", "Yu Gothic", "MS Gothic", "Malgun Gothic"),
    *("PingFang SC", "Hiragino Sans", "Apple SD Gothic Neo", "NanumGothic"),
    *("IPAGothic", "TakaoGothic", "Noto Sans Devanagari", "Noto Sans Bengali"),
    *("Noto Sans Tamil", "Noto Sans Thai", "Noto Sans Arabic", "Noto Sans Hebrew"),
    *("Noto Emoji", "Symbola", "Segoe UI Emoji", "Segoe UI Symbol"),
    *("Arial Unicode MS", "Unifont"),
)


def new_figure(num_panels: int = 1) -> tuple["Figure", Any]:
    """A figure and its axes in a row of up to three, further rows below."""
    from matplotlib.figure import Figure

    columns = min(num_panels, 3)
    rows = -(-num_panels // columns)
    width = 7.0 if num_panels == 1 else 4.6 * columns
    figure = Figure(figsize=(width, 4.2 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in grid[num_panels:]:
        unused.remove()
    for axes in grid[:num_panels]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="0.9", linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, grid[:num_panels]


def check_path(path: Any) -> pathlib.Path:
    """The path, if its suffix names a format; called before the work begins."""
    purpose = "`path` is the file to draw into and must"
    if not isinstance(path, str | pathlib.Path) or (
        pathlib.Path(path).suffix.lower() not in _SUFFIXES
    ):
        raise ValueError(
            f"{purpose} end in one of {', '.join(_SUFFIXES)}. "
            f"Received: path={str(path)!r}."
        )
    if pathlib.Path(path).is_dir():
        raise ValueError(f"{purpose} not be a folder. Received: path={str(path)!r}.")
    return pathlib.Path(path)


def finite_or_none(value: Any) -> Any:
    """The value for a JSON, which has no other numbers."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def wants_log(values: Any) -> bool:
    """True if values spread so far that a linear axis would hide the small ones."""
    values = np.asarray(values, "float64")
    if not values.size:
        return False
    return bool(values.min() > 0 and values.max() > 10 * values.min())


def colour_scale(scores: np.ndarray, direction: str) -> tuple[Any, np.ndarray]:
    """Colours up to the worst usual score, so that one that diverged takes none."""
    from matplotlib.colors import LogNorm, Normalize

    first, third = np.quantile(scores, [0.25, 0.75])
    fence = 1.5 * (third - first)
    far = scores < first - fence if direction == "max" else scores > third + fence
    usual = scores[~far]
    low, high = float(usual.min()), float(usual.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    if wants_log(usual):
        return LogNorm(low, high), np.geomspace(low, high, _LEVELS)
    return Normalize(low, high), np.linspace(low, high, _LEVELS)


def beyond_colours(scores: np.ndarray, norm: Any) -> str:
    """The end of the colours with scores beyond it, in matplotlib's words."""
    if (scores < norm.vmin).any():
        return "min"
    return "max" if (scores > norm.vmax).any() else "neither"


def logarithmic(axes: Any, values: Sequence[float]) -> None:
    """Makes the vertical axis, which holds the values, logarithmic."""
    from matplotlib.ticker import LogLocator, NullLocator

    wide = max(values) > 1000 * min(values)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: tick_label(value))


def tick_label(value: Any) -> str:
    """The text of a value at an axis: 0.00001 is 1e-5."""
    if isinstance(value, bool | str | None) or not hasattr(value, "__float__"):
        return str(value)
    form = ".3e" if 0 < abs(value) < 1e-3 else ".4g"
    mantissa, _, exponent = f"{value:{form}}".partition("e")
    mantissa = f"{float(mantissa):.4g}"
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def mark_not_finite(axes: Any, at: Any, values: Any) -> None:
    """Crosses at the upper edge where a value is NaN or infinite, and what they are."""
    places = np.asarray(at)[~np.isfinite(np.asarray(values, "float64"))]
    if not len(places):
        return
    edge = {"transform": axes.get_xaxis_transform(), "clip_on": False}
    axes.plot(places, np.ones(len(places)), "x", color="C3", label="not finite", **edge)


def legend_below(axes: Any, columns: int = 2) -> None:
    """A legend under the label of the horizontal axis, where no line can pass."""
    from matplotlib.transforms import ScaledTranslation

    below = ScaledTranslation(0, -0.5, axes.figure.dpi_scale_trans)  # inches
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        bbox_transform=axes.transAxes + below,
        ncols=columns,
        frameon=False,
    )


def save(figure: "Figure", path: str | pathlib.Path) -> None:
    """Writes the figure, whole or not at all; the suffix of the path names the format.

    Texts are drawn as they are, a `$` too. Letters that matplotlib's own font lacks are
    taken from the first of `_FONTS` that is installed and has them; one that none has
    is drawn as a question mark, with a warning.
    """
    path = check_path(path)
    _write_every_letter(figure)
    with writing(path) as file:
        figure.savefig(file, dpi=150)


def _write_every_letter(figure: "Figure") -> None:
    from matplotlib.text import Text

    missing: set[str] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            _write_ticks(axis, missing)
    for text in figure.findobj(Text):
        words = text.get_text()
        if "\\mathdefault{" in words:  # a tick of matplotlib's, such as a power of 10
            continue
        text.set_parse_math(False)
        families, letters = _families_for(words, text.get_fontfamily())
        text.set_fontfamily(families)
        text.set_text(_without(letters, words))
        missing |= letters
    if missing:
        warn_user(
            "The picture has question marks for letters that no font on this machine "
            f"can draw: {' '.join(sorted(missing))}. Looked for: "
            f"{', '.join(_FONTS)}. On Debian and Ubuntu `apt-get install "
            "fonts-noto-cjk fonts-noto-core` brings most.",
        )


def _write_ticks(axis: Any, missing: set[str]) -> None:
    """Replaces the formatter of ticks, which are written anew at every drawing."""
    found: set[str] = set()
    for tick in axis.get_ticklabels():
        families, letters = _families_for(tick.get_text(), tick.get_fontfamily())
        tick.set_fontfamily(families)
        found |= letters
    if found:
        write = axis.get_major_formatter()
        axis.set_major_formatter(lambda *tick: _without(found, write(*tick)))
    missing |= found


def _without(letters: set[str], words: str) -> str:
    """`words` with question marks for `letters`."""
    return "".join("?" if letter in letters else letter for letter in words)


def _families_for(words: str, families: Iterable[str]) -> tuple[list[str], set[str]]:
    """The families and those added to draw all letters; letters that none has."""
    from matplotlib import font_manager

    letters = set() if words.isascii() else {c for c in words if _is_visible(c)}
    if not letters:
        return list(families), letters
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    extended = list(families)
    for family in (*families, *_FONTS):
        generic = family in font_manager.font_family_aliases
        if not letters or not (generic or family in installed):
            continue
        file = font_manager.findfont(font_manager.FontProperties(family=[family]))
        known = font_manager.get_font(file).get_charmap()
        if family not in extended and any(ord(letter) in known for letter in letters):
            extended.append(family)
        letters = {letter for letter in letters if ord(letter) not in known}
    return extended, letters


def _is_visible(letter: str) -> bool:
    return unicodedata.category(letter) not in ("Cc", "Cf", "Zs", "Zl", "Zp")
