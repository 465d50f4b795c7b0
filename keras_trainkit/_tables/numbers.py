"""Arrays of numbers, whatever type brings them: frames, nullable types, objects."""

import numpy as np
from keras import ops

from keras_trainkit._tables.objects import numbers_in
from keras_trainkit._tables.reading import read


def number_array(values, wanted) -> np.ndarray:
    """Real numbers as an array, NaN where one is missing.

    What NumPy reads as another type (texts, complex numbers) comes as that.

    Args:
        values: Tensor, array, frame or column of one, nested lists.
        wanted: What the values are for and must be, as an error begins.

    Raises:
        ValueError: Objects that are no numbers, lists of unequal lengths; a column of
            a frame, or a feature of the last axis, is named.
    """
    if ops.is_tensor(values):
        values = ops.convert_to_numpy(values)
    if isinstance(values, np.ma.MaskedArray):
        return np.where(np.ma.getmaskarray(values), np.nan, values.data)
    if _is_frame(values) and not _is_plain(values):
        return _of_frame(values, wanted)
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of unequal lengths
        raise ValueError(f"{wanted} Received: {error}") from error
    if array.dtype.kind == "O":
        return _of_objects(array, wanted)
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def _is_frame(values):
    return all(hasattr(values, name) for name in ("columns", "dtypes", "iloc"))


def _is_plain(frame):
    """Whether NumPy makes one array of numbers of it, and not of objects."""
    kinds = {getattr(kind, "kind", "O") for kind in frame.dtypes}
    is_numpy = all(isinstance(kind, np.dtype) for kind in frame.dtypes)
    return is_numpy and (kinds <= set("iuf") or kinds == {"b"})


def _of_frame(frame, wanted):
    array = np.empty(frame.shape)
    for place, name in enumerate(frame.columns):
        try:
            column = read(name, frame.iloc[:, place])
        except ValueError as error:
            received = str(error).partition("Received: ")[2]
            raise ValueError(f"{wanted} Received: {received}") from error
        if column.holds not in ("number", "boolean", None):
            raise ValueError(
                f"{wanted} (Other columns are left out, or made numbers by "
                "`layers.TableEncoder`.) "
                f"Received: {column.types or column.holds + 's'} in {name!r}."
            )
        array[:, place] = np.nan if column.holds is None else column.values
    return array


def _of_objects(array, wanted):
    values, wrong = numbers_in(array.ravel())
    if not wrong:
        return values.reshape(array.shape)
    received = ", ".join(wrong)
    if array.ndim > 1:
        features = array.reshape(-1, array.shape[-1]).T
        places = [i for i, part in enumerate(features) if numbers_in(part)[1]]
        received += f" in feature {', '.join(map(str, places))} of the last axis"
    raise ValueError(f"{wanted} Received: dtype=object, {received}.")
