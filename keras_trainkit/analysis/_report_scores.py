"""Scores of predictions on rows that were not trained on, as sections of a report."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_trainkit.analysis._figures import legend_below, new_figure, save
from keras_trainkit.analysis._report_page import Section, Table, drawn
from keras_trainkit.analysis.calibration_error import calibration_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_CLASSES = 20  # of which every pair is drawn
_BINS = 10


def class_sections(
    labels: np.ndarray, probabilities: np.ndarray, names: Sequence[Any]
) -> list[Section]:
    """Confusion of the classes, and if probabilities can be believed.

    Args:
        labels: `(rows,)` numbers of the classes.
        probabilities: `(rows, classes)`.
        names: Names of the classes.
    """
    predicted = probabilities.argmax(axis=1)
    names = [str(name) for name in names]
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (labels, predicted), 1)
    accuracy = float((labels == predicted).mean())
    share = float(np.bincount(labels).max() / len(labels))
    wrong = _most_confused(counts, names)
    text = (
        f"{accuracy:.1%} of {len(labels):,} rows are right; the most frequent class "
        f"alone is {share:.1%} of them. {wrong}"
    )
    pictures = []
    if len(names) <= _MOST_CLASSES:
        pictures = [
            drawn(lambda path: save(_draw_confusion(counts, names), path), text)
        ]
    confusion = Section(
        "Confusion of the classes",
        text,
        {"accuracy": accuracy, "classes": names, "counts": counts.tolist()},
        pictures=pictures,
        tables=[_by_class(counts, names)],
    )
    return [confusion, _calibration(labels, probabilities)]


def broken_section(predicted: np.ndarray) -> list[Section]:
    """A section that says so where predictions are no finite numbers, else none."""
    finite = np.isfinite(predicted).reshape(len(predicted), -1).all(axis=1)
    broken = int(np.sum(~finite))
    if not broken:
        return []
    total = len(predicted)
    text = f"The model predicts NaN or infinity for {broken:,} of {total:,} rows."
    return [Section("Predictions", text, {"rows": total, "not_finite": broken})]


def residual_section(targets: np.ndarray, predicted: np.ndarray) -> Section:
    """Errors of numbers beside their predictions.

    Args:
        targets: `(rows, outputs)`.
        predicted: Likewise.
    """
    known = np.isfinite(targets).all(axis=1)
    left_out = int((~known).sum())
    targets, predicted = targets[known], predicted[known]
    if not len(targets):
        return Section("Residuals", "Not judged: no row has an answer.")
    errors = predicted - targets
    rmse = np.sqrt((errors**2).mean(axis=0))
    spread = targets.std(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = 1 - (rmse / spread) ** 2
    rows = [
        [
            f"output {n}",
            *(float(part[n]) for part in (rmse, abs(errors).mean(axis=0), explained)),
            float(errors[:, n].mean()),
        ]
        for n in range(targets.shape[1])
    ]
    text = (
        f"The root mean squared error of {len(targets):,} rows is {rmse[0]:.4g}, where "
        f"that of their mean is {spread[0]:.4g}."
    )
    if left_out:
        text += f" {left_out:,} rows without an answer are left out."
    header = ["", "RMSE", "mean absolute error", "R²", "mean error"]
    return Section(
        "Residuals",
        text,
        {
            "rmse": rmse.tolist(),
            "r2": explained.tolist(),
            "mean_error": errors.mean(axis=0).tolist(),
        },
        pictures=[
            drawn(lambda path: save(_draw_residuals(targets, errors), path), text)
        ],
        tables=[Table("Errors of each output", header, rows)],
    )


def _most_confused(counts: np.ndarray, names: list[str]) -> str:
    off = counts - np.diag(np.diag(counts))
    if not off.max():
        return "None is taken for another."
    true, taken = np.unravel_index(off.argmax(), off.shape)
    count = f"{off.max():,} row{'s' * int(off.max() != 1)}"
    return f"Most often {names[true]} is taken for {names[taken]} ({count})."


def _by_class(counts: np.ndarray, names: list[str]) -> Table:
    right = np.diag(counts)
    with np.errstate(divide="ignore", invalid="ignore"):
        recall, precision = right / counts.sum(axis=1), right / counts.sum(axis=0)
    rows = [
        [name, int(counts[n].sum()), float(recall[n]), float(precision[n])]
        for n, name in enumerate(names)
    ]
    header = ["class", "rows", "of them found (recall)", "of those named right"]
    return Table("Each class", header, rows)


def _calibration(labels: np.ndarray, probabilities: np.ndarray) -> Section:
    error = calibration_error(labels, probabilities)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.clip((confidence * _BINS).astype(int), 0, _BINS - 1)
    sizes = np.bincount(bins, minlength=_BINS)
    filled = np.flatnonzero(sizes)
    said = np.bincount(bins, confidence, _BINS)[filled] / sizes[filled]
    found = np.bincount(bins, right, _BINS)[filled] / sizes[filled]
    lean = "surer" if confidence.mean() > right.mean() else "less sure"
    text = (
        f"Of rows of which the model is {confidence.mean():.1%} sure in the mean, "
        f"{right.mean():.1%} are right: it is {lean} than it may be. Expected "
        f"calibration error {error:.3f} (0 is perfect)."
    )
    return Section(
        "Calibration",
        text,
        {
            "expected_calibration_error": error,
            "confidence": said.tolist(),
            "right": found.tolist(),
            "rows": sizes[filled].tolist(),
        },
        pictures=[
            drawn(
                lambda path: save(_draw_calibration(said, found, sizes[filled]), path),
                text,
            )
        ],
    )


def _draw_confusion(counts: np.ndarray, names: list[str]) -> "Figure":
    figure, (axes,) = new_figure()
    size = max(4.2, 1.8 + 0.4 * len(names))
    figure.set_size_inches(size + 1.2, size)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.nan_to_num(counts / counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (true, taken), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[true, taken] > 0.6 else "black"
            axes.text(taken, true, f"{count}", ha="center", va="center", color=colour)
    short = [name if len(name) <= 14 else f"{name[:13]}…" for name in names]
    turned = 45 if max(map(len, short)) > 4 and len(names) > 2 else 0
    axes.set_xticks(range(len(names)), short, rotation=turned)
    axes.set_yticks(range(len(names)), short)
    axes.set(xlabel="predicted", ylabel="true", title="Rows of each class")
    axes.grid(False)
    return figure


def _draw_calibration(
    said: np.ndarray, found: np.ndarray, sizes: np.ndarray
) -> "Figure":
    figure, (axes,) = new_figure()
    axes.plot([0, 1], [0, 1], ":", color="0.4", label="as sure as right")
    area = 20 + 180 * sizes / sizes.max()
    axes.scatter(said, found, area, color="C0", alpha=0.8, clip_on=False)
    axes.plot(said, found, color="C0", label="the model; a larger dot is more rows")
    axes.set(xlabel="how sure", ylabel="share that is right", xlim=(0, 1), ylim=(0, 1))
    legend_below(axes)
    return figure


def _draw_residuals(targets: np.ndarray, errors: np.ndarray) -> "Figure":
    outputs = min(targets.shape[1], 3)
    figure, panels = new_figure(outputs)
    chosen = np.random.default_rng(0).permutation(len(targets))[:2000]
    for number, axes in enumerate(panels):
        predicted = targets[:, number] + errors[:, number]
        axes.axhline(0, color="0.4", linewidth=1)
        axes.plot(predicted[chosen], errors[chosen, number], ".", alpha=0.5)
        axes.set(xlabel="predicted", ylabel="predicted less true")
        if outputs > 1:
            axes.set_title(f"output {number}")
    return figure
