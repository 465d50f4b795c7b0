"""The next 24 hours of fine dust at every hour, against persistence and a linear model.

    python benchmarks/forecasting.py --data FOLDER

FOLDER holds a `load.py` whose `pm25()` gives hourly measurements in time order
(Beijing, 2010 to 2014). Trained on 2010 to 2012, epochs chosen on 2013, tested on 2014.
Two `layers.VariationalLSTM` in one direction read the past, and a head at every step
gives the next 24 hours. Hours without a measurement of dust are masked as inputs and
are no targets. Persistence repeats the last measurement; the linear model is
a ridge regression on the same columns of the last 72 hours, gaps filled with the last
value before them.
"""

import argparse
import importlib.util
import os
import pathlib
import statistics

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from keras_trainkit import callbacks, layers, optimizers

HORIZON, LAGS, CONTEXT = 24, 72, 168
MISSING = -1e6


def columns(folder):
    """Inputs `(hours, columns)`, dust `(hours,)` with gaps, and the years."""
    spec = importlib.util.spec_from_file_location("load", folder / "load.py")
    loaders = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaders)
    table, target = loaders.pm25()
    dust = np.log1p(table[target])
    inputs = pd.DataFrame({"dust": dust, "wind": np.log1p(table["Iws"])})
    inputs[["DEWP", "TEMP", "PRES"]] = table[["DEWP", "TEMP", "PRES"]]
    inputs["rain"], inputs["snow"] = np.log1p(table["Ir"]), np.log1p(table["Is"])
    for name, period in (("hour", 24), ("month", 12)):
        angle = 2 * np.pi * table[name] / period
        inputs[f"{name}_sin"], inputs[f"{name}_cos"] = np.sin(angle), np.cos(angle)
    inputs = inputs.join(pd.get_dummies(table["cbwd"], dtype=float))
    return inputs, table[target].to_numpy(), table["year"].to_numpy()


def targets(values):
    """`(hours, HORIZON)`: the values 1 to 24 hours later, NaN where there is none.

    Nothing is asked at hours without a value, where a forecast has nothing to start at.
    """
    padded = np.concatenate([values, np.full(HORIZON, np.nan)])
    ahead = [padded[1 + h : 1 + h + len(values)] for h in range(HORIZON)]
    return np.where(np.isnan(values), np.nan, ahead).T


def windows(x, y, hours, length, stride):
    """Sequences that end within `hours`, and what is asked at their steps."""
    ends = np.arange(hours[0] + stride, hours[-1] + 2, stride)
    ends = ends[ends >= length]
    rows = ends[:, None] + np.arange(-length, 0)
    return x[rows], y[rows]


def network(features, units=64):
    inputs = keras.Input((None, features), name="hours")
    x = keras.layers.Masking(MISSING)(inputs)
    for _ in range(2):
        x = layers.VariationalLSTM(
            units, return_sequences=True, dropout=0.1, recurrent_dropout=0.1
        )(x)
    # One more axis, and Keras weighs each step and hour ahead by itself.
    outputs = keras.ops.expand_dims(keras.layers.Dense(HORIZON)(x), -1)
    return keras.Model(inputs, outputs)


def lstm(inputs, dust, parts, seed, epochs):
    """Predictions for every hour of the validation and of the test part."""
    keras.utils.set_random_seed(seed)
    values = inputs.to_numpy("float32")
    gaps = np.isnan(dust)
    train = parts["train"]
    mean, std = np.nanmean(values[train], 0), np.nanstd(values[train], 0)
    x = (values - mean) / std
    x[gaps] = MISSING
    y = targets((np.log1p(dust) - mean[0]) / std[0]).astype("float32")
    model = network(x.shape[1])
    model.compile(optimizers.AdamW(global_clipnorm=1.0), "mae", weighted_metrics=[])
    x_train, y_train = windows(x, y, train, CONTEXT + HORIZON, HORIZON)
    known = np.isfinite(y_train)
    model.fit(
        x_train,
        np.where(known, y_train, 0)[..., None],
        32,
        epochs,
        sample_weight=known.astype("float32"),
        callbacks=[callbacks.OneCycle(3e-3)],
        verbose=0,
    )
    found = {}
    for part in ("validation", "test"):
        seen, _ = windows(x, y, parts[part], CONTEXT + HORIZON, HORIZON)
        ahead = model.predict(seen, verbose=0)[:, -HORIZON:, :, 0]
        found[part] = np.expm1(ahead.reshape(-1, HORIZON) * std[0] + mean[0])
    return found


def linear(inputs, dust, parts):
    filled = inputs.ffill().bfill().to_numpy()
    mean, std = filled[parts["train"]].mean(0), filled[parts["train"]].std(0)
    scaled = (filled - mean) / std
    lags = np.stack([np.roll(scaled, lag, axis=0) for lag in range(LAGS)], 1)
    lags = lags.reshape(len(scaled), -1)
    y = targets(np.log1p(dust))
    train = parts["train"][LAGS:]
    train = train[np.isfinite(y[train]).all(1)]
    best = None
    for alpha in (1e1, 1e2, 1e3, 1e4):
        model = Ridge(alpha).fit(lags[train], y[train])
        found = {
            part: np.expm1(model.predict(lags[asked_hours(parts[part])]))
            for part in ("validation", "test")
        }
        score = errors(found["validation"], dust, parts["validation"])[0]
        if best is None or score < best[0]:
            best = score, found
    return best[1]


def persistence(dust, parts):
    last = pd.Series(dust).ffill().to_numpy()
    return {
        part: np.repeat(last[asked_hours(parts[part]), None], HORIZON, 1)
        for part in ("validation", "test")
    }


def asked_hours(hours):
    """The hours of a part at which all forecasts are compared: whole days."""
    return hours[: len(hours) // HORIZON * HORIZON]


def errors(predicted, dust, hours):
    """Mean absolute and root mean squared error, micrograms per cubic metre."""
    asked = targets(dust)[asked_hours(hours)]
    difference = (predicted - asked)[np.isfinite(asked)]
    return np.abs(difference).mean(), np.sqrt((difference**2).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()
    inputs, dust, years = columns(options.data)
    parts = {
        "train": np.flatnonzero(years <= 2012),
        "validation": np.flatnonzero(years == 2013),
        "test": np.flatnonzero(years == 2014),
    }
    found = {"persistence": [persistence(dust, parts)]}
    found["ridge regression"] = [linear(inputs, dust, parts)]
    found["VariationalLSTM"] = [
        lstm(inputs, dust, parts, seed, options.epochs) for seed in range(options.seeds)
    ]
    print("| forecast | validation MAE | validation RMSE | test MAE | test RMSE |")
    print("|" + " --- |" * 5)
    for name, runs in found.items():
        cells = []
        for part in ("validation", "test"):
            scores = [errors(run[part], dust, parts[part]) for run in runs]
            for values in zip(*scores, strict=True):
                spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
                cells.append(f"{statistics.mean(values):.1f}{spread}")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
