"""Keras 3 parts that make multilayer perceptrons and LSTM networks train well.

Importing this package registers every class that a `.keras` file may name, so
`keras.saving.load_model` opens any file saved with it. `serving`, which needs
TensorFlow, `hypermodels` and `tuners`, which bring KerasTuner, and `estimators`, which
bring scikit-learn, are imported by name.
"""

from keras_trainkit import (
    analysis,
    callbacks,
    data,
    initializers,
    layers,
    models,
    optimizers,
    schedules,
)

__version__ = "0.1.0"

__all__ = [
    "analysis",
    "callbacks",
    "data",
    "initializers",
    "layers",
    "models",
    "optimizers",
    "schedules",
]
