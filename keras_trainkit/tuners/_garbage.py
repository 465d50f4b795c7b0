"""Collections of garbage that do not look at everything that was imported."""

import contextlib
import gc


@contextlib.contextmanager
def quick_collections():
    """Leaves what exists now out of Python's collections.

    KerasTuner collects twice before it builds a model. Half a million objects of
    TensorFlow and Keras are looked at each time, a third of a second for nothing.
    """
    if gc.get_freeze_count():  # somebody else's, who would lose it at the end
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
