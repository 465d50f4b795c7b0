"""Cells per second that `layers.TableEncoder` learns and encodes.

    python benchmarks/table_encoder.py

Generated tables, pandas frames and NumPy arrays; the best of a few runs, on whatever
cores there are. A call uses one of them.
"""

import argparse
import time

import numpy as np
import pandas as pd

from keras_trainkit import layers


def tables(rows):
    """Name to table: wide floats, texts as three types, and a mixture."""
    rng = np.random.default_rng(0)
    floats = rng.normal(size=(rows, 100))
    words = np.array([f"level {i}" for i in range(200)], object)
    texts = {f"t{i}": rng.choice(words, rows) for i in range(10)}
    gaps = {
        name: np.where(rng.random(rows) < 0.1, None, t) for name, t in texts.items()
    }
    frame = pd.DataFrame(texts)
    return {
        "100 float columns, DataFrame": pd.DataFrame(floats).rename(columns=str),
        "100 float columns, dict": {str(i): c for i, c in enumerate(floats.T)},
        "10 text columns, DataFrame": frame,
        "10 text columns, categories": frame.astype("category"),
        "10 text columns, objects": texts,
        "10 text columns, objects, 10 % None": gaps,
        "10 columns, NumPy's texts": {n: t.astype("U") for n, t in texts.items()},
        "10 columns of nullable Int64": pd.DataFrame(
            {f"i{i}": pd.array(rng.integers(0, 99, rows), "Int64") for i in range(10)}
        ),
        "10 datetime columns": pd.DataFrame(
            {f"d{i}": pd.date_range("2020", periods=rows, freq="h") for i in range(10)}
        ),
    }


def seconds(function, runs):
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main(rows=100_000, runs=5):
    print(f"{'million cells a second':38} {'adapt':>8} {'call':>8}")
    for name, table in tables(rows).items():
        encoder = layers.TableEncoder()
        cells = rows * len(list(table)) / 1e6
        adapt = cells / seconds(lambda e=encoder, t=table: e.adapt(t), runs)
        call = cells / seconds(lambda e=encoder, t=table: e(t), runs)
        print(f"{name:38} {adapt:8.1f} {call:8.1f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    main(**vars(parser.parse_args()))
