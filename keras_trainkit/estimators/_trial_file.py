"""Networks of a trial in a file: weights, histories, and what they predicted."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_trainkit._disk import replace
from keras_trainkit._types import Model
from keras_trainkit.estimators._training import Trained, plain_values

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
    """Writes the file whole or not at all; the folder is this trial's own."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f".*.{FILE}"):  # by a process that was killed
        left.unlink(missing_ok=True)
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
    with temporary.open("wb") as file:
        np.savez(file, **arrays)
    replace(temporary, folder / FILE)


def read_trial(folder: pathlib.Path) -> TrialNetworks | None:
    """What `write_trial` wrote, or None if the file is missing or broken."""
    try:
        with np.load(folder / FILE, allow_pickle=False) as found:
            about = json.loads(str(found["about"]))
            total = sum(about["weights"])
            arrays = [found[f"weight_{number}"] for number in range(total)]
            outputs = found["outputs"]
    except Exception:  # of whatever a file brings about that is not whole
        return None
    counts = about["weights"]
    ends = zip(np.cumsum(counts), counts, strict=True)
    return TrialNetworks(
        [arrays[end - count : end] for end, count in ends],
        about["histories"],
        outputs,
        about["predict_seconds"],
        about["is_cut"],
    )


def _plain(history: dict[str, Any]) -> dict[str, list]:
    return {name: plain_values(values) for name, values in history.items()}
