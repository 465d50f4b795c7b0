"""Rules of `diagnose` on a model and on what a gradient monitor has seen."""

from typing import Any

import numpy as np

from keras_trainkit.analysis import _codes as limits
from keras_trainkit.analysis.diagnosis import Finding


def findings_of_model(model: Any, rows: int | None) -> list[Finding]:
    """The size of a model against the rows that it learns from."""
    if model is None or rows is None:
        return []
    size = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    if size <= rows:
        return []
    why = f"The model has {size:,} trainable parameters for {rows:,} rows."
    return [limits.finding("KTK020", why, {"parameters": size, "rows": rows})]


def check_monitor(monitor: Any) -> None:
    """Refuses all but a `callbacks.GradientMonitor` and None."""
    if monitor is not None and not hasattr(monitor, "update_ratios"):
        raise ValueError(
            "`monitor` has seen the gradients of the run and must be a "
            f"`callbacks.GradientMonitor`, or None. Received: monitor={monitor!r}."
        )


def findings_of_monitor(monitor: Any) -> list[Finding]:
    """All that a `callbacks.GradientMonitor` has seen."""
    if monitor is None or not monitor.steps:
        return []
    shares = (
        _highest("KTK013", "dead", monitor.dead_shares, limits.DEAD),
        _highest("KTK014", "saturated", monitor.saturated_shares, limits.SATURATED),
    )
    found = [_gradients(monitor.finding), *shares, _updates(monitor.update_ratios)]
    return [finding for finding in found if finding]


def _gradients(seen: Any) -> Finding | None:
    if seen is None:
        return None
    code = "KTK003" if seen.kind == "vanishing" else "KTK002"
    verb = {"vanishing": "vanish", "exploding": "explode", "nan": "turn NaN"}
    verdict = f"gradients {verb[seen.kind]} in {seen.layer}"
    why = (
        f"The gradient norm of layer {seen.layer!r} is {seen.value:.3g} in step "
        f"{seen.step}."
    )
    numbers = {"step": int(seen.step), "value": float(seen.value)}
    return limits.finding(code, why, numbers, verdict)


def _highest(
    code: str, word: str, shares: dict[str, list[float]], limit: float
) -> Finding | None:
    last = {layer: values[-1] for layer, values in shares.items() if len(values)}
    if not last:
        return None
    layer = max(last, key=lambda name: last[name])
    if not last[layer] > limit:
        return None
    why = f"{last[layer]:.0%} of the units of layer {layer!r} are {word} at the end."
    verdict = f"{word} units in {layer}"
    return limits.finding(code, why, {"share": float(last[layer])}, verdict)


def _updates(ratios: dict[str, list[float]]) -> Finding | None:
    usual = {
        layer: float(np.nanmedian(values))
        for layer, values in ratios.items()
        if np.isfinite(values).any()
    }
    if not usual:
        return None
    layer = max(usual, key=lambda name: usual[name])
    largest = usual[layer]
    why = f"The usual update of layer {layer!r} is {largest:.2g} times its weights"
    if largest > limits.LARGE_UPDATE:
        numbers = {"update_ratio": largest}
        return limits.finding("KTK016", f"{why}.", numbers)
    if largest < limits.SMALL_UPDATE:
        numbers = {"update_ratio": largest}
        return limits.finding("KTK015", f"{why}, the most of all.", numbers)
    return None
