"""The first loss of NaN, or weight that is no finite number, and where it is from."""

import math
import warnings

import keras
import numpy as np

from keras_trainkit._arrays import as_numpy

_MOST_NAMED = 5


class SaysNotFinite(keras.callbacks.Callback):
    """Warns once, at the end of the first epoch with a loss or weight of NaN.

    Epochs only: looking at the loss of each batch would wait for each batch. Weights
    too: TensorFlow's relu makes 0 of NaN, so the loss stays finite, and the gradient
    is NaN. The data are read then, not before, for a model may have been given NaN on
    purpose.

    Args:
        training: `(x, y, sample_weight)` as given to `fit`.
        validation: The same of the validation data, or None.
    """

    def __init__(self, training: tuple, validation: tuple | None):
        super().__init__()
        self.data = {"loss": training, "val_loss": validation}
        self.said = False

    def on_epoch_end(self, epoch, logs=None):
        if self.said:
            return
        logs = logs or {}
        if math.isnan(logs.get("loss", 0.0)):
            self._say("The loss is NaN", epoch, "loss")
        elif any(map(_is_not_finite, self.model.trainable_variables)):
            self._say("Weights are NaN or infinite", epoch, "loss")
        elif math.isnan(logs.get("val_loss", 0.0)):
            self._say("The val_loss is NaN", epoch, "val_loss")

    def _say(self, found, epoch, key):
        self.said = True
        text = _told(f"{found} in epoch {epoch + 1}.", self.data[key])
        warnings.warn(text, stacklevel=2)


def _is_not_finite(variable):
    return not bool(keras.ops.all(keras.ops.isfinite(variable)))


def _told(found, data):
    places = _places(data)
    if places is None:
        return f"{found} Look for NaN and infinity in the data that `fit` reads."
    if not places:
        return (
            f"{found} The inputs, targets and weights of rows are finite numbers: try "
            "a lower learning rate, `clipnorm` in the optimizer, or targets brought to "
            "unit size."
        )
    named = ", ".join(places[:_MOST_NAMED])
    more = f" and {len(places) - _MOST_NAMED} more" if len(places) > _MOST_NAMED else ""
    return f"{found} NaN or infinity is in {named}{more}: fill or leave out those rows."


def _places(data):
    """Phrases for the parts that hold a number that is not finite; None if unknown."""
    names = ("inputs", "targets", "weights of rows")
    places = []
    for name, part in zip(names, data or (None,), strict=False):
        for path, leaf in _leaves(name, part):
            if not hasattr(leaf, "shape"):
                return None  # a data set, or rows that are read one by one
            places += _columns(path, leaf)
    return places if data else None


def _leaves(name, part):
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


def _columns(name, leaf):
    """The columns of a table by name, those of an array's last axis by number."""
    if hasattr(leaf, "columns"):
        columns = zip(leaf.columns, np.asarray(leaf).T, strict=True)
        bad = [repr(label) for label, column in columns if _any_not_finite(column)]
    else:
        values = as_numpy(leaf)
        if values.ndim < 2 or values.shape[-1] == 1:
            return [f"the {name}"] if _any_not_finite(values) else []
        rows = _not_finite(values).reshape(-1, values.shape[-1])
        bad = list(map(str, np.flatnonzero(rows.any(axis=0))))
    return [f"column {column} of the {name}" for column in bad]


def _any_not_finite(values):
    return bool(_not_finite(values).any())


def _not_finite(values):
    try:
        return ~np.isfinite(np.asarray(values, "float64"))
    except (TypeError, ValueError):  # texts
        return np.zeros(np.shape(values), bool)
