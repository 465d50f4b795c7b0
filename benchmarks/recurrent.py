"""Training steps of a two-layer bidirectional LSTM with attention: ours and Keras' own.

Both models take turns in one process (A B A B ...), so that whatever else the machine
does hits both; the table shows medians and the median of the paired ratios. Run it on
an idle machine:

    python benchmarks/recurrent.py
    KERAS_BACKEND=jax python benchmarks/recurrent.py --rates 0.2
    python benchmarks/recurrent.py --shapes 64,50,9,64 64,100,9,64 64,200,9,64
    python benchmarks/recurrent.py --memory
    python benchmarks/recurrent.py --lengths 40
    python benchmarks/recurrent.py --picture docs/recurrent_time.png
    python benchmarks/recurrent.py --profile --shapes 64,128,9,64 128,46,1,64

"of the limit" is the time that the matrix products alone would take at the rate that
this machine reaches for one large product, over the time of our step.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from keras_trainkit.layers import VariationalLSTM
from keras_trainkit.optimizers import AdamW

# batch, time, features, units
SHAPES = ["64,128,9,64", "32,100,64,64", "128,46,1,64", "32,400,128,128", "8,250,64,32"]


def keras_layer(units, rate, kernel):
    return keras.layers.Bidirectional(
        keras.layers.LSTM(
            units, return_sequences=True, dropout=rate, recurrent_dropout=rate
        )
    )


def our_layer(units, rate, kernel):
    return VariationalLSTM(
        units,
        bidirectional=True,
        return_sequences=True,
        dropout=rate,
        recurrent_dropout=rate,
        kernel=kernel,
    )


LAYERS = {"keras": keras_layer, "ours": our_layer}


def build(who, shape, rate, kernel="auto", known_time=True):
    """Two layers, additive attention over their outputs, one number out."""
    _, length, features, units = shape
    inputs = keras.Input((length if known_time else None, features))
    x = inputs
    for _ in range(2):
        x = LAYERS[who](units, rate, kernel)(x)
    scores = keras.layers.Dense(1)(keras.layers.Dense(units, activation="tanh")(x))
    shares = keras.layers.Softmax(axis=1)(scores)
    pooled = keras.layers.Dot(axes=1)([shares, x])
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(pooled))
    model = keras.Model(inputs, outputs)
    model.compile(AdamW(), "mse")
    return model


def data(shape):
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape[:3]).astype("float32")
    return x, rng.normal(size=(shape[0], 1)).astype("float32")


def seconds(action):
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def paired(shape, rates, repeats, kernel, who=("keras", "ours")):
    """First step and later steps of two models, which take turns."""
    x, y = data(shape)
    models = [build(w, shape, rate, kernel) for w, rate in zip(who, rates, strict=True)]
    first = [seconds(lambda m=m: m.train_on_batch(x, y)) for m in models]
    for model in models:
        model.train_on_batch(x, y)
    steps = [
        [seconds(lambda m=m: m.train_on_batch(x, y)) for m in models]
        for _ in range(repeats)
    ]
    medians = [statistics.median(column) for column in zip(*steps, strict=True)]
    ratio = statistics.median(a / b for a, b in steps)
    return first, medians, ratio


def products(shape):
    """Multiplications and additions in the matrix products of one training step."""
    batch, length, features, units = shape
    per_step = sum(rows * 4 * units * 2 for rows in (features, units, 2 * units, units))
    return 3 * 2 * batch * length * per_step


def matmul_rate(size=1024):
    a = keras.ops.convert_to_tensor(np.ones((size, size), "float32"))
    run = [seconds(lambda: np.asarray(keras.ops.matmul(a, a))) for _ in range(15)]
    return 2 * size**3 / min(run)


def print_steps(shapes, rates, repeats, kernel):
    print(
        "| batch, time, features, units | rate | Keras ms | ours ms | Keras / ours |",
        end="",
    )
    print(" first step Keras s | ours s | of the limit |")
    print("|" + " --- |" * 8)
    rate_of_products = matmul_rate()
    for shape in shapes:
        limit = products(shape) / rate_of_products
        for rate in rates:
            keras.utils.clear_session()
            first, step, ratio = paired(shape, (rate, rate), repeats, kernel)
            print(
                f"| {', '.join(map(str, shape))} | {rate} | {step[0] * 1e3:.0f} "
                f"| {step[1] * 1e3:.0f} | {ratio:.2f} | {first[0]:.1f} "
                f"| {first[1]:.1f} | {limit / step[1]:.2f} |",
                flush=True,
            )


def print_cost_of_dropout(shapes, rate, repeats, kernel):
    print("| batch, time, features, units | without ms | with ms | with / without |")
    print("|" + " --- |" * 4)
    for shape in shapes:
        keras.utils.clear_session()
        who = ("ours", "ours")
        _, step, ratio = paired(shape, (rate, 0.0), repeats, kernel, who)
        print(
            f"| {', '.join(map(str, shape))} | {step[1] * 1e3:.0f} "
            f"| {step[0] * 1e3:.0f} | {ratio:.2f} |",
            flush=True,
        )


def print_lengths(shapes, rate, count, kernel):
    """Two epochs of batches that all have different lengths, unknown when built."""
    print("| batch, longest, features, units | who | first epoch s | second s |")
    print("|" + " --- |" * 4)
    for shape in shapes:
        batch, longest, features, units = shape
        lengths = np.linspace(max(1, longest // count), longest, count).astype(int)
        np.random.default_rng(0).shuffle(lengths)
        batches = [data((batch, int(n), features, units)) for n in lengths]
        for who in LAYERS:
            keras.utils.clear_session()
            model = build(who, shape, rate, kernel, known_time=False)

            def epoch(model=model, batches=batches):
                for x, y in batches:
                    model.train_on_batch(x, y)

            print(
                f"| {', '.join(map(str, shape))} | {who} "
                f"| {seconds(epoch):.1f} | {seconds(epoch):.1f} |",
                flush=True,
            )


def draw_times(path, rate, repeats, kernel):
    """Time of our step over the number of steps, and over the batch size."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    lengths = [(32, length, 16, 64) for length in (50, 100, 200, 400, 800, 1600)]
    batches = [(batch, 100, 16, 64) for batch in (8, 16, 32, 64, 128, 256)]
    for axes, shapes, index in zip(
        figure.subplots(1, 2), (lengths, batches), (1, 0), strict=True
    ):
        sizes = [shape[index] for shape in shapes]
        times = [step_seconds(shape, rate, repeats, kernel) for shape in shapes]
        per_size = statistics.median(t / n for t, n in zip(times, sizes, strict=True))
        axes.loglog(sizes, times, "o-", label="training step")
        line = [per_size * size for size in sizes]
        axes.loglog(sizes, line, ":", color="0.4", label="in proportion")
        axes.set_xlabel(("batch", "time steps")[index])
        axes.set_ylabel("seconds")
        axes.set_title(("100 time steps", "batch of 32")[index])
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.legend(frameon=False)
        for size, seconds_taken in zip(sizes, times, strict=True):
            print(f"| {axes.get_xlabel()} {size} | {seconds_taken * 1e3:.0f} ms |")
    figure.savefig(path, dpi=120)


def step_seconds(shape, rate, repeats, kernel):
    keras.utils.clear_session()
    x, y = data(shape)
    model = build("ours", shape, rate, kernel)
    for _ in range(2):
        model.train_on_batch(x, y)
    return statistics.median(
        seconds(lambda: model.train_on_batch(x, y)) for _ in range(repeats)
    )


def print_memory(shapes, rate, kernel):
    """Peak of the process, each model in a fresh one, above a model of length 1."""
    print("| batch, time, features, units | Keras MB | ours MB |")
    print("|" + " --- |" * 3)
    for shape in shapes:
        text = ",".join(map(str, shape))
        peaks = []
        for who in LAYERS:
            command = [sys.executable, __file__, "--peak-of", who, "--shapes", text]
            command += ["--rates", str(rate), "--kernel", kernel]
            run = subprocess.run(command, capture_output=True, text=True, check=True)
            peaks.append(float(run.stdout.split()[-1]))
        print(f"| {text} | {peaks[0]:.0f} | {peaks[1]:.0f} |", flush=True)


def print_peak(who, shape, rate, kernel):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    x, y = data(shape)
    model = build(who, shape, rate, kernel)
    for _ in range(4):
        model.train_on_batch(x, y)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print((after - before) / 1024)


def print_profile(shapes, rate, repeats, kernel):
    """Milliseconds and shares of the kinds of work: TensorFlow, on one thread."""
    import step_profile
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    columns = []
    for shape in shapes:
        x, y = data(shape)
        for who in LAYERS:
            keras.utils.clear_session()
            model = build(who, shape, rate, kernel)
            for _ in range(3):
                model.train_on_batch(x, y)
            times = step_profile.profile(
                lambda m=model, x=x, y=y: m.train_on_batch(x, y), repeats
            )
            columns.append((f"{', '.join(map(str, shape))}: {who}", times))
    print("| " + " | ".join(["", *(title for title, _ in columns)]) + " |")
    print("|" + " --- |" * (len(columns) + 1))
    for row in step_profile.ROWS:
        cells = (
            f"{times[row] * 1e3:.0f} ({times[row] / times.total():.0%})"
            for _, times in columns
        )
        print(f"| {row} | {' | '.join(cells)} |")
    totals = (f"{times.total() * 1e3:.0f}" for _, times in columns)
    print(f"| all | {' | '.join(totals)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shapes", nargs="+", default=SHAPES)
    parser.add_argument("--rates", nargs="+", type=float, default=[0.2, 0.0])
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--kernel", default="auto")
    parser.add_argument("--cost-of-dropout", action="store_true")
    parser.add_argument("--lengths", type=int, help="different lengths per epoch")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    parser.add_argument("--picture", help="file to draw the times into")
    parser.add_argument("--peak-of", choices=list(LAYERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    shapes = [tuple(map(int, text.split(","))) for text in options.shapes]
    rate, kernel = options.rates[0], options.kernel
    if options.peak_of:
        print_peak(options.peak_of, shapes[0], rate, kernel)
    elif options.picture:
        draw_times(options.picture, rate, options.repeats, kernel)
    elif options.profile:
        print_profile(shapes, rate, options.repeats, kernel)
    elif options.memory:
        print_memory(shapes, rate, kernel)
    elif options.lengths:
        print_lengths(shapes, rate, options.lengths, kernel)
    elif options.cost_of_dropout:
        print_cost_of_dropout(shapes, rate, options.repeats, kernel)
    else:
        print_steps(shapes, options.rates, options.repeats, kernel)


if __name__ == "__main__":
    main()
