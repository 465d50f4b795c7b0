import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_trainkit.analysis._figures import (
    check_path,
    logarithmic,
    new_figure,
    save,
    wants_log,
)
from keras_trainkit.analysis._searches import Search, read_search

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_STYLES = ("-", "--", ":")


def compare_searches(
    searches: Mapping[str, Any], path: str | pathlib.Path | None = None
) -> "pd.DataFrame":
    """Puts searches side by side: a table, and a picture of the best score so far.

    | column            | meaning                                                    |
    | ----------------- | ---------------------------------------------------------- |
    | `trials`          | trials that have ended, in one of the next three ways      |
    | `completed`       | with a score                                               |
    | `stopped`         | by a pruner or at a rung of Hyperband; never the best      |
    | `failed`          | with an error                                              |
    | `best_score`      | NaN where no trial completed                               |
    | `best_trial`      | its name: `trial_id`, or the number in an Optuna study     |
    | `trials_to_best`  | trials that had ended when it was found, itself included   |
    | `seconds_to_best` | seconds at work until then                                 |
    | `seconds`         | seconds at work until the last trial ended                 |
    | `epochs`          | epochs of all trainings, folds and executions included     |

    A search is at work while at least one trial is running. Trials of several workers
    at one time count once, and neither the pause before a search goes on nor the time
    lost in a killed trial counts.

    Args:
        searches: Dict from names to the kit's tuners, Optuna studies of one objective
            or stock KerasTuner tuners. An Optuna study knows no epochs, nor the name
            of its objective unless it was set (`set_metric_names`); KerasTuner keeps
            no times, so its searches are in the first panel of the picture only.
        path: File to draw into; `.png`, `.pdf` or `.svg`. None draws nothing.

    Returns:
        `pandas.DataFrame` with a row per search, `<NA>` or NaN where nothing is known.
        The picture has the best score so far over the trials and over the seconds at
        work, and a dot where the best was found.

    Raises:
        ValueError: For another suffix, for what is no search, or for searches of
            different objectives.

    Example:

    ```python
    searches = {"random": random_tuner, "hyperband": hyperband_tuner}
    print(analysis.compare_searches(searches, "searches.png"))
    ```
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError(
            "`compare_searches` returns a pandas DataFrame: "
            "pip install keras-trainkit[examples]."
        ) from error
    if path is not None:
        check_path(path)
    found = _read(searches)
    if path is not None:
        save(_draw(found), path)
    rows = pd.DataFrame([{"search": n, **_row(s)} for n, s in found.items()])
    counts = {"trials_to_best": "Int64", "epochs": "Int64"}
    times = {"best_score": float, "seconds_to_best": float, "seconds": float}
    return rows.set_index("search").astype({**counts, **times})


def _read(searches: Mapping[str, Any]) -> dict[str, Search]:
    if not isinstance(searches, Mapping) or not searches:
        raise ValueError(
            "`searches` holds what is compared and must be a dict from names to tuners "
            f"or studies that is not empty. Received: searches={searches!r}."
        )
    found = {str(name): read_search(name, source) for name, source in searches.items()}
    objectives = {s.objective for s in found.values()} - {None}
    if len(objectives) > 1 or len({s.direction for s in found.values()}) > 1:
        each = [f"{n!r}: {s.objective} ({s.direction})" for n, s in found.items()]
        raise ValueError(
            "`searches` are compared by their best scores and must have one objective "
            f"and one direction. Received: {', '.join(each)}."
        )
    return found


def _row(search: Search) -> dict[str, Any]:
    states = [trial.state for trial in search.trials]
    seconds, best = search.seconds(), search.best()
    epochs = [trial.epochs for trial in search.trials]
    found = None if best is None else search.trials[best]
    return {
        "trials": len(states),
        **{state: states.count(state) for state in ("completed", "stopped", "failed")},
        "best_score": found and found.score,
        "best_trial": found and found.name,
        "trials_to_best": None if best is None else best + 1,
        "seconds_to_best": None if best is None or seconds is None else seconds[best],
        "seconds": max(seconds) if seconds else None,
        "epochs": None if not epochs or None in epochs else sum(epochs),
    }


def _draw(searches: dict[str, Search]) -> "Figure":
    timed = any(search.seconds() for search in searches.values())
    figure, panels = new_figure(2 if timed else 1)
    known = [s.objective for s in searches.values() if s.objective]
    drawn: list[float] = []
    for number, (name, search) in enumerate(searches.items()):
        style = {
            "color": f"C{number % 10}",
            "linestyle": _STYLES[number // 10 % len(_STYLES)],
        }
        steps = range(1, len(search.trials) + 1)
        drawn.extend(_draw_steps(panels[0], name, search, steps, style))
        seconds = search.seconds()
        if seconds:
            _draw_steps(panels[-1], name, search, seconds, style)
    for axes, label in zip(panels, ("trials ended", "seconds at work"), strict=False):
        objective = known[0] if known else "score"
        axes.set(
            title=f"Best {objective} so far over {label}",
            xlabel=label,
            ylabel=f"best {objective} so far",
        )
        if wants_log(drawn):
            logarithmic(axes, drawn)
        axes.set_ylim(panels[0].get_ylim())
    panels[0].xaxis.get_major_locator().set_params(integer=True)
    columns = min(len(searches), 3 * len(panels))
    figure.legend(
        *panels[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=columns,
        frameon=False,
    )
    return figure


def _draw_steps(
    axes: Any,
    name: str,
    search: Search,
    ends: Sequence[float],
    style: dict[str, Any],
) -> Sequence[float]:
    """The best score so far as steps from the first score to the end of the search."""
    best = search.best()
    if best is None:
        axes.plot([], [], **style, label=f"{name}: no trial completed")
        return []
    scores = [np.nan if t.score is None else t.score for t in search.trials]
    fold = np.fmax if search.direction == "max" else np.fmin
    so_far = fold.accumulate(scores)
    axes.plot(ends, so_far, drawstyle="steps-post", label=name, **style)
    axes.plot(ends[best], scores[best], "o", color=style["color"], markersize=6)
    return so_far[~np.isnan(so_far)].tolist()
