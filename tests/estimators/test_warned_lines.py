"""Warnings of what an estimator is given point at the line that gave it."""

import warnings

import keras
import numpy as np

from keras_trainkit import estimators

X = np.arange(24.0).reshape(12, 2)


def test_a_loss_that_does_not_fit_the_outputs_is_told_at_the_call_of_fit():
    estimator = estimators.TableClassifier(
        loss=keras.losses.BinaryCrossentropy(), epochs=1, hidden_units=(3,)
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        estimator.fit(X, np.arange(12) % 2)
    told = [w for w in caught if "loss" in str(w.message)]
    assert told
    assert all(w.filename == __file__ for w in told)
