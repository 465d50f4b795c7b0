"""Training from a file takes a fraction of the memory that the file would take."""

import gc
import pathlib
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from keras_trainkit import layers

STATUS = pathlib.Path("/proc/self/status")
PART_ROWS = 20_000

pytestmark = pytest.mark.skipif(
    not pathlib.Path("/proc/self/clear_refs").exists(), reason="peaks are Linux's"
)

# Prints by how many MB the peak was above what the process held after a first training
# of 3000 rows. The peak of `resource.getrusage` would be that of the parent.
SCRIPT = """
import itertools, sys

import numpy as np
import pandas as pd

path, how = sys.argv[1:]

def status(name):
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024

def chunks():
    if path.endswith(".csv"):
        return pd.read_csv(path, chunksize=10_000)
    import pyarrow.parquet

    batches = pyarrow.parquet.ParquetFile(path).iter_batches(10_000)
    return (batch.to_pandas() for batch in batches)

def whole(parts=None):
    return pd.concat(itertools.islice(chunks(), parts))

def training(parts=None):
    from keras_trainkit import callbacks, data, layers, models, optimizers

    encoder = layers.TableEncoder()
    encoder.adapt(c.drop(columns="y") for c in itertools.islice(chunks(), parts))
    batches = data.TableBatches(
        itertools.islice(chunks(), parts), encoder, "y", batch_size=8192
    )
    embedding = layers.PiecewiseLinearEmbedding(bins=4, units=2)
    embedding.adapt(x["numeric"] for x, _ in batches)
    model = models.mlp(
        encoder.numeric_shape,
        1,
        (8,),
        numeric_embedding=embedding,
        category_sizes=encoder.category_sizes,
        task="regression",
    )
    model.compile(optimizers.AdamW(), "mse")
    one_cycle = callbacks.OneCycle(0.05)
    model.fit(batches, verbose=0, callbacks=[one_cycle])
    x, y = batches[0]
    assert parts or model.evaluate(x, y, verbose=0) < 0.1 * y.var()

work = {"whole": whole, "training": training}[how]
work(1)
open("/proc/self/clear_refs", "w").write("5")  # the peak starts anew
before = status("VmRSS")
work()
print(status("VmHWM") - before)
"""


def write(path, parts):
    """A table of 8 columns; the rows of one part, again and again."""
    rng = np.random.default_rng(0)
    part = pd.DataFrame(rng.normal(size=(PART_ROWS, 6)).round(3))
    part.columns = [f"x{number}" for number in range(6)]
    part["town"] = rng.choice(["Ulm", "Bonn", "Kiel"], PART_ROWS)
    part["y"] = part["x0"].round(2) + part["town"].str.len()
    if path.suffix == ".csv":
        text = part.to_csv(index=False, header=False)
        with path.open("w") as file:
            file.write(",".join(part.columns) + "\n")
            file.writelines(text for _ in range(parts))
        return
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.Table.from_pandas(part, preserve_index=False)
    with parquet.ParquetWriter(path, table.schema) as writer:
        for _ in range(parts):
            writer.write_table(table)


def growth(path, how):
    command = [sys.executable, "-c", SCRIPT, str(path), how]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return float(done.stdout)


def test_adapting_leaves_what_it_counted_with_nobody():
    """Counts that hold each other would wait, 20 MB, for the garbage collector."""
    table = {"size": [1.5, 2.5], "price": ["$1,200", "$900"], "town": ["Ulm", "Bonn"]}
    encoder = layers.TableEncoder()  # held by Keras, as every layer
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        encoder.adapt(table)
        gc.collect()
        left = {type(thing).__name__ for thing in gc.garbage}
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not left & {"ColumnLearner", "Learner", "Quantiles", "Extremes", "Counter"}


@pytest.mark.parametrize(
    "suffix",
    [
        pytest.param(".csv", marks=pytest.mark.soak),
        pytest.param(".parquet", marks=pytest.mark.soak),
    ],
)
def test_training_takes_less_than_half_of_what_reading_the_file_takes(suffix, tmp_path):
    path = tmp_path / f"table{suffix}"
    write(path, parts=80)
    assert growth(path, "training") < 0.5 * growth(path, "whole")


@pytest.mark.soak
def test_ten_times_the_rows_take_less_than_twice_the_memory(tmp_path):
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    write(small, parts=80)
    write(large, parts=800)
    assert growth(large, "training") < 2 * growth(small, "training")
