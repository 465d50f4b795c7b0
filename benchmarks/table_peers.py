"""Peers of `models.mlp` on tables: boosted trees and another MLP.

Each peer is a function from a `Table` and a seed to predictions for its test rows.
Trees learn at 0.05 (CatBoost at its own rate) for up to 2,000 rounds and stop after 50
without gain on the validation rows; scikit-learn's trees stop by a tenth of the
training rows of their own choice; RealMLP-TD has its own defaults, and takes the best
epoch by the validation rows, as ours does. AutoGluon searches with the preset of
1.5 for the best predictions on a processor, on the rows of training and validation.
"""

import dataclasses
import tempfile
import warnings

import numpy as np
import pandas as pd


@dataclasses.dataclass
class Table:
    """A table cut into parts: lists of frames and targets, training rows first."""

    name: str
    frames: tuple
    targets: tuple
    task: str

    def parts(self):
        return tuple(zip(self.frames, self.targets, strict=True))

    def with_texts_as_codes(self):
        """Frames of numbers, a text's code being its rank in the training rows."""
        frames = [frame.copy() for frame in self.frames]
        for column in self.texts():
            levels = sorted(set(frames[0][column].astype(str)))
            for frame in frames:
                values = pd.Categorical(frame[column].astype(str), levels)
                frame[column] = values
        return frames

    def texts(self):
        frame = self.frames[0]
        return [c for c in frame if not pd.api.types.is_numeric_dtype(frame[c])]


def xgboost(table, seed):
    import xgboost as xgb

    train, validation, test = table.with_texts_as_codes()
    cls = xgb.XGBRegressor if table.task == "regression" else xgb.XGBClassifier
    model = cls(
        n_estimators=2000,
        learning_rate=0.05,
        early_stopping_rounds=50,
        enable_categorical=True,
        tree_method="hist",
        random_state=seed,
    )
    model.fit(
        train,
        table.targets[0],
        eval_set=[(validation, table.targets[1])],
        verbose=False,
    )
    return model.predict(test)


def lightgbm(table, seed):
    import lightgbm as lgb

    train, validation, test = table.with_texts_as_codes()
    cls = lgb.LGBMRegressor if table.task == "regression" else lgb.LGBMClassifier
    model = cls(n_estimators=2000, learning_rate=0.05, random_state=seed, verbose=-1)
    model.fit(
        train,
        table.targets[0],
        eval_set=[(validation, table.targets[1])],
        callbacks=[lgb.early_stopping(50, verbose=False)],
    )
    return model.predict(test)


def catboost(table, seed):
    import catboost as cat

    frames = [frame.copy() for frame in table.frames]
    for frame in frames:
        for column in table.texts():
            frame[column] = frame[column].astype(str)
    regression = table.task == "regression"
    cls = cat.CatBoostRegressor if regression else cat.CatBoostClassifier
    model = cls(
        iterations=2000,
        early_stopping_rounds=50,
        random_seed=seed,
        verbose=False,
        allow_writing_files=False,
        cat_features=table.texts(),
    )
    model.fit(frames[0], table.targets[0], eval_set=(frames[1], table.targets[1]))
    return np.ravel(model.predict(frames[2]))


def scikit_learn(table, seed):
    from sklearn import ensemble

    train, _, test = table.with_texts_as_codes()
    cls = ensemble.HistGradientBoostingClassifier
    if table.task == "regression":
        cls = ensemble.HistGradientBoostingRegressor
    model = cls(
        max_iter=2000,
        learning_rate=0.05,
        early_stopping=True,
        n_iter_no_change=50,
        categorical_features="from_dtype",
        random_state=seed,
    )
    return model.fit(train, table.targets[0]).predict(test)


def realmlp(table, seed):
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    train, validation, test = table.with_texts_as_codes()
    regression = table.task == "regression"
    cls = RealMLP_TD_Regressor if regression else RealMLP_TD_Classifier
    model = cls(random_state=seed, n_cv=1, device="cpu", verbosity=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(
            train,
            table.targets[0],
            validation,
            table.targets[1],
            cat_col_names=table.texts(),
        )
        return np.ravel(model.predict(test))


def autogluon(table, seed, seconds):
    """The ensemble of a search of so many seconds on one processor."""
    from autogluon.tabular import TabularPredictor

    (train, y_train), (validation, y_validation), (frame, _) = table.parts()
    rows = pd.concat([train, validation], ignore_index=True)
    rows.columns = frame.columns = [f"column {n}" for n in range(frame.shape[1])]
    rows["target"] = np.concatenate([y_train, y_validation])
    regression = table.task == "regression"
    with tempfile.TemporaryDirectory() as folder:
        predictor = TabularPredictor(
            "target",
            eval_metric="root_mean_squared_error" if regression else "log_loss",
            path=folder,
            verbosity=0,
        )
        predictor.fit(
            rows,
            time_limit=seconds,
            presets="best_quality_v150",
            num_cpus=1,
            num_gpus=0,
            ag_args_ensemble={"model_random_seed": seed},
        )
        notes = {"models": len(predictor.model_names())}
        if not regression:
            notes["log_loss"] = -predictor.evaluate(
                frame.assign(target=table.targets[2]), silent=True
            )["log_loss"]
        return predictor.predict(frame).to_numpy(), notes


PEERS = {
    "XGBoost": xgboost,
    "LightGBM": lightgbm,
    "CatBoost": catboost,
    "scikit-learn": scikit_learn,
    "RealMLP-TD": realmlp,
}
