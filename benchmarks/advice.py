"""Advice that is often given, measured: Glorot's initializer with ReLU, grid or random.

    python benchmarks/advice.py glorot --data FOLDER
    python benchmarks/advice.py search --data FOLDER --seeds 3

FOLDER holds a `load.py` with `table("california")`, of which 4,000 training rows are
taken, for a search 2,000; digits is scikit-learn's. "glorot" trains MLPs of some depths
by AdamW and one cycle, one rate for both initializers, and prints the lowest validation
loss. "search" spends the same number of trials on a grid and on random draws of the
same ranges, in two hyperparameters and in four, of which the grid then has two values
each.
"""

import argparse
import importlib.util
import itertools
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import RobustScaler

from keras_trainkit import callbacks, models, optimizers

EPOCHS = {"glorot": 15, "search": 8}
WIDTH = 64
# Low, high, and whether values lie on a logarithmic scale.
RANGES = {
    "learning_rate": (1e-4, 1e-1, True),
    "weight_decay": (1e-5, 1e-1, True),
    "dropout": (0.0, 0.5, False),
    "batch_size": (16, 256, True),
}


def rows_of(name, folder, seed, rows=4_000):
    """Training and validation rows, scaled, and the task."""
    if name == "digits":
        x, y = load_digits(return_X_y=True)
        x, task = x / 16.0, "classification"
    else:
        path = pathlib.Path(folder) / "load.py"
        spec = importlib.util.spec_from_file_location("load", path)
        loaders = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaders)
        frame, y, task, train, *_ = loaders.table("california")
        x = frame.to_numpy()[train]
        y = y[train]
    x, x_valid, y, y_valid = train_test_split(
        x, y, train_size=min(rows, int(0.7 * len(y))), random_state=seed
    )
    scaler = RobustScaler().fit(x)
    x, x_valid = (np.clip(scaler.transform(part), -3, 3) for part in (x, x_valid))
    if task == "regression":
        mean, spread = y.mean(), y.std()
        y, y_valid = ((part - mean) / spread for part in (y, y_valid))
    return (x, y), (x_valid[:2_000], y_valid[:2_000]), task


def lowest_loss(
    train, validation, task, seed, *, epochs, hidden_units=(WIDTH,) * 3, **values
):
    """Of the validation rows; a run that ends in NaN has an infinite one."""
    keras.utils.set_random_seed(seed)
    outputs = 1 if task == "regression" else int(train[1].max()) + 1
    rate = values.get("learning_rate", 3e-3)
    model = models.mlp(
        train[0].shape[1:],
        outputs,
        hidden_units,
        initializer=values.get("initializer", "paired"),
        dropout=values.get("dropout", 0.0),
        task=task,
    )
    model.compile(
        optimizers.AdamW(weight_decay=values.get("weight_decay", 1e-2)),
        models.loss_for(model),
    )
    history = model.fit(
        *train,
        validation_data=validation,
        batch_size=int(values.get("batch_size", 32)),
        epochs=epochs,
        callbacks=[callbacks.OneCycle(rate)],
        verbose=0,
    )
    keras.backend.clear_session()
    losses = np.nan_to_num(history.history["val_loss"], nan=np.inf)
    return losses.min()


def glorot(folder, seeds):
    print("| set | hidden layers | Glorot | He, as for_activation pairs it |")
    print("| --- | --- | --- | --- |")
    for name, depth in itertools.product(("digits", "california"), (2, 6, 12)):
        found = []
        for made in (keras.initializers.GlorotUniform, keras.initializers.HeNormal):
            runs = [
                lowest_loss(
                    *rows_of(name, folder, seed),
                    seed,
                    epochs=EPOCHS["glorot"],
                    hidden_units=(WIDTH,) * depth,
                    initializer=made(),
                )
                for seed in range(seeds)
            ]
            found.append(f"{np.mean(runs):.4f} ± {np.std(runs, ddof=1):.4f}")
        print(f"| {name} | {depth} | {' | '.join(found)} |", flush=True)


def search(folder, seeds, trials=16):
    print("| set | hyperparameters | grid | random | random - grid, seed by seed |")
    print("| --- | --- | --- | --- | --- |")
    for name, count in itertools.product(("digits", "california"), (2, 4)):
        ranges = dict(itertools.islice(RANGES.items(), count))
        best = np.zeros((2, seeds))
        for seed in range(seeds):
            rows = rows_of(name, folder, seed, 2_000)
            points = grid(count, trials), at_random(count, trials, seed)
            for way, draws in enumerate(points):
                best[way, seed] = min(
                    lowest_loss(
                        *rows, seed, epochs=EPOCHS["search"], **values_at(ranges, point)
                    )
                    for point in draws
                )
        gain = best[1] - best[0]
        error = gain.std(ddof=1) / seeds**0.5
        spreads = (f"{way.mean():.4f} ± {way.std(ddof=1):.4f}" for way in best)
        found = [*spreads, f"{gain.mean():+.4f} ± {error:.4f}"]
        print(f"| {name} | {count} | {' | '.join(found)} |", flush=True)


def grid(count, trials):
    """All combinations of the middles of equal parts of each range, as shares of it."""
    each = round(trials ** (1 / count))
    return itertools.product((np.arange(each) + 0.5) / each, repeat=count)


def at_random(count, trials, seed):
    return np.random.default_rng(seed).random((trials, count))


def values_at(ranges, point):
    values = {}
    for (name, (low, high, log)), share in zip(ranges.items(), point, strict=True):
        even = low + share * (high - low)
        values[name] = low * (high / low) ** share if log else even
    return values


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("glorot", "search"))
    parser.add_argument("--data", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    {"glorot": glorot, "search": search}[options.part](options.data, options.seeds)
