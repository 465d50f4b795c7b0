"""The data of a search, told apart from other data."""

import keras

from keras_trainkit.tuners._fingerprint import fingerprint
from keras_trainkit.tuners._fold_data import without_folds


def described(args, kwargs) -> tuple[dict, dict]:
    """Epochs, columns and shapes of x and y, and the values of all data.

    What it returns can be written as JSON.

    Args:
        args: Positional arguments of the search.
        kwargs: Its keyword arguments, as `fit` gets them.
    """
    x, y = without_folds(args, kwargs) or (None, None)
    shapes = {"epochs": kwargs.get("epochs"), "x": _shapes(x), "y": _shapes(y)}
    return shapes, {
        "x": fingerprint(x),
        "y": fingerprint(y),
        "validation_data": fingerprint(kwargs.get("validation_data")),
        "sample_weight": fingerprint(kwargs.get("sample_weight")),
    }


def _shapes(data):
    if data is None or isinstance(data, keras.utils.PyDataset):
        return None
    if isinstance(data, dict):
        return {str(name): _shapes(part) for name, part in sorted(data.items())}
    if isinstance(data, list | tuple):
        return [_shapes(part) for part in data]
    if hasattr(data, "columns") and hasattr(data, "iloc"):
        return {"rows": len(data), "columns": [str(name) for name in data.columns]}
    shape = getattr(data, "shape", None)
    return None if shape is None else [int(size) for size in shape]
