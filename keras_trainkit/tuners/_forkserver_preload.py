"""Imports of the server from which workers and isolated trials are forked.

Only that server imports this module, once, by name. Its objects are left out of garbage
collections: each looks at half a million objects of the backend, which takes 0.3 s, and
KerasTuner asks for two before every build.
"""

import contextlib
import gc
import warnings

import optuna
import sqlalchemy

import keras_trainkit.hypermodels
import keras_trainkit.tuners  # noqa: F401

# The first use of a database loads most of what it needs.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    _storage = optuna.storages.RDBStorage("sqlite://")
_storage.engine.dispose()
with contextlib.suppress(ImportError):
    sqlalchemy.create_engine("postgresql+psycopg://")
gc.collect()
gc.freeze()
