"""Cost of `callbacks.TrainState`: seconds of its saves as a share of a fit.

    python benchmarks/train_state_cost.py

Fits of about a minute, a state for every epoch, and after every 20 batches. Timed is
what the thread that trains spends on a save: taking the bytes, and waiting for the disk
where the state before is still being written. "disk" is what the folder holds with
`keep=2`.
"""

import argparse
import pathlib
import tempfile
import time

import keras
import numpy as np

from keras_trainkit import callbacks, models, optimizers

BATCH = 64


class TimedState(callbacks.TrainState):
    """Adds up the seconds of its saves."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seconds = []

    def _save(self, *args, **kwargs):
        started = time.perf_counter()
        super()._save(*args, **kwargs)
        self.seconds.append(time.perf_counter() - started)


def mlp(width, rows):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 30)).astype("float32")
    return models.mlp((30,), 1, (width,) * 3), x, x[:, 0] * x[:, 1]


def bilstm(rows):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 32, 8)).astype("float32")
    return models.bilstm_attention((32, 8), 1), x, x[:, :, 0].mean(axis=1)


FITS = {
    "`models.mlp`, 256 units": lambda: mlp(256, 25_600),
    "`models.mlp`, 2,048 units": lambda: mlp(2_048, 6_400),
    "`models.bilstm_attention`": lambda: bilstm(6_400),
}


def main(minutes):
    print(
        "| model | weights | every | saves | s each, median | longest | of fit | disk |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, build in FITS.items():
        for every in ("epoch", 20):
            row = " | ".join(measured(build, every, 60 * minutes))
            print(f"| {name} | {row} |", flush=True)


def measured(build, every, seconds):
    keras.utils.set_random_seed(0)
    model, x, y = build()
    model.compile(optimizers.AdamW(1e-3), loss="mse")
    model.fit(x, y, BATCH, verbose=0)  # traced once, and timed by its second epoch
    started = time.perf_counter()
    model.fit(x, y, BATCH, verbose=0)
    epochs = max(2, round(seconds / (time.perf_counter() - started)))
    with tempfile.TemporaryDirectory() as folder:
        state = TimedState(folder, every=every)
        started = time.perf_counter()
        model.fit(x, y, BATCH, epochs=epochs, callbacks=[state], verbose=0)
        whole = time.perf_counter() - started
        files = [file for file in pathlib.Path(folder).rglob("*") if file.is_file()]
        disk = sum(file.stat().st_size for file in files)
    saves = np.array(state.seconds)
    return (
        f"{model.count_params():,}",
        str(every),
        str(len(saves)),
        f"{np.median(saves):.3f}",
        f"{saves.max():.3f}",
        f"{saves.sum() / whole:.1%}",
        f"{disk / 2**20:.1f} MB",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=1.0)
    main(parser.parse_args().minutes)
