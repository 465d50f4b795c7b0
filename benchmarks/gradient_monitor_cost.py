"""Cost of `callbacks.GradientMonitor`: epochs with it against epochs without.

    python benchmarks/gradient_monitor_cost.py --pairs 21

Every row is the median of paired epochs in one process: two copies of one model take
turns. Each has a callback list of its own for one long `fit`, so that nothing is traced
in the epochs that count; the first two are left out.
"""

import argparse
import threading
import time

import keras
import numpy as np

from keras_trainkit import callbacks, models, optimizers

BATCH, STEPS = 64, 200


class Turns(keras.callbacks.Callback):
    """Holds `fit` at the start of each epoch until it may go on, and times it."""

    def __init__(self):
        super().__init__()
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.seconds = np.zeros(2)

    def on_epoch_begin(self, epoch, logs=None):
        self.go.acquire()
        self.started = np.array([time.perf_counter(), time.process_time()])

    def on_epoch_end(self, epoch, logs=None):
        ended = np.array([time.perf_counter(), time.process_time()])
        self.seconds = ended - self.started
        self.done.release()

    def epoch(self):
        self.go.release()
        self.done.acquire()
        return self.seconds


def mlp():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, 30)).astype("float32")
    return models.mlp((30,), 1, (256, 256, 256)), x, x[:, 0] * x[:, 1]


def bilstm():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH * STEPS, 32, 8)).astype("float32")
    model = models.bilstm_attention((32, 8), 1, units=(32,), recurrent_dropout=0.2)
    return model, x, x[:, :, 0].mean(axis=1)


def turns_of(build, epochs, extra=()):
    keras.utils.set_random_seed(0)
    model, x, y = build()
    model.compile(optimizers.AdamW(1e-3), loss="mse")
    turns = Turns()
    arguments = {"epochs": epochs, "verbose": 0, "callbacks": [turns, *extra]}
    fit = threading.Thread(target=model.fit, args=(x, y, BATCH), kwargs=arguments)
    fit.start()
    for _ in range(2):
        turns.epoch()
    return turns.epoch


def main(pairs=21):
    print("| with / without, `every=50` | seconds, median | quartiles | processor |")
    print("| --- | --- | --- | --- |")
    for build in (mlp, bilstm):
        monitor = callbacks.GradientMonitor(every=50)
        watched = turns_of(build, pairs + 2, [monitor])
        plain = turns_of(build, pairs + 2)
        ratios = []
        for turn in range(pairs):
            if turn % 2:
                second, first = plain(), watched()
            else:
                first, second = watched(), plain()
            ratios.append(first / second)
        median, low, high = np.percentile(ratios, [50, 25, 75], axis=0)
        spread = f"{low[0]:.3f} to {high[0]:.3f}"
        row = f"{median[0]:.3f} | {spread} | {median[1]:.3f}"
        print(f"| `models.{build.__name__}` | {row} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=21)
    main(**vars(parser.parse_args()))
