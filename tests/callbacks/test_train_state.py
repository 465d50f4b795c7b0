"""A fit that goes on from what is on disk.

Small networks with dropout and batch normalization; `resuming.assert_same` compares
weights, seeds, slots and history bit for bit with a fit that nothing has stopped.
"""

import contextlib
import copy
import errno
import gc
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import warnings
import weakref

import keras
import numpy as np
import pytest
from damaged_states import list_anew
from resuming import (
    BATCH,
    Kill,
    Killed,
    X,
    Y,
    assert_same,
    fit,
    network,
    stopped_and_resumed,
    usual_callbacks,
    usual_fit,
)

from keras_trainkit import data, schedules
from keras_trainkit._process import this_process
from keras_trainkit._train_state import state_file
from keras_trainkit._train_state.generations import Generations
from keras_trainkit._train_state.writer import wait_for_folder
from keras_trainkit.callbacks import (
    CooldownOnPlateau,
    EarlyStopping,
    GradientMonitor,
    StartDecay,
    TrainState,
)

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.fixture(scope="module")
def whole():
    """What the usual fit ends with, without `TrainState`."""
    with pytest.MonkeyPatch.context() as patch:
        if keras.config.backend() == "tensorflow":
            always = property(lambda model: True, lambda model, value: None)
            patch.setattr(keras.Model, "run_eagerly", always)
        return fit(*usual_callbacks())


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Folder of a usual fit that was killed after its first epoch."""
    path = tmp_path_factory.mktemp("killed") / "run"
    with pytest.MonkeyPatch.context() as patch:
        if keras.config.backend() == "tensorflow":
            always = property(lambda model: True, lambda model, value: None)
            patch.setattr(keras.Model, "run_eagerly", always)
        with pytest.raises(Killed):
            usual_fit(path, Kill(1))
    wait_for_folder(path)
    return path


@pytest.fixture
def state_of_a_kill(killed, folder):
    """A folder of its own with that state."""
    return pathlib.Path(shutil.copytree(killed, folder))


@pytest.mark.first_quick
@pytest.mark.parametrize(
    ("epoch", "batch"),
    [
        (2, None),
        (1, 2),
        *(
            pytest.param(*at, marks=pytest.mark.slow)
            for at in itertools.product(range(3), (None, 0, 1, 2))
            if at not in ((2, None), (1, 2))
        ),
    ],
)
def test_a_stopped_fit_ends_as_one_that_was_not(folder, whole, epoch, batch):
    assert_same(stopped_and_resumed(folder, epoch, batch), whole)


@pytest.mark.slow
def test_two_kills_in_a_row_lose_no_more_than_the_batches_since_the_last_state(
    folder, whole
):
    def begin(*more):
        return fit(TrainState(folder, 2), *usual_callbacks(), *more)

    for at in ((1, 2), (2, 1), (2, 2)):
        with pytest.raises(Killed):
            begin(Kill(*at))
    assert_same(begin(), whole)


def test_a_fit_that_has_ended_trains_nothing_when_it_is_called_again(folder, whole):
    begin = [TrainState(folder), *usual_callbacks()]
    assert_same(fit(*begin), whole)
    state = TrainState(folder)
    assert_same(fit(state, *usual_callbacks(), Kill(2)), whole)
    assert state.resumed_epoch == 3


@pytest.mark.slow
def test_a_training_that_was_stopped_early_stays_stopped(folder):
    def callbacks():
        return [EarlyStopping("loss", patience=1, min_delta=9.0)]

    first = fit(TrainState(folder), *callbacks(), build=named_model)
    again = callbacks()
    assert_same(fit(TrainState(folder), *again, build=named_model), first)
    assert first["epochs"] == [0, 1]
    assert again[0].stop_reason.startswith("Stopped since loss has not improved")


@pytest.mark.slow
def test_the_next_fit_of_a_resumed_model_begins_at_its_own_epoch(folder):
    with pytest.raises(Killed):
        fit(TrainState(folder), Kill(2), build=named_model)
    model = named_model()
    arguments = {"epochs": 3, "verbose": 0}
    model.fit(X, Y, BATCH, callbacks=[TrainState(folder)], **arguments)
    assert model.fit(X, Y, epochs=4, verbose=0).epoch == [0, 1, 2, 3]


class Heard(keras.callbacks.Callback):
    """Notes what it is told, and counts batches as a callback of one's own may."""

    def __init__(self):
        super().__init__()
        self.batches = []
        self.set = []

    def on_train_begin(self, logs=None):
        self.count = 0

    def on_train_batch_begin(self, batch, logs=None):
        self.batches.append(batch)

    def on_train_batch_end(self, batch, logs=None):
        self.count += 1

    def get_state(self):
        return {"count": self.count, "array": np.arange(self.count)}

    def set_state(self, state):
        self.count = state["count"]
        self.set.append(len(state["array"]))


def test_a_callback_of_ones_own_goes_on_and_hears_no_batch_twice(folder):
    state = TrainState(folder, 4)
    with pytest.raises(Killed):
        fit(state, Heard(), Kill(1, 2), build=named_model)
    assert (state.resumed_epoch, state.resumed_batch) == (None, None)
    heard = Heard()
    fit(state, heard, build=named_model)
    # The state was written after 4 batches, 1 of the epoch 1.
    assert (state.resumed_epoch, state.resumed_batch) == (1, 1)
    assert heard.set == [4, 4]
    assert heard.batches == [1, 2, 0, 1, 2]
    assert heard.count == 9


class Batches(keras.utils.PyDataset):
    """Batches by number, whose order is of an own generator that two methods keep."""

    def __init__(self):
        super().__init__()
        self.epoch = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rng = np.random.default_rng(self.epoch)
        rows = rng.permutation(len(X))[index * BATCH : (index + 1) * BATCH]
        return X[rows], Y[rows]

    def on_epoch_end(self):
        self.epoch += 1

    def get_state(self):
        return {"epoch": self.epoch}

    def set_state(self, state):
        self.epoch = state["epoch"]


class Numbered(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = slice(index * BATCH, (index + 1) * BATCH)
        return X[rows], Y[rows]


def reshuffled():
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices((X, Y))
    return rows.shuffle(len(X), seed=5).batch(BATCH)


def table_batches():
    table = {"a": X[:, 0], "b": X[:, 1], "c": X[:, 2], "target": Y[:, 0]}

    def encoder(chunk):
        return np.stack([chunk["a"], chunk["b"], chunk["c"]], axis=1)

    return data.TableBatches(table, encoder, "target", batch_size=BATCH, seed=3)


@pytest.mark.parametrize(
    ("make", "shuffle"),
    [
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (Batches, False),
                (lambda: (X, Y), False),
                (Numbered, True),
                (reshuffled, False),
                (table_batches, True),
            )
        ),
    ],
)
@pytest.mark.parametrize("batch", [2, pytest.param(None, marks=pytest.mark.soak)])
def test_the_data_come_in_the_same_order(folder, make, shuffle, batch):
    arguments = {"data": make, "shuffle": shuffle}
    if isinstance(make(), tuple):
        arguments["batch_size"] = BATCH
    expected = fit(*usual_callbacks(), **arguments)
    assert_same(stopped_and_resumed(folder, 2, batch, **arguments), expected)


@pytest.mark.slow
def test_batches_of_like_length_come_in_the_same_order(folder):
    lengths = np.random.default_rng(0).integers(1, 9, size=len(X))
    sequences = [np.tile(row, (n, 1)) for row, n in zip(X, lengths, strict=True)]

    def batches():
        return data.SequenceBatches(sequences, Y, batch_size=BATCH, num_lengths=2)

    def build():
        inputs = keras.Input((None, X.shape[1]))
        pooled = keras.layers.GlobalAveragePooling1D()(inputs)
        dropped = keras.layers.Dropout(0.3, seed=1)(pooled)
        model = keras.Model(inputs, keras.layers.Dense(1)(dropped))
        model.compile("adam", "mse")
        return model

    arguments = {"data": batches, "build": build}
    expected = fit(*usual_callbacks(), **arguments)
    assert_same(stopped_and_resumed(folder, 2, 2, **arguments), expected)


@pytest.mark.slow
def test_a_data_set_of_unknown_length_comes_in_the_same_order(folder):
    def batches():
        return reshuffled().filter(lambda *_: True)

    def build():
        return named_model()

    arguments = {"data": batches, "shuffle": False, "build": build}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Your input ran out of data")
        expected = fit(**arguments)
        resumed = stopped_and_resumed(folder, 2, None, list, **arguments)
    assert_same(resumed, expected)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_generator_begins_anew_and_a_warning_says_so(folder):
    def batches():
        while True:
            yield X[:BATCH], Y[:BATCH]

    arguments = {"data": batches, "steps_per_epoch": 1, "shuffle": False}
    arguments["build"] = named_model
    with pytest.raises(Killed):
        fit(TrainState(folder), Kill(1), **arguments)
    with pytest.warns(UserWarning, match="TrainState cannot tell where in the data"):
        fit(TrainState(folder), **arguments)


@pytest.mark.not_torch
@pytest.mark.slow
def test_with_several_steps_in_one_execution_a_fit_goes_on_between_executions(folder):
    def build():
        return network(steps_per_execution=2)

    expected = fit(*usual_callbacks(), build=build)
    # Of 3 batches the executions begin with 0 and 2.
    assert_same(stopped_and_resumed(folder, 1, 2, build=build), expected)


ORDERS = list(itertools.permutations(range(4)))


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(order, marks=[pytest.mark.soak, pytest.mark.slow][n % 8 == 3])
        for n, order in enumerate(ORDERS)
    ],
)
def test_any_order_of_the_callbacks_ends_the_same(tmp_path, order, whole):
    def callbacks():
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        four = [TrainState(tmp_path / "run"), backup, *usual_callbacks()]
        return [four[number] for number in order]

    with pytest.raises(Killed):
        fit(*callbacks(), Kill(2, 2))
    assert_same(fit(*callbacks()), whole)


def sgd(rate):
    return lambda: network(optimizer=keras.optimizers.SGD(rate, momentum=0.5))


def cooldown():
    return [CooldownOnPlateau("loss", patience=1, min_cooldown_epochs=2)]


def reduce_rate():
    return [keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=9.0)]


def swap_averages():
    return [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)]


def averaging():
    return network(optimizer=keras.optimizers.Adam(use_ema=True, ema_momentum=0.7))


def decaying():
    schedule = schedules.WarmupStableDecay(0.05, warmup_steps=3, decay_steps=8)
    return network(optimizer=keras.optimizers.SGD(schedule, momentum=0.5))


@pytest.mark.parametrize(
    ("callbacks", "build"),
    [
        (
            lambda: [CooldownOnPlateau("loss", patience=1, min_cooldown_epochs=2)],
            sgd(0.1),
        ),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (lambda: [StartDecay(epoch=1)], decaying),
                (reduce_rate, sgd(0.1)),
                (lambda: [keras.callbacks.EarlyStopping("loss", patience=3)], sgd(0.1)),
                (swap_averages, averaging),
            )
        ),
    ],
)
@pytest.mark.parametrize("batch", [2, pytest.param(None, marks=pytest.mark.soak)])
def test_every_callback_goes_on_with_what_it_knew(folder, callbacks, build, batch):
    expected = fit(*callbacks(), build=build)
    resumed = stopped_and_resumed(folder, 2, batch, callbacks, build=build)
    assert_same(resumed, expected)


@pytest.mark.parametrize("every", [2, 4])
@pytest.mark.parametrize(
    ("epoch", "batch"),
    [
        (1, 2),
        *(pytest.param(*at, marks=pytest.mark.slow) for at in ((1, None), (2, 1))),
    ],
)
def test_a_gradient_monitor_measures_the_steps_of_a_fit_without_a_kill(
    folder, epoch, batch, every
):
    def watched(*more):
        monitor = GradientMonitor(every=every)
        found = fit(monitor, *more, build=named_model)
        return monitor.to_dict(), found

    results, expected = watched()
    # Of 9 steps; what `every` is due in an epoch's end comes in the next.
    assert results["steps"] == list(range(0, 9, every))
    with pytest.raises(Killed):
        watched(TrainState(folder, 1), Kill(epoch, batch))
    resumed, found = watched(TrainState(folder, 1))
    assert resumed == results
    assert_same(found, expected)


@pytest.mark.slow
def test_early_stopping_waits_no_longer_than_without_a_kill(folder):
    def stopping():
        return [EarlyStopping("loss", patience=4, min_delta=9.0)]

    with pytest.raises(Killed):
        fit(TrainState(folder), *stopping(), Kill(4), epochs=9)
    again = stopping()
    resumed = fit(TrainState(folder), *again, epochs=9)
    # Epoch 0 is the best to beat by 9; 1, 2, 3 and 4 do not.
    assert again[0].stopped_epoch == 4
    assert resumed["epochs"] == [0, 1, 2, 3, 4]


@pytest.mark.slow
def test_random_numbers_of_keras_without_a_seed_go_on(folder):
    class Draw(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.drawn = []

        def on_epoch_begin(self, epoch, logs=None):
            number = keras.random.uniform((1,))
            self.drawn.append(float(keras.ops.convert_to_numpy(number)[0]))
            self.drawn.append(float(np.random.uniform()))

    def draws(name, *callbacks):
        draw = Draw()
        with contextlib.suppress(Killed):
            fit(draw, TrainState(folder / name), *callbacks, build=named_model)
        return draw.drawn

    expected = draws("whole")
    assert len(set(expected)) == 6
    assert draws("killed", Kill(2))[:4] == expected[:4]
    assert draws("killed") == expected[4:]


def named_model(**changes):
    names = {"first": "a", "last": "b", **changes}
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(8, name=names["first"]),
            keras.layers.Dense(1, name=names["last"]),
        ]
    )
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (
            {"build": lambda: network(units=9)},
            r"variable 0 of the model is \S*dense/kernel \(3, 4\) float32 in the "
            r"state, and \S*dense/kernel \(3, 9\) float32 here",
        ),
        (
            {"build": lambda: network(optimizer=keras.optimizers.Adam(0.1))},
            r"variable 0 of the optimizer is (SGD|sgd)/\S+ \S+ \S+ in the state, and "
            "adam/",
        ),
        ({"epochs": 5}, "`epochs` is 3 in the state, and 5 here"),
        ({"batch_size": 9}, "`batches of an epoch` is 3 in the state, and 2 here"),
        (
            {"callbacks": [usual_callbacks()[0]]},
            "list of `callbacks` is with a EarlyStopping in the state, and without a",
        ),
    ],
)
def test_the_state_of_another_training_is_refused_with_the_difference(
    state_of_a_kill, change, difference
):
    change = dict(change)
    callbacks = change.pop("callbacks", usual_callbacks())
    with pytest.raises(ValueError, match=difference):
        fit(TrainState(state_of_a_kill), *callbacks, **change)
    assert not list(state_of_a_kill.glob("owner*"))


@pytest.mark.slow
def test_a_layer_of_another_name_is_refused(folder):
    def begin(**changes):
        return fit(TrainState(folder), build=lambda: named_model(**changes))

    begin()
    with pytest.raises(ValueError, match=r"is \S*b/kernel \(8, 1\) .*and \S*c/kernel"):
        begin(last="c")


def change_state(folder, change):
    """Changes the newest state and its sums, as one who means harm would."""
    newest = max(folder.glob("gen-*"))
    state = state_file.read(newest)
    change(state)
    state_file.write(newest, state_file.packed(state))
    list_anew(newest)


def set_numpy_position(position):
    def change(state):
        state["random"]["numpy"][2] = position

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("random"), "one that TrainState has written"),
        (lambda state: state.update(epoch=-3), "`epoch` is in the state"),
        (lambda state: state.update(batch="1"), "`batch` is in the state"),
        (lambda state: state.update(facts=[]), "one that TrainState has written"),
        (lambda state: state.update(variables=7), "one that TrainState has written"),
        (set_numpy_position(625), "624 numbers and a position"),
        (set_numpy_position(-1), "624 numbers and a position"),
        (set_numpy_position("0"), "one that TrainState has written"),
        (
            lambda state: state["callbacks"]["EarlyStopping"].update(wait=-1),
            "`wait` is in the state",
        ),
        (
            lambda state: state["callbacks"]["EarlyStopping"].update(best_weights=[]),
            "shapes of the best weights",
        ),
        (
            lambda state: state["callbacks"]["OneCycle"].update(start_step=-1),
            "`start_step` is in the state",
        ),
    ],
)
def test_a_file_with_right_sums_and_wrong_content_is_refused(
    state_of_a_kill, change, message
):
    change_state(state_of_a_kill, change)
    with pytest.raises(ValueError, match=message):
        usual_fit(state_of_a_kill)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_from_a_damaged_state_the_one_before_goes_on_and_a_warning_says_why(
    state_of_a_kill, whole
):
    # A state of the same moment comes behind, and is damaged.
    first = state_of_a_kill / "gen-000000001"
    again = Generations(state_of_a_kill, 2)
    again.read()
    again.write(state_file.packed(state_file.read(first)))
    (state_of_a_kill / "gen-000000002" / "arrays.bin").write_bytes(b"")
    state = TrainState(state_of_a_kill)
    why = "gen-000000002: arrays.bin has 0 bytes, not"
    with pytest.warns(UserWarning, match=why):
        assert_same(fit(state, *usual_callbacks()), whole)
    assert state.resumed_epoch == 1
    assert why in state.fallback_reason


def test_without_a_whole_state_nothing_is_trained(state_of_a_kill):
    for path in state_of_a_kill.glob("gen-*/state.json"):
        path.write_text("")
    with pytest.raises(ValueError, match="one of them must be whole.*state.json has 0"):
        usual_fit(state_of_a_kill)


def test_a_full_disk_ends_the_fit_and_leaves_the_state_before(
    state_of_a_kill, monkeypatch
):
    write = state_file.write

    def full(path, files):
        if json.loads(files["state.json"][0])["values"]["epoch"] == 2:
            (path / "arrays.bin").write_bytes(b"a part")
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, files)

    monkeypatch.setattr(state_file, "write", full)
    before = {path.name for path in state_of_a_kill.rglob("*")}
    with pytest.raises(OSError, match="No space left"):
        usual_fit(state_of_a_kill)
    assert {path.name for path in state_of_a_kill.rglob("*")} == before - owners(before)
    assert Generations(state_of_a_kill, 2).read()[0]["epoch"] == 1


def owners(names):
    return {name for name in names if name.startswith("owner")}


def test_a_folder_that_cannot_be_written_to_is_an_error_before_the_first_step(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="`directory` is the folder of the state"):
        fit(TrainState(tmp_path / "file" / "run"))


def test_a_second_process_is_refused_until_the_first_is_dead(folder):
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        stat = pathlib.Path(f"/proc/{process.pid}/stat").read_text()
        started = int(stat.rpartition(")")[2].split()[19])
        identity = {**this_process(), "pid": process.pid, "started": started}
        folder.mkdir()
        (folder / f"owner.{process.pid}.json").write_text(json.dumps(identity))
        with pytest.raises(ValueError, match=f"owned by the process {process.pid}"):
            fit(TrainState(folder), build=named_model)
    finally:
        process.kill()
        process.wait()
    fit(TrainState(folder), epochs=1, build=named_model)  # taken over from the dead


class Seen(keras.callbacks.Callback):
    """Counts the owners of a folder, and what comes to it meanwhile."""

    def __init__(self, folder, meanwhile=lambda: None):
        super().__init__()
        self.folder = folder
        self.meanwhile = meanwhile
        self.owners = []

    def on_train_batch_begin(self, batch, logs=None):
        self.meanwhile()
        self.owners.append(len(list(self.folder.glob("owner*"))))


def test_the_end_of_one_that_has_failed_leaves_the_owner_of_the_next_fit(folder):
    before = signal.getsignal(signal.SIGTERM)
    failed = [TrainState(folder)]
    with pytest.raises(Killed):
        fit(*failed, Kill(0), build=named_model)
    signal.signal(signal.SIGTERM, before)  # as a script does that has its own

    def forget():
        failed.clear()
        gc.collect()

    seen = Seen(folder, forget)
    fit(TrainState(folder), seen, build=named_model, epochs=1)
    assert seen.owners == [1, 1, 1]
    assert not list(folder.glob("owner*"))


def test_fits_that_have_failed_are_let_go_of_by_the_next(folder):
    def failed():
        state = TrainState(folder)
        with pytest.raises(Killed):
            fit(state, Kill(0), build=named_model)
        return weakref.ref(state.model)

    before = signal.getsignal(signal.SIGTERM)
    models = [failed() for _ in range(3)]
    fit(TrainState(folder), build=named_model, epochs=1)
    gc.collect()
    assert signal.getsignal(signal.SIGTERM) is before
    assert [model() for model in models] == [None] * 3


def test_one_that_has_failed_may_be_used_again(folder):
    before = signal.getsignal(signal.SIGTERM)
    state = TrainState(folder)
    for _ in range(2):
        with pytest.raises(Killed):
            fit(state, Kill(0), build=named_model)
    fit(state, build=named_model, epochs=1)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not list(folder.glob("owner*"))


def test_a_fit_whose_folder_another_process_has_taken_ends(folder):
    before = signal.getsignal(signal.SIGTERM)

    def take():  # as another host does that has heard nothing for long
        if not (folder / "CURRENT").exists():
            return
        for path in folder.glob("owner*"):
            path.unlink()
        (folder / "owner.7.json").write_text("")

    with pytest.raises(ValueError, match="owned by the process 7 on host unknown"):
        fit(TrainState(folder), Seen(folder, take), build=named_model)
    assert [path.name for path in folder.glob("owner*")] == ["owner.7.json"]
    assert Generations(folder, 2).read()[0]["epoch"] < 3
    assert signal.getsignal(signal.SIGTERM) is before


class Terminate(keras.callbacks.Callback):
    """Sends SIGTERM in the middle of a batch or of the validation."""

    def __init__(self, epoch, batch, hook):
        super().__init__()
        self.at = epoch, batch
        self.hook = hook

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        self.tell("train", batch)

    def on_test_batch_end(self, batch, logs=None):
        self.tell("test", batch)

    def tell(self, hook, batch):
        if (self.hook, self.at) == (hook, (self.epoch, batch)):
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(
    ("hook", "batch", "sentence"),
    [
        ("train", 1, "in epoch 2, after 2 of its batches. The state is in"),
        pytest.param(
            *("test", 0, "in epoch 3, after 0 of its batches. The state is in"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_on_sigterm_the_state_is_written_and_the_process_ends(
    folder, whole, hook, batch, sentence
):
    arguments = {"validation_data": (X[:5], Y[:5])} if hook == "test" else {}
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit, match=f"ended by SIGTERM {sentence}"):
        usual_fit(folder, Terminate(1, batch, hook), **arguments)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not list(folder.glob("owner*"))
    resumed = usual_fit(folder, **arguments)
    expected = fit(*usual_callbacks(), **arguments) if arguments else whole
    assert_same(resumed, expected)


def test_after_a_fit_that_has_failed_sigterm_is_nobody_elses_matter(folder):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(True))
    try:
        with pytest.raises(Killed):
            fit(TrainState(folder), Kill(0), build=named_model)
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [True]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_it_can_be_copied_before_training_as_tuners_do(folder):
    state = copy.deepcopy(TrainState(folder, 7, keep=3))
    assert (state.directory, state.every, state.keep) == (folder, 7, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"directory": 3}, "`directory` is the folder of the state"),
        ({"directory": ""}, "`directory` is the folder of the state"),
        ({"directory": "run", "every": 0}, '`every` says when .*"epoch".*every=0'),
        ({"directory": "run", "every": "batch"}, "every='batch'"),
        ({"directory": "run", "keep": 0}, "`keep` is the number of states"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TrainState(**arguments)


def test_a_model_that_is_not_built_is_refused(folder):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    state = TrainState(folder)
    state.set_model(model)
    with pytest.raises(ValueError, match="TrainState goes on with a `fit` of Keras"):
        state.on_train_begin()
    state._list = keras.callbacks.CallbackList([state], model=model)
    with pytest.raises(ValueError, match="built before `fit`.*built=False"):
        state._check_model()


@pytest.mark.slow
@pytest.mark.xfail(strict=True, reason="Keras 3.15 keeps no random numbers")
def test_control_keras_own_backup_goes_on_with_other_dropout(tmp_path, whole):
    def begin(*more):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
        return fit(backup, *usual_callbacks(), *more)

    with pytest.raises(Killed):
        begin(Kill(2))
    resumed = begin()
    for a, b in zip(resumed["variables"], whole["variables"], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.xfail(strict=True, reason="Keras 3.15 forgets the epoch")
def test_control_keras_own_backup_trains_too_much_after_two_kills(tmp_path):
    def begin(*more):
        backup = keras.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=2)
        return fit(backup, *more)

    for at in ((1, 2), (2, 2)):
        with pytest.raises(Killed):
            begin(Kill(*at))
    steps = begin()["variables"]
    assert 9 in [int(v) for v in steps if v.shape == () and v.dtype.kind == "i"]


def test_a_file_of_ones_own_in_the_folder_is_not_written_to(tmp_path, blobs):
    (tmp_path / "thesis").write_text("words")
    (tmp_path / "run").mkdir()
    for name in (".probe.new", f".{os.getpid()}.new"):
        (tmp_path / "run" / name).symlink_to(tmp_path / "thesis")
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    state = TrainState(tmp_path / "run")
    model.fit(*blobs, verbose=0, callbacks=[state])
    assert (tmp_path / "thesis").read_text() == "words"
    assert state._folder is None
