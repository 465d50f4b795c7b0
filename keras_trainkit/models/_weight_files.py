import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator

import h5py
import keras

from keras_trainkit.layers import Head


@contextlib.contextmanager
def with_head(
    model: keras.Model, filepath: str | os.PathLike
) -> Iterator[str | os.PathLike]:
    """The file; of one written when the head was a `Dense` layer a changed copy.

    Keras names weights in files after the classes of layers: the last layer was
    "dense_2" and is "head" since there is `layers.Head`.
    """
    name = _dense_for_head(model, filepath)
    if name is None:
        yield filepath
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(filepath, folder)
        with h5py.File(copy, "r+") as file:
            file.move(f"layers/{name}", "layers/head")
        yield copy


def _dense_for_head(model: keras.Model, filepath: str | os.PathLike) -> str | None:
    """The name of the head's weights in such a file; None in any other."""
    if not str(filepath).endswith(".weights.h5") or not os.path.isfile(filepath):
        return None
    classes = [type(layer) for layer in model.layers]
    number = classes.count(keras.layers.Dense)
    with h5py.File(filepath) as file:
        saved = set(file.get("layers", ()))
    names = ["dense", *(f"dense_{n}" for n in range(1, number + 1))]
    is_earlier = classes.count(Head) == 1 and "head" not in saved
    return names[-1] if is_earlier and saved.issuperset(names) else None
