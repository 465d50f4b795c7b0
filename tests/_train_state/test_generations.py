"""States on a disk that fails, in files that change, and between kills."""

import errno
import functools
import json
import os
import pathlib
import shutil

import numpy as np
import pytest
from damaged_states import list_anew

from keras_trainkit._train_state import generations
from keras_trainkit._train_state.generations import Generations
from keras_trainkit._train_state.state_file import DamagedState, packed

pytestmark = pytest.mark.backend_free

RNG = np.random.default_rng(0)
OLD = {"step": 1, "weights": RNG.normal(size=(3, 5))}
NEW = {"step": 2, "weights": RNG.normal(size=(3, 5))}
NEWER = {"step": 3, "weights": RNG.normal(size=(3, 5))}


def written(folder, *states, keep=2):
    folder.mkdir()
    found = Generations(folder, keep)
    for state in states:
        found.write(packed(state))
    return found


def step_in(folder):
    """The step of the state that is read; checks that its weights belong to it."""
    state, _ = Generations(folder, 2).read()
    if state is None:
        return None
    expected = {1: OLD, 2: NEW, 3: NEWER}[state["step"]]
    np.testing.assert_array_equal(state["weights"], expected["weights"])
    return state["step"]


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_the_newest_state_is_read_and_as_many_as_wanted_are_kept(tmp_path):
    folder = tmp_path / "run"
    written(folder, OLD, NEW, NEWER)
    state, remarks = Generations(folder, 2).read()
    assert state["step"] == 3 and remarks == []
    kept = [path.name for path in folder.glob("gen-*")]
    assert sorted(kept) == ["gen-000000002", "gen-000000003"]


def test_nothing_was_written_yet(tmp_path):
    assert Generations(tmp_path, 2).read() == (None, [])


class Killed(BaseException):
    """Nobody catches it, as nobody catches a kill."""


def file_operations(monkeypatch, at, error):
    """Lets the `at`-th operation on a file raise `error`; returns the list of all.

    After a kill no further operation happens, not even one that would tidy up.
    """
    done = []

    def counted(name, operation):
        def run(*arguments, **others):
            is_write = name != "open" or str((*arguments, "r")[1])[0] in "wxa"
            if not is_write:
                return operation(*arguments, **others)
            done.append(name)
            if len(done) == at or (len(done) > at and isinstance(error, Killed)):
                if name == "open":  # a kill leaves an empty file, or a part of one
                    operation(*arguments, **others).close()
                raise error
            return operation(*arguments, **others)

        return run

    for name in ("replace", "fsync", "mkdir", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, counted(name, getattr(os, name)))
    monkeypatch.setattr("io.open", counted("open", open))
    monkeypatch.setattr("builtins.open", counted("open", open))
    return done


def operations_of_a_save(tmp_path):
    written(tmp_path / "counted", OLD, NEW)
    with pytest.MonkeyPatch.context() as patch:
        done = file_operations(patch, 10**9, OSError())
        written_to = Generations(tmp_path / "counted", 2)
        written_to.read()
        written_to.write(packed(NEWER))
    return len(done)


def test_a_kill_at_each_operation_on_a_file_leaves_the_old_or_the_new_state(tmp_path):
    total = operations_of_a_save(tmp_path)
    assert total > 15
    steps = []
    for at in range(1, total + 1):
        folder = tmp_path / f"run{at}"
        written(folder, OLD, NEW)
        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            file_operations(patch, at, Killed())
            killed = Generations(folder, 2)
            killed.read()
            killed.write(packed(NEWER))
        steps.append(step_in(folder))
        again = Generations(folder, 2)
        again.read()
        again.write(packed(NEWER))
        assert step_in(folder) == 3
        left = [n for n in names(folder) if n.startswith((".", "gen"))]
        assert len(left) == 2 and not any(n.startswith(".") for n in left), left
    assert set(steps) == {2, 3}
    assert steps == sorted(steps)


@pytest.mark.parametrize(
    "number",
    [
        errno.ENOSPC,
        pytest.param(errno.EIO, marks=pytest.mark.slow),
        pytest.param(errno.EROFS, marks=pytest.mark.slow),
    ],
)
def test_a_disk_that_fails_at_any_operation_leaves_the_old_state_alone(
    tmp_path, number
):
    total = operations_of_a_save(tmp_path)
    for at in range(1, total + 1):
        folder = tmp_path / f"run{at}"
        written(folder, OLD, NEW)
        before = names(folder)
        failed = Generations(folder, 2)
        failed.read()
        with pytest.MonkeyPatch.context() as patch:
            file_operations(patch, at, OSError(number, os.strerror(number)))
            try:
                failed.write(packed(NEWER))
                is_written = True
            except OSError as error:
                assert error.errno == number
                is_written = False
        if is_written or step_in(folder) == 3:
            continue  # what failed was the deletion of the oldest, or the last fsync
        assert step_in(folder) == 2
        assert names(folder) == before
        failed.write(packed(NEWER))
        assert step_in(folder) == 3


def test_ten_sizes_of_a_full_disk_leave_the_old_state_and_nothing_else(
    tmp_path, monkeypatch
):
    folder = tmp_path / "run"
    written(folder, OLD)
    size = (folder / "gen-000000001" / "arrays.bin").stat().st_size
    before = names(folder)

    def full(path, files, room):
        (path / "arrays.bin").write_bytes(b"x" * room)
        raise OSError(errno.ENOSPC, "No space left on device")

    for room in np.linspace(0, size, 10).astype(int):
        until = functools.partial(full, room=room)
        monkeypatch.setattr(generations.state_file, "write", until)
        failing = Generations(folder, 2)
        failing.read()
        with pytest.raises(OSError, match="No space left"):
            failing.write(packed(NEW))
        monkeypatch.undo()
        assert step_in(folder) == 1
        assert names(folder) == before


def files_of(folder, name):
    newest = [folder / name / file for file in ("state.json", "arrays.bin")]
    return [*newest, folder / name / "MANIFEST.json", folder / "CURRENT"]


def damaged(folder, change):
    """Steps read after `change(data)` of each file, of the newest state or pointer."""
    for path in files_of(folder, "gen-000000002"):
        whole = path.read_bytes()
        for data in change(path, whole):
            path.write_bytes(data)
            yield path, Generations(folder, 2).read()
        path.write_bytes(whole)


def assert_never_wrong(path, found):
    state, remarks = found
    expected = {1: OLD, 2: NEW}[state["step"]]
    np.testing.assert_array_equal(state["weights"], expected["weights"])
    # The pointer alone may be damaged: then the newest whole state is found anyway.
    assert state["step"] == (2 if path.name == "CURRENT" else 1)
    assert path.name in remarks[0]


def test_a_truncated_file_is_refused_by_name_and_the_state_before_it_taken(tmp_path):
    folder = tmp_path / "run"
    written(folder, OLD, NEW)
    shares = np.linspace(0, 1, 20, endpoint=False)

    def cuts(path, whole):
        return [whole[: int(share * len(whole))] for share in shares]

    found = list(damaged(folder, cuts))
    for path, result in found:
        assert_never_wrong(path, result)
    assert len(found) == 4 * 20


def test_a_single_bit_anywhere_is_seen(tmp_path):
    folder = tmp_path / "run"
    written(folder, OLD, NEW)

    def flips(path, whole):
        for bit in RNG.integers(0, 8 * len(whole), 50):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << (bit % 8)
            yield bytes(flipped)

    found = list(damaged(folder, flips))
    for path, result in found:
        assert_never_wrong(path, result)
    assert len(found) == 200


def test_a_file_of_another_state_is_seen(tmp_path):
    folder = tmp_path / "run"
    written(folder, OLD, NEW)
    old, new = folder / "gen-000000001", folder / "gen-000000002"
    shutil.copy(old / "arrays.bin", new / "arrays.bin")
    state, remarks = Generations(folder, 2).read()
    assert state["step"] == 1
    assert remarks == [
        "gen-000000002: arrays.bin does not have the SHA-256 of MANIFEST.json"
    ]


def test_states_none_of_which_is_whole_are_an_error_that_names_all(tmp_path):
    folder = tmp_path / "run"
    written(folder, OLD, NEW)
    for path in folder.glob("gen-*/state.json"):
        path.write_text("")
    with pytest.raises(DamagedState, match="gen-000000002: .*; gen-000000001: state"):
        Generations(folder, 2).read()


def test_after_a_fallback_the_damaged_state_does_not_count_as_kept(tmp_path):
    folder = tmp_path / "run"
    written(folder, OLD, NEW)
    (folder / "gen-000000002" / "arrays.bin").write_bytes(b"")
    again = Generations(folder, 2)
    again.read()
    again.write(packed(NEWER))
    kept = [path.name for path in folder.glob("gen-*")]
    assert sorted(kept) == ["gen-000000001", "gen-000000003"]


def resign(folder, content):
    """Writes `content` with sums that are right, as one who means harm would."""
    path = pathlib.Path(folder) / "gen-000000001"
    (path / "state.json").write_text(content)
    list_anew(path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "null",
        "[" * 100_000,
        '{"values": {"@array": 7}, "arrays": []}',
        '{"values": {"@array": -1}, "arrays": [["float32", [1]]]}',
        '{"values": {"@array": true}, "arrays": [["float32", [1]]]}',
        '{"values": 1, "arrays": [["object", [1]]]}',
        '{"values": 1, "arrays": [["V9", [1]]]}',
        '{"values": 1, "arrays": [["float32", [1000000000000, 1000000]]]}',
        '{"values": 1, "arrays": [["float32", [-1]]]}',
        '{"values": 1, "arrays": [["float32", [1.5]]]}',
        '{"values": 1, "arrays": [["float32", [0, 281474976710655]]]}',
        '{"values": 1, "arrays": [["float32", "33"]]}',
        '{"values": 1, "arrays": 3}',
        '{"values": 1}',
    ],
)
def test_a_hostile_file_is_refused_without_running_or_allocating(tmp_path, content):
    folder = tmp_path / "run"
    written(folder, OLD)
    resign(folder, content)
    with pytest.raises(DamagedState, match="state.json cannot be read"):
        Generations(folder, 2).read()


def test_all_plain_values_come_back(tmp_path):
    folder = tmp_path / "run"
    values = {
        "none": None,
        "flag": True,
        "float": 0.1,
        "not finite": [float("inf"), float("-inf")],
        "nested": [{"a": [1, 2]}, "text"],
        "scalar": np.float32(0.5),
        "array": np.array(3, "int8"),
        "empty": np.zeros((0, 2), "uint32"),
    }
    found, _ = written(folder, values).read()
    assert found["array"].dtype == "int8" and found["array"].shape == ()
    assert found["empty"].dtype == "uint32" and found["empty"].shape == (0, 2)
    for name in ("none", "flag", "float", "not finite", "nested", "scalar"):
        assert found[name] == values[name]


@pytest.mark.parametrize("value", [{1: 2}, object(), np.array(["a"]), {"a", "b"}])
def test_a_state_of_other_things_is_refused_by_its_place(tmp_path, value):
    with pytest.raises(ValueError, match=r"files that run no code.*state\['mine'\]"):
        written(tmp_path / "run", {"mine": value})
    assert names(tmp_path / "run") == []


def test_the_manifest_lists_sizes_and_sums(tmp_path):
    folder = tmp_path / "run"
    written(folder, OLD)
    text = (folder / "gen-000000001" / "MANIFEST.json").read_text()
    listed = json.loads(text.splitlines()[0])["files"]
    assert listed["arrays.bin"]["size"] == 3 * 5 * 8
    assert len(listed["state.json"]["sha256"]) == 64
