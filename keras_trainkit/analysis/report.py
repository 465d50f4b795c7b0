import dataclasses
import pathlib
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from keras_trainkit.analysis import _report_sections as sections_of
from keras_trainkit.analysis._model_rules import check_monitor
from keras_trainkit.analysis._report_page import (
    Section,
    check_report_path,
    check_title,
    write_report,
)
from keras_trainkit.analysis._samples import as_arrays
from keras_trainkit.analysis._tracked import parts_of_another_form
from keras_trainkit.analysis.cross_validation import CrossValidation
from keras_trainkit.analysis.diagnose import diagnose
from keras_trainkit.analysis.error_parts import ErrorParts
from keras_trainkit.analysis.hyperparameter_effects import HyperparameterEffects
from keras_trainkit.analysis.learning_rate_range import LearningRateRange
from keras_trainkit.analysis.loss_rise import LossRise
from keras_trainkit.analysis.run_description import run_description
from keras_trainkit.analysis.tracked_runs import TrackedRun

_TITLES: dict[type, str] = {
    LearningRateRange: "Learning rate range test",
    CrossValidation: "Cross-validation",
    HyperparameterEffects: "Sensitivity to hyperparameters",
    LossRise: "Sharpness",
    ErrorParts: "Bias and variance",
}


def report(
    run: Any,
    path: str | pathlib.Path,
    *,
    title: str = "Report of a run",
    model: keras.Model | None = None,
    data: tuple[Any, Any] | None = None,
    monitor: Any = None,
    baseline: Any = None,
    results: Sequence[Any] | Mapping[str, Any] = (),
    attention: Any = None,
    description: Mapping[str, Any] | None = None,
    mute: Iterable[str] = (),
    validation_freq: int | Sequence[int] | None = None,
) -> pathlib.Path:
    """Writes all that is known of a run or a search as a page, and as a JSON beside it.

    The page is one file: pictures are in it, it loads nothing and needs no scripts, and
    is dark where the reader's system is. Findings stand first. What is not given is
    left out.

    | section                            | comes from                                |
    | ---------------------------------- | ----------------------------------------- |
    | findings, learning curves          | `run`, with `monitor` and `baseline`      |
    | search, trials, what mattered      | `run`, if that is a tuner                 |
    | gradients                          | `monitor`                                 |
    | confusion, calibration, residuals, | `data`, and `model`                       |
    | columns of the data                |                                           |
    | a picture and a verdict each       | `results`                                 |
    | attention                          | `attention`                               |
    | model, seed, versions              | `model`, `description`                    |

    Args:
        run: What `fit` returned, or a dict like its `history`; a tuner of `tuners`
            after its search; a `TrackedRun` of `runs`; or a result that has a
            `verdict`, `plot` and `to_dict`, such as a `CrossValidation`; or None, for
            a model that was fitted in closed form.
        path: Page to write, `.html`. The JSON has the same name with `.json`. Both
            appear whole or not at all; existing ones are replaced.
        title: String at the top.
        model: `keras.Model` of the run. With a task (`models.TaskModel`) `data` are
            judged as classes.
        data: Inputs as the model takes them, and answers: rows that were not trained
            on. Class numbers or one-hot for classes, else numbers.
        monitor: `callbacks.GradientMonitor` of the run.
        baseline: As in `diagnose`.
        results: What else is known: of the range test, `cross_validate`, `sensitivity`,
            `sharpness`, `bias_variance`, importances of columns, a DataFrame such as a
            leaderboard; or a dict of titles to these.
        attention: Weights `(rows, time)` of `models.attention_scores`, or a pair of
            them and their sequences `(rows, time, features)`. Three are drawn.
        description: What `run_description` gave. None: it is made of `model`.
        mute: Codes of findings to leave out.
        validation_freq: As in `plot_learning_curves`.

    Returns:
        The path of the page.

    Raises:
        ValueError: Another suffix, a run of another kind, a result that cannot be
            drawn, answers that do not fit the model.

    Example:

    ```python
    run = model.fit(x, y, validation_split=0.2, epochs=3, verbose=0)
    analysis.report(run, "report.html", model=model, data=(x_valid, y_valid))
    ```
    """
    path = check_report_path(path)
    check_title(title)
    if model is not None and not isinstance(model, keras.Model):
        raise ValueError(
            "`model` is what was trained and must be a `keras.Model` or None. "
            f"Received: model={model!r}."
        )
    check_monitor(monitor)
    _check_description(description)
    found, verdict = _of_run(run, model, monitor, baseline, mute, validation_freq)
    if monitor is not None and monitor.steps:
        found.append(sections_of.gradients_section(monitor))
    if data is not None:
        found += _of_data(model, data)
    if not isinstance(results, Mapping | list | tuple):
        results = [] if results is None else [results]
    named = results if isinstance(results, Mapping) else _titled(results)
    named = {str(name): result for name, result in named.items()}
    found += [_of_result(name, result) for name, result in named.items()]
    if attention is not None:
        found.append(sections_of.attention_section(*_as_pair(attention)))
    about = description or getattr(run, "description", None)
    if not about and model is not None and model.built:
        about = run_description(model)
    if about and about.get("model"):
        found.append(sections_of.model_section(about))
    if about and about.get("versions"):
        found.append(sections_of.versions_section(about))
    return write_report(path, title, verdict, _unlike(found))


def _of_run(
    run: Any,
    model: Any,
    monitor: Any,
    baseline: Any,
    mute: Iterable[str],
    validation_freq: Any,
) -> tuple[list[Section], str]:
    """Sections on the run itself, and the sentence of the page."""
    if run is None:
        return [], "The model was fitted in closed form: there are no learning curves."
    if hasattr(run, "trials_frame"):
        found = sections_of.search_sections(run)
        return found, found[0].text
    history = run.history if isinstance(run, TrackedRun) else run
    curves = getattr(history, "history", history)
    if isinstance(curves, Mapping) and "loss" in curves:
        given = {"mute": mute, "validation_freq": validation_freq}
        diagnosis = diagnose(history, model, monitor, baseline, **given)
        found = [
            sections_of.findings_section(diagnosis),
            sections_of.curves_section(history, validation_freq, diagnosis),
        ]
        return found, diagnosis.verdict
    if hasattr(run, "verdict") and hasattr(run, "plot"):
        return [_of_result(_title_of(run), run)], run.verdict
    raise ValueError(
        "`run` is what is reported and must be what `fit` returned, a dict of curves "
        "with a loss, a tuner, a `TrackedRun`, or a result with a verdict and a "
        f"picture. Received: {run!r}."
    )


def _of_data(model: Any, data: Any) -> list[Section]:
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise ValueError(
            "`data` are rows that were not trained on and must be a pair of inputs and "
            f"answers. Received: {type(data).__name__}."
        )
    x, y = map(_as_given, data)
    rows, answers = _rows_in(x), _rows_in(y)
    if rows != answers or not rows:
        raise ValueError(
            "`data` are rows that were not trained on and must be one or more, with an "
            f"answer for each. Received: {rows} rows and {answers} answers."
        )
    found = [] if model is None else sections_of.score_sections(model, x, y)
    return [*found, sections_of.data_section(x, y)]


def _as_given(part: Any) -> Any:
    """Lists of values as arrays, and several inputs as they were given."""
    found = as_arrays(part)
    return list(found) if isinstance(part, list) and isinstance(found, tuple) else found


def _rows_in(part: Any) -> int:
    """Rows of inputs or answers; a table counts as one, of its rows."""
    arrays = [part] if hasattr(part, "columns") else keras.tree.flatten(part)
    fit = [a for a in arrays if len(getattr(a, "shape", ())) or hasattr(a, "to_numpy")]
    sizes = {len(array) for array in fit}
    if len(fit) != len(arrays) or len(sizes) != 1:
        raise ValueError(
            "`data` are rows that were not trained on and must be arrays or tables of "
            f"as many rows each. Received: {reprlib.repr(part)}."
        )
    return sizes.pop()


def _as_pair(attention: Any) -> tuple[Any, Any]:
    """Weights and their sequences, or None for these."""
    is_list = isinstance(attention, list) and len(attention) == 2
    if is_list and getattr(attention[0], "ndim", 1) == 2:
        attention = tuple(attention)
    if not isinstance(attention, tuple):
        return attention, None
    if len(attention) != 2:
        raise ValueError(
            "`attention` holds weights (rows, time), or a pair with their sequences, "
            f"and must be of these shapes. Received: {len(attention)} parts."
        )
    return attention


def _check_description(description: Any) -> None:
    purpose = "`description` says what the run was and must be what `run_description`"
    if not isinstance(description, Mapping | None):
        raise ValueError(f"{purpose} gave. Received: {description!r}.")
    for name in parts_of_another_form(description or {}):
        came = reprlib.repr((description or {})[name])
        raise ValueError(f"{purpose} gave. Received: {name!r} with {came}.")


def _of_result(title: str, result: Any) -> Section:
    if isinstance(result, Section):
        return result
    if hasattr(result, "columns") and hasattr(result, "shape"):
        return sections_of.table_section(title, result)
    if hasattr(result, "plot"):
        return sections_of.result_section(title, result)
    raise ValueError(
        "`results` are what else is known and must have a `plot`, as results of this "
        f"family have, or be DataFrames. Received: {type(result).__name__}."
    )


def _titled(results: Sequence[Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for result in results:
        title = _title_of(result)
        name, count = title, 1
        while name in found:
            count += 1
            name = f"{title} {count}"
        found[name] = result
    return found


def _title_of(result: Any) -> str:
    for kind, title in _TITLES.items():
        if isinstance(result, kind):
            return title
    if hasattr(result, "columns"):
        return "Leaderboard"
    if hasattr(result, "metric") and hasattr(result, "std"):
        return "Importance of the columns"
    return type(result).__name__


def _unlike(sections: list[Section]) -> list[Section]:
    """The sections, with numbers where their titles give the same anchor."""
    seen: dict[str, Section] = {}
    for section in sections:
        while section.anchor in seen:
            section = dataclasses.replace(section, number=section.number + 1)
        seen[section.anchor] = section
    return list(seen.values())
