"""Looks at a weight from inside `call`, to tell whether it has been learned."""

from concurrent import futures

import keras
from keras import ops


def values_now(variable):
    """The values of a variable, or None where Keras only infers shapes.

    Keras 3.15 does so under a stateless scope, also when it builds a model whose
    weights it will load next. A step compiled by JAX runs under one too.
    """
    with keras.StatelessScope(initialize_variables=False) as scope:
        if scope.original_scope is not None:
            return None
    # A graph is traced by one thread alone.
    with futures.ThreadPoolExecutor(1) as outside:
        return outside.submit(ops.convert_to_numpy, variable).result()
