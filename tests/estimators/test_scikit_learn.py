"""scikit-learn's own tools take the estimators for its own."""

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibrationDisplay
from sklearn.compose import ColumnTransformer
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import estimator_checks_generator

from keras_trainkit.estimators import TableClassifier, TableRegressor

TINY = {"members": 1, "hidden_units": (16,), "numeric_embedding": False}
TINY |= {"validation": 0.2}
CHECKED = TINY | {"dropout": 0.0, "learning_rate": 0.1, "epochs": 8}
# A hundred small trainings: a minute for torch, which compiles nothing.
LONG = [] if keras.config.backend() == "torch" else [pytest.mark.soak]
REPEATED = (
    "Rows are drawn into validation and into batches one by one, so a row of weight 2 "
    "is trained on otherwise than the row twice. Weight 0 is a row left out."
)
EXPECTED_FAILURES = {
    "TableClassifier": {
        "check_sample_weight_equivalence_on_dense_data": REPEATED,
    },
    "TableRegressor": {
        "check_sample_weight_equivalence_on_dense_data": REPEATED,
        "check_regressor_multioutput": (
            "Predictions are float32, as the network computes, and not float64."
        ),
    },
}


def checks_of(estimator):
    """What `parametrize_with_checks` makes of it, in a list, as pytest wants it."""
    failures = EXPECTED_FAILURES[type(estimator).__name__]
    for case in estimator_checks_generator(
        estimator, expected_failed_checks=failures, mark="xfail"
    ):
        marks = [*getattr(case, "marks", ()), *LONG]
        yield pytest.param(*getattr(case, "values", case), marks=marks)


def name_of(argument):
    return getattr(argument, "func", type(argument)).__name__


@pytest.mark.usefixtures("eagerly")
@pytest.mark.filterwarnings("ignore")  # as scikit-learn runs its checks
@pytest.mark.parametrize(
    ("estimator", "check"),
    [*checks_of(TableClassifier(**CHECKED)), *checks_of(TableRegressor(**CHECKED))],
    ids=name_of,
)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_permutation_importance_takes_a_fitted_estimator(classifier, frame, dear):
    found = permutation_importance(classifier, frame[:60], dear[:60], n_repeats=1)
    assert frame.columns[found.importances_mean.argmax()] == "rooms"


def test_calibration_is_displayed(classifier, frame, dear):
    display = CalibrationDisplay.from_estimator(
        classifier, frame, dear, n_bins=3, pos_label="dear"
    )
    assert display.estimator_name == "TableClassifier"
    assert 0 <= display.prob_pred.min() <= display.prob_pred.max() <= 1


@pytest.mark.slow
def test_a_pipeline_with_a_column_transformer_is_cross_validated(frame, dear):
    """What comes out of it is an array of numbers and texts in one."""
    transformer = ColumnTransformer(
        [("town", OneHotEncoder(sparse_output=False), ["town"])],
        remainder="passthrough",
        sparse_threshold=0,
    )
    few_rows = {"epochs": 15, "batch_size": 8, "dropout": 0.0, "random_state": 0}
    few_rows |= {"learning_rate": 0.02}
    pipeline = make_pipeline(transformer, TableClassifier(**TINY, **few_rows))
    columns = ["town", "rooms", "age"]
    groups = np.repeat(np.arange(20), 10)
    scores = cross_val_score(
        pipeline, frame[columns], dear, groups=groups, cv=GroupKFold(2)
    )
    assert scores.mean() > 0.75


@pytest.mark.slow
def test_a_grid_is_searched_with_several_scores(frame, price):
    search = GridSearchCV(
        TableRegressor(**TINY, learning_rate=0.05, random_state=0),
        {"epochs": np.array([1, 12])},
        cv=2,
        scoring=["r2", "neg_root_mean_squared_error"],
        refit="r2",
    )
    search.fit(frame, price)
    assert search.best_params_ == {"epochs": 12}
    assert search.predict(frame).shape == (200,)


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_weights_and_times_go_with_the_rows_through_cross_validation(frame, dear):
    weights, times = np.arange(200.0), np.arange(200)[::-1]
    params = {"sample_weight": weights, "order": times}
    tiny = TableClassifier(**TINY, epochs=1)
    scores = cross_val_score(tiny, frame, dear, cv=2, params=params)
    assert np.isfinite(scores).all()


@pytest.mark.slow
def test_frames_out_of_a_transformer_keep_their_names(frame, price):
    transformer = ColumnTransformer(
        [("kept", "passthrough", ["rooms", "town"])],
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    pipeline = make_pipeline(transformer, TableRegressor(**TINY, epochs=1))
    pipeline.fit(frame, pd.Series(price))
    assert pipeline[-1].feature_names_in_.tolist() == ["rooms", "town"]
