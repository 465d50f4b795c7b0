import math
import pathlib
import reprlib
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_trainkit.analysis._figures import check_path, new_figure, save, tick_label
from keras_trainkit.callbacks import GradientMonitor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = {
    "gradient_norms": "gradient norm",
    "update_ratios": "update / weights",
    "dead_shares": "share of dead units",
    "saturated_shares": "share of saturated gates",
}
_MOST_TICKS = 8
_LONGEST = 24


def plot_gradients(
    monitor: GradientMonitor | dict[str, Any],
    path: str | pathlib.Path,
    *,
    title: str = "Gradients",
) -> None:
    """Draws what a `GradientMonitor` has seen: heat maps of layers over steps.

    A row for each layer, the input at the top; a column for each measured step. Norms
    and ratios are coloured by their logarithm; a black field is 0 and a red one NaN or
    infinity. There are panels for dead units and saturated gates where layers have
    them. A white frame marks the finding, which stands below.

    Args:
        monitor: `callbacks.GradientMonitor` after `fit`, or what its `to_dict()` gives.
        path: File to write; `.png`, `.pdf` or `.svg`.
        title: String above the picture.

    Raises:
        ValueError: For another suffix, and a monitor that has measured no step.

    Example:

    ```python
    monitor = callbacks.GradientMonitor(every=10)
    model.fit(x, y, callbacks=[monitor])
    plot_gradients(monitor, "gradients.png")
    ```
    """
    check_path(path)
    seen = _seen_by(monitor)
    if not seen["steps"]:
        raise ValueError(
            "`monitor` holds what is drawn and must have measured a step, in a `fit` "
            "with it among the callbacks. Received: a monitor without steps."
        )
    save(_draw(seen, title), path)


def _seen_by(monitor: Any) -> dict[str, Any]:
    """The results of the monitor as a dict."""
    seen = monitor
    if hasattr(monitor, "to_dict") and hasattr(monitor, "update_ratios"):
        seen = monitor.to_dict()
    if not isinstance(seen, dict) or not {"steps", "finding", *_PANELS} <= set(seen):
        raise ValueError(
            "`monitor` holds what is drawn and must be a `callbacks.GradientMonitor`, "
            f"or what its `to_dict` gives. Received: {reprlib.repr(monitor)}."
        )
    return seen


def _draw(seen: dict[str, Any], title: str) -> "Figure":
    panels = [name for name in _PANELS if seen[name]]
    figure, grid = new_figure(len(panels))
    rows = max(len(seen[name]) for name in panels)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, max(height, 1.8 + 0.22 * rows * height / 4.2))
    for axes, name in zip(grid, panels, strict=True):
        _draw_panel(figure, axes, seen, name)
    figure.suptitle(title)
    if seen["finding"]:
        found = seen["finding"]
        text = f"{found['kind']} gradients: {found['layer']}, step {found['step']}"
        figure.supxlabel(text, fontsize="medium", color="C3")
    return figure


def _draw_panel(figure: "Figure", axes: Any, seen: dict[str, Any], name: str) -> None:
    from matplotlib.colors import LogNorm, Normalize

    layers, steps = list(seen[name]), seen["steps"]
    values = np.array([seen[name][layer] for layer in layers], "float64")
    is_share = name.endswith("shares")
    drawn = np.where(np.isfinite(values) & (is_share | (values > 0)), values, np.nan)
    known = drawn[np.isfinite(drawn)]
    low, high = (known.min(), known.max()) if len(known) else (1.0, 10.0)
    scale: Any = Normalize(0, 1)
    if not is_share:
        scale = LogNorm(low / 1.01, high * 1.01)
    axes.set_facecolor("black")
    axes.grid(False)
    picture = axes.imshow(drawn, norm=scale, aspect="auto", interpolation="nearest")
    broken = np.where(np.isfinite(values), np.nan, 1.0)
    if np.isfinite(broken).any():
        axes.imshow(broken, cmap="Reds", vmin=0, vmax=1.3, aspect="auto")
    columns = np.unique(np.linspace(0, len(steps) - 1, _MOST_TICKS).astype(int))
    axes.set_xticks(columns, [str(steps[column]) for column in columns])
    axes.set_yticks(range(len(layers)), [_shortened(layer) for layer in layers])
    axes.tick_params(labelsize=8)
    axes.set(xlabel="step", title=_PANELS[name])
    bar = figure.colorbar(picture, ax=axes, format=lambda value, _: tick_label(value))
    bar.ax.tick_params(labelsize=8)
    if not is_share:
        _few_ticks(bar, low, high)
    _frame_finding(axes, seen, layers)


def _few_ticks(bar: Any, low: float, high: float) -> None:
    """Whole powers of 10 where there are two at least, else both ends."""
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    every = -(-len(powers) // 8) or 1
    ticks = [10.0**power for power in powers[::every]]
    bar.set_ticks(ticks if len(ticks) > 1 else [low, high])
    bar.ax.minorticks_off()


def _frame_finding(axes: Any, seen: dict[str, Any], layers: list[str]) -> None:
    from matplotlib.patches import Rectangle

    found = seen["finding"]
    if not found or found["layer"] not in layers:
        return
    corner = (
        seen["steps"].index(found["step"]) - 0.5,
        layers.index(found["layer"]) - 0.5,
    )
    axes.add_patch(Rectangle(corner, 1, 1, fill=False, color="white", linewidth=2))


def _shortened(layer: str) -> str:
    return layer if len(layer) <= _LONGEST else "…" + layer[-_LONGEST + 1 :]
