"""Trains a BiLSTM with attention on sequences or texts, to a served SavedModel.

    python examples/train_bilstm_attention.py
    python examples/train_bilstm_attention.py --npz steps.npz
    python examples/train_bilstm_attention.py --text mails.csv

Without a file it reads scikit-learn's digits row by row: 8 steps of 8 pixels. `--npz`
takes arrays x (sequences, time, features), y (sequences,) (whole numbers or texts:
classes; other numbers: regression) and maybe lengths (sequences,), the steps of each
that count.
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
import dataclasses
import io
import pathlib
import re

import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_trainkit import (
    analysis,
    callbacks,
    data,
    layers,
    models,
    optimizers,
    serving,
)

PADDING = -1e9  # marks the steps that do not count; no measurement has it
LABEL_NAMES = {"label", "labels", "class", "category", "target", "sentiment", "y"}
TEXT_NAMES = {"text", "texts", "sentence", "message", "review", "comment", "body"}


def main(
    npz=None,
    text=None,
    columns=None,
    encoding="utf-8",
    out="out/train_bilstm_attention",
    epochs=30,
    units=64,
    batch_size=32,
    seed=0,
):
    keras.utils.set_random_seed(seed)
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)

    # File to raw sequences. The test part is not looked at until the end.
    x, y = digits()
    if text or npz:
        x, y = read_text(text, columns, encoding) if text else read_npz(npz)
    classes = None if y.dtype.kind == "f" else classes_of(y)
    if classes is not None:
        y = np.searchsorted(classes, y)
    print(
        f"Data: {text or npz or 'digits of scikit-learn'}, {len(x)} "
        + ("texts" if text else f"sequences of up to {x.shape[1]} steps")
        + "; to predict: "
        + ("a number" if classes is None else f"one of {len(classes)} classes")
    )
    x, x_test, y, y_test = split(x, y, classes, seed)
    x_train, x_valid, y_train, y_valid = split(x, y, classes, seed)

    # Raw sequences to a model. Encodings learn from the training part alone.
    encoded = text_encoding(x_train) if text else float_encoding(x_train)
    body = models.bilstm_attention(
        encoded.input_shape,
        len(classes) if classes is not None else 1,
        (units, units),
        task="classification" if classes is not None else "regression",
        classes=classes,
        **encoded.arguments,
    )
    model = body if classes is not None else in_units_of(y_train, body)
    loss, metric = "mse", "root_mean_squared_error"
    if classes is not None:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        metric = "accuracy"
    model.compile(optimizers.AdamW(), loss, metrics=[metric])

    history = model.fit(
        encoded.encode(x_train),
        y_train,
        validation_data=(encoded.encode(x_valid), y_valid),
        epochs=epochs,
        batch_size=batch_size,
        callbacks=[callbacks.OneCycle(0.005), callbacks.EarlyStopping()],
    )
    analysis.plot_learning_curves(history, out / "learning_curves.png")
    draw_attention(body, encoded.encode(x_test), encoded, out / "attention.png")

    # Model to disk: one file to go on training, one folder to serve.
    model.save(out / "model.keras")
    if text:
        keras.saving.save_model(encoded.preprocessing, out / "text.keras")
    served = serving.export(
        model, out / "saved_model", x_test[:4], preprocessing=encoded.preprocessing
    )
    scores = model.evaluate(encoded.encode(x_test), y_test, verbose=0, return_dict=True)
    print("test", *(f"{name} {value:.4g}" for name, value in scores.items()))
    print(f"Saved {out / 'model.keras'} and {served}")
    predict = "model.predict(x)"
    if classes is not None:
        predict = "models.predict_labels(model, x)"
    print(
        "To predict: model = keras.saving.load_model('model.keras') of that folder, "
        f"{predict} (see the top of this file for texts), or serve the folder "
        "saved_model"
    )
    return scores


@dataclasses.dataclass(frozen=True)
class Encoding:
    """The way from raw sequences to the arrays that the network trains on."""

    encode: object
    input_shape: tuple
    arguments: dict
    preprocessing: keras.layers.Layer | None = None
    words: list | None = None


def float_encoding(x_train):
    scaling = layers.StandardScaling()
    scaling.adapt(x_train, mask_value=PADDING)
    arguments = {"scaling": scaling, "mask_value": PADDING}
    return Encoding(np.asarray, x_train.shape[1:], arguments)


def text_encoding(x_train, most_words=20_000, max_length=500):
    vectorization = keras.layers.TextVectorization(most_words, name="text")
    vectorization.adapt(x_train)
    words = vectorization.get_vocabulary()

    def encode(texts):
        tokens = np.asarray(vectorization(texts))
        return data.pad_sequences([row[row > 0][-max_length:] for row in tokens])[0]

    arguments = {"vocabulary_size": len(words), "max_length": max_length}
    return Encoding(encode, (None,), arguments, vectorization, words)


def digits():
    images, y = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8).astype("float32"), y


def read_npz(path):
    """Steps behind the length of a sequence become `PADDING`."""
    with np.load(path) as file:
        arrays = dict(file)
    shapes = {name: array.shape for name, array in arrays.items()}
    rows, time = (*shapes.get("x", ()), 0, 0)[:2]
    fits = time and shapes.get("y") == shapes.get("lengths", (rows,)) == (rows,)
    parts = "x (sequences, time, features), y (sequences,) and maybe lengths, like y"
    check(fits, f"be arrays {parts}", shapes)

    x = arrays["x"].astype("float32").reshape(rows, time, -1)
    y, lengths = arrays["y"], arrays.get("lengths", np.full(rows, time))
    whole = lengths.dtype.kind in "iu" and 0 <= lengths.min() <= lengths.max() <= time
    check(whole, f"have lengths that are whole numbers from 0 to {time}", lengths)
    x[np.arange(time) >= lengths[:, None]] = PADDING
    check(np.isfinite(x).all(), "have finite x within lengths", x[~np.isfinite(x)])
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


def split(x, y, classes, seed):
    """Splits off a fifth; both parts have the classes in the same shares."""
    shares = None if classes is None else y
    return train_test_split(x, y, test_size=0.2, stratify=shares, random_state=seed)


def in_units_of(y, body):
    """`body` with its output, of unit size, rescaled to mean and deviation of `y`."""
    scale, offset = float(np.std(y)), float(np.mean(y))
    rescale = keras.layers.Rescaling(scale, offset, name="prediction")
    return keras.Model(body.inputs, rescale(body.output), name="in_units")


def draw_attention(body, encoded, encoding, path):
    """The weights over the first sequence that has a step."""
    weights = models.attention_scores(body).predict(encoded, verbose=0)
    row = weights.any(axis=1).argmax()
    cut = keras.Model(body.input, body.get_layer("truncation").output)
    steps = cut.predict(encoded[row : row + 1], verbose=0)[0]
    counts = np.flatnonzero(weights[row])
    if encoding.words:
        words = [encoding.words[token] for token in steps[counts]]
        analysis.plot_attention(weights[row, counts], path, labels=words)
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
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    main(**vars(parser.parse_args()))
