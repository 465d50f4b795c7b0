"""Steps that several devices cannot share, refused before the first one."""

import math
from typing import Any, NoReturn

import keras

from keras_trainkit._tensorflow.replicas import is_over_processes, replicas_of
from keras_trainkit.models._data_arrays import num_rows

_ROWS = 32  # of a batch, where `fit` is not told


def check_devices(
    model: keras.Model,
    x: Any = None,
    batch_size: int | None = None,
    validation_split: float | None = None,
    validation_data: Any = None,
    validation_batch_size: int | None = None,
    **_: Any,
) -> None:
    """Refuses (ValueError) arguments of `fit` that fail on the devices of `model`."""
    _check_replicas(model)
    devices = _devices_of_a_batch()
    rows = num_rows(x)
    if devices == 1:
        return
    judged = None
    if isinstance(validation_data, list | tuple):
        judged = num_rows(validation_data[0])
    elif validation_split and validation_data is None and rows is not None:
        trained = math.floor(rows * (1 - validation_split))
        rows, judged = trained, rows - trained
    size = batch_size or _ROWS
    _check_rows("", rows, size, devices)
    _check_rows("validation_data: ", judged, validation_batch_size or size, devices)


def _check_replicas(model: keras.Model) -> None:
    """Refuses what Keras 3.15 cannot do with replicas of TensorFlow."""
    replicas = replicas_of(model)
    if is_over_processes(model):
        raise ValueError(
            f"The strategy of {model.name} says where its replicas are, and in Keras "
            "3.15 on TensorFlow that must be in one process (MirroredStrategy); "
            "several processes train one model on JAX, with `keras.distribution`. "
            f"Received: MultiWorkerMirroredStrategy with {replicas} replicas."
        )
    if replicas > 1 and model.steps_per_execution > 1:
        raise ValueError(
            "`steps_per_execution` is the number of steps without a return to Python, "
            "and must be 1 for replicas of `tf.distribute` in Keras 3.15. Received: "
            f"steps_per_execution={model.steps_per_execution}, {replicas} replicas."
        )


def _devices_of_a_batch() -> int:
    """Number of devices among which this process divides the rows of a batch."""
    distribution = keras.distribution.distribution()
    if distribution is None or keras.config.backend() != "jax":
        return 1
    mesh = distribution.device_mesh
    axis = list(mesh.axis_names).index(distribution.batch_dim_name)
    return max(mesh.shape[axis] // distribution.num_processes, 1)


def _check_rows(of: str, rows: int | None, size: int, devices: int) -> None:
    """Refuses a batch, the last one too, that leaves rows over."""
    if rows is None:
        return
    last = rows % size
    if last % devices:
        _refuse(of, devices, f"{rows} rows, of which the last batch has {last}")
    if rows >= size and size % devices:
        _refuse(of, devices, f"batch_size={size}")


def _refuse(of: str, devices: int, received: str) -> NoReturn:
    raise ValueError(
        f"{of}`batch_size` is the number of rows that the {devices} devices of "
        "`keras.distribution` share evenly, and must be a multiple of their number, "
        "as must the rows of the last batch (leave some out). "
        f"Received: {received}."
    )
