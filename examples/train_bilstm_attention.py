"""Trains a BiLSTM with attention on sequences or texts, to a served SavedModel.

What is trained is `estimators.SequenceClassifier`, for numbers `SequenceRegressor`, for
texts `TextClassifier`.

    python examples/train_bilstm_attention.py
    python examples/train_bilstm_attention.py --npz steps.npz
    python examples/train_bilstm_attention.py --text mails.csv

Without a file it reads scikit-learn's digits row by row: 8 steps of 8 pixels. `--npz`
takes arrays x (sequences, time, features), y (sequences,) (floats: regression;
integers, texts, True and False: classes) and maybe lengths (sequences,), the steps of
each that count; a sequence without a step is left out, and said. NaN in x is a value
that is missing. Classes of sequences with one feature are told by convolutions alone,
without attention, unless by `--units`. `estimators.SequenceClassifier()` tells classes
of sequences without any network, in seconds and often better: docs/sequences.md.
`--text` takes a CSV file of label and text (in quotes where it has the "," or ";"), or
lines of label, tab, text. A first line such as `label,text` names the columns, in any
order; other names are given by `--columns v1 v2`, other letters than UTF-8 by
`--encoding latin-1`. The served model takes raw texts. Writes `model.keras`,
`saved_model/1/`, `learning_curves.png` and `attention.png` into `--out`, and for texts
`text.keras`, with which the model reads further texts:

    text = keras.saving.load_model("out/train_bilstm_attention/text.keras")
    model = keras.saving.load_model("out/train_bilstm_attention/model.keras")
    models.predict_labels(model, text(["so good"]))
"""

import quiet_start  # noqa: F401 (goes before what loads TensorFlow)

# isort: split
import argparse
import csv
import io
import pathlib
import re

import keras
import numpy as np
from served_folder import check_folder, note_data
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_trainkit import analysis, data, estimators, models

PADDING = -1e9  # marks the steps that do not count; no measurement has it
LABEL_NAMES = {"label", "labels", "class", "category", "target", "sentiment", "y"}
TEXT_NAMES = {"text", "texts", "sentence", "message", "review", "comment", "body"}


def main(
    npz=None,
    text=None,
    columns=None,
    encoding="utf-8",
    out="out/train_bilstm_attention",
    epochs=None,
    units=None,
    batch_size=None,
    seed=0,
    *,
    verbose=1,
):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)

    # File to raw sequences. The test part is not looked at until the end.
    x, y = read_text(text, columns, encoding) if text else read_sequences(npz)
    classes = None if y.dtype.kind == "f" else classes_of(y)
    tell_data(text or npz or "digits of scikit-learn", x, classes, text)
    about = {
        "inputs": "texts" if text else f"steps of {x[0].shape[1]} features",
        "outputs": "a number" if classes is None else f"{len(classes)} classes",
    }
    check_folder(out, about)
    x_train, x_test, y_train, y_test = train_test_split(
        x, y, test_size=0.2, stratify=None if classes is None else y, random_state=seed
    )
    if not text:
        check_gaps(x_train, x_test)

    # Raw sequences to a model. The estimator keeps rows of its own for validation.
    kind, layers = estimator_for(text, classes), 1 if text else 2
    # Without it classes of measurements are told by fixed shapes, and no network.
    network = (
        {"features_per_kernel": 0} if kind is estimators.SequenceClassifier else {}
    )
    estimator = kind(
        **network,
        units=None if units is None else (units,) * layers,
        epochs=epochs,
        batch_size=batch_size,
        random_state=seed,
        verbose=verbose,
    )
    estimator.fit(x_train, y_train)
    analysis.plot_learning_curves(estimator.history_, out / "learning_curves.png")
    words = estimator.vectorization_.get_vocabulary() if text else None
    x_encoded = encoded(estimator, x_test)
    if estimator.recipe_["units"]["value"]:
        draw_attention(estimator.model_, x_encoded, words, out / "attention.png")
    else:
        print("Classes of one channel are told without attention; see --units.")

    # Model to disk: one file to go on training, one folder to serve.
    estimator.model_.save(out / "model.keras")
    if text:
        keras.saving.save_model(estimator.vectorization_, out / "text.keras")
    served = estimator.export(out / "saved_model", x_test[:4])
    note_data(out, about)
    scores = scores_of(estimator, x_test, y_test)
    print("test", *(f"{name} {value:.4g}" for name, value in scores.items()))
    print(f"Saved {out / 'model.keras'} and {served}")
    tell_how_to_predict(classes)
    return scores


def tell_data(source, x, classes, text):
    print(
        f"Data: {source}, {len(x)} "
        + ("texts" if text else f"sequences of up to {max(map(len, x))} steps")
        + "; to predict: "
        + ("a number" if classes is None else f"one of {len(classes)} classes")
    )


def tell_how_to_predict(classes):
    predict = "model.predict(x)"
    if classes is not None:
        predict = "models.predict_labels(model, x)"
    print(
        "To predict: model = keras.saving.load_model('model.keras') of that folder, "
        f"{predict} (see the top of this file for texts), or serve the folder "
        "saved_model"
    )


def estimator_for(text, classes):
    if text:
        return estimators.TextClassifier
    if classes is None:
        return estimators.SequenceRegressor
    return estimators.SequenceClassifier


def scores_of(estimator, x, y):
    """Scores on rows that no part of the training has seen."""
    if isinstance(estimator, estimators.SequenceRegressor):
        off = estimator.predict(x) - y
        return {"root_mean_squared_error": float(np.sqrt(np.mean(off**2)))}
    error = analysis.calibration_error(
        np.searchsorted(estimator.classes_, y), estimator.predict_proba(x)
    )
    return {"accuracy": estimator.score(x, y), "calibration_error": error}


def encoded(estimator, x):
    """The arrays that the network takes."""
    if isinstance(estimator, estimators.TextClassifier):
        tokens = np.asarray(estimator.vectorization_(list(x)))
        return data.pad_sequences([row[row > 0] for row in tokens])[0]
    return data.pad_sequences(x, value=estimator.recipe_["mask_value"]["value"])[0]


def read_sequences(npz=None):
    """Sequences without padding, of a file or of the digits, and their targets."""
    x, y = read_npz(npz) if npz else digits()
    lengths = (x != PADDING).any(axis=2).sum(axis=1)
    if not lengths.all():
        print(f"Left out: {np.sum(lengths == 0)} sequences without a step")
    pairs = zip(x, lengths, strict=True)
    return [steps[:length] for steps, length in pairs if length], y[lengths > 0]


def check_gaps(x_train, x_test):
    """Refuses gaps that only rows for tests have: the model was not trained on any."""
    rule = "miss values in training rows too, if in any (another seed draws others)"
    gaps_in_tests = sum(map(has_gaps, x_test))
    received = f"{gaps_in_tests} of the rows for tests with NaN alone"
    check(not gaps_in_tests or any(map(has_gaps, x_train)), rule, received)


def has_gaps(steps):
    return np.isnan(steps).any()


def digits():
    images, y = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8).astype("float32"), y


def read_npz(path):
    """Steps behind the length of a sequence become `PADDING`."""
    with np.load(path) as file:
        arrays = dict(file)
    shapes = {name: array.shape for name, array in arrays.items()}
    rows, time = (*shapes.get("x", ()), 0, 0)[:2]
    fits = (
        rows and time and shapes.get("y") == shapes.get("lengths", (rows,)) == (rows,)
    )
    parts = "x (sequences, time, features), y (sequences,) and maybe lengths, like y"
    check(fits, f"be arrays {parts}", shapes)

    check(arrays["x"].dtype.kind in "biuf", "have x of numbers", arrays["x"].dtype)
    with np.errstate(over="ignore"):  # what becomes infinite is refused below
        x = arrays["x"].astype("float32").reshape(rows, time, -1)
    y, lengths = arrays["y"], arrays.get("lengths", np.full(rows, time))
    whole = lengths.dtype.kind in "iu" and 0 <= lengths.min() <= lengths.max() <= time
    check(whole, f"have lengths that are whole numbers from 0 to {time}", lengths)
    x[np.arange(time) >= lengths[:, None]] = PADDING
    rule = "have x within lengths that is finite, NaN where a value is missing"
    check(not np.isinf(x).any(), rule, x[np.isinf(x)])
    check(y.dtype.kind != "f" or np.isfinite(y).all(), "have finite targets y", y)
    return x, y


def check(fits, rule, received):
    if not fits:
        raise ValueError(
            f"`npz` holds sequences and their targets and must {rule}. "
            f"Received: {received}."
        )


def read_text(path, columns=None, encoding="utf-8"):
    """Texts and labels; `columns` names those of the labels and of the texts."""
    rows = [
        (n, cells)
        for n, cells in rows_of(path, encoding, columns)
        if "".join(cells).strip()
    ]
    if not rows:
        raise ValueError(
            "`text` holds labelled texts and must have a line at least. "
            f"Received: {str(path)!r}, which is empty."
        )
    has_names, (label, text) = label_and_text(rows[0][1], columns)
    labels, texts = [], []
    for number, cells in rows[has_names:]:
        spare = "" if has_names else "".join(cells[2:]).strip()
        if len(cells) <= max(label, text) or not cells[label].strip() or spare:
            raise ValueError(
                "`text` holds labelled texts and each line must be label, tab, text, "
                "or in a CSV file label and text, in quotes where it has commas. "
                f"Received in line {number}: {', '.join(map(repr, cells))}."
            )
        labels.append(cells[label].strip())
        texts.append(cells[text])
    return np.array(texts, dtype=object), np.array(labels, dtype=str)


def rows_of(path, encoding, columns):
    """Numbers and cells of the lines; two cells where tabs and no names part them."""
    is_utf8 = encoding.lower().replace("-", "").replace("_", "") == "utf8"
    try:  # Excel starts UTF-8 with a mark
        with open(path, encoding="utf-8-sig" if is_utf8 else encoding, newline="") as f:
            content = f.read()
    except (UnicodeError, LookupError) as error:
        raise ValueError(
            "`encoding` is how the file stores letters and must be that of the file, "
            'often "utf-8", "latin-1", "cp1252" or "utf-16". '
            f"Received: encoding={encoding!r} for {str(path)!r}: {error}."
        ) from error
    lines = re.split("\r\n|\r|\n", content)
    first = next((line for line in lines if line.strip()), "")
    separators = re.sub('"[^"]*"', "", first).replace(
        "\t", "" if is_csv(path) else "\t"
    )
    if "\t" in separators or not re.search("[,;]", separators):
        has_names, _ = label_and_text(first.split("\t"), columns)
        width = first.count("\t") if has_names else 1
        return [(n, line.split("\t", width)) for n, line in enumerate(lines, start=1)]
    csv.field_size_limit(2**31 - 1)
    separator = re.search("[,;]", separators).group()
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=separator)
    return [(reader.line_num, cells) for cells in reader]


def is_csv(path):
    return pathlib.Path(path).suffix.lower() == ".csv"


def label_and_text(first, columns=None):
    """True if the first line names the columns; the indices of label and text."""
    names = [cell.strip().lower() for cell in first]
    wanted = [{name.strip().lower()} for name in columns or ()]
    found = [
        [index for index, name in enumerate(names) if name in words]
        for words in wanted or (LABEL_NAMES, TEXT_NAMES)
    ]
    if all(len(indices) == 1 for indices in found):
        return True, [indices[0] for indices in found]
    if columns:
        raise ValueError(
            "`columns` are the names of the labels and of the texts and must stand "
            f"once in the first line of `text`. Received: columns={columns!r}, "
            f"a first line of {first!r}."
        )
    return False, [0, 1]


def classes_of(y):
    """The classes in their order; each in two rows for training and one for tests."""
    classes, counts = np.unique(y, return_counts=True)
    rare = classes[counts < 3]
    if len(rare) or len(classes) < 2:
        raise ValueError(
            "`y`, the labels, are learned and tested and must be two classes or more "
            "of 3 rows each at least (where the first line of a text file names its "
            "columns, say so by `columns`). Received: "
            f"classes {classes[:9].tolist()}, too rare {rare[:9].tolist()}."
        )
    return classes


def draw_attention(model, x, words, path):
    """The weights over the first sequence that has a step."""
    names = [layer.name for layer in model.layers]  # of numbers, beside a line
    network = model.get_layer("network_1") if "network_1" in names else model
    weights = models.attention_scores(network).predict(x, verbose=0)
    row = weights.any(axis=1).argmax()
    cut = keras.Model(network.input, network.get_layer("truncation").output)
    steps = cut.predict(x[row : row + 1], verbose=0)[0]
    counts = np.flatnonzero(weights[row])
    if words:
        labels = [words[token] for token in steps[counts]]
        analysis.plot_attention(weights[row, counts], path, labels=labels)
    else:
        analysis.plot_attention(weights[row, counts], path, sequence=steps[counts])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--npz", help="file of arrays x, y and maybe lengths")
    source.add_argument("--text", help="CSV file of label and text, or lines with tabs")
    parser.add_argument(
        "--columns", nargs=2, metavar=("LABEL", "TEXT"), help="names in the first line"
    )
    parser.add_argument("--encoding", default="utf-8", help="of --text, as latin-1")
    parser.add_argument(
        "--out", default="out/train_bilstm_attention", help="folder to write to"
    )
    parser.add_argument("--epochs", type=int, help="at most; default: by the recipe")
    parser.add_argument("--units", type=int, help="of each layer and direction")
    parser.add_argument("--batch-size", type=int, help="default: by the rows")
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
