"""Sections of a report, of runs, searches, models, data and results."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras.ops import is_tensor

from keras_trainkit._arrays import as_numpy, class_labels, float_array
from keras_trainkit._tables.objects import is_missing
from keras_trainkit.analysis._history import epochs_of, read_history
from keras_trainkit.analysis._report_page import Section, Table, drawn
from keras_trainkit.analysis._report_scores import (
    broken_section,
    class_sections,
    residual_section,
)
from keras_trainkit.analysis._trials import finished_trials
from keras_trainkit.analysis.diagnosis import Diagnosis
from keras_trainkit.analysis.plot_attention import plot_attention
from keras_trainkit.analysis.plot_contour import plot_contour
from keras_trainkit.analysis.plot_gradients import plot_gradients
from keras_trainkit.analysis.plot_importances import plot_importances
from keras_trainkit.analysis.plot_learning_curves import plot_learning_curves
from keras_trainkit.analysis.plot_parallel_coordinates import plot_parallel_coordinates
from keras_trainkit.models import predict_proba

_MOST_COLUMNS = 40
_MOST_TRIALS = 20
_MOST_SEQUENCES = 3


def findings_section(diagnosis: Diagnosis) -> Section:
    """Findings first, each with its code, rule and action."""
    muted = f" Muted: {', '.join(diagnosis.muted)}." if diagnosis.muted else ""
    text = f"{diagnosis.verdict}, after {diagnosis.epochs} epochs.{muted}"
    return Section("Findings", text, diagnosis.to_dict(), findings=diagnosis.findings)


def curves_section(history: Any, validation_freq: Any, diagnosis: Diagnosis) -> Section:
    series, epochs = read_history(history)

    def plot(path: Any) -> None:
        given = {"validation_freq": validation_freq, "diagnosis": diagnosis}
        plot_learning_curves(history, path, **given)

    finals = {name: float(values[-1]) for name, values in series.items()}
    last = ", ".join(f"{name} {value:.4g}" for name, value in finals.items())
    text = f"Last of {len(epochs)} epochs: {last}."
    for name in series:  # refuses lengths that nothing explains, before the picture
        epochs_of(name, series[name], epochs, validation_freq)
    picture = drawn(plot, f"Learning curves: {diagnosis.verdict}. {text}")
    numbers = {name: values.tolist() for name, values in series.items()}
    return Section("Learning curves", text, numbers, pictures=[picture])


def gradients_section(monitor: Any) -> Section:
    finding = monitor.finding
    text = "No layer's gradients vanish, explode or turn NaN."
    if finding is not None:
        text = str(finding)
    picture = drawn(
        lambda path: plot_gradients(monitor, path), f"Norms by layer and step. {text}"
    )
    return Section("Gradients", text, monitor.to_dict(), pictures=[picture])


def result_section(title: str, result: Any) -> Section:
    """Any result of this family: it has a verdict, a picture and numbers."""
    text = str(getattr(result, "verdict", None) or getattr(result, "reason", ""))
    to_dict = getattr(result, "to_dict", None)
    numbers = to_dict() if to_dict else _numbers(vars(result))
    picture = drawn(result.plot, f"{title}. {text}")
    return Section(title, text, numbers, pictures=[picture])


def attention_section(weights: Any, sequences: Any) -> Section:
    """The first of several sequences, `(rows, time)`."""
    purpose = "`attention` holds weights (rows, time), or a pair with their sequences,"
    weights = weights if is_tensor(weights) else float_array(weights, purpose)
    weights = np.atleast_2d(as_numpy(weights))
    if weights.ndim != 2:
        raise ValueError(
            f"{purpose} and must be of these shapes. Received: weights of shape "
            f"{weights.shape}."
        )
    if sequences is not None and len(sequences) != len(weights):
        raise ValueError(
            "`attention` holds weights and their sequences and must have as many of "
            f"both. Received: {len(weights)} and {len(sequences)}."
        )
    shown = weights[:_MOST_SEQUENCES]
    pictures = []
    for row, each in enumerate(shown):
        sequence = None if sequences is None else as_numpy(sequences)[row]
        heaviest = (
            f"Sequence {row}: most weight, {each.max():.3g}, has step {each.argmax()}."
        )

        def plot(path: Any, each: Any = each, sequence: Any = sequence) -> None:
            plot_attention(each, path, sequence=sequence)

        pictures.append(drawn(plot, heaviest))
    text = f"The first {len(shown)} of {len(weights)} sequences."
    return Section("Attention", text, {"weights": shown.tolist()}, pictures=pictures)


def search_sections(tuner: Any) -> list[Section]:
    """Trials of a tuner, and its pictures as far as there are trials for them."""
    frame = tuner.trials_frame()
    if not len(frame):
        return [Section("Search", "0 trials.", {"trials": []})]
    return [_trials_section(tuner, frame), *_search_pictures(tuner)]


def _trials_section(tuner: Any, frame: Any) -> Section:
    """The best trials in a table."""
    complete = frame[frame["state"] == "COMPLETE"]
    objective = tuner.oracle.objective
    best_first = complete.sort_values("score", ascending=objective.direction != "max")
    text = f"{len(frame)} trials, {len(complete)} of them complete."
    if len(complete):
        text += (
            f" The best {objective.name} is {best_first['score'].iloc[0]:.4g}, "
            f"of trial {best_first.index[0]}."
        )
    columns = [c for c in frame.columns if c in ("score", "seconds") or "hp:" in c]
    rows = [
        [str(index), *(_plain_cell(row[c]) for c in columns)]
        for index, row in best_first.head(_MOST_TRIALS).iterrows()
    ]
    header = ["trial", *(c.removeprefix("hp:") for c in columns)]
    table = Table(f"The best {len(rows)} trials", header, rows)
    numbers = {"objective": objective.name, "trials": _records(frame)}
    return Section("Search", text, numbers, tables=[table] if rows else [])


def _search_pictures(tuner: Any) -> list[Section]:
    """The pictures, or why there are too few trials for one."""
    found = []
    shares: dict[str, float] = {}

    def importances(path: Any) -> None:
        shares.update(plot_importances(tuner, path))

    def contour(path: Any) -> None:
        plot_contour(tuner, path, _two_numbers(tuner, shares))

    lines = functools.partial(plot_parallel_coordinates, tuner)
    for title, plot, words in (
        ("Trials", lines, "Hyperparameters and score of each trial."),
        ("What mattered", importances, "Share of each hyperparameter in the score."),
        ("Two hyperparameters", contour, "Score over the two that mattered most."),
    ):
        try:
            picture = drawn(plot, words)
        except ValueError as error:  # too few trials, or nothing that varies
            found.append(Section(title, f"Not drawn: {error}"))
        else:
            values = dict(shares) if plot is importances else None
            found.append(Section(title, words, values, pictures=[picture]))
    return found


def _two_numbers(tuner: Any, shares: Mapping[str, float]) -> list[str]:
    """The two that mattered most of those with an order; else the usual ones."""
    trials = finished_trials(tuner, 1, "The contours lie between trials")
    axes = [axis for name in shares if (axis := trials.axis(name)) is not None]
    found = [axis.name for axis in axes if axis.is_number][:2]
    return found if len(found) == 2 else ["learning_rate", "batch_size"]


def data_section(x: Any, y: Any) -> Section:
    """Shapes, gaps and ranges of inputs and targets."""
    rows = [*_columns("x", x), *_columns("y", y)]
    header = ["column", "rows", "missing", "different", "mean", "lowest", "highest"]
    shown = rows[:_MOST_COLUMNS]
    text = f"{rows[0][1]:,} rows, {len(rows)} columns with the answers."
    gaps = sum(row[2] for row in rows)
    text += f" {gaps:,} values are missing." if gaps else " None is missing."
    caption = (
        "Columns" if len(shown) == len(rows) else f"The first {len(shown)} columns"
    )
    numbers = [dict(zip(header, row, strict=True)) for row in rows]
    return Section("Data", text, numbers, tables=[Table(caption, header, shown)])


def score_sections(model: Any, x: Any, y: Any) -> list[Section]:
    """Confusion and calibration, or residuals, of rows that were not trained on."""
    labels = as_numpy(y)
    if getattr(model, "task", None) in ("classification", "binary"):
        probabilities = predict_proba(model, x, verbose=0)
        if model.task == "binary" and model.output_shape[-1] != 1:
            return []  # several labels of a row have no confusion of classes
        rows, count = probabilities.shape
        names = list(model.classes or range(count))
        one_hot = labels.shape == (rows, count)
        codes = class_labels(labels.argmax(axis=1) if one_hot else labels, rows, count)
        return broken_section(probabilities) or class_sections(
            codes, probabilities, names
        )
    if labels.dtype.kind not in "biuf" and labels.ndim:
        labels = float_array(labels, "`data` hold the answers of a model")
    found = model.predict(x, verbose=0)
    predicted = None if isinstance(found, dict | list | tuple) else as_numpy(found)
    if predicted is None or predicted.size != labels.size:
        given = "several outputs" if predicted is None else f"{predicted.shape}"
        why = f"Not judged: predictions {given}, answers {labels.shape}."
        return [Section("Scores", why)]
    shape = (len(labels), -1)
    targets = labels.reshape(shape).astype("float64")
    predicted = predicted.reshape(shape).astype("float64")
    return broken_section(predicted) or [residual_section(targets, predicted)]


def model_section(description: Mapping[str, Any]) -> Section:
    model, training = description["model"], description.get("training")
    rows = [
        [
            layer.get("name"),
            layer.get("class"),
            ", ".join(map(str, layer.get("weights", ()))) or "none",
        ]
        for layer in model.get("layers", ())
    ]
    weights = model.get("trainable_weights", 0)
    text = f"{model.get('name')}: {weights:,} trained weights in {len(rows)} layers."
    if training:
        text += (
            f" {training.get('optimizer')}, loss {_loss_name(training.get('loss'))}."
        )
    table = Table("Layers", ["name", "class", "weights"], rows)
    numbers = {"model": model, "training": training}
    return Section("Model", text, numbers, tables=[table])


def versions_section(description: Mapping[str, Any]) -> Section:
    """Versions, backend, seed, parameters and the data's fingerprints."""
    known: dict[str, Any] = dict.fromkeys(("parameters", "versions", "backend"), {})
    known |= {"data": (), **description}
    seed = "unknown" if known.get("seed") is None else str(known["seed"])
    named = {"name": "backend", "floatx": "float type"}
    rows = [
        *([f"parameter {k}", str(v)] for k, v in known["parameters"].items()),
        ["seed", seed],
        *(["data", str(each.get("fingerprint"))] for each in known["data"]),
        *([str(name), str(value)] for name, value in known["versions"].items()),
        *([named.get(k, k), str(v)] for k, v in known["backend"].items()),
    ]
    numbers = {k: v for k, v in description.items() if k not in ("model", "training")}
    table = Table("Seed, versions and data", ["what", "value"], rows)
    return Section("How to make it again", "", numbers, tables=[table])


def table_section(title: str, frame: Any) -> Section:
    """A DataFrame as it is, such as a leaderboard."""
    columns = frame_columns(frame)
    header = [name for name, _ in columns]
    cells = [[_plain_cell(cell) for cell in as_numpy(column)] for _, column in columns]
    rows = [list(row) for row in zip(*cells, strict=True)]
    seen = [header[:n].count(name) for n, name in enumerate(header)]
    keys = [f"{k} ({n + 1})" if n else k for k, n in zip(header, seen, strict=True)]
    records = [dict(zip(keys, row, strict=True)) for row in rows]
    return Section(title, "", records, tables=[Table(title, header, rows)])


def _columns(name: str, data: Any) -> list[list[Any]]:
    if isinstance(data, Mapping):
        return [row for key in data for row in _columns(str(key), data[key])]
    if hasattr(data, "columns"):
        return [_column(key, as_numpy(part)) for key, part in frame_columns(data)]
    if isinstance(data, list | tuple) and all(hasattr(part, "shape") for part in data):
        named = enumerate(data)  # inputs of their own
        return [row for n, part in named for row in _columns(f"{name}[{n}]", part)]
    values = as_numpy(data)
    if values.ndim <= 1:
        return [_column(name, values)]
    flat = values.reshape(-1, values.shape[-1])
    if values.ndim == 2 and values.shape[1] == 1:
        return [_column(name, flat[:, 0])]
    return [
        [f"{name}[{n}]", len(values), *_column("", flat[:, n])[2:]]
        for n in range(flat.shape[1])
    ]


def frame_columns(frame: Any) -> list[tuple[str, Any]]:
    """Names and columns of a table of pandas, polars or pyarrow, by position."""
    if hasattr(frame, "iloc"):
        return [(str(key), frame.iloc[:, n]) for n, key in enumerate(frame.columns)]
    names = getattr(frame, "column_names", None) or frame.columns
    return [(str(key), frame[key]) for key in names]


def _column(name: str, values: np.ndarray) -> list[Any]:
    """Name, rows, missing, different, mean, lowest, highest."""
    if values.dtype.kind in "biuf":
        numbers = values.astype("float64")
        there = numbers[np.isfinite(numbers)]
        rest: list[Any] = [None] * 3
        if len(there):
            rest = [float(there.mean()), float(there.min()), float(there.max())]
        different = len(np.unique(there))
        return [name, len(values), len(values) - len(there), different, *rest]
    texts = [None if is_missing(v) else str(v) for v in values.tolist()]
    there = [text for text in texts if text is not None]
    return [
        name,
        len(texts),
        len(texts) - len(there),
        len(set(there)),
        None,
        None,
        None,
    ]


def _loss_name(loss: Any) -> str:
    return loss["class"] if isinstance(loss, Mapping) and "class" in loss else str(loss)


def _records(frame: Any) -> list[dict[str, Any]]:
    return [
        {"trial": str(index), **{str(k): _plain_cell(v) for k, v in row.items()}}
        for index, row in frame.iterrows()
    ]


def _plain_cell(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, int | float | str | None) else str(value)


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in values.items()
        if not name.startswith("_")
    }
