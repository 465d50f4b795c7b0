"""Accuracy of `estimators.SequenceClassifier` on public series, beside published ones.

    pip install sktime
    python benchmarks/series.py
    python benchmarks/series.py --sets GunPoint --seeds 1
    python benchmarks/series.py --with 'convolutions=()' pool_size=1

The series are those that sktime brings, in the archive's own training and test parts;
the estimator has no argument but a seed. Published are, on the same parts:

- LSTM-FCN and its form with attention (ALSTM-FCN), Karim et al., arXiv:1709.05206, with
  the epoch of the least training loss: `Results/train_loss_old_datasets.csv` of the
  authors' repository titu1994/LSTM-FCN.
- FCN, mean of five runs, Fawaz et al., arXiv:1809.04356:
  `results/results-ucr-128.csv` of hfawaz/dl-4-tsc.
- InceptionTime, an ensemble of five networks, Fawaz et al., arXiv:1909.04939:
  `results-InceptionTime-128.csv` of hfawaz/InceptionTime.
"""

import argparse
import ast
import os
import statistics
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sktime.datasets import load_UCR_UEA_dataset

from keras_trainkit import estimators

# LSTM-FCN, ALSTM-FCN, FCN, InceptionTime; None: not published there.
PUBLISHED = {
    "GunPoint": (1.0, 1.0, 1.0, 1.0),
    "ArrowHead": (0.897, 0.823, 0.843, 0.846),
    "ItalyPowerDemand": (0.962, 0.959, 0.963, 0.965),
    "OSULeaf": (0.983, 0.988, 0.979, 0.942),
    "ACSF1": (None, None, 0.898, 0.920),
    "BasicMotions": (None, None, None, None),
    "PLAID": (None, None, 0.904, 0.944),
}


def part(name, split):
    """Series, each `(steps, channels)`, and their classes."""
    table, y = load_UCR_UEA_dataset(name, split=split, return_type="nested_univ")
    rows = table.itertuples(index=False)
    return [np.stack([np.asarray(s, "float32") for s in row], 1) for row in rows], y


def scores(name, seeds, changes):
    """Test accuracy and processor seconds of each seed."""
    (x, y), test = part(name, "train"), part(name, "test")
    for seed in range(seeds):
        keras.utils.clear_session()
        estimator = estimators.SequenceClassifier(random_state=seed, **changes)
        start = time.process_time()
        estimator.fit(x, y)
        yield estimator.score(*test), time.process_time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    choices = list(PUBLISHED)
    parser.add_argument("--sets", nargs="+", default=choices, choices=choices)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--with", nargs="*", default=[], dest="changes")
    options = parser.parse_args()
    given = dict(change.split("=", 1) for change in options.changes)
    given = {key: ast.literal_eval(value) for key, value in given.items()}
    print("| set | ours | seconds | LSTM-FCN | ALSTM-FCN | FCN | InceptionTime |")
    print("|" + " --- |" * 7)
    for name in options.sets:
        found = list(scores(name, options.seeds, given))
        values, seconds = zip(*found, strict=True)
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        others = ["" if one is None else f"{one:.3f}" for one in PUBLISHED[name]]
        print(
            f"| {name} | {statistics.mean(values):.3f} ± {spread:.3f} "
            f"| {statistics.mean(seconds):.0f} | {' | '.join(others)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
