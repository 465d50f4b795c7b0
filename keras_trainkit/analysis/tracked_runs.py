import dataclasses
import datetime
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_trainkit.analysis._figures import (
    check_path,
    legend_below,
    logarithmic,
    new_figure,
    save,
    wants_log,
)
from keras_trainkit.analysis._history import best_index
from keras_trainkit.analysis.run_description import plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclasses.dataclass(frozen=True)
class TrackedRun:
    """One run of a training, as a tracker has kept it.

    Attributes:
        name: String. Folder of the event files, or experiment and run of MLflow.
        source: "TensorBoard" or "MLflow".
        started: `datetime` in UTC, or None.
        seconds: Float from the first to the last that was kept, or None.
        parameters: Dict of hyperparameters and what else was logged as such.
        history: Dict of the name of a loss or metric to a value per epoch.
        scalars: Dict of other names to their steps and values, such as norms of
            gradients.
        description: Dict that `run_description` gave, or empty.
    """

    name: str
    source: str
    started: datetime.datetime | None
    seconds: float | None
    parameters: dict[str, Any]
    history: dict[str, list[float]]
    scalars: dict[str, tuple[list[int], list[float]]]
    description: dict[str, Any]

    @property
    def epochs(self) -> int:
        """The most values of a loss or metric."""
        return max((len(values) for values in self.history.values()), default=0)


class TrackedRuns(Sequence[TrackedRun]):
    """Runs of one folder: a sequence, a table, two of them beside each other.

    Args:
        runs: `TrackedRun`s, of different names.
    """

    def __init__(self, runs: Sequence[TrackedRun]):
        self._runs = list(runs)

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[TrackedRun]:
        return iter(self._runs)

    def __getitem__(self, number: Any) -> Any:
        """A run by its number or name."""
        if isinstance(number, str):
            return self._named(number)
        return self._runs[number]

    @property
    def verdict(self) -> str:
        """A sentence: how many there are, and which has the best validation loss.

        The lowest finite one; training losses, where no run has a finite one.
        """
        count = f"{len(self)} run{'s' * (len(self) != 1)}"
        for metric in ("val_loss", "loss"):
            bests = [(_best(run, metric), run) for run in self]
            finite = [pair for pair in bests if math.isfinite(pair[0])]
            if finite:
                value, run = min(finite, key=lambda pair: pair[0])
                at = best_index(metric, np.asarray(run.history[metric], "float64"))
                return (
                    f"{count}; the lowest {metric} is {value:.4g}, of {run.name!r} in "
                    f"epoch {(at or 0) + 1} of {run.epochs}."
                )
        return f"{count}, none with a finite loss."

    def frame(self) -> "pd.DataFrame":
        """A row for each run, by its name.

        Columns: source, started, seconds, epochs, seed, fingerprint of the data; for
        each loss and metric its best value where its name tells what is better, else
        the last; and the parameters, with "param " before their names.
        """
        import pandas as pd

        rows = [_row(run) for run in self]
        return pd.DataFrame(rows, index=pd.Index([r.name for r in self], name="run"))

    def compare(self, one: str | int, other: str | int) -> str:
        """Lines of text: what differs between two runs, and their scores."""
        pair = self[one], self[other]
        facts = [_facts(run) for run in pair]
        names = list(dict.fromkeys([*facts[0], *facts[1]]))
        lines = [["", pair[0].name, pair[1].name]]
        lines += [
            [name, *(_short(found.get(name, "-")) for found in facts)]
            for name in names
            if facts[0].get(name) != facts[1].get(name)
        ]
        widths = [max(len(line[at]) for line in lines) for at in range(3)]
        return "\n".join(
            "  ".join(
                cell.ljust(width) for cell, width in zip(line, widths, strict=True)
            ).rstrip()
            for line in lines
        )

    def plot(
        self, path: str | pathlib.Path, names: Sequence[str | int] | None = None
    ) -> None:
        """Draws the curves of runs over the epochs, a panel for each loss and metric.

        Training is solid, validation dashed, a colour for each run.

        Args:
            path: File to write; `.png`, `.pdf` or `.svg`.
            names: Names or numbers of the runs. None: all, of which there may be ten.
        """
        check_path(path)
        runs = list(self) if names is None else [self[name] for name in names]
        drawn = [run for run in runs if run.history]
        if not 1 <= len(drawn) <= 10:
            raise ValueError(
                "`names` are the runs to draw and must be from 1 to 10 that have a "
                f"history. Received: {len(drawn)} of them."
            )
        save(_draw(drawn), path)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for a JSON; None for what is no finite number."""
        return {
            "verdict": self.verdict,
            "runs": [
                plain(
                    {
                        **dataclasses.asdict(run),
                        "started": run.started and run.started.isoformat(),
                    }
                )
                for run in self
            ],
        }

    def __repr__(self) -> str:
        return f"TrackedRuns({self.verdict})"

    def _named(self, name: str) -> TrackedRun:
        for run in self._runs:
            if run.name == name:
                return run
        names = [run.name for run in self._runs]
        raise ValueError(
            f"A run is chosen by its number or name, and must be one of {names}. "
            f"Received: {name!r}."
        )


def _best(run: TrackedRun, metric: str | None) -> float:
    """The best value of an epoch, or the last one where the name does not tell."""
    values = np.asarray(run.history.get(metric or "", ()), "float64")
    if not len(values):
        return math.nan
    best = best_index(str(metric), values)
    return float(values[-1 if best is None else best])


def _row(run: TrackedRun) -> dict[str, Any]:
    found: dict[str, Any] = {
        "source": run.source,
        "started": run.started,
        "seconds": run.seconds,
        "epochs": run.epochs,
        "seed": run.description.get("seed"),
        "data": _fingerprint(run),
    }
    found |= {name: _best(run, name) for name in run.history}
    return found | {f"param {name}": value for name, value in run.parameters.items()}


def _facts(run: TrackedRun) -> dict[str, Any]:
    """All that may differ, flat, by a name."""
    found = _row(run)
    del found["started"]
    if found["seconds"] is not None:
        found["seconds"] = round(found["seconds"], 1)
    for part in ("model", "training", "versions", "backend"):
        found |= _flat(part, run.description.get(part))
    return found


def _flat(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list):
        parts = enumerate(value)  # type: ignore[assignment]
    else:
        return {} if value is None else {name: value}
    return {
        key: found
        for inner, part in parts
        if inner != "name"  # Keras counts its layers
        for key, found in _flat(f"{name} {inner}", part).items()
    }


def _fingerprint(run: TrackedRun) -> str | None:
    parts = run.description.get("data") or ()
    return " ".join(str(part.get("fingerprint"))[:8] for part in parts) or None


def _short(value: Any) -> str:
    text = f"{value:.5g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _draw(runs: Sequence[TrackedRun]) -> "Figure":
    names = [n.removeprefix("val_") for run in runs for n in run.history]
    names = sorted(dict.fromkeys(names), key=lambda name: name != "loss")
    figure, panels = new_figure(len(names))
    for name, axes in zip(names, panels, strict=True):
        every: list[float] = []
        for number, run in enumerate(runs):
            for key, style in ((name, "-"), (f"val_{name}", "--")):
                values = np.asarray(run.history.get(key, ()), "float64")
                if not len(values):
                    continue
                part = "validation" if style == "--" else "training"
                label = f"{run.name}, {part}"
                at = np.arange(1, len(values) + 1)
                axes.plot(at, values, style, color=f"C{number}", label=label)
                every += values[np.isfinite(values)].tolist()
        if wants_log(every):
            logarithmic(axes, every)
        axes.set(title=name.replace("_", " "), xlabel="epoch", ylabel=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        legend_below(axes, columns=1)
    return figure
