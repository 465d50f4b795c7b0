import math
import threading
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy
from keras_trainkit._warnings import warn_user

_MOST_NAMED = 5
_WARNING = threading.Lock()


class WarnOnNaN(keras.callbacks.Callback):
    """Warns once: after a batch with a loss of NaN, or at the end of an epoch.

    Keras hands the loss of each batch to callbacks, in threads of its own where the
    backend has them, so that training does not wait; the second batch with a loss of
    NaN may come before the first. At the end of an epoch weights are
    looked at too: TensorFlow's relu makes 0 of NaN, so the loss stays finite while the
    gradient is NaN. The data are read when it warns, not before, for a model may have
    been given NaN on purpose.

    Args:
        training: `(x, y, sample_weight)` as given to `fit`.
        validation: The same of the validation data, or None.
    """

    def __init__(self, training: tuple, validation: tuple | None):
        super().__init__()
        self.data = {"loss": training, "val_loss": validation}
        self.has_warned = False
        self.epoch = 0
        self.async_safe = True  # for Keras: batches do not wait for this callback

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if not self.has_warned and _is_nan(logs, "loss"):
            when = f"after batch {batch + 1} of epoch {self.epoch + 1}"
            self._warn(f"The loss is NaN {when}.", "loss")

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        when = f"in epoch {epoch + 1}"
        if self.has_warned:
            return
        if _is_nan(logs, "loss"):
            self._warn(f"The loss is NaN {when}.", "loss")
        elif any(map(_is_not_finite, self.model.trainable_variables)):
            self._warn(f"Weights are NaN or infinite {when}.", "loss")
        elif _is_nan(logs, "val_loss"):
            self._warn(f"The val_loss is NaN {when}.", "val_loss")

    def _warn(self, found: str, key: str) -> None:
        with _WARNING:
            if self.has_warned:
                return
            self.has_warned = True
        warn_user(_with_cause(found, self.data[key]))


def _is_nan(logs: dict | None, name: str) -> bool:
    return math.isnan((logs or {}).get(name, 0.0))


def _is_not_finite(variable: keras.Variable) -> bool:
    return not bool(keras.ops.all(keras.ops.isfinite(variable)))


def _with_cause(found: str, data: tuple | None) -> str:
    """The sentence `found`, and where in the data NaN or infinity is."""
    parts = _parts_not_finite(data)
    if parts is None:
        return f"{found} Look for NaN and infinity in the data that `fit` reads."
    if not parts:
        return (
            f"{found} The inputs, targets and weights of rows are finite numbers: try "
            "a lower learning rate, `clipnorm` in the optimizer, or targets brought to "
            "unit size."
        )
    named = ", ".join(parts[:_MOST_NAMED])
    more = f" and {len(parts) - _MOST_NAMED} more" if len(parts) > _MOST_NAMED else ""
    return f"{found} NaN or infinity is in {named}{more}: fill or leave out those rows."


def _parts_not_finite(data: tuple | None) -> list[str] | None:
    """Phrases for the parts that hold a number that is not finite; None if unknown."""
    names = ("inputs", "targets", "weights of rows")
    parts: list[str] = []
    for name, part in zip(names, data or (None,), strict=False):
        for path, leaf in _leaves(name, part):
            if not hasattr(leaf, "shape"):
                return None  # a data set, or rows that are read one by one
            parts += _columns_not_finite(path, leaf)
    return parts if data else None


def _leaves(name: str, part: Any) -> Iterator[tuple[str, Any]]:
    if part is None:
        return
    if isinstance(part, dict):
        for key, value in part.items():
            yield from _leaves(f"{name} {key!r}", value)
    elif isinstance(part, list | tuple) and hasattr(next(iter(part), 0), "shape"):
        for number, value in enumerate(part):
            yield from _leaves(f"{name}[{number}]", value)
    else:
        yield name, part


def _columns_not_finite(name: str, leaf: Any) -> list[str]:
    """Phrases: columns of a table by name, of an array's last axis by number."""
    if hasattr(leaf, "columns"):
        columns = zip(leaf.columns, np.asarray(leaf).T, strict=True)
        bad = [repr(label) for label, column in columns if _any_not_finite(column)]
    elif hasattr(leaf, "tocoo"):  # SciPy's sparse matrices, which NumPy cannot read
        entries = leaf.tocoo()
        bad = list(map(str, np.unique(entries.col[_not_finite(entries.data)])))
    else:
        values = as_numpy(leaf)
        if values.ndim < 2 or values.shape[-1] == 1:
            return [f"the {name}"] if _any_not_finite(values) else []
        found = _not_finite(values).any(axis=tuple(range(values.ndim - 1)))
        bad = list(map(str, np.flatnonzero(found)))
    return [f"column {column} of the {name}" for column in bad]


def _any_not_finite(values: Any) -> bool:
    return bool(_not_finite(values).any())


def _not_finite(values: Any) -> np.ndarray:
    try:
        return ~np.isfinite(np.asarray(values, "float64"))
    except (TypeError, ValueError):  # texts
        return np.zeros(np.shape(values), bool)
