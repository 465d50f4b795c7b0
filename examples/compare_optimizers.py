"""Trains one MLP by eight optimizers, each with and without one cycle.

    python examples/compare_optimizers.py
    python examples/compare_optimizers.py --seeds 3 --epochs 60
    python examples/compare_optimizers.py --csv houses.csv --target price

Every optimizer gets the learning rate that a range test of its own suggests, on the
first seed, so none suffers from a rate that suits another. Without a file the sets are
scikit-learn's digits and its cancer table. Writes into `--out`

- `optimizers.png`: loss of the validation rows over the epochs, all runs of a set,
- `optimizers.csv`, and on the screen: a row for each set, optimizer and schedule, with
  the rate, the epochs until the validation loss was as low as plain SGD's lowest at a
  constant rate (the mean of the seeds; nan where a seed never was), the test score and
  its spread, and what takes weights back.

The score is accuracy, or for numbers the root mean squared error in units of the
target's standard deviation.
"""

import quiet_start  # noqa: F401 (goes before what loads TensorFlow)

# isort: split
import argparse
import pathlib

import keras
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from search_mlp import prepare
from sklearn.datasets import load_breast_cancer, load_digits
from train_table import read_csv, split_target

from keras_trainkit import analysis, callbacks, data, models, optimizers

# The name, how it is made at a rate, and what takes weights back at each step.
OPTIMIZERS = {
    "SGD": (keras.optimizers.SGD, "nothing"),
    "momentum": (lambda rate: keras.optimizers.SGD(rate, momentum=0.9), "nothing"),
    "Nesterov": (
        lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
        "nothing",
    ),
    "RMSprop": (keras.optimizers.RMSprop, "nothing"),
    "Adagrad": (keras.optimizers.Adagrad, "nothing"),
    "Adam": (keras.optimizers.Adam, "nothing"),
    "AdamW": (
        lambda rate: optimizers.AdamW(rate, weight_decay=1e-2),
        "rate x 0.01, decoupled",
    ),
    "SGDW": (
        lambda rate: optimizers.SGDW(rate, momentum=0.9, weight_decay=1e-3),
        "rate x 0.001, decoupled",
    ),
}
BATCH_SIZE = 64


def main(
    csv=None,
    target=None,
    out="out/compare_optimizers",
    epochs=40,
    seeds=1,
    hidden_units=(128, 128),
    names=tuple(OPTIMIZERS),
    verbose=1,
):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    tables, curves = [], {}
    for name, (frame, y, task) in read_sets(csv, target).items():
        found = {}
        for seed in range(seeds):
            parts = encoded_parts(frame, y, task, seed)
            for optimizer, cycle, rate in settings(
                names, found, parts, task, hidden_units
            ):
                run = train(
                    parts, task, optimizer, rate, cycle, epochs, seed, hidden_units
                )
                found.setdefault((optimizer, cycle), []).append({**run, "rate": rate})
                if verbose:
                    schedule = "one cycle" if cycle else "constant rate"
                    print(
                        f"{name}, seed {seed}, {optimizer}, {schedule}: test score",
                        end=" ",
                    )
                    print(f"{run['score']:.4g}")
        tables.append(table_of(name, found))
        curves[name] = found
    table = pd.concat(tables, ignore_index=True)
    table.to_csv(out / "optimizers.csv", index=False)
    draw(curves, out / "optimizers.png")
    print(table.to_string(index=False))
    return table


def read_sets(csv, target):
    """Frame, targets and task by the name of the set."""
    if csv is not None:
        frame, y, task, _ = split_target(read_csv(csv), target, None)
        return {pathlib.Path(csv).stem: (frame, y, task)}
    loaded = {"digits": load_digits, "cancer": load_breast_cancer}
    sets = {}
    for name, load in loaded.items():
        frame, y, task, _ = split_target(load(as_frame=True).frame, "target", None)
        sets[name] = (frame, y, task)
    return sets


def encoded_parts(frame, y, task, seed):
    """Training, validation and test rows as arrays, and how the model begins."""
    strata = None if task == "regression" else y
    rows = data.split(frame, validation=0.2, test=0.2, stratify=strata, seed=seed)
    made = prepare(frame.iloc[rows[0]], y[rows[0]])
    encoder = made.pop("encoding")
    arrays = [(encoder(frame.iloc[part]), y[part]) for part in rows]
    return {
        **dict(zip(("train", "validation", "test"), arrays, strict=True)),
        "outputs": int(y.max()) + 1 if task == "classification" else 1,
        "begin": made,
        "spread": np.std(y[rows[0]]),
    }


def settings(names, found, parts, task, hidden_units):
    """Optimizer, with or without a cycle, and the rate that the range test suggests.

    A rate that an earlier seed has found is taken again.
    """
    for optimizer in names:
        if (optimizer, False) in found:
            rate = found[optimizer, False][0]["rate"]
        else:
            model = new_model(parts, task, optimizer, 1e-3, 0, hidden_units)
            test = analysis.learning_rate_range_test(
                model, *parts["train"], batch_size=BATCH_SIZE, min_learning_rate=1e-6
            )
            rate = test.suggestion or 1e-3
        for cycle in (False, True):
            yield optimizer, cycle, rate


def new_model(parts, task, optimizer, rate, seed, hidden_units):
    keras.utils.set_random_seed(seed)
    model = models.mlp(
        outputs=parts["outputs"],
        hidden_units=hidden_units,
        dropout=0.0,  # so that the losses of training and validation compare
        task=task,
        **parts["begin"],
    )
    make, _ = OPTIMIZERS[optimizer]
    model.compile(
        make(rate), loss=models.loss_for(model), metrics=models.metrics_for(model)
    )
    return model


def train(parts, task, optimizer, rate, cycle, epochs, seed, hidden_units):
    """Losses of the validation rows by epoch, and the score of the test rows."""
    model = new_model(parts, task, optimizer, rate, seed, hidden_units)
    # Momentum of Keras' own optimizers is fixed; that of ours goes down and up.
    momentum = {} if optimizer in ("AdamW", "SGDW") else {"max_momentum": None}
    history = model.fit(
        *parts["train"],
        batch_size=BATCH_SIZE,
        validation_data=parts["validation"],
        epochs=epochs,
        callbacks=[callbacks.OneCycle(rate, **momentum)] if cycle else [],
        verbose=0,
    )
    x, y = parts["test"]
    if task == "regression":
        errors = model.predict(x, verbose=0).ravel() - y.ravel()
        score = np.sqrt(np.mean(errors**2)) / parts["spread"]
    else:
        score = np.mean(models.predict_labels(model, x, verbose=0) == y)
    return {"losses": np.array(history.history["val_loss"]), "score": float(score)}


def table_of(name, found):
    """One row for each optimizer and schedule of a set."""
    rows = []
    for (optimizer, cycle), runs in found.items():
        # What plain SGD reaches in the same number of epochs, seed by seed.
        references = found.get(("SGD", False), runs)
        reached = [
            epochs_to(run["losses"], np.nanmin(reference["losses"]))
            for run, reference in zip(runs, references, strict=True)
        ]
        scores = [run["score"] for run in runs]
        rows.append(
            {
                "set": name,
                "optimizer": optimizer,
                "schedule": "one cycle" if cycle else "constant",
                "rate": float(f"{runs[0]['rate']:.2g}"),
                "epochs to SGD's loss": np.mean(reached),
                "lowest loss": np.mean([np.nanmin(run["losses"]) for run in runs]),
                "test score": np.mean(scores),
                "spread": np.std(scores, ddof=1) if len(scores) > 1 else np.nan,
                "takes weights back": OPTIMIZERS[optimizer][1],
            }
        )
    return pd.DataFrame(rows).round(4)


def epochs_to(losses, goal):
    """Epochs until the loss is at or below `goal`; nan if it never is."""
    reached = np.flatnonzero(losses <= goal)
    return reached[0] + 1 if len(reached) else np.nan


def draw(curves, path):
    """A row of two panels for each set: constant rates, and one cycle."""
    figure = Figure(figsize=(11, 4.2 * len(curves) + 0.6), layout="constrained")
    panels = figure.subplots(len(curves), 2, squeeze=False, sharey="row")
    for axes_of_set, (name, found) in zip(panels, curves.items(), strict=True):
        for (optimizer, cycle), runs in found.items():
            axes = axes_of_set[int(cycle)]
            losses = np.mean([run["losses"] for run in runs], axis=0)
            colour = f"C{list(OPTIMIZERS).index(optimizer)}"
            epochs = range(1, len(losses) + 1)
            axes.plot(epochs, losses, color=colour, label=optimizer)
            axes.set(
                title=f"{name}, {'one cycle' if cycle else 'constant rate'}",
                xlabel="epoch",
                yscale="log",
            )
        axes_of_set[0].set_ylabel("validation loss")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", help="file with a header row; default: two sets")
    parser.add_argument("--target", help="name of the column to predict")
    parser.add_argument("--out", default="out/compare_optimizers")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=1, help="runs of each setting")
    parser.add_argument("--verbose", type=int, choices=(0, 1), default=1)
    main(**vars(parser.parse_args()))
