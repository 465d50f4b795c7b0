"""Time and memory of a table on its way into a fitted model, 1e4 to 3e6 rows.

    python benchmarks/table_sizes.py
    python benchmarks/table_sizes.py --rows 10000 100000

Tables of 8 float and 4 text columns: rows of a small generated one, drawn again and
again, with noise on the numbers. Every size has a process of its own; an epoch of 10
thousand rows comes first, so that tracing is not counted. A stage's memory is its peak
above what the process held when the stage began: for `encoder(table)` that includes the
arrays it returns, for `fit` the copies and the shuffled order of an epoch. The peak is
Linux's (`VmHWM`), set back before each stage. Memory that an earlier stage gave back to
Python alone is used again unseen, so look at the large tables.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

BASE, FLOATS, TEXTS = 10_000, 8, 4


def generated(rows):
    """A table and its targets, which depend on two numbers and a text."""
    import numpy as np
    import pandas as pd

    rng = np.random.default_rng(0)
    base = rng.normal(size=(BASE, FLOATS)) ** 3
    levels = rng.integers(0, [5, 20, 100, 1000], (BASE, TEXTS))
    drawn = np.arange(rows) if rows <= BASE else rng.integers(0, BASE, rows)
    columns = {}
    for i in range(FLOATS):
        columns[f"number_{i}"] = base[drawn, i] + 0.1 * rng.normal(size=rows)
    for i in range(TEXTS):
        words = np.array([f"level {n}" for n in range(1000)], object)
        columns[f"text_{i}"] = words[levels[drawn, i]]
    y = columns["number_0"] * columns["number_1"] + levels[drawn, 0]
    return pd.DataFrame(columns), y.astype("float32")


def resident(field):
    """Bytes that Linux says the process holds: `VmRSS`, or `VmHWM` at its peak."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}.")


def measured(stage):
    """The result of `stage()`, its seconds and its peak of bytes above the start."""
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # peak = now
    before, started = resident("VmRSS"), time.perf_counter()
    result = stage()
    return result, time.perf_counter() - started, resident("VmHWM") - before


class Pipeline:
    """Encoder, embedding and model, made and traced on a small table."""

    def __init__(self, batch, steps_per_execution):
        from keras_trainkit import layers, models, optimizers

        table, y = generated(BASE)
        self.batch = batch
        self.encoder = layers.TableEncoder()
        self.encoder.adapt(table)
        x = self.encoder(table)
        self.embedding = layers.PiecewiseLinearEmbedding()
        self.embedding.adapt(x["numeric"])
        self.sizes = self.encoder.category_sizes
        self.model = models.mlp(
            self.encoder.numeric_shape,
            1,
            numeric_embedding=self.embedding,
            category_sizes=self.sizes,
        )
        self.model.compile(
            optimizers.AdamW(), "mse", steps_per_execution=steps_per_execution
        )
        self.fit(x, y)

    def fit(self, x, y):
        return self.model.fit(x, y, self.batch, verbose=0)

    def stages(self, rows):
        """Name, seconds and bytes of each stage."""
        table, y = generated(rows)
        yield "`encoder.adapt`", *measured(lambda: self.encoder.adapt(table))[1:]
        if self.encoder.category_sizes != self.sizes:
            raise ValueError(
                f"The table of {rows} rows has other levels than the one the model was "
                f"built for: {self.encoder.category_sizes}, {self.sizes}."
            )
        x, *cost = measured(lambda: self.encoder(table))
        yield "`encoder(table)`", *cost
        numeric = x["numeric"]
        yield "`embedding.adapt`", *measured(lambda: self.embedding.adapt(numeric))[1:]
        yield "`fit`, an epoch", *measured(lambda: self.fit(x, y))[1:]


def one_size(rows, batch, steps_per_execution):
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    keras.utils.set_random_seed(0)
    pipeline = Pipeline(batch, steps_per_execution)
    for name, seconds, peak in pipeline.stages(rows):
        speed = f"{rows / seconds:,.0f}"
        memory = f"{peak / 2**20:,.0f} | {peak / rows:,.0f}"
        print(f"| {rows:,} | {name} | {seconds:.2f} | {speed} | {memory} |", flush=True)


def main(rows, batch, steps_per_execution):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    print("| rows | stage | seconds | rows/s | peak, MiB | bytes a row |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    settings = ["--batch", batch, "--steps-per-execution", steps_per_execution]
    for count in rows:
        job = [sys.executable, __file__, "--job", count, *settings]
        subprocess.run([str(part) for part in job], check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = [10_000, 100_000, 1_000_000, 3_000_000]
    parser.add_argument("--rows", type=int, nargs="+", default=sizes)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--steps-per-execution", type=int, default=32)
    parser.add_argument("--job", type=int, help=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    job = given.pop("job")
    if job is None:
        main(**given)
    else:
        one_size(job, given["batch"], given["steps_per_execution"])
