"""Watchers and drivers of a running `fit`."""

from keras_trainkit.callbacks.cooldown_on_plateau import CooldownOnPlateau
from keras_trainkit.callbacks.early_stopping import EarlyStopping
from keras_trainkit.callbacks.gradient_finding import GradientFinding
from keras_trainkit.callbacks.gradient_monitor import GradientMonitor
from keras_trainkit.callbacks.one_cycle import OneCycle
from keras_trainkit.callbacks.start_decay import StartDecay
from keras_trainkit.callbacks.train_state import TrainState

__all__ = [
    "CooldownOnPlateau",
    "EarlyStopping",
    "GradientFinding",
    "GradientMonitor",
    "OneCycle",
    "StartDecay",
    "TrainState",
]
