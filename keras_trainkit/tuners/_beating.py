"""A sign of life while a trial runs."""

import contextlib
import threading

import optuna

from keras_trainkit.tuners import _store


@contextlib.contextmanager
def beating(store, key):
    """Records a heartbeat every few seconds until the block ends."""
    done = threading.Event()
    thread = threading.Thread(target=_beat, args=(store, key, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _beat(store, key, done):
    while not done.wait(_store.HEARTBEAT_SECONDS):
        # A database that does not answer may do so the next time.
        with contextlib.suppress(optuna.exceptions.StorageInternalError):
            store.storage.record_heartbeat(key)
