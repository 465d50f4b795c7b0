"""Test accuracy with and without each augmentation, on few training rows of real sets.

    python benchmarks/augmentation.py --data FOLDER
    python benchmarks/augmentation.py --data FOLDER --wordnet DICT --sets mr --seeds 3
    python benchmarks/augmentation.py --data FOLDER --apertium eng-spa --sets mr

FOLDER holds a `load.py` with the loaders; DICT holds WordNet's `data.noun` and so on,
whose synonyms `data.synonym_replacement` takes; `--apertium` names the languages that
an installed Apertium translates there and back. Layers and functions have their default
strengths, which were settled on none of these sets. All settings of a set have the same
number of steps, one cycle, and the same training rows, which differ by seed where the
set has more. The test part is scored once, at the end. A run is a line of `--results`;
runs that are there already are not repeated.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import subprocess

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
from scipy import stats
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from keras_trainkit import callbacks, data, layers, models, optimizers

BATCH_SIZE = 32
# Copies of each text, in other words, beside the text itself. Rules translate a text
# in one way alone.
COPIES = {"synonyms": 3, "sentences": 3, "translations": 1}
SETTINGS = {
    "churn": {
        "none": None,
        "GaussianFeatureNoise": lambda seed: layers.GaussianFeatureNoise(seed=seed),
        "mixup": "mixup",
    },
    "ecg5000": {
        "none": None,
        "GaussianFeatureNoise": lambda seed: layers.GaussianFeatureNoise(seed=seed),
        "TimeShift": lambda seed: layers.TimeShift(seed=seed),
        "TimeMask": lambda seed: layers.TimeMask(seed=seed),
        "TimeWarp": lambda seed: layers.TimeWarp(seed=seed),
        "mixup": "mixup",
    },
    "mr": {
        "none": None,
        "TokenDropout, unknown": lambda seed: layers.TokenDropout(seed=seed),
        "TokenDropout, masked": lambda seed: layers.TokenDropout(
            replacement=0, seed=seed
        ),
        "synonym_replacement": "synonyms",
        "back_translation": "translations",
    },
    "imdb": {"none": None, "shuffle_sentences": "sentences"},
    "digits": {
        "none": None,
        "image_augmentation, rotated and scaled": lambda seed: (
            models.image_augmentation(
                rotation=0.05, scale=0.1, value_range=(0, 16), seed=seed
            )
        ),
        "image_augmentation, flipped": lambda seed: models.image_augmentation(
            flip="horizontal", value_range=(0, 16), seed=seed
        ),
    },
}
# Training rows, and epochs over them.
SIZES = {
    "churn": (1_000, 30),
    "ecg5000": (500, 40),
    "mr": (1_000, 12),
    "imdb": (500, 12),
    "digits": (300, 60),
}


def load(folder, name, seed):
    """x and y of so many training rows as `SIZES` says, and of the test rows."""
    if name == "digits":
        x, y = load_digits(return_X_y=True)
        parts = train_test_split(x.reshape(-1, 8, 8, 1), y, random_state=0, stratify=y)
        x, x_test, y, y_test = parts
    else:
        loaders = module(pathlib.Path(folder) / "load.py")
        x, y, x_test, y_test = read(loaders, name)
    rows = SIZES[name][0]
    if rows < len(y):
        x, _, y, _ = train_test_split(
            x, y, train_size=rows, random_state=seed, stratify=y
        )
    return x, y, x_test, y_test


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def read(loaders, name):
    if name == "churn":
        frame, y, _, train, _, test = loaders.table("churn")
        frame = pd.get_dummies(frame).to_numpy("float32")
        return frame[train], y[train], frame[test], y[test]
    if name == "ecg5000":
        x, y, x_test, y_test = loaders.ucr("ECG5000")
        return x[..., None], y, x_test[..., None], y_test
    x, y, x_test, y_test = getattr(loaders, name)()
    return np.array(x, object), np.array(y), list(x_test), np.array(y_test)


def accuracy(folder, name, setting, seed, words):
    """Of the test part, after one training."""
    x, y, x_test, y_test = load(folder, name, seed)
    classes, y = np.unique(y, return_inverse=True)
    kind = SETTINGS[name][setting]
    epochs = SIZES[name][1]
    keras.utils.set_random_seed(seed)
    if isinstance(x[0], str):
        x, y, epochs = in_other_words(list(x), y, kind, epochs, words, seed)
        x, x_test, size = tokens(x, x_test)
    else:
        size = None
        x, x_test = np.asarray(x, "float32"), np.asarray(x_test, "float32")
    layer = kind(seed) if callable(kind) else None
    mean = None if size else scaling_of(x)
    if kind == "mixup":  # between scaled rows
        x, x_test = (np.asarray(mean(rows)) for rows in (x, x_test))
        mean = None
    model = built(name, x, len(classes), size, mean, layer)
    smooth = keras.losses.CategoricalCrossentropy(from_logits=True)
    plain = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = smooth if kind == "mixup" else plain
    model.compile(optimizers.AdamW(weight_decay=1e-2), loss)
    batches = data_set(x, y, seed)
    if kind == "mixup":
        batches = data.mixup(batches, num_classes=len(classes), seed=seed)
    rate = 1e-2 if name == "churn" else 3e-3
    cycle = callbacks.OneCycle(rate)
    model.fit(batches, epochs=epochs, callbacks=[cycle], verbose=0, shuffle=False)
    answers = model.predict(x_test, batch_size=256, verbose=0).argmax(axis=1)
    return float((classes[answers] == np.asarray(y_test)).mean())


def data_set(x, y, seed):
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices((x, y))
    return rows.shuffle(len(y), seed=seed).batch(BATCH_SIZE)


def in_other_words(x, y, kind, epochs, words, seed):
    """The texts with copies in other words, and as many fewer epochs."""
    if kind not in COPIES:
        return x, y, epochs
    texts, copies = list(x), COPIES[kind]
    for copy in range(copies):
        of_copy = 100 * seed + copy
        if kind == "synonyms":
            texts += data.synonym_replacement(x, words[kind], seed=of_copy)
        elif kind == "translations":
            texts += data.back_translation(x, *words[kind], batch_size=len(x))
        else:
            texts += data.shuffle_sentences(x, seed=of_copy)
    return texts, np.tile(y, copies + 1), epochs // (copies + 1)


def translators(languages):
    """Functions there and back, by an Apertium that is installed."""
    there, back = languages.split("-")

    def along(pair):
        command = ["apertium", "-u", "-f", "line", pair]

        def translate(texts):
            lines = "\n".join(" ".join(text.split()) for text in texts)
            run = subprocess.run(
                command, input=lines, capture_output=True, text=True, check=True
            )
            return run.stdout.split("\n")[: len(texts)]

        return translate

    return along(f"{there}-{back}"), along(f"{back}-{there}")


def tokens(x, x_test, longest=200, words=8_000):
    ids = keras.layers.TextVectorization(words, output_sequence_length=longest)
    ids.adapt(x)
    both = (np.asarray(ids(list(texts))) for texts in (x, x_test))
    return *both, len(ids.get_vocabulary())


def scaling_of(x):
    scaling = layers.StandardScaling()
    scaling.adapt(x.reshape(-1, x.shape[-1]) if x.ndim == 3 else x)
    return scaling


def built(name, x, classes, size, scaling, augmentation):
    if name == "churn":
        shape = x.shape[1:]
        return models.mlp(
            shape, classes, (128, 128), scaling=scaling, augmentation=augmentation
        )
    if name == "digits":
        inputs = keras.Input(x.shape[1:])
        steps = inputs if augmentation is None else augmentation(inputs)
        for filters in (16, 32):
            steps = keras.layers.Conv2D(filters, 3, padding="same", activation="relu")(
                steps
            )
            steps = keras.layers.MaxPooling2D()(steps)
        steps = keras.layers.Dropout(0.2)(keras.layers.Flatten()(steps))
        return keras.Model(inputs, keras.layers.Dense(classes)(steps))
    floats = {"scaling": scaling, "units": (32,)}
    texts = {"vocabulary_size": size, "dropout": 0.5, "units": (32,)}
    return models.bilstm_attention(
        x.shape[1:],
        classes,
        augmentation=augmentation,
        **(floats if size is None else texts),
    )


def wordnet(folder):
    """Words and their synonyms in the sense that is listed first."""
    lexicon = {}
    for part in ("noun", "verb", "adj", "adv"):
        for line in (pathlib.Path(folder) / f"data.{part}").read_text().splitlines():
            if line.startswith(" "):
                continue
            fields = line.split()
            found = fields[4 : 4 + 2 * int(fields[3], 16) : 2]
            found = [word.split("(")[0].replace("_", " ") for word in found]
            for word in found:
                others = [other for other in found if other.lower() != word.lower()]
                if others and " " not in word:
                    lexicon.setdefault(word.lower(), others)
    return lexicon


def report(results, seeds):
    """A row for each setting: accuracy, and its difference to none, seed by seed."""
    table = pd.DataFrame(results).drop_duplicates(["set", "setting", "seed"])
    for name, rows in table.groupby("set", sort=False):
        none = rows[rows["setting"] == "none"].set_index("seed")["accuracy"]
        for setting, runs in rows.groupby("setting", sort=False):
            scores = runs.set_index("seed")["accuracy"]
            gain = (scores - none).dropna()
            error = stats.sem(gain) if len(gain) > 1 else np.nan
            print(
                f"| {name} | {setting} | {scores.mean():.4f} ± {scores.std():.4f} | "
                f"{gain.mean():+.4f} ± {error:.4f} | {len(scores)} of {seeds} |"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--wordnet")
    parser.add_argument("--apertium", metavar="LANGUAGES")
    parser.add_argument("--sets", nargs="+", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--results", default="out/augmentation.jsonl")
    options = parser.parse_args()
    path = pathlib.Path(options.results)
    path.parent.mkdir(parents=True, exist_ok=True)
    done = [json.loads(line) for line in path.open()] if path.exists() else []
    known = {(run["set"], run["setting"], run["seed"]) for run in done}
    words = {"sentences": None}
    if options.wordnet:
        words["synonyms"] = wordnet(options.wordnet)
    if options.apertium:
        words["translations"] = translators(options.apertium)
    for seed in range(options.seeds):
        for name in options.sets:
            for setting, kind in SETTINGS[name].items():
                if kind in COPIES and kind not in words:
                    continue
                if (name, setting, seed) in known:
                    continue
                score = accuracy(options.data, name, setting, seed, words)
                run = {"set": name, "setting": setting, "seed": seed, "accuracy": score}
                done.append(run)
                with path.open("a") as file:
                    file.write(json.dumps(run) + "\n")
                print(*run.values(), flush=True)
                keras.backend.clear_session()
    report(done, options.seeds)


if __name__ == "__main__":
    main()
