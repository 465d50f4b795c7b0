"""Searching a space of models: KerasTuner's interface, Optuna's engine.

Imported by name: it brings KerasTuner and Optuna along.
"""

from keras_trainkit.tuners.bayesian_optimization import BayesianOptimization
from keras_trainkit.tuners.coarse_to_fine import CoarseToFine
from keras_trainkit.tuners.grid_search import GridSearch
from keras_trainkit.tuners.hyperband import Hyperband
from keras_trainkit.tuners.random_search import RandomSearch

__all__ = [
    "BayesianOptimization",
    "CoarseToFine",
    "GridSearch",
    "Hyperband",
    "RandomSearch",
]
