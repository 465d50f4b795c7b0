"""Seconds per epoch of `data.SequenceBatches` beside one padded array.

    python benchmarks/sequence_lengths.py --data FOLDER
    python benchmarks/sequence_lengths.py --data FOLDER --sets trec --rounds 0

FOLDER, sets and recipes are those of sequences.py; four fifths of the training part are
trained on, the rest is scored, the test part is not read. Times first: one process, two
models from the same weights; a round trains one for some epochs on the padded array,
then the other on batches of like length, and so on. The first epoch of each `fit` is
left out, the first round too, which compiles. The ratio is the median over rounds, of
seconds by the clock, and of processor seconds, which a busy machine disturbs less.
Then accuracy, and seconds of the whole training with its compiling: for each seed one
training on either, with the one cycle of the recipe.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from sequences import SETS, arrays, held_out, load

from keras_trainkit import callbacks, data, models, optimizers


class Clocks(keras.callbacks.Callback):
    """Seconds by the clock and of the processors, of each epoch."""

    def on_train_begin(self, logs=None):
        self.epochs = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = now()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(now() - self.began)


def now():
    return np.array([time.perf_counter(), time.process_time()])


def prepared(options, name, seed):
    """Padded training rows, their lengths, the arguments of the model, scored rows."""
    recipe, _ = SETS[name]
    x, y, groups, _, _ = load(options.data, name)
    x, y, x_scored, y_scored = held_out(x, y, groups, seed)
    x, x_scored, arguments = arrays(x, x_scored, recipe)
    padding = arguments.get("mask_value", 0)
    valid = x != padding if x.ndim == 2 else (x != padding).any(-1)
    lengths = valid.sum(1)
    x = x[:, : lengths.max()]
    classes, y = np.unique(y, return_inverse=True)
    known = keras.utils.to_categorical(y, len(classes))
    asked = (y_scored[:, None] == classes).astype("float32")
    return (x, known, lengths, padding), arguments, (x_scored, asked)


def network(name, x, outputs, arguments, seed):
    recipe, _ = SETS[name]
    keras.utils.set_random_seed(seed)
    model = models.bilstm_attention(
        (None, *x.shape[2:]),
        outputs,
        recipe.units,
        embedding_units=recipe.embedding_units,
        max_length=recipe.max_length,
        dropout=recipe.dropout,
        recurrent_dropout=recipe.recurrent_dropout,
        **arguments,
    )
    model.compile(
        optimizers.AdamW(
            recipe.learning_rate / 3, recipe.weight_decay, global_clipnorm=1.0
        ),
        keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=recipe.label_smoothing
        ),
        metrics=["accuracy"],
    )
    return model


def sources(name, training, num_lengths):
    """Arguments of `fit` for the padded array, and for batches of like length."""
    recipe, _ = SETS[name]
    x, y, lengths, padding = training
    batches = data.SequenceBatches(
        x,
        y,
        lengths=lengths,
        batch_size=recipe.batch_size,
        num_lengths=num_lengths,
        value=padding,
    )
    array = {"x": x, "y": y, "batch_size": recipe.batch_size}
    return array, {"x": batches, "shuffle": False}


def paired(options, name):
    """`(rounds, array or batches, clock or processor)`: seconds per epoch."""
    training, arguments, _ = prepared(options, name, 0)
    both = sources(name, training, options.num_lengths)
    x, y = training[:2]
    networks = [network(name, x, y.shape[1], arguments, 0) for _ in both]
    clocks, found = Clocks(), []
    for _ in range(1 + options.rounds):
        found.append([])
        for model, source in zip(networks, both, strict=True):
            model.fit(**source, epochs=options.epochs, callbacks=[clocks], verbose=0)
            found[-1].append(np.mean(clocks.epochs[1:], axis=0))
    return np.array(found[1:])


def trained(options, name, seed):
    """Accuracy and seconds: of the padded array, then of batches of like length."""
    recipe, _ = SETS[name]
    training, arguments, scored = prepared(options, name, seed)
    found = []
    for source in sources(name, training, options.num_lengths):
        keras.utils.clear_session()
        x, y = training[:2]
        model = network(name, x, y.shape[1], arguments, seed)
        began = time.perf_counter()
        cycle = callbacks.OneCycle(recipe.learning_rate)
        model.fit(**source, epochs=recipe.epochs, callbacks=[cycle], verbose=0)
        seconds = time.perf_counter() - began
        found.append((model.evaluate(*scored, 512, verbose=0)[1], seconds))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder of load.py")
    sets = ["trec", "japanese_vowels"]
    parser.add_argument("--sets", nargs="+", default=sets, choices=list(SETS))
    parser.add_argument("--rounds", type=int, default=7, help="of times")
    parser.add_argument("--epochs", type=int, default=3, help="of a round")
    parser.add_argument("--seeds", type=int, default=3, help="of accuracies")
    parser.add_argument("--num-lengths", type=int, default=8)
    options = parser.parse_args()
    for name in options.sets:
        if options.rounds:
            seconds = paired(options, name)
            array, batches = np.median(seconds, axis=0)[:, 0]
            ratios = np.median(seconds[:, 0] / seconds[:, 1], axis=0)
            print(
                f"| {name} | {1e3 * array:.0f} | {1e3 * batches:.0f} "
                f"| {ratios[0]:.2f} | {ratios[1]:.2f} |",
                flush=True,
            )
        for seed in range(options.seeds):
            (array, slow), (batches, fast) = trained(options, name, seed)
            print(
                f"| {name} | seed {seed} | {array:.4f} | {batches:.4f} "
                f"| {slow:.0f} | {fast:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
