import collections
import dataclasses
import os
import pathlib
from typing import Any

from keras_trainkit.analysis._mlflow_runs import mlflow_runs
from keras_trainkit.analysis._tensorboard_runs import tensorboard_runs
from keras_trainkit.analysis.tracked_runs import TrackedRun, TrackedRuns


def runs(directory: str | os.PathLike[str]) -> TrackedRuns:
    """Reads all runs that TensorBoard or MLflow have kept in a folder.

    | tracker     | what is read                                                     |
    | ----------- | ---------------------------------------------------------------- |
    | TensorBoard | event files in the folder and those below it. A run is a folder; |
    |             | `train` and `validation` in it, as Keras' callback makes them,   |
    |             | belong to it                                                     |
    | MLflow      | stores in SQLite files that end in `.db`; needs `mlflow-skinny`  |
    |             | or `mlflow`. Names are experiment and run                        |

    What `run_description` gave is read too: in TensorBoard as a text that is its JSON,
    in MLflow as the artifact `run.json`. Of a step that was logged twice, as by a
    resumed run, the last value counts. Of runs of one name the second is "name (2)".
    What cannot be read is passed over with a warning (UserWarning): a store, an event
    file or its damaged end, a series that holds no single numbers.

    Args:
        directory: Folder. Its event files are read whole, so it is to be trusted as
            any file that TensorBoard opens.

    Returns:
        `TrackedRuns`: a sequence, with a table (`frame`), two runs side by side
        (`compare`, `plot`) and a verdict. Empty where there are none.

    Raises:
        ValueError: There is no such folder.
        ImportError: It holds a store of MLflow, which is not installed.

    Example:

    ```python
    board = keras.callbacks.TensorBoard("logs/adam")
    model.fit(x, y, epochs=2, validation_split=0.2, verbose=0, callbacks=[board])
    found = analysis.runs("logs")
    print(found.frame())
    ```
    """
    folder = _folder(directory)
    return TrackedRuns(_unlike([*tensorboard_runs(folder), *mlflow_runs(folder)]))


def _unlike(runs: list[TrackedRun]) -> list[TrackedRun]:
    """The runs, those of an equal name with a number behind it."""
    seen: collections.Counter[str] = collections.Counter()
    found = []
    for run in runs:
        seen[run.name] += 1
        count = seen[run.name]
        name = run.name if count == 1 else f"{run.name} ({count})"
        found.append(dataclasses.replace(run, name=name))
    return found


def _folder(directory: Any) -> pathlib.Path:
    if not isinstance(directory, str | os.PathLike) or not os.path.isdir(directory):
        raise ValueError(
            "`directory` is where the runs are and must be a folder that exists. "
            f"Received: directory={directory!r}."
        )
    return pathlib.Path(directory).resolve()
