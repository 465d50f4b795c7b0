"""Rows per second of `fit` on a table, beside a hand-written torch loop.

    python benchmarks/table_speed.py --pairs 15
    python benchmarks/table_speed.py --pairs 15 --members 1 --jit
    python benchmarks/table_speed.py --pairs 15 --compile

The same network on both sides: piecewise-linear embedding of 8 columns, three layers of
256 units, one member or many, standardized targets, AdamW on one cycle, the same
decayed weights. The torch loop is the one of torch_mlp.py. One call of `fit` runs all
epochs; before each of them torch trains one, on as many threads. The first two of both
are not counted. The ratio is our speed over torch's, median and quartiles over pairs of
epochs; "processor" is that of processor seconds, which a busy machine disturbs less.
"""

import argparse
import math
import os
import time

FEATURES, BINS, UNITS, HIDDEN, DROPOUT = 8, 48, 16, (256, 256, 256), 0.1
PEAK, DECAY = 0.01, 0.02


def generated(rows):
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, FEATURES)).astype("float32")
    noise = 0.1 * rng.normal(size=rows)
    y = 300 + 40 * (np.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2] + noise)
    return x, y.astype("float32")[:, None]


def kit_model(x, y, members, steps_per_execution, jit):
    from keras_trainkit import layers, models, optimizers

    embedding = layers.PiecewiseLinearEmbedding(BINS, UNITS)
    embedding.adapt(x)
    scaling = layers.StandardScaling()
    scaling.adapt(y)
    model = models.mlp(
        (FEATURES,),
        1,
        HIDDEN,
        dropout=DROPOUT,
        numeric_embedding=embedding,
        members=members,
        target_scaling=scaling,
    )
    optimizer = optimizers.AdamW(weight_decay=DECAY)
    model.compile(
        optimizer, "mse", steps_per_execution=steps_per_execution, jit_compile=jit
    )
    return model


def same_network(model, members):
    import torch
    import torch_mlp

    edges = torch.from_numpy(model.get_layer(index=1).edges.numpy())
    network = torch_mlp.Network(edges, UNITS, HIDDEN, DROPOUT, members)
    ours = sum(math.prod(w.shape) for w in model.trainable_variables)
    theirs = sum(p.numel() for p in network.parameters())
    if ours != theirs:
        raise ValueError(f"The networks differ: {ours} weights, in torch {theirs}.")
    return network


def clocks():
    import numpy as np

    return np.array([time.perf_counter(), time.process_time()])


def paired(members, rows, batch, steps_per_execution, pairs, compiled, jit, warm_up=2):
    """Seconds, on the clock and of the processors: `(pairs, ours or torch, 2)`."""
    import keras
    import numpy as np
    import torch_mlp

    from keras_trainkit import callbacks

    keras.utils.set_random_seed(0)
    x, y = generated(rows)
    model = kit_model(x, y, members, steps_per_execution, jit)
    epochs = pairs + warm_up
    network = same_network(model, members)
    settings = (batch, epochs, PEAK, DECAY, compiled)
    torch_epoch = torch_mlp.training(network, x, y, *settings)
    taken = []

    class TakeTurns(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            started = clocks()
            torch_epoch()
            self.torch, self.started = clocks() - started, clocks()

        def on_epoch_end(self, epoch, logs=None):
            taken.append([clocks() - self.started, self.torch])

    turns = [callbacks.OneCycle(PEAK), TakeTurns()]
    model.fit(x, y, batch, epochs, verbose=0, callbacks=turns)
    return np.array(taken[warm_up:])


def main(pairs, members, rows, batch, steps_per_execution, threads, compile, jit):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import numpy as np
    import tensorflow as tf
    import torch

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    print("| members | `fit`, rows/s | torch, rows/s | ratio | quartiles | processor |")
    print("| --- | --- | --- | --- | --- | --- |")
    for count in members:
        taken = paired(count, rows, batch, steps_per_execution, pairs, compile, jit)
        ours, theirs = rows / np.median(taken[:, :, 0], axis=0)
        ratios = taken[:, 1] / taken[:, 0]
        low, median, high = np.percentile(ratios[:, 0], [25, 50, 75])
        print(
            f"| {count} | {ours:,.0f} | {theirs:,.0f} | {median:.2f} "
            f"| {low:.2f} to {high:.2f} | {np.median(ratios[:, 1]):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--rows", type=int, default=16 * 256 * 5)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps-per-execution", type=int, default=16)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--jit", action="store_true", help="Keras' jit_compile")
    main(**vars(parser.parse_args()))
