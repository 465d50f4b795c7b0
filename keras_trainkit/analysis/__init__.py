"""Looking at runs: range test, learning curves, attention, calibration, averages."""

from keras_trainkit._ewa import ewa
from keras_trainkit.analysis.calibration_error import calibration_error
from keras_trainkit.analysis.learning_rate_range import LearningRateRange
from keras_trainkit.analysis.learning_rate_range_test import learning_rate_range_test
from keras_trainkit.analysis.plot_attention import plot_attention
from keras_trainkit.analysis.plot_learning_curves import plot_learning_curves

__all__ = [
    "LearningRateRange",
    "calibration_error",
    "ewa",
    "learning_rate_range_test",
    "plot_attention",
    "plot_learning_curves",
]
