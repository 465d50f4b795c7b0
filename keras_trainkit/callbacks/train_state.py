import contextlib
import os
from collections.abc import Iterator
from typing import Any

import keras

from keras_trainkit._checks import check_count
from keras_trainkit._train_state import data_order, parts, random_states, variables
from keras_trainkit._train_state.first_process import from_first
from keras_trainkit._train_state.running_fit import (
    RunningFit,
    calling_list,
    running_fit,
)
from keras_trainkit._train_state.skipped_batches import SkippedBatches
from keras_trainkit._train_state.state_folder import StateFolder
from keras_trainkit._train_state.termination import Termination, let_go_of_failed_fits
from keras_trainkit._warnings import warn_user


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
    _folder: StateFolder | None  # in the process that writes
    _seeds: Any  # Keras' global generator
    _first_epoch: int | None
    _epoch: int
    _batch: int
    _since_saved: int  # batches
    _saved_at: tuple[int, int] | None
    _epoch_random: dict[str, Any] | None
    _within: dict[str, Any] | None  # a state to go on from within an epoch
    _skipped: Any  # `SkippedBatches`, until the batch at which the epoch goes on
    _termination: Termination | None

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
        let_go_of_failed_fits()
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
            if self._folder is not None:
                self._folder.release()
            raise
        self._termination = Termination(self._list, self._let_go)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.model._initial_epoch = None  # read by now; a later `fit` begins at its own
        if self._first_epoch is None:
            self._first_epoch = epoch
        self._epoch, self._batch = epoch, 0
        if self._within is not None:
            random_states.put_back(self._within["epoch_random"], self._seeds)
            self._skipped = SkippedBatches(self._list, self, self.model)
        self._epoch_random = random_states.take(self._seeds)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        if self._within is not None:
            if batch < self._within["batch"]:
                self._refresh()
                self._skipped.skip()
                return
            self._go_on_within(self._within)
            for callback in self._others:
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
        self._folder = None
        self._seeds = None
        self._first_epoch = None
        self._epoch = 0
        self._batch = 0
        self._since_saved = 0
        self._saved_at = None
        self._epoch_random = None
        self._within = None
        self._skipped = None
        self._termination = None

    @property
    def _others(self) -> list[keras.callbacks.Callback]:
        return self._list.callbacks[:-1]

    @property
    def _is_terminated(self) -> bool:
        return self._termination is not None and self._termination.has_come

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
        self._folder = StateFolder(self.directory, self.keep)
        state, self.fallback_reason = self._folder.read()
        if self.fallback_reason is not None:
            warn_user(
                f"TrainState goes on from an earlier state in {str(self.directory)!r}: "
                f"{self.fallback_reason}.",
            )
        return state

    def _go_on(self, state: Any, fit: RunningFit) -> None:
        """Puts back what was kept, and tells Keras with which epoch to begin."""
        with parts.naming_what_is_wrong(self.directory):
            parts.check_same_training(state, self.model, self.params)
            epoch, batch = state["epoch"], state["batch"]
            check_count("epoch", epoch, "is in the state", at_least=0)
            check_count("batch", batch, "is in the state", at_least=0)
            parts.put_back(state, self.model, self._others, ("model", "optimizer"))
            self._first_epoch = state["first_epoch"]
            past = epoch - state["first_epoch"]
            data_order.put_back(fit, state["data"], past, self.params["steps"])
            random_states.put_back(state["random"], self._seeds)
        self.resumed_epoch, self.resumed_batch = epoch, batch
        self._saved_at = epoch, batch
        self._within = state if batch else None
        if state["stopped"]:
            epoch = self.params["epochs"]
        self.model._initial_epoch = epoch

    def _go_on_within(self, state: dict[str, Any]) -> None:
        """Puts back what the beginning of the epoch has changed."""
        self._within = None
        self._skipped.end()
        self._skipped = None
        with parts.naming_what_is_wrong(self.directory):
            parts.put_back(state, self.model, self._others, variables.GROUPS)
            random_states.put_back(state["random"], self._seeds)
        self._batch = state["batch"]

    def _refresh(self, *, now: bool = False) -> None:
        if self._folder is not None:
            with self._letting_go_of_failures():  # such as a process that has come
                self._folder.refresh(now=now)

    def _is_due(self) -> bool:
        return self.every != "epoch" and self._since_saved >= int(self.every)

    def _save(self, epoch: int, batch: int, *, stopped: bool = False) -> None:
        self._since_saved = 0
        if self._saved_at == (epoch, batch) or self._folder is None:
            return
        self._refresh(now=True)
        fit = running_fit(self._list)
        state = {
            "epoch": epoch,
            "batch": batch,
            "stopped": bool(stopped),
            "first_epoch": self._first_epoch,
            **parts.take(self.model, self.params, self._others, fit, self._seeds),
            "epoch_random": self._epoch_random if batch else None,
        }
        with self._letting_go_of_failures():
            self._folder.write(state)
        self._saved_at = epoch, batch

    def _wait(self) -> None:
        if self._folder is not None:
            with self._letting_go_of_failures():
                self._folder.wait()

    @contextlib.contextmanager
    def _letting_go_of_failures(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._let_go()
            raise

    def _end_process(self) -> None:
        self._wait()
        self._let_go()
        raise SystemExit(
            f"TrainState: ended by SIGTERM in epoch {self._epoch + 1}, after "
            f"{self._batch} of its batches. The state is in "
            f"{str(self.directory)!r}; the same call of `fit` goes on from it."
        )

    def _let_go(self) -> None:
        if self._termination is not None:
            self._termination.release()
            self._termination = None
        if self._folder is not None:
            self._folder.release()
            self._folder = None  # and the bytes of a state with it
        self._list = None
