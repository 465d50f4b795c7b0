"""Searches for the best BiLSTM with attention for sequences, to a served SavedModel.

    python examples/search_bilstm_attention.py --method hyperband --trials 30
    python examples/search_bilstm_attention.py --method random bayesian --isolate
    python examples/search_bilstm_attention.py --npz steps.npz --workers 2

Without a file it reads scikit-learn's digits row by row: 8 steps of 8 pixels. `--npz`
is as for train_bilstm_attention.py, without NaN; of a regression the scores are in
standard deviations of the targets, and the saved model predicts in their units.
Methods, `--out` and `--storage` are as for search_mlp.py. Writes the searches, their
comparison `searches.png`, and of the best model of all `model.keras` and
`saved_model/1/`, into `--out`.
"""

import quiet_start  # noqa: F401 (goes before what loads TensorFlow)

# isort: split
import argparse
import pathlib

import keras
import numpy as np
from methods_of_search import add_options, best_of, search_by
from train_bilstm_attention import PADDING, check, digits, read_npz

from keras_trainkit import data, hypermodels, layers, serving

SPACE = {  # what it leaves out has the range that HyperBiLSTMAttention gives it
    "layers": (1, 2),
    "units": [16, 32, 64],
    "dropout": (0.0, 0.3),
    "recurrent_dropout": (0.0, 0.3),
    "learning_rate": (1e-3, 1e-1),
    "batch_size": [32, 64, 128],
}
GRID = {  # all combinations are tried, so only two names have several values
    "layers": 1,
    "units": 32,
    "dropout": 0.1,
    "recurrent_dropout": 0.1,
    "attention": "additive",
    "query": "learned",
    "optimizer": "adamw",
    "learning_rate": [1e-3, 1e-2, 1e-1],
    "weight_decay": 1e-3,
    "schedule": "one_cycle",
    "batch_size": [32, 64, 128],
}


def main(
    npz=None, method=("random",), out="out/search_bilstm_attention", seed=0, **options
):
    # File to sequences. No trial sees the test rows.
    x, y = read_npz(npz) if npz else digits()
    check(not np.isnan(x).any(), "have no NaN in x", f"{np.isnan(x).sum()} of them")
    classes = None if y.dtype.kind == "f" else np.unique(y)
    print(
        f"Data: {npz or 'digits of scikit-learn'}, {len(x)} sequences of up to "
        f"{x.shape[1]} steps of {x.shape[2]} numbers; to predict: "
        + ("a number" if classes is None else f"one of {len(classes)} classes")
    )
    labels = None if classes is None else np.searchsorted(classes, y)
    with_folds = options.get("folds", 1) > 1
    parts = data.split(
        x, validation=None if with_folds else 0.16, stratify=labels, seed=seed
    )
    y_train = y[parts.train]
    targets = (y - y_train.mean()) / y_train.std() if classes is None else labels
    train, validation, test = ((x[part], targets[part]) for part in parts)

    # Sequences to trials.
    def hypermodel_for(method):
        return hypermodels.HyperBiLSTMAttention(
            x.shape[1:],
            1 if classes is None else len(classes),
            "regression" if classes is None else "classification",
            mask_value=PADDING,
            space=GRID if method == "grid" else SPACE,
            prepare=prepare,
            classes=classes,
            name="bilstm_attention",
        )

    found = search_by(
        method, hypermodel_for, train, validation, out=out, seed=seed, **options
    )

    # Trials to the best model, to disk: one file to go on with, one folder to serve.
    out = pathlib.Path(out)
    tuner, model = best_of(found)
    scores = tuner.evaluate_best(*test, model=model)
    model = model if classes is not None else in_units_of(y_train, model)
    model.save(out / "model.keras")
    served = serving.export(model, out / "saved_model", test[0][:8])
    print("test", *(f"{name} {value:.4g}" for name, value in scores.items()))
    print(f"Saved {out / 'model.keras'} and {served}")
    predict = "model.predict(x)"
    if classes is not None:
        predict = "models.predict_labels(model, x)"
    print(
        "To predict: model = keras.saving.load_model('model.keras') of that folder, "
        f"{predict}, or serve the folder saved_model"
    )
    return found, scores


def prepare(x_train, y_train):
    """The parts that learn from the training rows, made anew for each fold."""
    scaling = layers.StandardScaling()
    scaling.adapt(x_train, mask_value=PADDING)
    return {"scaling": scaling}


def in_units_of(y, body):
    """`body` with its output, of unit size, rescaled to mean and deviation of `y`."""
    scale, offset = float(np.std(y)), float(np.mean(y))
    rescale = keras.layers.Rescaling(scale, offset, name="prediction")
    return keras.Model(body.inputs, rescale(body.output), name="in_units")


if __name__ == "__main__":  # the processes of --workers and --isolate read this file
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--npz", help="file of arrays x, y and maybe lengths")
    folder = "folder to write to, and to go on from"
    parser.add_argument("--out", default="out/search_bilstm_attention", help=folder)
    add_options(parser)
    main(**vars(parser.parse_args()))
