"""SIGKILLs at random moments of a real training in a process of its own.

A bidirectional LSTM with recurrent dropout, one cycle of rate and momentum, and
EarlyStopping: started again until it ends, it must end as the one that nobody killed.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

TESTS = pathlib.Path(__file__).parents[1]
SCRIPT = """
import sys, json, pathlib
import numpy as np
import keras
from keras_trainkit import callbacks, layers, optimizers

folder, out = sys.argv[1:]
keras.utils.set_random_seed(4)
rng = np.random.default_rng(0)
x = rng.normal(size=(48, 5, 3)).astype("float32")
y = x.sum(axis=1)[:, :1]
model = keras.Sequential([
    keras.Input((5, 3)),
    layers.VariationalLSTM(
        4, dropout=0.2, recurrent_dropout=0.3, bidirectional=True
    ),
    keras.layers.Dropout(0.2),
    keras.layers.Dense(1),
])
model.compile(optimizers.AdamW(), "mse", metrics=["mae"], jit_compile=False)
state = callbacks.TrainState(folder, every=2)
history = model.fit(
    x, y, batch_size=8, epochs=6, validation_split=0.2, verbose=0, shuffle=True,
    callbacks=[callbacks.EarlyStopping(patience=5), state, callbacks.OneCycle(0.05)],
)
variables = model.variables + model.optimizer.variables
arrays = [np.array(keras.ops.convert_to_numpy(v.value)) for v in variables]
np.savez(out + ".new.npz", *arrays)
pathlib.Path(out + ".json").write_text(json.dumps(history.history))
pathlib.Path(out + ".new.npz").rename(out)
"""
KILLS = {"tensorflow": 50, "jax": 50, "torch": 20}


def start(folder, out):
    paths = [str(TESTS.parent), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": "1",
        "TF_ENABLE_ONEDNN_OPTS": "0",
    }
    command = [sys.executable, "-c", SCRIPT, str(folder), str(out)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def finish(folder, out):
    process = start(folder, out)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors.decode()[-3000:]


def ended(out):
    with np.load(out) as arrays:
        return [arrays[name] for name in arrays.files], json.loads(
            pathlib.Path(f"{out}.json").read_text()
        )


def kill_at_random(folder, out, rng, kills):
    """Starts the training and kills it, again and again; returns the kills that hit.

    The moments are counted from the first state, or the end of the import, on: before
    it nothing can be lost.
    """
    done = 0
    while done < kills:
        before = newest(folder)
        process = start(folder, out)
        while process.poll() is None and newest(folder) == before:
            if not owned(folder):
                time.sleep(0.005)
            elif rng.random() < 0.02:
                break
            else:
                time.sleep(0.005)
        time.sleep(rng.random() * 0.1)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            done += 1
        errors = process.communicate()[1].decode()
        if process.returncode == 0:
            return done
        assert process.returncode == -signal.SIGKILL, errors[-3000:]
    return done


def newest(folder):
    try:
        return (folder / "CURRENT").read_text()
    except OSError:
        return None


def owned(folder):
    return any(folder.glob("owner.*"))


def check_kills(tmp_path, kills, seed):
    finish(tmp_path / "whole", tmp_path / "whole.npz")
    expected, history = ended(tmp_path / "whole.npz")
    rng, done, runs = random.Random(seed), 0, 0
    while done < kills:
        runs += 1
        folder, out = tmp_path / f"run{runs}", tmp_path / f"run{runs}.npz"
        done += kill_at_random(folder, out, rng, min(5, kills - done))
        finish(folder, out)
        found, found_history = ended(out)
        assert found_history == history
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    print(f"{done} kills of {runs} trainings on {keras.config.backend()}")


@pytest.mark.slow
def test_a_killed_training_ends_bit_for_bit_as_one_that_was_not(tmp_path):
    check_kills(tmp_path, 1, seed=0)


@pytest.mark.soak
def test_kills_at_random_moments_lose_nothing(tmp_path):
    check_kills(tmp_path, KILLS[keras.config.backend()], seed=1)
