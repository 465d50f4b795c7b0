"""Looking at runs and searches: range test, curves, folds, attention, trials."""

from keras_trainkit._ewa import ewa
from keras_trainkit.analysis.bias_variance import bias_variance
from keras_trainkit.analysis.calibration_error import calibration_error
from keras_trainkit.analysis.compare_searches import compare_searches
from keras_trainkit.analysis.cross_validate import cross_validate
from keras_trainkit.analysis.cross_validation import CrossValidation
from keras_trainkit.analysis.diagnose import diagnose
from keras_trainkit.analysis.diagnosis import Diagnosis, Finding
from keras_trainkit.analysis.error_parts import ErrorParts
from keras_trainkit.analysis.hyperparameter_effects import HyperparameterEffects
from keras_trainkit.analysis.learning_rate_range import LearningRateRange
from keras_trainkit.analysis.learning_rate_range_test import learning_rate_range_test
from keras_trainkit.analysis.loss_rise import LossRise
from keras_trainkit.analysis.plot_attention import plot_attention
from keras_trainkit.analysis.plot_contour import plot_contour
from keras_trainkit.analysis.plot_gradients import plot_gradients
from keras_trainkit.analysis.plot_importances import plot_importances
from keras_trainkit.analysis.plot_learning_curves import plot_learning_curves
from keras_trainkit.analysis.plot_parallel_coordinates import plot_parallel_coordinates
from keras_trainkit.analysis.report import report
from keras_trainkit.analysis.run_description import run_description
from keras_trainkit.analysis.runs import runs
from keras_trainkit.analysis.sensitivity import sensitivity
from keras_trainkit.analysis.sharpness import sharpness
from keras_trainkit.analysis.tracked_runs import TrackedRun, TrackedRuns

__all__ = [
    "CrossValidation",
    "Diagnosis",
    "ErrorParts",
    "Finding",
    "HyperparameterEffects",
    "LearningRateRange",
    "LossRise",
    "TrackedRun",
    "TrackedRuns",
    "bias_variance",
    "calibration_error",
    "compare_searches",
    "cross_validate",
    "diagnose",
    "ewa",
    "learning_rate_range_test",
    "plot_attention",
    "plot_contour",
    "plot_gradients",
    "plot_importances",
    "plot_learning_curves",
    "plot_parallel_coordinates",
    "report",
    "run_description",
    "runs",
    "sensitivity",
    "sharpness",
]
