"""What a cycle costs: our callback against none, and against a per-batch callback.

    python benchmarks/one_cycle_cost.py --pairs 11

Every row is the median of paired runs in one process: the two fits take turns, on
fresh copies of one small MLP, and each pair gives one ratio. The first epoch of each
fit (tracing) is left out.
"""

import argparse
import time

import keras
import numpy as np

from keras_trainkit import callbacks, models, optimizers, schedules

ROWS, FEATURES, BATCH = 32 * 400, 30, 32


class PerBatchCycle(keras.callbacks.Callback):
    """The usual kind: sets the rate and the momentum from the host at every batch.

    Keras compiles the momentum in, so that half has no effect; it is left out.
    """

    def __init__(self, max_learning_rate, total_steps):
        super().__init__()
        turns = np.array([0, 0.45, 0.9, 1]) * total_steps
        values = np.array([0.1, 1, 0.1, 0.001]) * max_learning_rate
        self.rates = np.interp(np.arange(total_steps), turns, values)
        self.step = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = float(self.rates[self.step])
        self.step += 1


class EpochSeconds(keras.callbacks.Callback):
    """Time of each epoch but the first."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        if epoch:
            self.seconds.append(time.perf_counter() - self.started)


def fit_seconds(make_callback, steps_per_execution, epochs, learning_rate=1e-3):
    """Seconds per epoch of one fit of a fresh model."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, FEATURES)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype("float32")
    model = models.mlp((FEATURES,), 1, (128, 64, 32), task="binary")
    model.compile(
        optimizers.AdamW(learning_rate),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        steps_per_execution=steps_per_execution,
    )
    clock = EpochSeconds()
    cycle = [make_callback(epochs * ROWS // BATCH)] if make_callback else []
    model.fit(x, y, BATCH, epochs, verbose=0, callbacks=[*cycle, clock])
    return float(np.median(clock.seconds))


def paired(a, b, pairs):
    """Median and spread of the ratios a / b, one for each pair of runs."""
    a(), b()
    ratios = []
    for turn in range(pairs):
        first, second = (a, b) if turn % 2 == 0 else (b, a)
        x, y = first(), second()
        ratios.append(x / y if turn % 2 == 0 else y / x)
    return np.percentile(ratios, [50, 25, 75])


def main(pairs=11, epochs=6):
    def none(steps=1):
        return lambda: fit_seconds(None, steps, epochs)

    def ours(steps=1):
        return lambda: fit_seconds(lambda _: callbacks.OneCycle(0.01), steps, epochs)

    def rate_schedule():
        total = epochs * ROWS // BATCH
        return fit_seconds(None, 1, epochs, schedules.OneCycle(0.01, total))

    def per_batch():
        return fit_seconds(lambda total: PerBatchCycle(0.01, total), 1, epochs)

    rows = {
        "callbacks.OneCycle / no callback": (ours(), none()),
        "schedules.OneCycle / constant rate": (rate_schedule, none()),
        "no callback / no callback (noise)": (none(), none()),
        "per-batch callback / callbacks.OneCycle": (per_batch, ours()),
        "per-batch callback / callbacks.OneCycle, steps_per_execution=32": (
            per_batch,
            ours(32),
        ),
    }
    print("| time of | median | quartiles |\n| --- | --- | --- |")
    for name, (a, b) in rows.items():
        median, low, high = paired(a, b, pairs)
        print(f"| {name} | {median:.3f} | {low:.3f} to {high:.3f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=11)
    parser.add_argument("--epochs", type=int, default=6)
    main(**vars(parser.parse_args()))
