"""Accuracy of `models.bilstm_attention` on public sequences and texts.

    python benchmarks/sequences.py --data FOLDER
    python benchmarks/sequences.py --data FOLDER --sets trec --seeds 1 --validate
    python benchmarks/sequences.py --data FOLDER --ablation
    python benchmarks/sequences.py --data FOLDER --sets trec --estimators
    python benchmarks/sequences.py --data FOLDER --sets mr --validate \
        --with 'vectors="trained"'

FOLDER holds a `load.py` with the loaders. One recipe for measurements and one for
texts: standardised values or token ids, a BiLSTM with attention, AdamW under one cycle,
no early stopping. Sizes, lengths and epochs in `SETS` were chosen with `--validate`,
which trains on four fifths of the training part and scores the rest (HAPT: on other
people); without it the whole training part is used, and the test part once per seed.
`--with units=(32,) epochs=5` changes a recipe, `--share 0.33` takes so much of the
training part, `--labelled 0.1` the labels of so much of what is trained on: word
vectors are learned from the other texts too. `--estimators` trains
`estimators.SequenceClassifier` and `TextClassifier` without an argument: by a recipe
that knows no set, with a fifth of the training part left out to end by.
"""

import argparse
import ast
import dataclasses
import importlib.util
import os
import pathlib
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sklearn.model_selection import GroupShuffleSplit, StratifiedShuffleSplit

from keras_trainkit import callbacks, data, estimators, layers, models, optimizers


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Sizes, lengths and epochs per set; those below the blank line are shared."""

    epochs: int
    units: tuple = (64, 64)
    max_length: int = 500
    batch_size: int = 64
    embedding_units: int = 128
    words: int = 8_000
    scales: tuple = (1,)
    convolutions: tuple | None = None
    pool_size: int = 1
    vectors: str | None = None  # "trained" further or "frozen"; None: random
    vector_epochs: int = 20

    dropout: float = 0.2
    recurrent_dropout: float = 0.1
    attention: str | None = "additive"
    learning_rate: float = 5e-3
    weight_decay: float = 0.02
    label_smoothing: float = 0.1
    one_cycle: bool = True


def text(epochs, **sizes):
    rates = {"dropout": 0.5, "recurrent_dropout": 0.2, "learning_rate": 3e-3}
    return Recipe(epochs, (64,), **rates, **sizes)


# The accuracy asked for stands beside each recipe.
SETS = {
    "hapt": (Recipe(12), 0.950),
    "crop": (Recipe(30, (128, 128), batch_size=128, scales=(1, 2, 4)), 0.755),
    "ecg5000": (Recipe(40, batch_size=32), 0.943),
    "japanese_vowels": (Recipe(60, batch_size=32), 0.985),
    "trec": (text(8), 0.895),
    "mr": (text(5), 0.765),
    "r8": (text(8, max_length=250), 0.966),
    "imdb": (text(3, max_length=250, words=20_000), 0.890),
}

ABLATION = {
    "the recipe": {},
    "constant rate": {"one_cycle": False},
    "last state, no attention": {"attention": None},
    "no dropout": {"dropout": 0.0, "recurrent_dropout": 0.0},
    "no recurrent dropout": {"recurrent_dropout": 0.0},
}


def load(folder, name):
    """x, y, groups of the training part or None, x_test, y_test."""
    path = pathlib.Path(folder) / "load.py"
    spec = importlib.util.spec_from_file_location("load", path)
    loaders = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaders)
    if name == "hapt":
        x, y, subjects, x_test, y_test, _ = loaders.hapt(6)
        return x, y, subjects, x_test, y_test
    if name in ("crop", "ecg5000"):
        x, y, x_test, y_test = loaders.ucr({"crop": "Crop"}.get(name, name.upper()))
        return x[..., None], y, None, x_test[..., None], y_test
    x, y, x_test, y_test = getattr(loaders, name)()
    return x, y, None, x_test, y_test


def held_out(x, y, groups, seed):
    """Four fifths to train on and one fifth to score, of the training part."""
    splitter = StratifiedShuffleSplit if groups is None else GroupShuffleSplit
    rows = splitter(1, test_size=0.2, random_state=seed)
    train, test = next(rows.split(np.zeros(len(y)), y, groups))
    pick = take if isinstance(x, list) else np.take
    return pick(x, train, 0), y[train], pick(x, test, 0), y[test]


def reduced(x, y, groups, share):
    """A share of the rows, of each class alike."""
    rows = StratifiedShuffleSplit(1, train_size=share, random_state=0)
    kept, _ = next(rows.split(np.zeros(len(y)), y))
    pick = take if isinstance(x, list) else np.take
    return pick(x, kept, 0), y[kept], None if groups is None else groups[kept]


def take(items, rows, axis):
    return [items[row] for row in rows]


def text_arrays(x, x_test, recipe, unlabelled=()):
    vectorization = keras.layers.TextVectorization(recipe.words)
    vectorization.adapt([*x, *unlabelled] if recipe.vectors else x)
    ids = []
    for texts in (x, x_test):
        tokens = np.asarray(vectorization(texts))
        kept = [row[row > 0][-recipe.max_length :] for row in tokens]
        ids.append(data.pad_sequences(kept)[0])
    arguments = {"vocabulary_size": vectorization.vocabulary_size()}
    if recipe.vectors is not None:
        arguments["train_embedding"] = recipe.vectors == "trained"
        arguments["embedding_matrix"] = data.word_vectors(
            [*x, *unlabelled],
            vectorization,
            recipe.embedding_units,
            epochs=recipe.vector_epochs,
        )
    return *ids, arguments


def float_arrays(x, x_test, recipe):
    """Padded with a value that no step has."""
    padding = -1e6
    length = max(len(steps) for part in (x, x_test) for steps in part)
    padded = [data.pad_sequences(p, length, value=padding)[0] for p in (x, x_test)]
    scaling = layers.StandardScaling()
    scaling.adapt(padded[0], mask_value=padding)
    return *padded, {"scaling": scaling, "mask_value": padding}


def arrays(x, x_test, recipe, unlabelled=()):
    if isinstance(x[0], str):
        return text_arrays(x, x_test, recipe, unlabelled)
    if isinstance(x, list):
        return float_arrays(x, x_test, recipe)
    scaling = layers.StandardScaling()
    scaling.adapt(x)
    return x.astype("float32"), x_test.astype("float32"), {"scaling": scaling}


def accuracy(parts, recipe, seed, verbose=0, unlabelled=()):
    """Of the network on the second part, trained on the first; and seconds."""
    x, y, x_test, y_test = parts
    classes, y = np.unique(y, return_inverse=True)
    x, x_test, arguments = arrays(x, x_test, recipe, unlabelled)
    keras.utils.set_random_seed(seed)
    model = models.bilstm_attention(
        (None, *x.shape[2:]) if "vocabulary_size" in arguments else x.shape[1:],
        len(classes),
        recipe.units,
        embedding_units=recipe.embedding_units,
        max_length=recipe.max_length,
        dropout=recipe.dropout,
        recurrent_dropout=recipe.recurrent_dropout,
        attention=recipe.attention,
        scales=recipe.scales,
        convolutions=recipe.convolutions,
        pool_size=recipe.pool_size,
        **arguments,
    )
    model.compile(
        optimizers.AdamW(
            recipe.learning_rate / (1 if recipe.one_cycle else 3),
            recipe.weight_decay,
            global_clipnorm=1.0,
        ),
        keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=recipe.label_smoothing
        ),
        metrics=["accuracy"],
    )
    start = time.perf_counter()
    known = keras.utils.to_categorical(y, len(classes))
    asked = (y_test[:, None] == classes).astype("float32")
    model.fit(
        x,
        known,
        recipe.batch_size,
        recipe.epochs,
        verbose=verbose,
        callbacks=[callbacks.OneCycle(recipe.learning_rate)] * recipe.one_cycle,
        validation_data=(x_test, asked) if verbose else None,
        validation_batch_size=512,
    )
    seconds = time.perf_counter() - start
    return model.evaluate(x_test, asked, 512, verbose=0)[1], seconds


def accuracy_of_estimator(parts, seed, verbose, changes):
    """The same of the estimator, which chooses all but the seed."""
    x, y, x_test, y_test = parts
    is_text = isinstance(x[0], str)
    kind = estimators.TextClassifier if is_text else estimators.SequenceClassifier
    estimator = kind(random_state=seed, verbose=verbose, **changes)
    start = time.perf_counter()
    estimator.fit(x, y)
    return estimator.score(x_test, y_test), time.perf_counter() - start


def scores(options, name, changes):
    recipe, bar = SETS[name]
    if not options.estimators:
        recipe = dataclasses.replace(recipe, **changes)
    x, y, groups, x_test, y_test = load(options.data, name)
    if options.share < 1:
        x, y, groups = reduced(x, y, groups, options.share)
    found = []
    for seed in range(options.seeds):
        parts = x, y, x_test, y_test
        if options.validate:
            parts = held_out(x, y, groups, seed)
        unlabelled = []
        if options.labelled < 1:
            texts, known, *scored = parts
            labelled, known, _ = reduced(texts, known, None, options.labelled)
            unlabelled = sorted(set(texts) - set(labelled))
            parts = labelled, known, *scored
        keras.utils.clear_session()
        if options.estimators:
            found.append(accuracy_of_estimator(parts, seed, options.verbose, changes))
        else:
            found.append(accuracy(parts, recipe, seed, options.verbose, unlabelled))
    values, seconds = zip(*found, strict=True)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return statistics.mean(values), spread, statistics.mean(seconds), bar


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder of load.py")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validate", action="store_true")
    parser.add_argument("--share", type=float, default=1, help="of training rows")
    parser.add_argument("--labelled", type=float, default=1, help="of trained texts")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--estimators", action="store_true")
    parser.add_argument("--verbose", type=int, default=0)
    parser.add_argument("--with", nargs="*", default=[], dest="changes")
    options = parser.parse_args()
    given = dict(change.split("=", 1) for change in options.changes)
    given = {key: ast.literal_eval(value) for key, value in given.items()}
    rows = ABLATION if options.ablation else {"the recipe": {}}
    print("| set | | mean | spread | asked for | seconds |")
    print("|" + " --- |" * 6)
    for name in options.sets:
        for row, changes in rows.items():
            mean, spread, seconds, bar = scores(options, name, {**changes, **given})
            print(
                f"| {name} | {row} | {mean:.4f} | {spread:.4f} | {bar} "
                f"| {seconds:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
