"""Gradients of healthy and of sick networks, by which `GradientMonitor` is set.

    python benchmarks/gradient_thresholds.py

Each network trains for 32 steps of 32 rows, every step measured. "Smallest share" is
the smallest norm beside the largest of the layers behind, "largest ratio" the largest
norm beside that of the weights (at least 1), both over all steps and layers.
"""

import keras
import numpy as np

from keras_trainkit import callbacks, models

ROWS, BATCH, EPOCHS = 256, 32, 4


def deep(activation, initializer, layers, optimizer="adam"):
    hidden = [
        keras.layers.Dense(16, activation, kernel_initializer=initializer)
        for _ in range(layers)
    ]
    model = keras.Sequential([keras.Input((8,)), *hidden, keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    return model


def built(build, *arguments, **options):
    model = build(*arguments, **options)
    model.compile(keras.optimizers.Adam(1e-3), "mse")
    return model


def normal(deviation):
    return keras.initializers.RandomNormal(stddev=deviation)


NETWORKS = {
    "sigmoid, 12 layers": lambda: deep("sigmoid", "glorot_uniform", 12),
    "sigmoid, 6 layers": lambda: deep("sigmoid", "glorot_uniform", 6),
    "sigmoid, 4 layers": lambda: deep("sigmoid", "glorot_uniform", 4),
    "tanh, Glorot, 12 layers": lambda: deep("tanh", "glorot_uniform", 12),
    "ReLU, He, 12 layers": lambda: deep("relu", "he_normal", 12),
    "ReLU, normal weights of deviation 1, 12 layers": lambda: deep(
        "relu", normal(1.0), 12
    ),
    "ReLU, normal weights of deviation 0.8, 6 layers": lambda: deep(
        "relu", normal(0.8), 6
    ),
    "ReLU, normal weights of deviation 0.8, 6 layers, SGD": lambda: deep(
        "relu", normal(0.8), 6, keras.optimizers.SGD(0.01)
    ),
    "`models.mlp`": lambda: built(models.mlp, (8,), 1),
    "`models.mlp`, 4 members": lambda: built(models.mlp, (8,), 1, members=4),
    "`models.bilstm_attention`, one layer": lambda: built(
        models.bilstm_attention, (12, 8), 1, units=(16,)
    ),
    "`models.bilstm_attention`, two layers": lambda: built(
        models.bilstm_attention, (12, 8), 1, units=(16, 16)
    ),
}


def main():
    print("| network | smallest share | largest ratio | finding |")
    print("| --- | --- | --- | --- |")
    for name, build in NETWORKS.items():
        keras.utils.set_random_seed(0)
        rng = np.random.default_rng(0)
        model = build()
        x = rng.normal(size=(ROWS, *model.input_shape[1:])).astype("float32")
        y = x.reshape(ROWS, -1)[:, 0] * x.reshape(ROWS, -1)[:, 1]
        monitor = callbacks.GradientMonitor(every=1)
        given = {"batch_size": BATCH, "epochs": EPOCHS, "verbose": 0}
        model.fit(x, y, callbacks=[monitor], **given)
        share, ratio = extremes(monitor, model)
        finding = monitor.finding
        found = f"{finding.kind}, step {finding.step}" if finding else "none"
        print(f"| {name} | {share:.1e} | {ratio:.1e} | {found} |")


def extremes(monitor, model):
    norms = np.array(list(monitor.gradient_norms.values()))  # layers, steps
    weights = []
    for path in monitor.gradient_norms:
        layer = model.get_layer(path.split("/")[0])
        squares = [np.sum(np.square(w)) for w in layer.get_weights()]
        weights.append(max(1.0, np.sqrt(np.sum(squares))))
    behind = np.maximum.accumulate(norms[::-1], axis=0)[::-1]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = norms / behind
        ratios = norms / np.array(weights)[:, None]
    return np.nanmin(shares), np.nanmax(ratios)


if __name__ == "__main__":
    main()
