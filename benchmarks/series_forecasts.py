"""Forecasts by `estimators.SequenceRegressor` of public series, beside linear models.

    pip install statsmodels
    python benchmarks/series_forecasts.py
    python benchmarks/series_forecasts.py --sets sunspots --seeds 1

The series are those that statsmodels brings: carbon dioxide at Mauna Loa by the week
(gaps filled on a line between their ends), the sea's temperature off Peru by the month,
sunspots by the year. The first 70 % train, the next 10 % end the training, the last
20 % are scored: mean squared and mean absolute error of values standardized by the
training part. A forecast of `AHEAD` values is asked at every step from the `BACK` ones
before it. Each window is told less its last value, and so is the future (as NLinear
does); the estimator has no argument but the rows to validate and a seed. DLinear and
NLinear are those of Zeng et al., 2022, arXiv:2205.13504, sections 3 and 4, trained in
the same run with Adam and the best of the validated epochs. "last value" repeats it,
"a period ago" repeats what was then.
"""

import argparse
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import ops
from statsmodels.datasets import co2, elnino, sunspots

from keras_trainkit import estimators

# What is read, what is asked, and the period, in steps.
SETS = {"co2": (104, 26, 52), "elnino": (48, 12, 12), "sunspots": (44, 11, 11)}
TREND = 25  # steps of the moving average of DLinear
PARTS = (0.7, 0.8)  # where training and validation end


def values_of(name):
    """The series, `(steps,)`."""
    if name == "co2":
        return co2.load_pandas().data["co2"].interpolate().to_numpy("float64")
    if name == "elnino":
        table = elnino.load_pandas().data
        return table.drop(columns="YEAR").to_numpy("float64").ravel()
    return sunspots.load_pandas().data["SUNACTIVITY"].to_numpy("float64")


def windows(values, back, ahead):
    """Pasts `(rows, back)`, futures `(rows, ahead)`, and the part of each future.

    A future belongs to the part in which all of it lies, others to none.
    """
    first, last = (int(share * len(values)) for share in PARTS)
    scaled = (values - values[:first].mean()) / values[:first].std()
    starts = np.arange(back, len(values) - ahead + 1)
    pasts = np.stack([scaled[start - back : start] for start in starts])
    futures = np.stack([scaled[start : start + ahead] for start in starts])
    ends = starts + ahead
    train, test = ends <= first, starts >= last
    validation = (starts >= first) & (ends <= last)
    return pasts, futures, (train, validation, test)


def ours(pasts, futures, parts, seed):
    """Forecasts of the test part, from windows less their last values."""
    train, validation, test = parts
    known = train | validation
    last = pasts[:, -1:]
    rows = np.flatnonzero(validation[known])
    estimator = estimators.SequenceRegressor(validation=rows, random_state=seed)
    estimator.fit((pasts - last)[known], (futures - last)[known])
    return estimator.predict((pasts - last)[test]) + last[test]


def linear(kind, pasts, futures, parts, seed):
    """Forecasts of the test part by DLinear or NLinear."""
    keras.utils.set_random_seed(seed)
    train, validation, test = parts
    model = linear_model(kind, pasts.shape[1], futures.shape[1])
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    best = keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True)
    model.fit(
        pasts[train],
        futures[train],
        validation_data=(pasts[validation], futures[validation]),
        batch_size=16,
        epochs=500,
        callbacks=[best],
        verbose=0,
    )
    return model.predict(pasts[test], verbose=0)


def linear_model(kind, back, ahead):
    inputs = keras.Input((back,))
    if kind == "NLinear":
        last = inputs[:, -1:]
        return keras.Model(inputs, keras.layers.Dense(ahead)(inputs - last) + last)
    behind = (TREND - 1) // 2
    first = ops.repeat(inputs[:, :1], behind, axis=1)
    last = ops.repeat(inputs[:, -1:], TREND - 1 - behind, axis=1)
    padded = ops.expand_dims(ops.concatenate([first, inputs, last], axis=1), -1)
    trend = ops.squeeze(ops.average_pool(padded, TREND, strides=1), -1)
    parts = keras.layers.Dense(ahead)(trend), keras.layers.Dense(ahead)(inputs - trend)
    return keras.Model(inputs, parts[0] + parts[1])


def repeated(pasts, parts, period, ahead):
    """What was a period ago, of the test part; of a period of 1 the last value."""
    times = -(-ahead // period)
    return np.tile(pasts[parts[2], -period:], times)[:, :ahead]


def forecasts_of(given, period):
    """Functions of a seed, by the name of the method."""
    pasts, futures, parts = given
    ahead = futures.shape[1]
    return {
        "last value": lambda seed: repeated(pasts, parts, 1, ahead),
        "a period ago": lambda seed: repeated(pasts, parts, period, ahead),
        "DLinear": lambda seed: linear("DLinear", *given, seed),
        "NLinear": lambda seed: linear("NLinear", *given, seed),
        "SequenceRegressor": lambda seed: ours(*given, seed),
    }


def errors(predicted, futures, parts):
    differences = predicted - futures[parts[2]]
    return (differences**2).mean(), np.abs(differences).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print("| series | forecast | MSE | MAE | seconds |")
    print("|" + " --- |" * 5)
    for name in options.sets:
        back, ahead, period = SETS[name]
        given = windows(values_of(name), back, ahead)
        for method, forecast in forecasts_of(given, period).items():
            runs, start = [], time.process_time()
            for seed in range(options.seeds):
                keras.utils.clear_session()
                runs.append(errors(forecast(seed), *given[1:]))
            seconds = (time.process_time() - start) / options.seeds
            cells = [
                f"{statistics.mean(v):.3f} ± {statistics.pstdev(v):.3f}"
                for v in zip(*runs, strict=True)
            ]
            print(f"| {name} | {method} | {' | '.join(cells)} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
