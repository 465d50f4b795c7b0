import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_trainkit._checks import check_count
from keras_trainkit.analysis._baseline import baseline_of
from keras_trainkit.analysis._codes import CODES, finding
from keras_trainkit.analysis._curve_rules import findings_of_curves
from keras_trainkit.analysis._curves import read_curves
from keras_trainkit.analysis._model_rules import (
    check_monitor,
    findings_of_model,
    findings_of_monitor,
)
from keras_trainkit.analysis.diagnosis import Diagnosis


def diagnose(
    history: keras.callbacks.History | Mapping[str, Sequence[float]],
    model: keras.Model | None = None,
    monitor: Any = None,
    baseline: float | np.ndarray | None = None,
    mute: Iterable[str] = (),
    *,
    rows: int | None = None,
    validation_rows: int | None = None,
    validation_freq: int | Sequence[int] | None = None,
) -> Diagnosis:
    """Findings on a finished run: overfitting, a rate too low, ..., and what to do.

    Rules read the losses of each epoch. More is found with more arguments:

    | argument          | finds as well                                              |
    | ----------------- | ---------------------------------------------------------- |
    | `baseline`        | no better than the mean, underfitting, stuck, poor start   |
    | `validation_rows` | a validation set too small, without an accuracy            |
    | `model`, `rows`   | more parameters than rows; the rate in force               |
    | `monitor`         | gradients, dead and saturated units, sizes of the updates  |

    Args:
        history: What `fit` returns, or a dict like its `history` attribute.
        model: Compiled `keras.Model`, or None. Its loss tells how `baseline` is
            computed; its rate stands in the findings on the rate.
        monitor: `callbacks.GradientMonitor` that was a callback of the run, or None.
        baseline: Float, the loss of the same prediction for every row (the mean, or
            the shares of the classes); or the training targets, of which it is
            computed; None is unknown.
        mute: Codes to leave out, such as `["KTK011"]`.
        rows: Int >= 1. Training rows; None: as many as `baseline` has targets.
        validation_rows: Int >= 1. Rows of the validation part; None is unknown.
        validation_freq: As of `plot_learning_curves`.

    Returns: `Diagnosis`; print it.

    Raises:
        ValueError: For a history without a loss, a code that there is not, a baseline
            that cannot be computed, or rows below 1.

    Example:

    >>> losses = [1.0, 0.6, 0.4, 0.25, 0.15, 0.1, 0.06, 0.03]
    >>> validation = [1.0, 0.7, 0.6, 0.58, 0.6, 0.66, 0.72, 0.8]
    >>> found = diagnose({"loss": losses, "val_loss": validation}, baseline=1.1)
    >>> found.codes
    ['KTK008']

    Source: the rules after the list of SageMaker Debugger, the form of a finding after
    skore's checks (code, reason, action, `mute`). Thresholds were chosen on labelled
    curves; see `docs/diagnosis.md`.
    """
    mute = _checked_codes(mute)
    check_monitor(monitor)
    for name, value in {"rows": rows, "validation_rows": validation_rows}.items():
        if value is not None:
            check_count(name, value, "is how many rows there were")
    loss, targets = baseline_of(baseline, model)
    rows = targets if rows is None else rows
    known = {"baseline": loss, "validation_rows": validation_rows}
    curves = read_curves(history, validation_freq, **known)
    found = findings_of_curves(curves)
    found += findings_of_monitor(monitor) + findings_of_model(model, rows)
    if all(each.severity == "note" for each in found) and _is_judged(found):
        found.append(_good_fit(curves))
    found = [_with_rate(each, model) for each in found if each.code not in mute]
    found.sort(key=lambda each: list(CODES).index(each.code))
    return Diagnosis(found, mute, len(curves.training))


def _checked_codes(mute: Iterable[str]) -> tuple[str, ...]:
    purpose = "`mute` is the codes to leave out and must"
    if not isinstance(mute, Iterable):
        raise ValueError(f"{purpose} be a list of codes. Received: mute={mute!r}.")
    mute = (mute,) if isinstance(mute, str) else tuple(mute)
    for code in mute:
        if not isinstance(code, str) or code not in CODES:
            raise ValueError(
                f"{purpose} hold codes from KTK001 to {max(CODES)}. Received: {code!r}."
            )
    return mute


def _is_judged(found: list) -> bool:
    """False where no validation, or too few epochs, can tell of a good fit."""
    return not {"KTK021", "KTK022"} & {each.code for each in found}


def _good_fit(curves: Any) -> Any:
    training, validation = float(curves.training[-1]), float(curves.judged[-1])
    why = f"Validation ends at {validation:.4g}, training at {training:.4g}."
    return finding("KTK017", why, {"training": training, "validation": validation})


def _with_rate(found: Any, model: Any) -> Any:
    """The finding with the rate of the optimizer, where it is about the rate."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or found.code not in ("KTK001", "KTK004", "KTK009"):
        return found
    rate = float(f"{float(optimizer.learning_rate):.6g}")
    why = f"{found.why} The learning rate is {rate:g} at the end."
    numbers = {**found.numbers, "learning_rate": rate}
    return dataclasses.replace(found, why=why, numbers=numbers)
