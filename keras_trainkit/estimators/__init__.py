"""Estimators with scikit-learn's interface over the recipes of the kit.

Imported by name, for they bring scikit-learn along. What an estimator does is plain
Keras: its model, encoder, history and recipe are its attributes.
"""

from keras_trainkit.estimators.feature_importances import FeatureImportances
from keras_trainkit.estimators.sequence_classifier import SequenceClassifier
from keras_trainkit.estimators.sequence_regressor import SequenceRegressor
from keras_trainkit.estimators.table_classifier import TableClassifier
from keras_trainkit.estimators.table_regressor import TableRegressor
from keras_trainkit.estimators.text_classifier import TextClassifier

__all__ = [
    "FeatureImportances",
    "SequenceClassifier",
    "SequenceRegressor",
    "TableClassifier",
    "TableRegressor",
    "TextClassifier",
]
