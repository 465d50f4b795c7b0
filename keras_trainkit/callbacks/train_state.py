import contextlib
import os
import pathlib
import signal
import tempfile
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import keras

from keras_trainkit._checks import check_count
from keras_trainkit._train_state import callback_states, random_states, variables
from keras_trainkit._train_state.first_process import from_first
from keras_trainkit._train_state.generations import Generations
from keras_trainkit._train_state.owner import Owner
from keras_trainkit._train_state.running_fit import (
    RunningFit,
    calling_list,
    running_fit,
)
from keras_trainkit._train_state.state_file import DamagedState
from keras_trainkit._train_state.variables import refuse
from keras_trainkit._train_state.writer import Writer, wait_for_folder


class TrainState(keras.callbacks.Callback):
    """Keeps the state of a `fit` on disk; the same `fit`, called again, goes on there.

    After a kill, a full disk, a lost machine: start the same script again. The training
    ends with the weights, the optimizer's slots and the history of one that nothing had
    stopped, bit for bit. Called again after its end, `fit` trains nothing and gives the
    model that it had.

    Kept are the model's variables with its seed generators, and the optimizer's; the
    states of Python's, NumPy's, torch's and Keras' global random numbers; the epoch,
    and within it the batch and the metrics; what the other callbacks remember, in any
    order of the list:

    | callback                                     | remembers                         |
    | -------------------------------------------- | --------------------------------- |
    | those of the kit, `History`, Keras'          | all                               |
    | `EarlyStopping`, `ReduceLROnPlateau` and     |                                   |
    | `SwapEMAWeights`                             |                                   |
    | Keras' `ModelCheckpoint`                     | the best value                    |
    | one of your own with two methods,            | what `get_state` returns: a dict  |
    | `get_state()` and `set_state(state)`         | of numbers, strings, lists, arrays|
    | any other                                    | nothing                           |

    `set_state` is called after `on_train_begin`, and once more at the batch at which an
    epoch goes on.

    The data must come in the same order again:

    | data                           | the same order                                  |
    | ------------------------------ | ----------------------------------------------- |
    | arrays                         | yes; shuffled on TensorFlow, only after         |
    |                                | `keras.utils.set_random_seed`                   |
    | `data.TableBatches`,           | with a `seed`, or `shuffle=False`               |
    | `data.SequenceBatches`         |                                                 |
    | `PyDataset`                    | if a batch depends on its number alone, or on   |
    |                                | what its own `get_state` and `set_state` keep;  |
    |                                | not with several workers and `shuffle`          |
    | `tf.data`                      | with a `seed` for each shuffle, of a data set   |
    |                                | made anew in the process                        |
    | a generator, `steps_per_epoch` | no: the data begin anew, and a warning says so  |

    To go on within an epoch, its first batches are read once more and not trained on.
    No callback hears of them.

    The folder belongs to one `fit` of one process at a time. A second process fails at
    once and names the first one; what a dead one has left is taken over (on another
    host after ten minutes of silence). On SIGTERM, which a machine gets before it is
    taken away, the state is written before the next batch, or after the validation
    that is under way, and the process ends by a `SystemExit` that says so.

    States are written in a thread beside the training, one at a time; the next one,
    the end of `fit`, and a SIGTERM wait for it. A kill while it writes leaves the
    states before.

    Several processes that train one model (`keras.distribution`) go on from the state
    that the first of them keeps; the others get it over the network, and need no
    folder. All of them must have the same callbacks and as many batches.

    Files: `keep` folders, each with all variables, best weights and a list of the sizes
    and SHA-256 of its files. They hold numbers and texts; reading them runs no code. A
    damaged one is never used: the one before it is, and a warning says why.

    Args:
        directory: String or path. Folder for the files; made if it is not there.
        every: `"epoch"`, or Int >= 1: after so many batches, as soon as
            `steps_per_execution` allows. The end of the training is kept in any case.
        keep: Int >= 1. States in the folder: the newest, and those before it.

    Attributes, from `on_train_begin` on:
        resumed_epoch: Int, the epoch with which this `fit` has gone on, counted from
            0. None if it began anew.
        resumed_batch: Int, the batch of that epoch. None if it began anew.
        fallback_reason: String, why the newest state was not taken. None if it was.

    Raises:
        ValueError: From the constructor for an argument out of range. From `fit`,
            before its first step: the model is not built; another process owns the
            folder, or it cannot be written to; none of its states is whole; they are
            of another model, optimizer, number of epochs or batches, or of other
            callbacks. At any step: the folder was taken for that of a dead process, and
            another works in it now.
        OSError: From `fit`, when a state cannot be written, at the latest at its end;
            those before are kept.

    Example:

    ```python
    model.compile(keras_trainkit.optimizers.AdamW(), loss="mse")
    model.fit(x, y, epochs=20, callbacks=[OneCycle(0.01), TrainState("run")])
    ```

    Source: `keras.callbacks.BackupAndRestore` (3.15), which keeps no random numbers and
    no callbacks, forgets the epoch after a second kill within one, and loses its file
    to a kill while it writes.
    """

    resumed_epoch: int | None
    resumed_batch: int | None
    fallback_reason: str | None
    _list: Any  # of all callbacks, as long as `fit` runs
    _owner: Any
    _generations: Any
    _writer: Any
    _seeds: Any  # Keras' global generator
    _first_epoch: int | None
    _epoch: int
    _batch: int
    _since_saved: int  # batches
    _saved_at: tuple[int, int] | None
    _epoch_random: dict[str, Any] | None
    _within: dict[str, Any] | None  # a state to go on from within an epoch
    _others: Any  # all callbacks, while batches are skipped
    _train_function: Callable | None
    _is_terminated: bool
    _handler: Any
    _pid: int  # of the process that takes the signal

    def __init__(
        self,
        directory: str | os.PathLike[str],
        every: str | int = "epoch",
        *,
        keep: int = 2,
    ):
        super().__init__()
        if not isinstance(directory, (str, os.PathLike)) or not str(directory):
            raise ValueError(
                "`directory` is the folder of the state and must be a path. "
                f"Received: directory={directory!r}."
            )
        if every != "epoch":
            purpose = 'says when the state is written (or "epoch")'
            check_count("every", every, purpose)
        check_count("keep", keep, "is the number of states in the folder")
        self.directory = directory
        self.every = every
        self.keep = keep
        self._reset()

    def set_params(self, params: dict[str, Any]) -> None:
        """Goes to the end of the list, before any `on_train_begin`.

        There the other callbacks have done what they do: reset themselves, or looked at
        the epoch.
        """
        super().set_params(params)
        callbacks: Any = calling_list(self)
        if callbacks is not None:
            others = [one for one in callbacks.callbacks if one is not self]
            callbacks.callbacks = [*others, self]

    def on_train_begin(self, logs: dict | None = None) -> None:
        if threading.current_thread() is threading.main_thread():
            _let_go_of_failed_fits()
        self._reset()
        self._list = calling_list(self)
        fit = running_fit(self._list)
        if self._list is None or fit is None or self._list.callbacks[-1] is not self:
            raise ValueError(
                "TrainState goes on with a `fit` of Keras and must be one of a list of "
                "`callbacks` that is passed to it. Received: another caller."
            )
        self._check_model()
        try:
            state = from_first(self._open)
            if state is not None:
                self._go_on(state, fit)
        except BaseException:
            if self._owner is not None:
                self._owner.release()
            raise
        self._catch_signal()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.model._initial_epoch = None  # read by now; a later `fit` begins at its own
        if self._first_epoch is None:
            self._first_epoch = epoch
        self._epoch, self._batch = epoch, 0
        if self._within is not None:
            random_states.put_back(self._within["epoch_random"], self._seeds)
            self._others = self._list.callbacks
            self._list.callbacks = [self]
        self._epoch_random = random_states.take(self._seeds)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        if self._within is not None:
            if batch < self._within["batch"]:
                self._refresh()
                self._skip()
                return
            self._go_on_within(self._within)
            for callback in self._list.callbacks[:-1]:
                callback.on_train_batch_begin(batch, logs)
        self._refresh()
        self._since_saved += batch - self._batch
        self._batch = batch
        if self._is_terminated or self._is_due():
            self._save(self._epoch, batch)
        if self._is_terminated:
            self._end_process()

    def on_test_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self._refresh()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        steps = self.params["steps"]
        self._since_saved += 1 if steps is None else steps - self._batch
        self._epoch, self._batch = epoch + 1, 0
        stopped = self.model.stop_training
        is_last = stopped or self._epoch >= self.params["epochs"]
        if self.every == "epoch" or is_last or self._is_terminated or self._is_due():
            self._save(self._epoch, 0, stopped=stopped)
        if self._is_terminated:
            self._end_process()

    def on_train_end(self, logs: dict | None = None) -> None:
        self.model._initial_epoch = None
        if self._is_terminated:
            self._end_process()
        self._wait()
        self._let_go()

    def _reset(self) -> None:
        self.resumed_epoch = None
        self.resumed_batch = None
        self.fallback_reason = None
        self._list = None
        self._owner = None
        self._generations = None
        self._writer = None
        self._seeds = None
        self._first_epoch = None
        self._epoch = 0
        self._batch = 0
        self._since_saved = 0
        self._saved_at = None
        self._epoch_random = None
        self._within = None
        self._others = None
        self._train_function = None
        self._is_terminated = False
        self._handler = None
        self._pid = 0

    def _check_model(self) -> None:
        model = self.model
        if not model.built or not isinstance(
            model.optimizer, keras.optimizers.Optimizer
        ):
            raise ValueError(
                "TrainState takes the variables of a model and its optimizer, and the "
                "model must be compiled with an optimizer and built before `fit`: by a "
                "`keras.Input`, or a call on one batch. Received: a "
                f"{type(model).__name__} with built={model.built}, "
                f"optimizer={model.optimizer!r}."
            )
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self._seeds = random_states.global_seed_generator()

    def _open(self) -> Any:
        """Takes the folder, and reads its newest state."""
        folder = self._open_folder()
        self._owner = Owner(folder)
        weakref.finalize(self, self._owner.release)
        wait_for_folder(folder)
        self._generations = Generations(folder, self.keep)
        self._writer = Writer(self._generations)
        return self._read()

    def _open_folder(self) -> pathlib.Path:
        folder = pathlib.Path(self.directory)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ValueError(
                "`directory` is the folder of the state and must be one that this "
                "process may write to, on a disk with room left. "
                f"Received: {str(folder)!r}: {error}"
            ) from error
        return folder

    def _read(self) -> Any:
        try:
            state, remarks = self._generations.read()
        except DamagedState as damage:
            raise ValueError(
                "`directory` holds the states of a training, and one of them must be "
                "whole; delete the folder to begin anew. Received: "
                f"{str(self.directory)!r}: {damage}."
            ) from damage
        if remarks:
            self.fallback_reason = "; ".join(remarks)
            warnings.warn(
                f"TrainState goes on from an earlier state in {str(self.directory)!r}: "
                f"{self.fallback_reason}.",
                stacklevel=2,
            )
        return state

    def _go_on(self, state: Any, fit: RunningFit) -> None:
        """Puts back what was kept, and tells Keras with which epoch to begin."""
        with self._naming_what_is_wrong():
            self._check_same_training(state)
            epoch, batch = state["epoch"], state["batch"]
            check_count("epoch", epoch, "is in the state", at_least=0)
            check_count("batch", batch, "is in the state", at_least=0)
            self._put_back(state, ("model", "optimizer"))
            self._first_epoch = state["first_epoch"]
            past = epoch - state["first_epoch"]
            self._put_back_data(state, fit, past)
            random_states.put_back(state["random"], self._seeds)
        self.resumed_epoch, self.resumed_batch = epoch, batch
        self._saved_at = epoch, batch
        self._within = state if batch else None
        if state["stopped"]:
            epoch = self.params["epochs"]
        self.model._initial_epoch = epoch

    @contextlib.contextmanager
    def _naming_what_is_wrong(self) -> Any:
        """Within it the wrong content of a file with the right sums is named, too."""
        try:
            yield
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise ValueError(
                "`directory` holds the state of a training, and it must be one that "
                f"TrainState has written. Received: {str(self.directory)!r}, where "
                f"reading ends with {error!r}."
            ) from error

    def _facts(self) -> dict[str, Any]:
        """Facts that are those of the same training, beside variables and callbacks."""
        return {
            "backend": keras.config.backend(),
            "epochs": self.params["epochs"],
            "batches of an epoch": self.params["steps"],
            "steps_per_execution": self.model.steps_per_execution,
        }

    def _check_same_training(self, state: dict[str, Any]) -> None:
        for name, value in self._facts().items():
            if state["facts"][name] != value:
                refuse(f"`{name}`", state["facts"][name], value)

    def _put_back(self, state: dict[str, Any], groups: tuple[str, ...]) -> None:
        others = self._list.callbacks[:-1]
        callback_states.check(others, state["callbacks"])
        variables.put_back(self.model, state["variables"], groups)
        callback_states.put_back(others, state["callbacks"])

    def _put_back_data(self, state: dict, fit: RunningFit, past: int) -> None:
        data = fit.data
        if callback_states.has_hooks(data):
            data.set_state(state["data"])
        if fit.steps_per_epoch is not None or _is_stream(data):
            warnings.warn(
                "TrainState cannot tell where in the data an epoch begins, with "
                "`steps_per_epoch` or a generator: they begin anew. Weights, optimizer "
                "and callbacks go on.",
                stacklevel=2,
            )
        elif hasattr(data, "element_spec"):  # a tf.data.Dataset
            for _ in range(self._iterations(past)):  # each draws another order
                iter(data)

    def _iterations(self, past: int) -> int:
        """Iterations over a data set that Keras 3.15 begins in so many epochs.

        On TensorFlow it begins one more at the end of each whose length it knows.
        """
        is_known = self.params["steps"] is not None
        return past * (1 + (is_known and keras.config.backend() == "tensorflow"))

    def _skip(self) -> None:
        """Puts a function in the place of the training step that only reads batches.

        The first one is trained on, which builds what is built in a first step; all
        variables are put back afterwards.
        """
        model = self.model
        if self._train_function is not None:
            return
        step = self._train_function = model.train_function
        batches = model.steps_per_execution
        logs: list[Any] = []

        def read_only(*arguments: Any) -> Any:
            if not logs:
                result = step(*arguments)
                logs.append(result[0] if len(arguments) == 2 else result)
                return result
            if keras.config.backend() != "torch":  # there the batch was read before
                for _ in range(batches):
                    next(arguments[-1], None)
            # The trainer on JAX hands in the state of all variables.
            return (logs[0], arguments[0]) if len(arguments) == 2 else logs[0]

        model.train_function = read_only

    def _go_on_within(self, state: dict[str, Any]) -> None:
        """Puts back what the beginning of the epoch has changed."""
        self._within = None
        self._list.callbacks, self._others = self._others, None
        self.model.train_function, self._train_function = self._train_function, None
        with self._naming_what_is_wrong():
            self._put_back(state, variables.GROUPS)
            random_states.put_back(state["random"], self._seeds)
        self._batch = state["batch"]

    def _refresh(self, *, now: bool = False) -> None:
        if self._owner is not None:  # within `fit`, in the process that writes
            with self._letting_go_of_failures():  # such as a process that has come
                self._owner.refresh(now=now)

    def _is_due(self) -> bool:
        return self.every != "epoch" and self._since_saved >= int(self.every)

    def _save(self, epoch: int, batch: int, *, stopped: bool = False) -> None:
        self._since_saved = 0
        if self._saved_at == (epoch, batch) or self._generations is None:
            return
        self._refresh(now=True)
        data: Any = getattr(running_fit(self._list), "data", None)
        has_state = callback_states.has_hooks(data)
        state = {
            "epoch": epoch,
            "batch": batch,
            "stopped": bool(stopped),
            "first_epoch": self._first_epoch,
            "facts": self._facts(),
            "keras": keras.__version__,
            "variables": variables.take(self.model),
            "callbacks": callback_states.take(self._list.callbacks[:-1]),
            "data": data.get_state() if has_state else None,
            "random": random_states.take(self._seeds),
            "epoch_random": self._epoch_random if batch else None,
        }
        with self._letting_go_of_failures():
            self._writer.write(state)
        self._saved_at = epoch, batch

    def _wait(self) -> None:
        if self._writer is not None:  # in the process that writes
            with self._letting_go_of_failures():
                self._writer.wait()

    @contextlib.contextmanager
    def _letting_go_of_failures(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._let_go()
            raise

    def _catch_signal(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._pid = os.getpid()
            self._handler = signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        is_own = os.getpid() == self._pid  # not a fork, which only inherits this
        if is_own and running_fit(self._list, frame) is not None:
            self._is_terminated = True
            return
        self._let_go()  # an error has ended the `fit`
        os.kill(os.getpid(), number)

    def _end_process(self) -> None:
        self._wait()
        self._let_go()
        raise SystemExit(
            f"TrainState: ended by SIGTERM in epoch {self._epoch + 1}, after "
            f"{self._batch} of its batches. The state is in "
            f"{str(self.directory)!r}; the same call of `fit` goes on from it."
        )

    def _let_go(self) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGTERM, self._handler)
            self._handler = None
        if self._owner is not None:
            self._owner.release()
        self._writer = None  # and the bytes of a state with it
        self._list = None


def _let_go_of_failed_fits() -> None:
    """Takes back the handlers of fits that an error has ended, with their models."""
    while True:
        failed = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if not isinstance(failed, TrainState) or failed._handler is None:
            return
        if running_fit(failed._list) is not None:
            return
        failed._let_go()


def _is_stream(data: Any) -> bool:
    """True for a generator, or what else can be read only once."""
    return hasattr(data, "__next__")
