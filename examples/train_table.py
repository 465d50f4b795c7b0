"""Trains an MLP on a table as it comes, from a CSV file to a served SavedModel.

What is trained is `estimators.TableClassifier`, or for numbers `TableRegressor`.

    python examples/train_table.py
    python examples/train_table.py --csv houses.csv --target price
    python examples/train_table.py --csv houses.csv --target price --time-limit 600
    python examples/train_table.py --csv dirty.csv --target price --drop id --kinds
        zip=categorical

Numbers, texts, booleans, dates and gaps are told apart by themselves, also where they
are written as "$1,200", "22.8 %", "1.234,5", "yes" or "?" (`layers.TableEncoder` has
the rules, and prints what it found). Without a file it takes scikit-learn's cancer
table. Writes `model.keras`, `encoder.keras`, `saved_model/1/` and `learning_curves.png`
into `--out`, and prints the test scores beside those of scikit-learn's gradient-boosted
trees.

| in the file                         | is                                         |
| ----------------------------------- | ------------------------------------------ |
| `;`, tab or `|` between the columns | found out by the header; else `--sep`      |
| other bytes than UTF-8              | read as Windows-1252, and said             |
| two columns of one name             | read as `name` and `name.1`, and said      |
| a separator at the end of each row  | left out, and said                         |
| a column without a value            | left out, and said                         |
| a column of one value               | kept, and always 0                         |
| a row without a target              | left out, and said                         |
| a class of fewer than three rows    | left out, and said                         |
| a target such as "$1,200"           | read as a number                           |
| a target of dates                   | read as days since 1970, and said          |
"""

import quiet_start  # noqa: F401 (goes before what loads TensorFlow)

# isort: split
import argparse
import csv as csv_files
import pathlib

import keras
import numpy as np
import pandas as pd
from served_folder import check_folder, note_data
from sklearn import ensemble
from sklearn.datasets import load_breast_cancer

from keras_trainkit import analysis, data, estimators, layers


def main(
    csv=None,
    target=None,
    task=None,
    out="out/train_table",
    seed=0,
    *,
    sep=None,
    drop=(),
    kinds=None,
    class_weight=None,
    verbose=1,
    **recipe,
):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)

    # File to rows. The test rows are not looked at until the end.
    table, y, task, classes = read_table(csv, target, task, sep, drop)
    outputs = task if classes is None else f"{len(classes)} classes"
    about = {"columns": sorted(table), "outputs": outputs}
    check_folder(out, about)
    strata = None if task == "regression" else y
    test = max(round(0.2 * len(y)), len(classes or ()))  # a row of each class
    parts = data.split(table, validation=None, test=test, stratify=strata, seed=seed)

    # Rows to model. The estimator keeps rows of its own for validation.
    rows = parts.train
    recipe |= {"kinds": kinds, "random_state": seed, "verbose": verbose}
    if task == "regression":
        estimator = estimators.TableRegressor(**recipe)
        estimator.fit(table.iloc[rows], y[rows])
    else:
        estimator = estimators.TableClassifier(class_weight=class_weight, **recipe)
        estimator.fit(table.iloc[rows], np.array(classes)[y[rows]])
    curves = first_training(estimator.history_)
    analysis.plot_learning_curves(curves, out / "learning_curves.png")
    if task != "regression" and estimator.temperature_ == 1:
        validated = estimator.recipe_["validation_rows"]["value"]
        print(
            f"Probabilities are served as trained: the {validated} validation rows "
            "are too easy, or too few, to correct them by."
        )

    # Model to disk: two files to go on with, one folder to serve.
    encoder, model = estimator.encoder_, estimator.model_
    model.save(out / "model.keras")
    keras.saving.save_model(encoder, out / "encoder.keras")
    served = estimator.export(out / "saved_model", table.iloc[parts.test[:8]])
    note_data(out, about)

    known = table[list(encoder.column_names)]  # all that had a value to learn from
    train, test = ((known.iloc[part], y[part]) for part in (parts.train, parts.test))
    x_test, y_test = encoder(test[0]), test[1]
    to_serve = getattr(estimator, "calibrated_model_", model)
    scores = {
        "as trained": score(model.predict(x_test, verbose=0), y_test, task),
        "as served": score(to_serve.predict(x_test, verbose=0), y_test, task),
        "boosted trees": boosted_trees(encoder, train, test, task, seed),
    }
    for name, values in scores.items():
        print(f"{name:14}  test", *(f"{k} {v:.4g}" for k, v in values.items()))
    print_summary(out, served, task)
    return scores


def first_training(history):
    """The epochs of the first network, where there is one for each fold and trial."""
    marks = [name for name in ("fold", "trial") if name in history]
    if not marks:
        return history
    networks = list(zip(*(history[name] for name in marks), strict=True))
    epochs = networks.count(networks[0])
    return {n: values[:epochs] for n, values in history.items() if n not in marks}


def print_summary(out, served, task):
    output, predict = "predictions", "model.predict(encoder(frame))"
    if task != "regression":
        output = "label"
        predict = (
            "models.predict_labels(model, encoder(frame))  # predict_proba for "
            "probabilities, as before calibration"
        )
    print(
        f"""Wrote to {out}/
  learning_curves.png
  model.keras and encoder.keras, for Python with keras_trainkit:
    encoder = keras.saving.load_model("{out / "encoder.keras"}")
    model = keras.saving.load_model("{out / "model.keras"}")
    {predict}
  {served.relative_to(out)}, for a server, or Python with TensorFlow alone:
    serve = tf.saved_model.load("{served}").signatures["serving_default"]
    serve(...)["{output}"]  # a tensor per column; assets.extra/ has an example"""
    )


def score(outputs, y, task):
    """Scores on rows that no part of the training has seen."""
    if task == "regression":
        return {"rmse": float(np.sqrt(np.mean((np.ravel(outputs) - y) ** 2)))}
    if task == "binary":
        probabilities = keras.ops.convert_to_numpy(keras.ops.sigmoid(outputs))
        predicted = probabilities[:, 0] > 0.5
    else:
        probabilities = keras.ops.convert_to_numpy(keras.ops.softmax(outputs))
        predicted = probabilities.argmax(1)
    error = analysis.calibration_error(y, probabilities)
    return {"accuracy": float(np.mean(predicted == y)), "calibration_error": error}


def boosted_trees(encoder, train, test, task, seed):
    """Score of scikit-learn's trees with their defaults on the same arrays."""
    regression = task == "regression"
    trees = ensemble.HistGradientBoostingClassifier(random_state=seed)
    if regression:
        trees = ensemble.HistGradientBoostingRegressor(random_state=seed)
    x_train, x_test = (
        np.hstack([*encoder(rows).values()]) for rows, _ in (train, test)
    )
    trees.fit(x_train, train[1])
    if regression:
        return score(trees.predict(x_test), test[1], task)
    logits = np.log(np.clip(trees.predict_proba(x_test), 1e-7, None))
    if task == "binary":
        logits = logits[:, 1:] - logits[:, :1]
    return score(logits, test[1], task)


def read_table(csv, target, task, sep=None, drop=()):
    if csv is None:
        name, target = "scikit-learn's breast cancer table", target or "target"
        table = load_breast_cancer(as_frame=True).frame
    else:
        name, table = csv, read_csv(csv, sep)
    print(f"Data: {name}, {len(table):,} rows, {table.shape[1]} columns")
    unknown = [column for column in drop if column not in table]
    if unknown:
        raise ValueError(
            "`drop` names columns to leave out and must be some of "
            f"{list(table.columns)}. Received: {unknown}."
        )
    return split_target(table.drop(columns=list(drop)), target, task)


def read_csv(csv, sep=None):
    """The rows; encoding and separator are found out by bytes and header."""
    encoding = encoding_of(csv)
    with open(csv, encoding=encoding, newline="") as file:
        header = file.readline()
        file.seek(0)
        lines = [line for line, _ in zip(file, range(100), strict=False)]
    if sep is None:
        sep = max(",;\t|", key=header.count)
    sep = "\t" if sep == "\\t" else sep  # as a shell hands it over
    if len(sep) != 1:
        raise ValueError(
            "`sep` stands between the columns and must be one character, or \\t for a "
            f"tab. Received: sep={sep!r}."
        )
    names, *rows = list(csv_files.reader(lines, delimiter=sep)) or [[]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        print("Columns of one name:", *twice, "(the second is read as NAME.1)")
    columns = columns_read(names, next(filter(None, rows), names))
    return pd.read_csv(csv, sep=sep, encoding=encoding, low_memory=False, **columns)


def columns_read(names, first):
    """Arguments of `read_csv` where rows have more values than the header has names."""
    if len(first) <= len(names):
        return {}
    if any(first[len(names) :]):
        print("The first value of each row, which has no name, is left out.")
        return {}  # pandas takes it for the label of the row
    print("Left out, without a name and a value: what stands behind the last column")
    return {"index_col": False, "usecols": range(len(names))}


def encoding_of(csv):
    """UTF-8, or what Excel writes on Windows; Latin-1 has a letter for every byte."""
    for encoding, name in (("utf-8-sig", None), ("cp1252", "Windows-1252")):
        try:
            pathlib.Path(csv).read_text(encoding)
        except UnicodeDecodeError:
            continue
        if name:
            print(f"{csv} is not UTF-8: read as {name}.")
        return encoding
    print(f"{csv} is not UTF-8: read as Latin-1.")
    return "latin-1"


def split_target(table, target, task):
    """Columns without the target, y `(rows,)` (classes as codes), task and classes.

    Classes are named as in the file, in the order of their codes; None for values.
    """
    if target not in table:
        raise ValueError(
            "`target` names the column to predict and must be one of "
            f"{list(table.columns)}. Received: target={target!r}."
        )
    numbers, missing, dates = read_target(table[target], target)
    y = table[target]
    values = [] if numbers is None else np.unique(numbers[~missing])
    fractions = bool(np.mod(values, 1).any())
    many = len(values) > 20 or fractions
    task = task or ("regression" if many else "classification")
    if task == "regression" and numbers is None:
        raise ValueError(
            f"`task` says what is predicted and must be classification for {target!r}, "
            f"which holds texts. Received: task={task!r}, such as {y.iloc[0]!r}."
        )
    kept = ~missing
    if missing.any():
        print(f"Left out: {missing.sum():,} rows without {target!r}")
    if task != "regression":
        kept &= is_frequent(y.where(kept))
    table, y = table[kept].drop(columns=target), y[kept]
    if fractions and task != "regression":
        y = y.astype(str)  # classes that are named like numbers
    empty = [name for name in table if len(table) and table[name].isna().all()]
    if empty:
        print("Left out, without a value:", *empty)
    table = table.drop(columns=empty)
    if task == "regression":
        unit = "days since 1970-01-01" if dates else "a number"
        print(f"Predicts {target!r}, {unit}")
        return table, numbers[kept], task, None
    codes, classes = pd.factorize(y, sort=True)
    if len(classes) < 2:
        raise ValueError(
            f"The target column {target!r} must hold at least two classes of three "
            f"rows or more. Received: {classes.tolist()}."
        )
    print(f"Predicts {target!r}, one of {len(classes)} classes:", *classes)
    return table, codes, "binary" if len(classes) == 2 else task, classes.tolist()


def read_target(column, name):
    """Numbers of the column (None where it holds texts), True at missing values.

    "$1,200" is a number, and "?" no value, by the rules of the encoder. Then True if
    the numbers are days.
    """
    encoder = layers.TableEncoder(scaling=None)
    encoder.adapt({name: column})
    encoded = encoder({name: column})
    if encoder.categorical_names:
        return None, encoded["categorical"][:, 0] == 0, False
    missing = np.zeros(len(column), bool)
    if f"{name}_missing" in encoder.numeric_names:
        missing = encoded["numeric"][:, -1] == 1
    (column,) = encoder.get_build_config()["columns"]
    return encoded["numeric"][:, 0], missing, column["kind"] == "datetime"


def is_frequent(y):
    """True for rows of a class that has one for each of the three parts."""
    rows = y.map(y.value_counts())
    rare = y[rows < 3].unique()
    for name in rare[:3]:
        print(f"Left out: the class {name!r}, which has fewer than 3 rows")
    if len(rare) > 3:
        print(f"Left out: {len(rare) - 3:,} more classes of fewer than 3 rows")
    return (rows >= 3).to_numpy()


def name_and_kind(text):
    """Splits NAME=KIND of the command line."""
    name, _, kind = text.rpartition("=")
    return name, kind


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--csv", help="file with a header row; default: breast cancer")
    parser.add_argument("--target", help="name of the column to predict")
    parser.add_argument(
        "--task",
        choices=("classification", "regression"),
        help="default: regression for fractions, or over 20 different numbers",
    )
    add = parser.add_argument
    add("--sep", help="between columns; default: told by the header")
    add("--drop", nargs="+", default=[], metavar="NAME", help="columns to leave out")
    add(
        "--kinds",
        nargs="+",
        type=name_and_kind,
        default=[],
        metavar="NAME=KIND",
        help="numeric, boolean, categorical or datetime, where it is taken for another",
    )
    parser.add_argument("--out", default="out/train_table", help="folder to write to")
    parser.add_argument("--members", type=int, help="1 is a plain MLP")
    parser.add_argument("--epochs", type=int, help="default: by the rows")
    parser.add_argument(
        "--class-weight",
        choices=("balanced",),
        help="lets rare classes count as much as frequent ones",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        metavar="SECONDS",
        help="of a search around the recipe; default: none",
    )
    parser.add_argument("--seed", type=int, default=0)
    options = vars(parser.parse_args())
    main(**{**options, "kinds": dict(options["kinds"]) or None})
