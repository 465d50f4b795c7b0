"""The report of a fitted estimator, out of the sections of `analysis.report`."""

import pathlib
import reprlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from keras_trainkit._arrays import as_numpy, float_array
from keras_trainkit._row_labels import check_row_order
from keras_trainkit.analysis import report, run_description
from keras_trainkit.analysis._figures import new_figure, save
from keras_trainkit.analysis._report_page import (
    Section,
    Table,
    check_report_path,
    check_title,
    drawn,
)
from keras_trainkit.analysis._report_scores import (
    broken_section,
    class_sections,
    residual_section,
)
from keras_trainkit.analysis._report_sections import data_section


def report_of(
    estimator: Any,
    path: Any,
    X: Any,  # noqa: N803
    y: Any,
    title: str | None,
    mute: Iterable[str],
) -> pathlib.Path:
    check_is_fitted(estimator)
    path = check_report_path(path)
    title = type(estimator).__name__ if title is None else title
    check_title(title)
    if (X is None) != (y is None):
        given = "X" if y is None else "y"
        raise ValueError(
            "`X` and `y` are rows that were not trained on and must both be given, or "
            f"none of them. Received: {given} alone."
        )
    check_row_order("y", y, X)
    results = _results(estimator, X, y)
    history = estimator.history_  # empty where a model was fitted in closed form
    return report(
        first_training(history) if history else None,
        path,
        title=title,
        model=estimator.model_,
        results=results,
        description=run_description(
            estimator.model_, seed=estimator.recipe_["seed"]["value"]
        ),
        mute=mute,
    )


def _results(estimator: Any, X: Any, y: Any) -> dict[str, Any]:  # noqa: N803
    """Sections of the page by title; scores and data where there are rows."""
    results: dict[str, Any] = {"Recipe": _recipe(estimator)}
    results["Validation rows"] = _validated(estimator)
    leaderboard = estimator.recipe_.get("leaderboard", {}).get("value")
    if leaderboard is not None:
        results["Leaderboard"] = estimator.leaderboard()
    if X is None:
        return results
    results |= {each.title: each for each in _scores(estimator, X, y)}
    if hasattr(estimator, "feature_importances"):
        found = estimator.feature_importances(X, y)
        results["Importance of the columns"] = found
    if isinstance(X, Mapping | np.ndarray) or hasattr(X, "columns"):
        results["Data"] = data_section(X, y)
    return results


def first_training(history: Mapping[str, list]) -> dict[str, list]:
    """Curves of the first network of several, one after the other in the history."""
    keys = [name for name in ("trial", "fold") if name in history]
    kept = np.ones(len(history["loss"]), bool)
    for name in keys:
        numbers = np.asarray(history[name])
        kept &= numbers == numbers[kept][0]
    return {
        name: [value for value, of_it in zip(values, kept, strict=True) if of_it]
        for name, values in history.items()
        if name not in keys and np.ndim(values) == 1
    }


def _recipe(estimator: Any) -> Section:
    recipe, history = estimator.recipe_, estimator.history_
    trained = {
        tuple(history[name][epoch] for name in ("trial", "fold") if name in history)
        for epoch in range(len(history.get("loss", ())))
    }
    text = ""
    if len(trained) > 1:
        text = (
            f"{len(trained)} networks were trained one after the other; the findings "
            "and the learning curves on this page are those of the first."
        )
    rows = [
        [name, _short(chosen["value"]), str(chosen["reason"])]
        for name, chosen in recipe.items()
        if not isinstance(chosen["value"], Mapping)
    ]
    table = Table("What was chosen, and why", ["name", "value", "reason"], rows)
    numbers = {name: dict(chosen) for name, chosen in recipe.items()}
    return Section("Recipe", text, numbers, tables=[table])


def _validated(estimator: Any) -> Section:
    """Validation rows, of which the estimator keeps how far off each was."""
    scores = np.asarray(estimator.conformity_scores_, "float64")
    first = scores.reshape(len(scores), -1)[:, 0]
    outputs = scores.size // max(len(scores), 1)
    half, most = np.quantile(first, [0.5, 0.9])
    if is_classifier(estimator):
        what = "probability of the other classes"
        text = (
            f"Half of the {len(first):,} validation rows give the true class a "
            f"probability of at least {1 - half:.3g}, nine in ten of {1 - most:.3g}."
        )
    else:
        what = "distance of the prediction from the truth"
        text = (
            f"Half of {len(first):,} validation rows are off by {half:.4g} or less, "
            f"nine in ten by {most:.4g}{', in the first output' * (outputs > 1)}."
        )

    def plot(path: Any) -> None:
        figure, (axes,) = new_figure()
        axes.hist(first, bins=min(40, max(10, len(first) // 10)))
        axes.set(xlabel=what, ylabel="rows", title="Rows that were validated")
        save(figure, path)

    numbers = {"rows": len(first), "median": float(half), "nine_in_ten": float(most)}
    picture = drawn(plot, f"Histogram of the validation rows: {what}. {text}")
    return Section("Validation rows", text, numbers, pictures=[picture])


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _answers(y: Any, are_numbers: bool) -> np.ndarray:
    purpose = "`y` are the answers of the rows"
    try:
        answers = as_numpy(y)
    except ValueError as error:
        raise ValueError(
            f"{purpose} and must be an array, or lists of one length. "
            f"Received: {reprlib.repr(y)}."
        ) from error
    if are_numbers and answers.dtype.kind not in "biuf":
        return float_array(answers, purpose)
    return answers


def _scores(estimator: Any, X: Any, y: Any) -> list[Section]:  # noqa: N803
    regression = not is_classifier(estimator)
    answers = _answers(y, regression)
    found = estimator.predict(X) if regression else estimator.predict_proba(X)
    wanted = np.shape(found) if regression else np.shape(found)[:1]
    if answers.shape not in (wanted, (*wanted, 1)):
        raise ValueError(
            "`y` are the answers of the rows and must have the shape "
            f"{wanted}. Received: {answers.shape}."
        )
    if regression:
        rows = len(answers), -1
        pair = (part.reshape(rows).astype("float64") for part in (answers, found))
        return [residual_section(*pair)]
    names = estimator.classes_.tolist()
    numbers = {name: number for number, name in enumerate(names)}
    unknown = sorted({str(v) for v in answers.ravel().tolist() if v not in numbers})
    if unknown:
        raise ValueError(
            f"`y` are the answers of the rows and must be among the classes, {names}. "
            f"Received: {unknown[:9]}."
        )
    labels = np.array([numbers[value] for value in answers.ravel().tolist()])
    return broken_section(found) or class_sections(labels, found, names)
