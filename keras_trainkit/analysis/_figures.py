"""Matplotlib figures of runs, drawn without pyplot and so without global state."""

import pathlib
import unicodedata
import warnings

import numpy as np

_SUFFIXES = (".pdf", ".png", ".svg")
# Asked for the letters that matplotlib's own fonts lack, in this order.
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


def new_figure(num_panels: int = 1):
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


def check_path(path) -> pathlib.Path:
    """The path, if its suffix names a format; to be asked before the work."""
    if not isinstance(path, str | pathlib.Path) or (
        pathlib.Path(path).suffix.lower() not in _SUFFIXES
    ):
        raise ValueError(
            f"`path` is the file to draw into and must end in one of "
            f"{', '.join(_SUFFIXES)}. Received: path={str(path)!r}."
        )
    return pathlib.Path(path)


def wants_log(values) -> bool:
    """Whether values spread so far that a linear axis would hide the small ones."""
    values = np.asarray(values, "float64")
    return values.size > 0 and values.min() > 0 and values.max() > 10 * values.min()


def logarithmic(axes, values):
    """Makes the vertical axis, which holds the values, logarithmic."""
    from matplotlib.ticker import LogLocator, NullLocator

    wide = max(values) > 1000 * min(values)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: written(value))


def written(value) -> str:
    """A value as a tick: 0.00001 is 1e-5."""
    if isinstance(value, bool | str):
        return str(value)
    form = ".3e" if 0 < abs(value) < 1e-3 else ".4g"
    mantissa, _, exponent = f"{value:{form}}".partition("e")
    mantissa = f"{float(mantissa):.4g}"
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def draw_range(found):
    """The figure of a `LearningRateRange`."""
    figure, (axes,) = new_figure()
    rates, losses = found.learning_rates, found.losses
    axes.plot(rates, losses, color="0.75", linewidth=1, label="each batch")
    axes.plot(rates, found.smoothed_losses, color="C0", linewidth=2, label="smoothed")
    shapes = {"steepest": ("o", "C3"), "valley": ("s", "C2"), "minimum": ("D", "C4")}
    for name, rate in found.suggestions.items():
        if rate is not None:
            marker, colour = shapes[name]
            height = np.interp(np.log(rate), np.log(rates), found.smoothed_losses)
            chosen = rate == found.suggestion
            label = f"{name}: {rate:.2g}" + (" (suggested)" if chosen else "")
            style = {"marker": marker, "color": colour, "markersize": 9, "zorder": 3}
            axes.plot([rate], [height], linestyle="none", label=label, **style)
    if found.diverged_at is not None:
        label = f"stopped at {found.diverged_at:.2g}"
        axes.axvline(found.diverged_at, color="0.4", linestyle=":", label=label)
    if len(rates) < 2 and found.diverged_at is not None:
        axes.set_xlim(found.diverged_at / 10, found.diverged_at * 10)
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    nothing = "" if found.suggestion else ": no rate stands out"
    axes.set_title(f"Learning rate range test{nothing}")
    _show_the_valley(axes, losses, found.smoothed_losses)
    legend_below(axes)
    return figure


def _show_the_valley(axes, losses, smoothed):
    """Leaves the explosion at the end, often a thousandfold, above the picture."""
    if len(losses):
        low, high = float(np.min(losses)), float(np.max(smoothed))
        early = float(np.max(losses[: max(len(losses) // 10, 1)]))
        high = max(high, early)
        margin = 0.05 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + 3 * margin)


def legend_below(axes, columns: int = 2) -> None:
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


def save(figure, path) -> None:
    """Writes the figure; the suffix of the path names the format.

    Texts are drawn as they are, a `$` too. Letters that matplotlib's own font lacks are
    taken from the first of `_FONTS` that is installed and has them; one that none has
    is drawn as a question mark, with a warning.
    """
    path = check_path(path)
    _write_every_letter(figure)
    figure.savefig(path, dpi=150)


def _write_every_letter(figure):
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
        warnings.warn(
            "The picture has question marks for letters that no font on this machine "
            f"can draw: {' '.join(sorted(missing))}. Looked for: "
            f"{', '.join(_FONTS)}. On Debian and Ubuntu `apt-get install "
            "fonts-noto-cjk fonts-noto-core` brings most.",
            stacklevel=4,
        )


def _write_ticks(axis, missing):
    """Ticks are written anew with every drawing, so their formatter is replaced."""
    found: set[str] = set()
    for tick in axis.get_ticklabels():
        families, letters = _families_for(tick.get_text(), tick.get_fontfamily())
        tick.set_fontfamily(families)
        found |= letters
    if found:
        write = axis.get_major_formatter()
        axis.set_major_formatter(lambda *tick: _without(found, write(*tick)))
    missing |= found


def _without(letters, words):
    return "".join("?" if letter in letters else letter for letter in words)


def _families_for(words, families):
    """The families, longer by those that draw the letters; and the letters none has."""
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


def _is_visible(letter):
    return unicodedata.category(letter) not in ("Cc", "Cf", "Zs", "Zl", "Zp")
