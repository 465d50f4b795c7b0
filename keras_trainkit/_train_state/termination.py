"""SIGTERM, noted while a `fit` runs in place of the end of the process."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import keras

from keras_trainkit._train_state.running_fit import running_fit


class Termination:
    """Handler of SIGTERM for one `fit`, if this runs in the main thread.

    Args:
        callbacks: `CallbackList` of the `fit`.
        let_go: Function that gives up what the `fit` has, this handler with it. It is
            called where an error has ended the `fit`, which took nothing back.

    Attributes:
        has_come: Bool. The signal has come while the `fit` ran.
    """

    def __init__(
        self, callbacks: keras.callbacks.CallbackList, let_go: Callable[[], None]
    ):
        self.callbacks = callbacks
        self.let_go = let_go
        self.has_come = False
        self._pid = os.getpid()
        self._earlier: Any = None
        if threading.current_thread() is threading.main_thread():
            self._earlier = signal.signal(signal.SIGTERM, self._on_signal)

    @property
    def is_caught(self) -> bool:
        """True until `release`, where there was a handler to come back to."""
        return self._earlier is not None

    def release(self) -> None:
        """Puts the handler back that was there before."""
        if self._earlier is not None:
            signal.signal(signal.SIGTERM, self._earlier)
            self._earlier = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        is_own = os.getpid() == self._pid  # not a fork, which only inherits this
        if is_own and running_fit(self.callbacks, frame) is not None:
            self.has_come = True
            return
        self.release()
        self.let_go()  # an error has ended the `fit`
        os.kill(os.getpid(), number)


def let_go_of_failed_fits() -> None:
    """Takes back the handlers of fits that an error has ended, with their models."""
    if threading.current_thread() is not threading.main_thread():
        return
    while True:
        failed = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
        if not isinstance(failed, Termination) or not failed.is_caught:
            return
        if running_fit(failed.callbacks) is not None:
            return
        failed.release()
        failed.let_go()
