"""Estimators with scikit-learn's interface over the recipes of the kit.

Imported by name, for they bring scikit-learn along. What an estimator does is plain
Keras: its model, encoder, history and recipe are its attributes.
"""

from keras_trainkit.estimators.feature_importances import FeatureImportances
from keras_trainkit.estimators.table_classifier import TableClassifier
from keras_trainkit.estimators.table_regressor import TableRegressor

__all__ = ["FeatureImportances", "TableClassifier", "TableRegressor"]
