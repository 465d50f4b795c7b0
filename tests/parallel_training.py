"""Trainings on one device and on two, in a process that has two.

The number of devices is fixed when a backend starts, so this runs as a script, on the
backend of KERAS_BACKEND, and writes what became of each case as JSON:

    python parallel_training.py OUT FOLDER CASE...

With the variables of `keras.distribution.initialize` it is one of several processes,
each of which trains on its share of every batch.
"""

import contextlib
import functools
import json
import os
import pathlib
import shutil
import sys

BACKEND = os.environ.get("KERAS_BACKEND", "tensorflow")
if __name__ == "__main__" and BACKEND == "tensorflow":
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(cpu, two)

import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_trainkit import callbacks, data, layers, models, optimizers, schedules  # noqa: E402
from keras_trainkit._train_state.writer import wait_for_folder  # noqa: E402

PROCESSES = int(os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES", 1))
PROCESS = int(os.environ.get("KERAS_DISTRIBUTION_PROCESS_ID", 0))
ROWS, BATCH, EPOCHS = 48, 8, 3  # 6 batches an epoch
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 4)).astype("float32")
VALUES = X[:, :1] * X[:, 1:2]
CODES = (X[:, 0] + X[:, 1] > 0).astype("int32")
SEQUENCES = RNG.normal(size=(ROWS, 6, 2)).astype("float32")
TOKENS = RNG.integers(1, 12, (ROWS, 7)) * (np.arange(7) < RNG.integers(3, 8, (ROWS, 1)))


def adamw(rate=0.01, **arguments):
    """AdamW that does not blow up gradients of rounding errors alone.

    A weight that the loss does not depend on, such as a bias before a softmax over the
    steps, has no others; with the usual 1e-8 each of them moves it by a whole rate.
    """
    return optimizers.AdamW(rate, epsilon=1e-3, **arguments)


def compiled(model, optimizer, **arguments):
    loss, metrics = models.loss_for(model), models.metrics_for(model)
    model.compile(optimizer, loss, metrics=metrics, **arguments)
    return model


def mlp(optimizer, *, compile_arguments=None, **arguments):
    arguments = {"dropout": 0.0, **arguments}
    model = models.mlp((4,), 2, (8, 6), task="classification", **arguments)
    return compiled(model, optimizer, **compile_arguments or {})


def members(optimizer):
    scaling = layers.StandardScaling()
    scaling.adapt(VALUES)
    options = {"task": "regression", "members": 3, "target_scaling": scaling}
    return compiled(models.mlp((4,), 1, (8, 6), dropout=0.0, **options), optimizer)


def bilstm(optimizer, shape, **arguments):
    options = {"dropout": 0.0, "recurrent_dropout": 0.0, "task": "classification"}
    model = models.bilstm_attention(shape, 2, (4,), **options, **arguments)
    return compiled(model, optimizer)


def words(optimizer):
    return bilstm(optimizer, (7,), vocabulary_size=12, embedding_units=5)


def usual_callbacks():
    return [callbacks.OneCycle(0.05), callbacks.EarlyStopping("val_loss", patience=1)]


def averaging_callbacks():
    stopping = callbacks.EarlyStopping("val_loss", patience=1)
    return [stopping, keras.callbacks.SwapEMAWeights()]


def decaying():
    return schedules.WarmupStableDecay(0.02, warmup_steps=3, decay_steps=9)


def stock(optimizer, **arguments):
    """Nothing of the kit."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, **arguments)
    return model


class ReadAhead(data.SequenceBatches):
    """All are read as soon as one is wanted, as TensorFlow does where it has time."""

    def on_epoch_begin(self):
        super().on_epoch_begin()
        for number in range(len(self)):
            self[number]


def batches(number):
    """Of like length, two lengths in all, in the order of this number."""
    lengths = (TOKENS != 0).sum(axis=1)
    sequences = [row[:length] for row, length in zip(TOKENS, lengths, strict=True)]
    options = {"batch_size": BATCH, "num_lengths": 2, "seed": number}
    return ReadAhead(sequences, CODES, **options)


# Model and optimizer, inputs, targets, callbacks.
CASES = {
    "mlp": (
        lambda: mlp(adamw(global_clipnorm=0.1)),
        (X, CODES),
        usual_callbacks,
    ),
    "clipped": (
        lambda: mlp(optimizers.SGDW(0.05, nesterov=True, clipnorm=0.1), l2=0.01),
        (X, CODES),
        list,
    ),
    "clipped values": (
        lambda: mlp(optimizers.SGDW(0.05, clipvalue=0.02)),
        (X, CODES),
        usual_callbacks,
    ),
    "members": (
        lambda: members(optimizers.SGDW(0.05)),
        (X, VALUES),
        usual_callbacks,
    ),
    "words": (lambda: words(adamw(amsgrad=True)), (TOKENS, CODES), usual_callbacks),
    "sequences": (
        lambda: bilstm(optimizers.SGDW(0.05), (6, 2), members=2),
        (SEQUENCES, CODES),
        usual_callbacks,
    ),
    "averages": (
        lambda: mlp(adamw(0.05, use_ema=True, ema_momentum=0.8)),
        (X, CODES),
        averaging_callbacks,
    ),
    "decay": (
        lambda: mlp(adamw(decaying(), loss_scale_factor=64.0)),
        (X, CODES),
        lambda: [callbacks.StartDecay(epoch=1)],
    ),
    "plateau": (
        lambda: mlp(adamw(0.2)),
        (X, CODES),
        lambda: [callbacks.CooldownOnPlateau("loss", warmup_epochs=2)],
    ),
    "data set": (lambda: words(adamw()), (batches, None), usual_callbacks),
    "scaled": (
        lambda: mlp(keras.optimizers.LossScaleOptimizer(adamw())),
        (X, CODES),
        list,
    ),
    "accumulated": (
        lambda: mlp(adamw(gradient_accumulation_steps=2, global_clipnorm=0.1)),
        (X, CODES),
        usual_callbacks,
    ),
    "overwritten": (
        lambda: mlp(adamw(use_ema=True, ema_overwrite_frequency=4)),
        (X, CODES),
        list,
    ),
    "steps at once": (
        lambda: mlp(adamw(), compile_arguments={"steps_per_execution": 2}),
        (X, CODES),
        usual_callbacks,
    ),
    "stock": (lambda: stock(keras.optimizers.SGD(0.5)), (X, CODES), list),
    "stock clipped": (
        lambda: stock(keras.optimizers.SGD(0.5, global_clipnorm=0.1)),
        (X, CODES),
        list,
    ),
    "stock accumulated": (
        lambda: stock(keras.optimizers.SGD(0.5, gradient_accumulation_steps=2)),
        (X, CODES),
        list,
    ),
    "stock overwritten": (
        lambda: stock(
            keras.optimizers.SGD(0.5, use_ema=True, ema_overwrite_frequency=4)
        ),
        (X, CODES),
        list,
    ),
    "stock steps at once": (
        lambda: stock(keras.optimizers.SGD(0.5), steps_per_execution=2),
        (X, CODES),
        list,
    ),
    "dropout": (lambda: mlp(adamw(), dropout=0.3), (X, CODES), list),
    "batch normalization": (
        lambda: mlp(adamw(), normalization="batch"),
        (X, CODES),
        list,
    ),
}


def on_two_devices():
    """A scope in which models are made and trained on two devices of each process."""
    if BACKEND == "jax":
        devices = keras.distribution.list_devices("cpu")
        assert len(devices) == 2 * PROCESSES, devices
        return keras.distribution.DataParallel(
            devices=devices, auto_shard_dataset=False
        ).scope()
    return strategy().scope()


@functools.cache
def strategy():
    """One for the process: a second one would reuse the numbers of the first's sums."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def devices_of(model):
    value = model.trainable_variables[0].value
    if BACKEND == "jax":
        return len(value.sharding.device_set)
    return len(getattr(value, "values", [value]))


def trained(case, scope, *more, **arguments):
    """What a training ends with."""
    build, (x, y), usual = CASES[case]
    arguments = {"epochs": EPOCHS, "shuffle": False, "verbose": 0, **arguments}
    if y is None:
        x, arguments["validation_data"] = x(3), x(4)
    else:
        x, y = share_of(x), share_of(y)
        arguments["validation_data"] = x[: 16 // PROCESSES], y[: 16 // PROCESSES]
        arguments["batch_size"] = BATCH // PROCESSES
    with scope:
        keras.utils.set_random_seed(0)
        model = build()
        used = [*usual(), *more]
        history = model.fit(x, y, callbacks=used, **arguments)
        return {
            "devices": devices_of(model),
            "history": history.history,
            "weights": [np.asarray(w).ravel().tolist() for w in model.get_weights()],
            "attributes": [attributes_of(one) for one in used],
        }


def share_of(rows):
    """Those of each batch that are for this process."""
    parts = rows.reshape(-1, PROCESSES, BATCH // PROCESSES, *rows.shape[1:])
    return parts[:, PROCESS].reshape(-1, *rows.shape[1:])


def attributes_of(callback):
    """Numbers that a callback has found."""
    if isinstance(callback, callbacks.GradientMonitor):
        return callback.to_dict()
    names = ("best_epoch", "stopped_epoch", "decay_start", "resumed_epoch")
    return {name: getattr(callback, name, None) for name in names}


class Killed(BaseException):
    """Nobody catches it, as nobody catches a kill."""


class Kill(keras.callbacks.Callback):
    def __init__(self, epoch, batch):
        super().__init__()
        self.at = epoch, batch

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise Killed


def kill(folder, scope):
    """Kills a training within its second epoch."""
    with contextlib.suppress(Killed):
        trained("mlp", scope, callbacks.TrainState(folder, every=1), Kill(1, 4))


def go_on(folder, scope):
    return trained("mlp", scope, callbacks.TrainState(folder, every=1))


def one_and_two(folder, case):
    one = trained(case, contextlib.nullcontext())
    return {"one": one, "two": trained(case, on_two_devices())}


def masks(folder, case):
    """Masks that two replicas of TensorFlow draw for their rows."""
    with on_two_devices():
        keras.utils.set_random_seed(0)
        dropout = keras.layers.Dropout(0.5)
        ones = np.ones((4, 9), "float32")
        draw = tf.function(lambda: strategy().run(dropout, (ones,), {"training": True}))
        drawn = [strategy().experimental_local_results(draw()) for _ in range(2)]
    return [[np.asarray(mask).tolist() for mask in step] for step in drawn]


def controlled(folder, case):
    """A case of Keras alone, or how it fails."""
    try:
        return one_and_two(folder, case)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[-600:]}


def together(folder, case):
    """A training of several processes; killed and resumed too, for the "mlp"."""
    case = case.split(": ")[1]
    results = {"all": trained(case, on_two_devices())}
    if case == "mlp":
        own = folder / str(PROCESS)
        kill(own, on_two_devices())
        results["killed"] = go_on(own, on_two_devices())
        monitor = callbacks.GradientMonitor(every=4)
        results["monitored"] = trained(case, on_two_devices(), monitor)
    return results


def monitored(folder, case):
    return {
        name: trained("mlp", scope, callbacks.GradientMonitor(every=4))
        for name, scope in (
            ("one", contextlib.nullcontext()),
            ("two", on_two_devices()),
        )
    }


def killed(folder, case):
    """The "mlp", killed on one device or on two, and gone on with on either."""
    kill(folder / "1", contextlib.nullcontext())
    kill(folder / "2", on_two_devices())
    wait_for_folder(folder / "2")  # which a thread may still write to
    shutil.copytree(folder / "2", folder / "2 again")
    return {
        "two, killed": go_on(folder / "2", on_two_devices()),
        "one, then two": go_on(folder / "1", on_two_devices()),
        "two, then one": go_on(folder / "2 again", contextlib.nullcontext()),
    }


def refused(folder, case):
    """The messages of what is refused on two devices."""
    attempts = {
        "last batch": lambda: mlp(adamw()).fit(X[:25], CODES[:25], 8),
        "odd batch": lambda: mlp(adamw()).fit(X, CODES, 3),
        "judged": lambda: mlp(adamw()).fit(
            X, CODES, 8, validation_data=(X[:5], CODES[:5])
        ),
        "split off": lambda: mlp(adamw()).fit(X, CODES, 8, validation_split=0.1),
        "accumulated": lambda: CASES["accumulated"][0]().fit(X, CODES),
        "overwritten": lambda: CASES["overwritten"][0]().fit(X, CODES),
        "steps at once": lambda: CASES["steps at once"][0]().fit(X, CODES),
        "monitor": lambda: mlp(adamw()).fit(
            X, CODES, callbacks=[callbacks.GradientMonitor()]
        ),
    }
    messages = {}
    for name in case.split(": ")[1].split(", "):
        try:
            with on_two_devices():
                attempts[name]()
        except ValueError as error:
            messages[name] = str(error)
    return messages


SPECIAL = {
    "masks": masks,
    "monitor": monitored,
    "killed": killed,
    "refused": refused,
    "together": together,
    **{name: controlled for name in CASES if name.startswith("stock")},
}


if __name__ == "__main__":
    if PROCESSES > 1:
        keras.distribution.initialize()
    out, folder, *chosen = sys.argv[1:]
    found = {}
    for case in chosen:
        run = SPECIAL.get(case.split(":")[0], one_and_two)
        found[case] = run(pathlib.Path(folder), case)
        pathlib.Path(out).write_text(json.dumps(found))
