import contextlib
import os
import pathlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from keras_trainkit._checks import check_count
from keras_trainkit.serving._check import checked_answer
from keras_trainkit.serving._contract import HALF, Contract, contract_of
from keras_trainkit.serving._examples import arrays_of
from keras_trainkit.serving._golden import write_golden
from keras_trainkit.serving._publish import HIGHEST_VERSION, publish
from keras_trainkit.serving._scan import refuse_unservable

TOLERANCE = 1e-6
HALF_TOLERANCE = {"float16": 1e-2, "bfloat16": 1e-1}  # about 10 rounding errors


def export(
    model: keras.Model,
    directory: str | os.PathLike,
    examples: Any,
    *,
    version: int | None = None,
) -> pathlib.Path:
    """Writes a model as a SavedModel that has been loaded and tried.

    The folder `<directory>/<version>/` appears at once and complete, or not at all:
    it is written beside its place, reloaded, compared with the model on `examples`
    (all rows, one row, none), forced to disk and renamed. A TensorFlow Serving that
    polls `directory` never sees half a model. What is exported needs neither Keras
    nor keras_trainkit:

    | what                  | contract                                              |
    | --------------------- | ----------------------------------------------------- |
    | signature             | `serving_default` (and the same as `serve`)           |
    | input names           | of `keras.Input(name=...)`                            |
    | output names          | keys of a dict of outputs, else names of last layers  |
    | first axis            | any number of rows, 0 included                        |
    | other unknown axes    | any length                                            |
    | types                 | the model's; float16 and bfloat16 become float32      |
    | mode                  | inference: dropout off, running averages used         |
    | `assets.extra/golden_request.json`  | `examples`, ready to be posted          |
    | `assets.extra/golden_response.json` | the model's outputs on them             |

    Names must be given, since those Keras counts up (`dense_3`) change with what was
    built before. cuDNN is turned off while the graph is drawn, so a model trained on
    a GPU is served on any machine; `jit_compile` in `compile` does not reach it.

    Args:
        model: Built functional or sequential `keras.Model`; compiled or not.
        directory: String or path. The model's folder, made where it is missing; a
            local or network disk that knows `flock` (POSIX).
        examples: Array, list of arrays in the order of the inputs, or dict of arrays
            by input name; at least 1 row, a handful is enough. Kept with the model
            in plain text: no private data.
        version: Int >= 1. Name of the new folder. None means one above the highest
            there, 1 in an empty directory.

    Returns:
        The `pathlib.Path` of the version folder.

    Raises:
        ValueError: An argument is wrong, the version exists, a name is missing, the
            graph holds what only this machine can run (a cuDNN, XLA, TPU or Python
            operation, a file of this machine), an output is not finite, or the
            reloaded graph answers otherwise than the model: by more than 1e-6 of
            the largest value of that output (of 1, where that is smaller); 1e-2 and
            1e-1 where a layer computes in float16 and bfloat16.
        OSError: The disk is full or cannot be written. As after every error, nothing
            is left behind.
        RuntimeError: Keras runs on another backend than TensorFlow.

    Example:

    ```python
    import keras
    import numpy as np
    import tensorflow as tf

    from keras_trainkit import serving

    inputs = keras.Input((4,), name="features")
    hidden = keras.layers.Dense(8, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name="price")(hidden))
    x = np.array([[0.1, 0.2, 0.3, 0.4], [1.0, 0.0, -1.0, 2.0]], "float32")
    path = serving.export(model, "models/prices", x)  # models/prices/1
    served = tf.saved_model.load(path).signatures["serving_default"]
    served(features=tf.constant(x))["price"]  # equals model.predict(x)
    ```
    """
    _check_backend()
    folder = _path(directory)
    if version is not None:
        purpose = "names the folder of the new export"
        check_count("version", version, purpose, at_most=HIGHEST_VERSION)
    contract = contract_of(model)
    request = arrays_of(examples, contract.inputs)

    def write(draft: pathlib.Path) -> None:
        with _without_cudnn(_layers(contract)):
            _save(contract, draft)
            refuse_unservable(draft)
            answer = checked_answer(draft, contract, request, _tolerance(contract))
        write_golden(draft, request, answer)

    return publish(folder, version, write)


def _check_backend() -> None:
    if keras.config.backend() != "tensorflow":
        raise RuntimeError(
            "`serving.export` writes TensorFlow's SavedModel and must run with "
            "KERAS_BACKEND=tensorflow; a `.keras` file saved here opens there. "
            f"Received: backend={keras.config.backend()!r}."
        )


def _path(directory: Any) -> pathlib.Path:
    if not isinstance(directory, str | os.PathLike) or not os.fspath(directory):
        raise ValueError(
            "`directory` holds the versions of one served model and must be a "
            f"non-empty string or a path. Received: directory={directory!r}."
        )
    return pathlib.Path(os.fsdecode(directory))


def _layers(contract: Contract) -> list[keras.layers.Layer]:
    """Every layer at any depth, a Bidirectional's two included."""
    return [
        part
        for source in contract.sources
        for part in tf.train.TrackableView(source).descendants()
        if isinstance(part, keras.layers.Layer)
    ]


@contextlib.contextmanager
def _without_cudnn(layers: list[keras.layers.Layer]) -> Iterator[None]:
    """On a GPU Keras would draw an operation that runs on no other device."""
    recurrent = [layer for layer in layers if hasattr(layer, "use_cudnn")]
    before = [layer.use_cudnn for layer in recurrent]
    try:
        for layer in recurrent:
            layer.use_cudnn = False
        yield
    finally:
        for layer, use_cudnn in zip(recurrent, before, strict=True):
            layer.use_cudnn = use_cudnn


def _save(contract: Contract, folder: pathlib.Path) -> None:
    archive = keras.export.ExportArchive()
    for source in contract.sources:
        archive.track(source)
    archive.add_endpoint("serve", contract.call, [contract.inputs])
    # Gradients are not served, and theirs may be compiled functions.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    try:
        archive.write_out(str(folder), options=options, verbose=False)
    except tf.errors.OpError as error:  # a full disk gives OutOfRangeError, no words
        raise OSError(
            f"TensorFlow could not write the model to {str(folder)!r}: "
            f"{type(error).__name__} {error.message}"
        ) from error


def _tolerance(contract: Contract) -> float:
    used = {layer.compute_dtype for layer in _layers(contract)}
    return max([TOLERANCE, *(HALF_TOLERANCE[name] for name in HALF if name in used)])
