"""Optuna without its notes on studies that it makes."""

import contextlib

import optuna


@contextlib.contextmanager
def quiet():
    """Within it Optuna logs warnings only."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
