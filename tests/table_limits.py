"""Smaller limits for what a `TableEncoder` keeps, in every module that reads them."""

from keras_trainkit._tables import column_learner, levels, number_statistics


def set_limits(monkeypatch, **limits):
    for name, value in limits.items():
        for module in (column_learner, levels, number_statistics):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)
