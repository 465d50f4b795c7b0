"""Networks of a trial in a file: weights, histories, and what they predicted."""

import contextlib
import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from keras_trainkit._disk import check_regular, check_unpacked, replacing
from keras_trainkit._types import Model
from keras_trainkit.estimators._training import Trained, plain_values
from keras_trainkit.tuners._patient_storage import StorageFailed

FILE = "networks.npz"


@dataclasses.dataclass(frozen=True)
class TrialNetworks:
    """Networks of a trial as they were trained, one for each part of the rows.

    Args:
        weights: For each network the arrays of `Model.get_weights`.
        histories: For each, dict of name to a value per epoch.
        outputs: `(validation rows, outputs)`, as in `Trained`.
        predict_seconds: What these outputs took.
        is_cut: True if the time limit ended the training of the last network.
    """

    weights: list[list[np.ndarray]]
    histories: list[dict[str, list]]
    outputs: np.ndarray
    predict_seconds: float
    is_cut: bool

    @classmethod
    def of(cls, networks: Sequence[Trained], is_cut: bool) -> "TrialNetworks":
        return cls(
            [network.model.get_weights() for network in networks],
            [_plain(history) for n in networks for history in n.histories],
            np.concatenate([network.outputs for network in networks]),
            sum(network.predict_seconds for network in networks),
            is_cut,
        )

    def models(self, build: Callable[[], Model]) -> list[Model]:
        """The networks, built anew."""
        models = [build() for _ in self.weights]
        for model, weights in zip(models, self.weights, strict=True):
            model.set_weights(weights)
        return models


def write_trial(folder: pathlib.Path, networks: TrialNetworks) -> None:
    """Writes the file whole or not at all; the folder is this trial's own.

    Raises:
        StorageFailed: It cannot be written there.
    """
    about = {
        "histories": networks.histories,
        "predict_seconds": networks.predict_seconds,
        "is_cut": networks.is_cut,
        "weights": [len(arrays) for arrays in networks.weights],
    }
    every = [array for weights in networks.weights for array in weights]
    arrays: dict[str, Any] = {f"weight_{n}": array for n, array in enumerate(every)}
    arrays |= {"about": np.array(json.dumps(about)), "outputs": networks.outputs}
    temporary = folder / f".{os.getpid()}.{FILE}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f".*.{FILE}"):  # by a process that was killed
            left.unlink(missing_ok=True)
        with replacing(temporary, folder / FILE), temporary.open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise StorageFailed(str(folder / FILE), str(error)) from error


def read_trial(
    folder: pathlib.Path, networks: int, shape: tuple[int, int]
) -> TrialNetworks | None:
    """The trial that `write_trial` wrote; None if missing, broken or another's.

    Args:
        networks: Int. Those that a trial has.
        shape: Of their outputs.
    """
    try:
        with _opened(folder) as found:
            about = json.loads(str(found["about"]))
            counts = about["weights"]
            arrays = [found[f"weight_{number}"] for number in range(sum(counts))]
            ends = zip(np.cumsum(counts), counts, strict=True)
            trial = TrialNetworks(
                [arrays[end - count : end] for end, count in ends],
                [{name: list(log[name]) for name in log} for log in about["histories"]],
                found["outputs"],
                float(about["predict_seconds"]),
                bool(about["is_cut"]),
            )
    except Exception:  # of whatever a file brings about that is not whole
        return None
    counted = len(trial.weights) == len(trial.histories) == networks
    whole = counted and min(counts) >= 0 and trial.outputs.shape == shape
    numbers = trial.outputs.dtype.kind == "f" and all(
        array.dtype.kind in "biuf" for array in arrays
    )
    return trial if whole and numbers else None


def read_predict_seconds(folder: pathlib.Path) -> float:
    """`TrialNetworks.predict_seconds` of the file alone; NaN if it is broken."""
    try:
        with _opened(folder) as found:
            return float(json.loads(str(found["about"]))["predict_seconds"])
    except Exception:  # as above
        return float("nan")


@contextlib.contextmanager
def _opened(folder: pathlib.Path) -> Iterator[Any]:
    """The arrays by name; closed afterwards, which NumPy leaves out for a torn file."""
    check_regular(folder / FILE)
    check_unpacked(folder / FILE)
    with (folder / FILE).open("rb") as file, np.load(file, allow_pickle=False) as found:
        yield found


def _plain(history: dict[str, Any]) -> dict[str, list]:
    return {name: plain_values(values) for name, values in history.items()}
