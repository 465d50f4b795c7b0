"""Gradients of single training steps, taken beside a running `fit`.

`forward.py` says in `keras.ops` what is computed: the loss of a batch, and on the way
to it what layers give and how far gates are open. `tensorflow.py`, `jax.py` and
`torch.py` take the gradient of it, each with one class `Steps` that knows how the
trainer of its backend hands batches to `model.train_function`.

Nothing is left behind in the model: all runs in a `keras.StatelessScope`, which keeps
what is assigned to seeds, statistics and metrics to itself.
"""

import importlib
from typing import Any

import keras

from keras_trainkit._gradients.forward import Forward


def steps_of(model: keras.Model) -> Any:
    """The `Steps` of the backend at work, for a built and compiled model."""
    module = importlib.import_module(f"{__name__}.{keras.config.backend()}")
    return module.Steps(model, Forward(model))
