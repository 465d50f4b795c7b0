"""Restores everything that training steps change, bit for bit."""

import contextlib
import gc
import random
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_trainkit._optimizer_access import learning_rate_object


@contextlib.contextmanager
def restored(model: keras.Model) -> Iterator[None]:
    """Leaves a built model as it was found, however the block ends.

    Put back: every variable of the model (weights, batch-norm statistics, seeds), of
    its metrics and of its optimizer, the optimizer's learning rate object, the train
    function, and the random numbers of `random_numbers_kept`.
    """
    train_function = model.train_function
    rate = learning_rate_object(model.optimizer)
    variables = _unique(
        model.variables + model.metrics_variables + model.optimizer.variables
    )
    values = [_copy(variable) for variable in variables]
    with random_numbers_kept():
        try:
            yield
        finally:
            _forget_state_between_steps(model)
            model.reset_metrics()  # those that the block has built
            if learning_rate_object(model.optimizer) is not rate:
                model.optimizer.learning_rate = rate
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
            model.train_function = train_function


@contextlib.contextmanager
def random_numbers_kept() -> Iterator[None]:
    """Puts back the state of every random number generator that training may use.

    These are Python's, NumPy's and torch's global ones, and every
    `keras.random.SeedGenerator` alive: Keras has no public way to its global one, and
    a layer inside a data pipeline has one that no model knows of.
    """
    # torch draws unseeded dropout and the order of a DataLoader from its own global
    # generator. Where torch is not loaded, nothing can have drawn from it.
    torch: Any = sys.modules.get("torch")
    generators = _seed_generators()
    seeds = [np.array(keras.ops.convert_to_numpy(g.state)) for g in generators]
    python_state, numpy_state = random.getstate(), np.random.get_state()
    cuda = torch and torch.cuda.is_initialized()
    torch_state = torch and torch.get_rng_state()
    cuda_states = cuda and torch.cuda.get_rng_state_all()
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        if torch:
            torch.set_rng_state(torch_state)
        if cuda:
            torch.cuda.set_rng_state_all(cuda_states)
        for generator, seed in zip(generators, seeds, strict=True):
            generator.state.assign(seed)


def _seed_generators() -> list[keras.random.SeedGenerator]:
    # type() and not isinstance(), which would run code of proxies and lazy modules.
    wanted = keras.random.SeedGenerator
    return [thing for thing in gc.get_objects() if issubclass(type(thing), wanted)]


def _forget_state_between_steps(model: keras.Model) -> None:
    """Keras on JAX would write the state after the last whole step into the model
    when a callback next asks for it, if a step was interrupted."""
    if getattr(model, "_jax_state", None) is not None:
        model._jax_state = None


def _unique(variables: Iterable[keras.Variable]) -> list[keras.Variable]:
    return list({id(variable): variable for variable in variables}.values())


def _copy(variable: keras.Variable) -> np.ndarray:
    """A copy, no view: a training step may hand the buffer on (JAX) or reuse it."""
    return np.array(keras.ops.convert_to_numpy(variable))
