"""Cost of a cycle: our callback against none, and against a per-batch callback.

    python benchmarks/one_cycle_cost.py --pairs 41

Every row is the median of paired epochs in one process: two copies of one small MLP
take turns, epoch by epoch, after an epoch in which each was traced. `OneCycle` has no
batch hook; it acts through the schedules that it puts into the optimizer before the
first step, so the later epochs need no callback and are not traced again.
"""

import argparse
import time

import keras
import numpy as np

from keras_trainkit import callbacks, models, optimizers

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
        self.model.optimizer.learning_rate = float(
            self.rates[self.step % len(self.rates)]
        )
        self.step += 1


def epochs_of(steps_per_execution=1, cycled=False, extra=None):
    """A function that trains a model of its own for an epoch.

    It returns the seconds on the clock and those of the processors, which a busy
    machine disturbs less.
    """
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, FEATURES)).astype("float32")
    y = (x[:, 0] * x[:, 1] > 0).astype("float32")
    model = models.mlp((FEATURES,), 1, (128, 64, 32), task="binary")
    model.compile(
        optimizers.AdamW(1e-3),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        steps_per_execution=steps_per_execution,
    )

    def epoch(*added):
        started = np.array([time.perf_counter(), time.process_time()])
        model.fit(x, y, BATCH, verbose=0, callbacks=[*(extra or ()), *added])
        return np.array([time.perf_counter(), time.process_time()]) - started

    cycle = callbacks.OneCycle(0.01, total_steps=100 * ROWS // BATCH)
    epoch(*([cycle] if cycled else []))
    return epoch


def paired(a, b, pairs):
    """Median and quartiles of the ratios a / b, one for each pair of epochs."""
    ratios = []
    for turn in range(pairs):
        if turn % 2:
            second, first = b(), a()
        else:
            first, second = a(), b()
        ratios.append(first / second)
    return np.percentile(ratios, [50, 25, 75], axis=0)


def main(pairs=41):
    plain, twin, cycled = epochs_of(), epochs_of(), epochs_of(cycled=True)
    chunked = epochs_of(steps_per_execution=32, cycled=True)
    per_batch = epochs_of(extra=[PerBatchCycle(0.01, 100 * ROWS // BATCH)])
    rows = {
        "no callback / its twin (noise)": (twin, plain),
        "`callbacks.OneCycle` / no callback": (cycled, plain),
        "per-batch callback / `callbacks.OneCycle`": (per_batch, cycled),
        "the same, `steps_per_execution=32` for ours": (per_batch, chunked),
    }
    print("| an epoch of | seconds, median | quartiles | processor seconds, median |")
    print("| --- | --- | --- | --- |")
    for name, (a, b) in rows.items():
        median, low, high = paired(a, b, pairs)
        spread = f"{low[0]:.3f} to {high[0]:.3f}"
        print(f"| {name} | {median[0]:.3f} | {spread} | {median[1]:.3f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=41)
    main(**vars(parser.parse_args()))
