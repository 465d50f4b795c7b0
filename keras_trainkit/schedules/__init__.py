"""Numbers as functions of the optimizer step: learning rate, momentum, weight decay."""

from keras_trainkit.schedules.cyclical import Cyclical
from keras_trainkit.schedules.one_cycle import OneCycle
from keras_trainkit.schedules.one_cycle_momentum import OneCycleMomentum
from keras_trainkit.schedules.step_decay import StepDecay
from keras_trainkit.schedules.warmup import Warmup
from keras_trainkit.schedules.warmup_stable_decay import WarmupStableDecay

__all__ = [
    "Cyclical",
    "OneCycle",
    "OneCycleMomentum",
    "StepDecay",
    "Warmup",
    "WarmupStableDecay",
]
