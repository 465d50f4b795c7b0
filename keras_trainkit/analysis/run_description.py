import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import keras

from keras_trainkit._checks import check_count

_PACKAGES = ("keras", "keras-trainkit", "tensorflow", "jax", "torch", "numpy")


def run_description(
    model: keras.Model,
    data: Any = (),
    *,
    seed: int | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Plain values by which a run can be told from another, and made again.

    For a tracker beside the metrics: as a text in TensorBoard, as a dict in MLflow.
    `runs` reads it from there.

    | key            | holds                                                       |
    | -------------- | ----------------------------------------------------------- |
    | `parameters`   | what was given                                              |
    | `seed`         | what was given                                              |
    | `model`        | name, layers with their classes and shapes, number of       |
    |                | trained and other weights                                   |
    | `training`     | class and arguments of the optimizer, loss                  |
    | `data`         | for each: shapes and a fingerprint of the values            |
    | `versions`     | of Python and of the packages that are loaded               |
    | `backend`      | backend of Keras, float type, operating system              |

    Args:
        model: `keras.Model`, built; compiled or not.
        data: Array, table, `tf.data` set and so on, as `fit` takes it, or a tuple or
            list of them. Up to 2 MB of values count in the fingerprint, of larger data
            evenly spaced rows.
        seed: Int >= 0, what `keras.utils.set_random_seed` was given, or None.
        parameters: Dict of further names and values, such as hyperparameters.

    Returns:
        Dict that `json.dumps` takes.

    Raises:
        ValueError: The model is not built, or another argument is of another kind.

    Example:

    ```python
    found = analysis.run_description(model, (x, y), seed=0, parameters={"units": 8})
    print(found["model"]["trainable_weights"])
    ```
    """
    if not isinstance(model, keras.Model) or not model.built:
        raise ValueError(
            "`model` is what is described and must be a Keras model that is built. "
            f"Received: {model!r}."
        )
    if not isinstance(parameters, Mapping | None):
        raise ValueError(
            "`parameters` are names and values to keep and must be a dict, or None. "
            f"Received: parameters={parameters!r}."
        )
    if seed is not None:
        check_count("seed", seed, "made the random numbers repeatable", at_least=0)
    from keras_trainkit.tuners._data_description import fingerprint  # brings Optuna

    return {
        "parameters": {str(k): plain(v) for k, v in (parameters or {}).items()},
        "seed": None if seed is None else int(seed),
        "model": _architecture(model),
        "training": _training(model),
        "data": [
            {"shapes": _shapes(part), "fingerprint": fingerprint(part)}
            for part in (data if isinstance(data, list | tuple) else [data])
        ],
        "versions": _versions(),
        "backend": {
            "name": keras.config.backend(),
            "floatx": keras.config.floatx(),
            "system": platform.platform(),
        },
    }


def plain(value: Any) -> Any:
    """The value for a JSON: None for NaN and infinity, a text for what is strange."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return str(value)


def _architecture(model: keras.Model) -> dict[str, Any]:
    layers = [
        {
            "name": layer.name,
            "class": type(layer).__name__,
            "weights": [list(map(int, weight.shape)) for weight in layer.weights],
        }
        for layer in model.layers
    ]
    return {
        "name": model.name,
        "class": type(model).__name__,
        "layers": layers,
        "trainable_weights": _size(model.trainable_variables),
        "other_weights": _size(model.non_trainable_variables),
    }


def _size(variables: Any) -> int:
    total = 0
    for variable in variables:
        size = 1
        for length in variable.shape:
            size *= int(length)
        total += size
    return total


def _training(model: keras.Model) -> dict[str, Any] | None:
    if not getattr(model, "compiled", False):
        return None
    optimizer, loss = model.optimizer, model.loss
    return {
        "optimizer": type(optimizer).__name__,
        "arguments": plain(optimizer.get_config()),
        "loss": _name(loss),
    }


def _name(loss: Any) -> Any:
    if isinstance(loss, Mapping):
        return {str(name): _name(part) for name, part in loss.items()}
    if isinstance(loss, list | tuple):
        return [_name(part) for part in loss]
    if isinstance(loss, keras.losses.Loss):
        return {"class": type(loss).__name__, **plain(loss.get_config())}
    return (
        loss if isinstance(loss, str | None) else getattr(loss, "__name__", str(loss))
    )


def _shapes(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(name): _shapes(part) for name, part in data.items()}
    shape = getattr(data, "shape", None)
    if shape is not None:
        return [int(size) for size in shape]
    return [len(data)] if isinstance(data, list | tuple) else None


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        if name.replace("-", "_") in sys.modules:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:  # a checkout that is not installed
                found[name] = getattr(
                    sys.modules[name.replace("-", "_")], "__version__", "unknown"
                )
    return found
