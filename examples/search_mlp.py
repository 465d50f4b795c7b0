"""Searches for the best MLP for a table, from a CSV file to a served SavedModel.

    python examples/search_mlp.py --method bayesian --trials 30
    python examples/search_mlp.py --method random hyperband --workers 2
    python examples/search_mlp.py --csv houses.csv --target price --folds 3

Without a file it takes scikit-learn's digits, rows of 64 numbers. Several methods
search the same space one after the other. Killed and started again with the same
`--out` it goes on where it was; with `--storage URL` of a database, the same command on
another machine joins in. Writes the searches, their comparison `searches.png`, and of
the best model of all `model.keras`, `encoder.keras` and `saved_model/1/`, which takes
the columns as they are, into `--out`.
"""

import quiet_start  # noqa: F401 (goes before what loads TensorFlow)

# isort: split
import argparse
import pathlib

import keras
from methods_of_search import add_options, best_of, search_by
from sklearn.datasets import load_digits
from train_table import read_csv, split_target

from keras_trainkit import data, hypermodels, layers, serving

SPACE = {  # what it leaves out has the range that HyperMLP gives it
    "layers": (1, 3),
    "units": [64, 128, 256],
    "activation": ["relu", "gelu"],
    "dropout": (0.0, 0.3),
    "learning_rate": (1e-3, 1e-1),
    "batch_size": [32, 64, 128],
}
GRID = {  # all combinations are tried, so only two names have several values
    "layers": 2,
    "units": 128,
    "activation": "relu",
    "normalization": "none",
    "residual": False,
    "dropout": 0.1,
    "optimizer": "adamw",
    "learning_rate": [1e-3, 1e-2, 1e-1],
    "weight_decay": 1e-3,
    "schedule": "one_cycle",
    "batch_size": [32, 64, 128],
}


def main(
    csv=None, target=None, method=("random",), out="out/search_mlp", seed=0, **options
):
    # File to rows. No trial sees the test rows.
    table, y, task, classes = read_table(csv, target)
    print(
        f"Data: {csv or 'digits of scikit-learn'}, {len(table)} rows, "
        f"{kinds_of(table)}; to predict: {target or 'the digit'}, {task}"
    )
    strata = None if task == "regression" else y
    with_folds = options.get("folds", 1) > 1
    parts = data.split(
        table, validation=None if with_folds else 0.16, stratify=strata, seed=seed
    )
    train, validation, test = ((table.iloc[part], y[part]) for part in parts)

    # Rows to trials.
    outputs = int(y.max()) + 1 if task == "classification" else 1

    def hypermodel_for(method):
        return hypermodels.HyperMLP(
            None,
            outputs,
            task,
            space=GRID if method == "grid" else SPACE,
            prepare=prepare,
            classes=classes,
            name="mlp",
        )

    found = search_by(
        method, hypermodel_for, train, validation, out=out, seed=seed, **options
    )

    # Trials to the best model, to disk: two files to go on with, one folder to serve.
    out = pathlib.Path(out)
    tuner, model = best_of(found)
    encoder = tuner.hypermodel.prepared["encoding"]
    scores = tuner.evaluate_best(*test, model=model)
    model.save(out / "model.keras")
    keras.saving.save_model(encoder, out / "encoder.keras")
    served = serving.export(
        model, out / "saved_model", test[0].iloc[:8], preprocessing=encoder
    )
    print("test", *(f"{name} {value:.4g}" for name, value in scores.items()))
    print(f"Saved {out / 'model.keras'} and {served}")
    predict = "model.predict(x)"
    if task != "regression":
        predict = "models.predict_labels(model, x)"
    print(
        "To predict: x = keras.saving.load_model('encoder.keras')(table), model = "
        f"keras.saving.load_model('model.keras'), {predict}, all of that folder; or "
        "serve the folder saved_model, which takes the columns as they are"
    )
    return found, scores


def kinds_of(table):
    """Counts of columns by the type that pandas has read."""
    kinds = {"numbers": "number", "yes or no": "bool", "dates": "datetime"}
    counts = {name: len(table.select_dtypes(kind).T) for name, kind in kinds.items()}
    counts["texts"] = table.shape[1] - sum(counts.values())
    found = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{table.shape[1]} columns ({found})"


def prepare(x_train, y_train):
    """The parts that learn from the training rows, made anew for each fold."""
    encoder = layers.TableEncoder()
    encoder.adapt(x_train)
    parts = {
        "encoding": encoder,
        "input_shape": encoder.numeric_shape,
        "category_sizes": encoder.category_sizes,
    }
    if y_train.dtype.kind == "f":
        parts["target_scaling"] = layers.StandardScaling()
        parts["target_scaling"].adapt(y_train[:, None])
    return parts


def read_table(csv, target):
    if csv is None:
        return split_target(load_digits(as_frame=True).frame, "target", None)
    return split_target(read_csv(csv), target, None)


if __name__ == "__main__":  # the processes of --workers and --isolate read this file
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", help="file with a header row; default: digits")
    parser.add_argument("--target", help="name of the column to predict")
    folder = "folder to write to, and to go on from"
    parser.add_argument("--out", default="out/search_mlp", help=folder)
    add_options(parser)
    main(**vars(parser.parse_args()))
