"""Epochs until the best validation loss of Adam at a constant rate.

    python benchmarks/one_cycle_quality.py --data FOLDER
    python benchmarks/one_cycle_quality.py --data FOLDER --cycle-epochs 10

FOLDER holds a `load.py` whose `table(name)` gives frame, target, task and the rows of
the training, validation and test part. Adam runs 50 epochs at Keras' default rate;
ours runs a range test and a cycle of AdamW that is half as long or shorter. Same
network, scaling, batch size and initial weights.
"""

import argparse
import importlib.util
import pathlib

import keras
import numpy as np
import pandas as pd

from keras_trainkit import analysis, callbacks, layers, models, optimizers

TABLES = ("california", "adult", "diamonds")
EPOCHS, CYCLE_EPOCHS, BATCH = 50, 25, 128


def arrays(load, name):
    """Training and validation part: (x, y, x_valid, y_valid), task, outputs."""
    frame, y, task, train, valid, _ = load.table(name)
    x = pd.get_dummies(frame).to_numpy("float32")
    scaling = layers.RobustScaling()
    scaling.adapt(x[train])
    x = keras.ops.convert_to_numpy(scaling(x))
    if task == "regression":
        y = (y - y[train].mean()) / y[train].std()
        return (x[train], y[train], x[valid], y[valid]), task, 1
    return (x[train], y[train], x[valid], y[valid]), task, len(np.unique(y))


def compiled(x, task, outputs, optimizer, seed):
    keras.utils.set_random_seed(seed)
    model = models.mlp(x.shape[1:], outputs, (256, 256), dropout=0.1, task=task)
    loss = "mse"
    if task == "classification":
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, steps_per_execution=32)
    return model


def losses(model, parts, epochs, extra=()):
    x, y, x_valid, y_valid = parts
    keras.utils.set_random_seed(1)
    history = model.fit(
        x,
        y,
        BATCH,
        epochs,
        validation_data=(x_valid, y_valid),
        validation_batch_size=4096,
        verbose=0,
        callbacks=list(extra),
    )
    return np.array(history.history["val_loss"])


def compare(parts, task, outputs, seed, cycle_epochs):
    x, y = parts[:2]
    adam = compiled(x, task, outputs, keras.optimizers.Adam(), seed)
    constant = losses(adam, parts, EPOCHS)

    ours = compiled(x, task, outputs, optimizers.AdamW(), seed)
    sweep = analysis.learning_rate_range_test(ours, x, y, batch_size=BATCH)
    cycle = callbacks.OneCycle(sweep.suggestion)
    cycled = losses(ours, parts, cycle_epochs, [cycle])

    reached = np.flatnonzero(cycled <= constant.min())
    epoch = f"{reached[0] + 1}" if len(reached) else "not reached"
    return (
        f"{sweep.suggestion:.2g} | {constant.min():.4f} | {constant.argmin() + 1} | "
        f"{cycled.min():.4f} | {cycled.argmin() + 1} | {epoch}"
    )


def main(data, tables=TABLES, seeds=3, cycle_epochs=CYCLE_EPOCHS):
    spec = importlib.util.spec_from_file_location("load", pathlib.Path(data, "load.py"))
    load = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(load)
    print(
        "| table | seed | peak | Adam, best of 50 | its epoch "
        f"| one-cycle, best of {cycle_epochs} | its epoch | Adam's best reached in |"
    )
    print("| --- " * 8 + "|")
    for name in tables:
        parts, task, outputs = arrays(load, name)
        for seed in range(seeds):
            row = compare(parts, task, outputs, seed, cycle_epochs)
            print(f"| {name} | {seed} | {row} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder with load.py")
    parser.add_argument("--tables", nargs="+", default=TABLES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cycle-epochs", type=int, default=CYCLE_EPOCHS)
    main(**vars(parser.parse_args()))
