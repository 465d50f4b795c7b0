import os
import pathlib
import re
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from keras_trainkit._checks import check_count, check_flag, check_number
from keras_trainkit.models._task import Task
from keras_trainkit.serving._examples import arrays_of
from keras_trainkit.serving._golden_request import write_golden_request
from keras_trainkit.serving._graph_scan import check_servable
from keras_trainkit.serving._inference_only import inference_only, layers_of
from keras_trainkit.serving._preprocessing import joined, raw_examples
from keras_trainkit.serving._saved_signature import check_same_signature
from keras_trainkit.serving._signature import (
    HALF,
    Signature,
    by_served_names,
    check_has_graph,
    signature_of,
)
from keras_trainkit.serving._task_outputs import served_task, task_signature
from keras_trainkit.serving._verification import verified_response
from keras_trainkit.serving._version_folder import (
    HIGHEST_VERSION,
    newest_version,
    publish,
)

TOLERANCE = 1e-6
HALF_TOLERANCE = {"float16": 1e-2, "bfloat16": 1e-1}  # about 10 rounding errors


def export(
    model: keras.Model,
    directory: str | os.PathLike,
    examples: Any,
    *,
    preprocessing: keras.layers.Layer | None = None,
    version: int | None = None,
    classes: Sequence | None = None,
    task: str | None = None,
    min_probability: float | None = None,
    class_sets: keras.Model | None = None,
    new_signature: bool = False,
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
    | input names           | of `keras.Input(name=...)`; see `preprocessing`;      |
    |                       | `input_class` for `class` and other words of Python   |
    | output names          | see the next table; where the model does not know its |
    |                       | task: keys of a dict of outputs, or names of layers   |
    | first axis            | any number of rows, 0 included                        |
    | other unknown axes    | any length                                            |
    | types                 | the model's; float16 and bfloat16 become float32      |
    | mode                  | inference: dropout off, running averages used         |
    | `assets.extra/golden_request.json`  | `examples`, ready to be posted          |
    | `assets.extra/golden_response.json` | the model's outputs on them             |

    What `models` builds with a `task`, and whatever ends in a `layers.Head` (a
    `layers.TemperatureScaling` may follow), gives the same outputs whatever its layers:

    | task             | output          | shape             | what                    |
    | ---------------- | --------------- | ----------------- | ----------------------- |
    | "classification" | `probabilities` | (batch, classes)  | each row sums to 1      |
    | or "binary"      | `classes`       | (batch, classes)  | their names, in each row|
    |                  | `label`         | (batch,)          | name of the most        |
    |                  |                 |                   | probable class          |
    |                  | `set`, with     | (batch, classes)  | True for each class at  |
    |                  | min_probability |                   | least so probable, or   |
    |                  | or class_sets   |                   | as class_sets says      |
    | "regression"     | `predictions`   | as the model's    | the values              |

    Names are strings, int64, bools or float64, as `classes` were given, or their codes
    0, 1, ... A single yes/no output is two classes, no and yes; several (labels that
    may hold together) have a probability of yes each, and `label` is (batch, labels), 1
    or 0. `models.predict_proba` and `models.predict_labels` say the same without a
    server.

    Names must be given, since those Keras counts up (`dense_3`) change with what was
    built before. cuDNN is turned off while the graph is traced, so a model trained on
    a GPU is served on any machine; `jit_compile` in `compile` does not reach it.

    With a `keras.layers.TextVectorization` as `preprocessing` the SavedModel takes
    `(batch,)` strings:

    | text                    | what the model answers to                           |
    | ----------------------- | --------------------------------------------------- |
    | empty, or of no word    | padding (0) alone, at least one step of it          |
    | bytes that are no UTF-8 | an unknown token for each word they are in; U+FFFD  |
    |                         | for each such byte with `split="character"`         |
    | of any length           | all its tokens, or `output_sequence_length` of them |

    The first two are tried, and refused where an error or a NaN comes back (a mean
    over no valid step is NaN). `layers.SequenceTruncation` in the model bounds what a
    long text costs. Without `output_sequence_length` a batch is as wide as its longest
    text, so padding must be masked: else an answer depends on the other texts.

    With a `layers.TableEncoder` as `preprocessing` it takes a `(batch,)` tensor for
    each column, named after it. In the name every run of other characters than letters,
    digits and underscores is an underscore, with `column_` before it where it does not
    start with a letter or is a word of Python (`hours-per-week`: `hours_per_week`;
    `20`: `column_20`; `class`: `column_class`, as `None`, `self`, ...). Several names
    without a Latin letter or digit are the columns' positions (`column_0`):

    | column                       | sent as                                         |
    | ---------------------------- | ----------------------------------------------- |
    | numbers                      | float64; NaN where missing                      |
    | True, False                  | int32 1, 0; -1 (or another) where missing       |
    | texts, whatever they are     | string, as it stands in a table; "" where       |
    | read as                      | missing                                         |
    | datetimes                    | float64, seconds since 1970-01-01 (UTC where    |
    |                              | they had a time zone); NaN where missing        |

    The arrays made of them are those of the encoder's own call, bit for bit (the last
    bit of a datetime's sine and cosine apart). `serving.served_columns(encoder, frame)`
    gives the values to send, by their names. A row of missing values and one of unseen
    texts and infinite numbers are tried.

    Args:
        model: Built functional or sequential `keras.Model`; compiled or not.
        directory: String or path. The model's folder, made where it is missing; a
            local or network disk that knows `flock` (POSIX).
        examples: Array, list of arrays in the order of the inputs, or dict of arrays
            by input name; at least 1 row, a handful is enough. Kept with the model
            in plain text: no private data.
            With `preprocessing`, raw: texts are strings or bytes; for a TableEncoder
            a DataFrame or a dict of columns, as it is called with.
        preprocessing: What makes the model's inputs of raw ones; it is joined in front.
            Not in the model's `.keras` file, so keep one of its own. None: the inputs
            are served as they are. It is one of

            - an adapted `keras.layers.TextVectorization`, for a model of one input. The
              served input has the layer's name where one was given, else the name of
              the model's input.
            - an adapted `layers.TableEncoder`, for a model with the inputs "numeric"
              and "categorical", or one of any name where the table gives one of them.
              Each column is an input; see the table above.
            - a built `keras.Model`, whose inputs are served. It gives a dict with the
              names of the model's inputs, or one tensor for one input. Integers go
              where floats are wanted; rows of token ids of any width, `(batch, None)`,
              get one 0 where that width is 0.

            Vocabularies are stored inside. One that was given as a file leaves its path
            in the graph, as the name of a table.
        version: Int >= 1. Name of the new folder. None means one above the highest
            there, 1 in an empty directory.
        classes: Sequence of different strings, integers, bools or finite floats, all of
            one type, in the order of the label codes 0, 1, ... None: those that the
            model carries.
        task: "classification", "binary" or "regression", for a model that does not say
            itself; its last layer must then show by its activation whether it gives
            logits or probabilities. None: what the model says; with `classes` alone
            "binary" of one output or a sigmoid, else "classification".
        min_probability: Float in [0, 1], for classes: gives the output `set`. None: no
            such output.
        class_sets: Model that gives the output `set` another way: of the inputs of
            `model`, True for each class that is in it, bools `(batch, classes)`. None:
            `min_probability` says.
        new_signature: Bool. True if inputs and outputs may differ from those of the
            newest version there, which its clients rely on.

    Returns:
        The `pathlib.Path` of the version folder.

    Raises:
        ValueError: An argument is wrong, the version exists, a name is missing,
            `preprocessing` has no vocabulary or does not fit the model, the
            graph holds what only this machine can run (a cuDNN, XLA, TPU or Python
            operation, a file of this machine), inputs or outputs differ from those of
            the newest version there, an output is not finite, or the
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
        check_count(
            "version",
            version,
            "names the folder of the new export",
            at_most=HIGHEST_VERSION,
        )
    check_flag(
        "new_signature",
        new_signature,
        "lets inputs and outputs differ from those of the newest version",
    )
    check_has_graph("model", "is what is exported", model)
    known = served_task(model, task, classes)
    _check_min_probability(min_probability, known.labelled)
    _check_class_sets(class_sets, model, known, min_probability)
    if known.name:
        signature = task_signature(model, known, min_probability, class_sets)
    else:
        signature = signature_of(model)
    newest = None if new_signature else newest_version(folder)
    if preprocessing is not None:
        signature = joined(preprocessing, signature)
        examples = raw_examples(preprocessing, examples)
    request = arrays_of(examples, signature.inputs)
    signature, request = by_served_names(signature, request)

    def write(draft: pathlib.Path) -> None:
        with inference_only(signature.sources):
            _save(signature, draft)
            check_servable(draft)
            if newest is not None:
                check_same_signature(draft, newest)
            tolerance = _tolerance(signature)
            response = verified_response(draft, signature, request, tolerance)
        write_golden_request(draft, request, response)

    return publish(folder, version, write)


def _check_backend() -> None:
    if keras.config.backend() != "tensorflow":
        raise RuntimeError(
            "`serving.export` writes TensorFlow's SavedModel and must run with "
            "KERAS_BACKEND=tensorflow; a `.keras` file saved here opens there. "
            f"Received: backend={keras.config.backend()!r}."
        )


def _check_min_probability(value: Any, labelled: bool) -> None:
    if value is None:
        return
    purpose = "is the probability from which on a class is in the output `set`"
    check_number("min_probability", value, purpose, at_least=0, at_most=1)
    if not labelled:
        raise ValueError(
            f"`min_probability` {purpose} and must be None for a model of no classes. "
            f"Received: min_probability={value}."
        )


def _check_class_sets(
    value: Any, model: keras.Model, task: Task, min_probability: float | None
) -> None:
    if value is None:
        return
    purpose = "is the model that gives the output `set`"
    check_has_graph("class_sets", purpose, value)
    if not task.labelled or min_probability is not None:
        raise ValueError(
            f"`class_sets` {purpose} and must be given with a model of classes and "
            f"without `min_probability`. Received: task={task.name!r}, "
            f"min_probability={min_probability}."
        )
    wanted = ((None, len(task.class_values)), "bool", *_inputs_of(model))
    found = (value.output.shape, str(value.output.dtype), *_inputs_of(value))
    if found != wanted:
        raise ValueError(
            f"`class_sets` {purpose} and must have the inputs of `model`, "
            f"{wanted[2:]}, and the output {wanted[:2]}. "
            f"Received: inputs {found[2:]}, output {found[:2]}."
        )


def _inputs_of(model: keras.Model) -> list[tuple]:
    return [(i.name, tuple(i.shape), str(i.dtype)) for i in model.inputs]


def _path(directory: Any) -> pathlib.Path:
    if not isinstance(directory, str | os.PathLike) or not os.fspath(directory):
        raise ValueError(
            "`directory` holds the versions of one served model and must be a "
            f"non-empty string or a path. Received: directory={directory!r}."
        )
    path = pathlib.Path(os.fsdecode(directory))
    found = next((p for p in (path, *path.parents) if p.exists()), path)
    if found.exists() and not found.is_dir():
        raise ValueError(
            "`directory` holds the versions of one served model and must be a folder, "
            f"or a new one. Received: directory={str(path)!r}, where {str(found)!r} is "
            "a file."
        )
    if re.search(r"\[.+\]", str(path)):
        raise ValueError(
            "`directory` holds the versions of one served model and must be a path "
            "without [...], which TensorFlow takes for a pattern when it reads the "
            f"model. Received: directory={str(path)!r}."
        )
    return path


def _save(signature: Signature, folder: pathlib.Path) -> None:
    archive = keras.export.ExportArchive()
    for source in signature.sources:
        archive.track(source)
    archive.add_endpoint("serve", signature.call, [signature.inputs])
    try:
        archive.write_out(str(folder), verbose=False)
    except tf.errors.OpError as error:  # a full disk gives OutOfRangeError, no words
        raise OSError(
            f"TensorFlow could not write the model to {str(folder)!r}: "
            f"{type(error).__name__} {error.message}"
        ) from error


def _tolerance(signature: Signature) -> float:
    used = {layer.compute_dtype for layer in layers_of(signature.sources)}
    return max([TOLERANCE, *(HALF_TOLERANCE[name] for name in HALF if name in used)])
