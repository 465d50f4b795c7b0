"""Trains an MLP on a table of numbers, from a CSV file to a served SavedModel.

    python examples/train_mlp.py
    python examples/train_mlp.py --csv houses.csv --target price --task regression

Without a file it takes scikit-learn's breast cancer table. Writes `model.keras`,
`saved_model/1/`, `range_test.png` and `learning_curves.png` into `--out`.
"""

import argparse
import pathlib

import keras
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

from keras_trainkit import analysis, callbacks, layers, models, optimizers, serving


def main(csv=None, target=None, task=None, out="out", epochs=40, batch_size=32, seed=0):
    keras.utils.set_random_seed(seed)
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)

    # File to arrays. The test rows are not looked at until the end.
    features, answers, task = read_table(csv, target, task)
    outputs = len(np.unique(answers)) if task == "classification" else 1
    rows = train_test_split(features, answers, test_size=0.2, random_state=seed)
    x, x_test, y, y_test = rows
    rows = train_test_split(x, y, test_size=0.2, random_state=seed)
    x_train, x_valid, y_train, y_valid = rows

    # Arrays to model. Scaling is learned from the training rows only.
    scaling = layers.RobustScaling()
    scaling.adapt(x_train)
    body = models.mlp(
        x_train.shape[1:], outputs, (128, 64, 32), scaling=scaling, task=task
    )
    model = in_units_of(y_train, body) if task == "regression" else body
    model.compile(optimizers.AdamW(), **LOSSES[task])

    sweep = analysis.learning_rate_range_test(
        model, x_train, y_train, batch_size=batch_size
    )
    sweep.plot(out / "range_test.png")
    print(sweep.reason)

    history = model.fit(
        x_train,
        y_train,
        validation_data=(x_valid, y_valid),
        epochs=epochs,
        batch_size=batch_size,
        callbacks=[
            callbacks.OneCycle(max_learning_rate=sweep.suggestion or 1e-2),
            callbacks.EarlyStopping(),
        ],
    )
    analysis.plot_learning_curves(history, out / "learning_curves.png")

    # Model to disk: one file to go on training, one folder to serve.
    model.save(out / "model.keras")
    served = serving.export(model, out / "saved_model", x_test[:8])

    baseline = plain_keras(x_train, task, outputs)
    baseline.fit(
        x_train,
        y_train,
        validation_data=(x_valid, y_valid),
        epochs=epochs,
        batch_size=batch_size,
        callbacks=[keras.callbacks.EarlyStopping(patience=10)],
        verbose=0,
    )
    name = LOSSES[task]["metrics"][0]
    scores = {
        "keras_trainkit": score(model, x_test, y_test, name),
        "plain Keras": score(baseline, x_test, y_test, name),
    }
    for who, value in scores.items():
        print(f"{who:14}  test {name} {value:.4f}")
    print(f"Saved {out / 'model.keras'} and {served}")
    return scores


LOSSES = {
    "classification": {
        "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        "metrics": ["accuracy"],
    },
    "regression": {
        "loss": "mse",
        "metrics": ["root_mean_squared_error"],
    },
}


def read_table(csv, target, task):
    """Features `(rows, columns)`, answers `(rows,)`, task."""
    if csv is None:
        table = load_breast_cancer(as_frame=True).frame
        target = "target"
    else:
        table = pd.read_csv(csv)
    if target not in table:
        raise ValueError(
            "`target` names the column to predict and must be one of "
            f"{list(table.columns)}. Received: target={target!r}."
        )
    answers = table.pop(target)
    refuse_text_and_gaps(table)
    if answers.isna().any():
        raise ValueError(
            f"The target column {target!r} must have a value in every row. Received: "
            f"{answers.isna().sum()} missing values."
        )
    if task is None:
        many = pd.api.types.is_numeric_dtype(answers) and answers.nunique() > 20
        task = "regression" if many else "classification"
    if task == "classification":
        answers = pd.factorize(answers, sort=True)[0]
    return table.to_numpy("float32"), np.asarray(answers), task


def refuse_text_and_gaps(table):
    for column in table:
        values = table[column]
        if not pd.api.types.is_numeric_dtype(values):
            raise ValueError(
                f"The column {column!r} is an input of the network and must hold "
                f"numbers. Received: {values.iloc[0]!r} in the first row. Drop the "
                "column or encode it as numbers first."
            )
        if values.isna().any():
            raise ValueError(
                f"The column {column!r} is an input of the network and must have a "
                f"value in every row. Received: {values.isna().sum()} missing values. "
                "Fill them or drop those rows first."
            )


def in_units_of(answers, body):
    """`body`, whose output of size 1 becomes as large and as spread as `answers`."""
    scale, offset = float(np.std(answers)), float(np.mean(answers))
    rescale = keras.layers.Rescaling(scale, offset, name="prediction")
    return keras.Model(body.inputs, rescale(body.output), name="mlp_in_units")


def plain_keras(x_train, task, outputs):
    """The same network as the Keras guides would write it."""
    scaling = keras.layers.Normalization()
    scaling.adapt(x_train)
    hidden = [keras.layers.Dense(units, "relu") for units in (128, 64, 32)]
    model = keras.Sequential([scaling, *hidden, keras.layers.Dense(outputs)])
    model.compile("adam", **LOSSES[task])
    return model


def score(model, x, y, name):
    return float(model.evaluate(x, y, verbose=0, return_dict=True)[name])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", help="file with a header row; default: breast cancer")
    parser.add_argument("--target", help="name of the column to predict")
    parser.add_argument(
        "--task",
        choices=sorted(LOSSES),
        help="default: regression for a target of more than 20 different numbers",
    )
    parser.add_argument("--out", default="out", help="folder to write to")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
