"""Matplotlib figures of runs, drawn without pyplot and so without global state."""

import pathlib

import numpy as np

_SUFFIXES = (".pdf", ".png", ".svg")


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
    axes.legend(frameon=False)
    return figure


def _show_the_valley(axes, losses, smoothed):
    """Leaves the explosion at the end, often a thousandfold, above the picture."""
    if len(losses):
        low, high = float(np.min(losses)), float(np.max(smoothed))
        early = float(np.max(losses[: max(len(losses) // 10, 1)]))
        high = max(high, early)
        margin = 0.05 * (high - low) or 1.0
        axes.set_ylim(low - margin, high + 3 * margin)


def save(figure, path) -> None:
    """Writes the figure; the suffix of the path names the format."""
    figure.savefig(check_path(path), dpi=150)
