"""Rules of `diagnose` on the loss curves: each gives a finding or None."""

import math

import numpy as np

from keras_trainkit.analysis import _codes as limits
from keras_trainkit.analysis._curves import Curves, ending, level, noise, tail
from keras_trainkit.analysis.diagnosis import Finding

_MIN_EPOCHS = 5


def findings_of_curves(curves: Curves) -> list[Finding]:
    """All that the curves show; what makes other readings void stands alone."""
    found = diverged(curves)
    if found:
        return [found]
    if len(curves.training) < _MIN_EPOCHS or len(curves.judged) < _MIN_EPOCHS:
        epochs = min(len(curves.training), len(curves.judged))
        why = f"{epochs} epochs are too few to see a trend."
        short = limits.finding("KTK022", why, {"epochs": epochs})
        return [f for f in (short, *_beside(curves)) if f]
    stuck = rate_too_high(curves)
    if stuck:
        return [stuck, *_beside(curves)]
    return [*_of_trends(curves), *_beside(curves)]


def _of_trends(curves: Curves) -> list[Finding]:
    slow = rate_too_low(curves)
    if slow:
        return [slow]
    useless = no_better(curves)
    over = overfitting(curves)
    noisy = too_noisy(curves)
    found = [useless, over, noisy]
    if not any(found):  # noise hides a trend
        found += [underfitting(curves), still_improving(curves), plateau(curves)]
    return [finding for finding in found if finding]


def _beside(curves: Curves) -> list[Finding]:
    rules = (too_few_rows, poor_start, easy_validation, no_validation)
    return [found for rule in rules if (found := rule(curves))]


def diverged(curves: Curves) -> Finding | None:
    """A loss that is not finite, or that ends far above where it began."""
    for name, losses, epochs in (
        ("training loss", curves.training, curves.epochs),
        (curves.judged_name, curves.judged, curves.judged_epochs),
    ):
        broken = np.flatnonzero(~np.isfinite(losses))
        if len(broken):
            epoch = int(epochs[broken[0]])
            value = float(losses[broken[0]])
            why = f"The {name} of epoch {epoch} is {value}."
            numbers = {"epoch": epoch, "loss": value}
            return limits.finding("KTK001", why, numbers, f"diverged in epoch {epoch}")
    first = max(curves.training[0], curves.reference)
    last = float(np.median(tail(curves.training, 0.1)))
    last = max(last, float(curves.training[-1]))
    if last <= limits.BURST * first:
        return None
    above = np.flatnonzero(curves.training > limits.BURST * first)
    epoch = int(curves.epochs[above[0]])
    why = f"The training loss ends at {last:.4g}; it began at {curves.training[0]:.4g}."
    numbers = {"epoch": epoch, "first": float(curves.training[0]), "last": last}
    return limits.finding("KTK001", why, numbers, f"diverged in epoch {epoch}")


def rate_too_high(curves: Curves) -> Finding | None:
    """Training that jumps about, or is stuck above the baseline."""
    losses = curves.training
    steps = np.diff(losses)
    falls = -steps[steps < 0].sum()
    undone = float(steps[steps > 0].sum() / falls) if falls else math.inf
    middle = float(np.median(tail(losses, 0.5)))
    rough = noise(losses) / max(abs(middle), 1e-12)
    numbers = {"noise": rough, "undone": undone, "level": middle}
    if curves.baseline is not None:
        numbers["baseline"] = curves.baseline
        stuck = middle > limits.ABOVE * curves.reference
        if stuck and undone > limits.UNDONE:
            why = (
                f"The training loss hangs at {middle:.4g}, above {curves.baseline:.4g} "
                "of the same prediction for every row."
            )
            return limits.finding("KTK004", why, numbers)
    if rough <= limits.ROUGH or undone <= limits.UNDONE:
        return _rising(curves)
    why = (
        f"The training loss jumps by {rough:.0%} of its level between epochs, and its "
        f"rises undo {undone:.0%} of its falls."
    )
    return limits.finding("KTK004", why, numbers)


def _rising(curves: Curves) -> Finding | None:
    """Training that ends far above its lowest, and above where it began."""
    smooth = level(curves.training)
    low, end, first = float(smooth.min()), float(smooth[-1]), float(smooth[0])
    rise = max(2 * noise(curves.training), limits.HIGHER * abs(low))
    if end - max(low, first) <= rise:
        return None
    epoch = int(curves.epochs[smooth.argmin()])
    why = f"The training loss rises from {low:.4g} in epoch {epoch} to {end:.4g}."
    return limits.finding("KTK004", why, {"epoch": epoch, "lowest": low, "last": end})


def too_few_rows(curves: Curves) -> Finding | None:
    """A validation part whose scores hang on single rows."""
    rows = curves.validation_rows or _rows_of_shares(curves.accuracies)
    if rows is None or rows >= limits.FEW_ROWS:
        return None
    error = 0.5 / math.sqrt(rows)
    why = (
        f"{rows} rows validate: the standard error of an accuracy is up to {error:.0%}."
    )
    return limits.finding("KTK005", why, {"validation_rows": rows})


def _rows_of_shares(shares: np.ndarray | None) -> int | None:
    """The fewest rows of which all these can be shares, if there are few."""
    if shares is None or len(np.unique(shares)) < 3:
        return None
    for rows in range(2, limits.FEW_ROWS):
        if np.abs(shares * rows - np.round(shares * rows)).max() < 1e-3:
            return rows
    return None


def too_noisy(curves: Curves) -> Finding | None:
    """A validation loss whose noise hides its trend."""
    losses = tail(curves.judged, 0.5)
    middle = float(np.median(losses))
    share = noise(losses) / max(abs(middle), 1e-12)
    rises = int((np.diff(losses) > 0).sum())
    if share <= limits.NOISY or rises < 2:  # a steep fall bends as noise does
        return None
    why = (
        f"The {curves.judged_name} jumps by {share:.0%} of its level {middle:.4g} from "
        "epoch to epoch."
    )
    return limits.finding("KTK006", why, {"noise": share, "level": middle})


def no_better(curves: Curves) -> Finding | None:
    """A loss that the same prediction for every row would reach."""
    if curves.baseline is None:
        return None
    named = [(curves.judged_name, curves.judged), ("training loss", curves.training)]
    for name, losses in named:
        best = float(level(losses).min())
        if best > limits.NO_BETTER * curves.reference:
            why = (
                f"The {name} is {best:.4g} at best; the same prediction for every row "
                f"has {curves.baseline:.4g}."
            )
            numbers = {"best": best, "baseline": curves.baseline}
            return limits.finding("KTK007", why, numbers)
    return None


def overfitting(curves: Curves) -> Finding | None:
    """Validation that rises or stays behind while training falls."""
    if curves.validation is None:
        return None
    smooth = level(curves.validation)
    best = int(smooth.argmin())
    low, end = float(smooth[best]), ending(curves.validation)
    trained = np.interp(curves.judged_epochs, curves.epochs, level(curves.training))
    numbers = {
        "lowest": low,
        "last": end,
        "training": float(trained[-1]),
        "noise": noise(curves.validation),
    }
    rise = max(
        limits.RISE * low,
        limits.LEAST_RISE * curves.reference,
        2 * noise(curves.validation),
    )
    if end - low > rise and trained[-1] < trained[best]:
        epoch = int(curves.judged_epochs[min(best + 1, len(smooth) - 1)])
        why = (
            f"The validation loss rises from {low:.4g} to {end:.4g} while training "
            f"falls from {trained[best]:.4g} to {trained[-1]:.4g}."
        )
        return _overfitting_from(epoch, why, numbers)
    gaps = smooth - trained
    wide = (gaps > limits.GAP * curves.reference) & (gaps > 0.5 * smooth)
    if not wide[-1]:
        return None
    epoch = int(
        curves.judged_epochs[len(wide) - wide[::-1].argmin() if not wide.all() else 0]
    )
    why = (
        f"The validation loss stays at {end:.4g} while training goes down to "
        f"{trained[-1]:.4g}."
    )
    return _overfitting_from(epoch, why, numbers)


def _overfitting_from(epoch: int, why: str, numbers: dict) -> Finding:
    verdict = f"overfitting from epoch {epoch}"
    return limits.finding("KTK008", why, {"epoch": epoch, **numbers}, verdict)


def rate_too_low(curves: Curves) -> Finding | None:
    """Training that falls slowly and in a straight line."""
    smooth = level(curves.training)
    third = max(1, (len(smooth) - 1) // 3)
    early, late = smooth[0] - smooth[third], smooth[-1 - third] - smooth[-1]
    fall = float((smooth[0] - smooth[-1]) / max(abs(smooth[0]), 1e-12))
    straight = float(late / early) if early > 0 else 0.0
    clear = smooth[0] - smooth[-1] > 5 * noise(curves.training)
    if not (0 < fall < limits.SLOW and straight >= limits.STRAIGHT and clear):
        return None
    why = (
        f"The training loss falls by {fall:.1%} in {len(smooth)} epochs, as fast at "
        "the end as at the start."
    )
    return limits.finding("KTK009", why, {"fall": fall, "straight": straight})


def _gain(curves: Curves) -> float:
    """Fall over the last fifth of the epochs, as a share of the level."""
    smooth = level(curves.judged)
    at = 0.8 * (len(smooth) - 1)
    fall = float(np.interp(at, np.arange(len(smooth)), smooth) - smooth[-1])
    doubt = noise(curves.judged) * 2 / math.sqrt(max(3, len(smooth) / 5))
    if fall < doubt:
        return 0.0
    return fall / max(abs(float(smooth[-1])), 0.05 * curves.reference)


def still_improving(curves: Curves) -> Finding | None:
    """A loss that was falling when training ended."""
    gain = _gain(curves)
    if gain <= limits.GAIN:
        return None
    why = (
        f"The {curves.judged_name} fell by {gain:.0%} of its level over the last fifth "
        f"of the {len(curves.training)} epochs."
    )
    return limits.finding("KTK011", why, {"gain": gain})


def underfitting(curves: Curves) -> Finding | None:
    """Training that has levelled off not far under the baseline."""
    last = float(level(curves.training)[-1])
    share = last / curves.reference
    if curves.baseline is None or share <= limits.HIGH or _gain(curves) > limits.GAIN:
        return None
    why = (
        f"The training loss has levelled off at {last:.4g}, {share:.0%} of "
        f"{curves.baseline:.4g}, which the same prediction for every row has."
    )
    numbers = {"training": last, "baseline": curves.baseline, "share": share}
    return limits.finding("KTK010", why, numbers)


def plateau(curves: Curves) -> Finding | None:
    """A loss that stands still not far from its start, with no baseline to judge it."""
    smooth = level(curves.training)
    share = float(smooth[-1] / max(abs(curves.training[0]), 1e-12))
    unknown = curves.baseline is None
    if not unknown or share <= limits.HIGH or _gain(curves) > limits.GAIN:
        return None
    why = (
        f"The training loss stands at {smooth[-1]:.4g}, {share:.0%} of that of the "
        "first epoch."
    )
    return limits.finding("KTK012", why, {"level": float(smooth[-1]), "share": share})


def poor_start(curves: Curves) -> Finding | None:
    """A first epoch far above the baseline."""
    first = float(curves.training[0])
    if curves.baseline is None or first <= limits.POOR_START * curves.reference:
        return None
    why = f"The first epoch has {first:.4g}; the baseline is {curves.baseline:.4g}."
    numbers = {"first": first, "baseline": curves.baseline}
    return limits.finding("KTK018", why, numbers)


def easy_validation(curves: Curves) -> Finding | None:
    """Validation well below training at the end."""
    if curves.validation is None or len(curves.validation) < _MIN_EPOCHS:
        return None
    training, validation = map(ending, (curves.training, curves.validation))
    if training <= 0 or validation >= limits.EASY * training:
        return None
    why = f"Validation ends at {validation:.4g}, training at {training:.4g}."
    numbers = {"training": training, "validation": validation}
    return limits.finding("KTK019", why, numbers)


def no_validation(curves: Curves) -> Finding | None:
    """A run of which only training is known."""
    if curves.validation is not None:
        return None
    why = "Only the training loss is known."
    return limits.finding("KTK021", why, {"epochs": len(curves.training)})
