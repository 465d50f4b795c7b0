"""The file of a trial: whole, or as if it were not there."""

import json

import numpy as np
import pytest

from keras_trainkit.estimators._trial_file import (
    FILE,
    TrialNetworks,
    read_predict_seconds,
    read_trial,
    write_trial,
)
from keras_trainkit.tuners._patient_storage import StorageFailed

pytestmark = pytest.mark.backend_free

SHAPE = (3, 2)


@pytest.fixture
def networks():
    """Two networks of two arrays each, for three rows and two outputs."""
    arrays = [np.arange(4.0), np.ones((2, 3), "float32")]
    log = {"val_loss": [0.5, 0.25]}
    return TrialNetworks([arrays, arrays], [log, log], np.ones(SHAPE), 0.7, True)


def test_what_is_written_is_read(networks, tmp_path):
    write_trial(tmp_path / "a", networks)
    found = read_trial(tmp_path / "a", 2, SHAPE)
    for own, same in zip(networks.weights, found.weights, strict=True):
        for array, other in zip(own, same, strict=True):
            np.testing.assert_array_equal(array, other)
            assert array.dtype == other.dtype
    np.testing.assert_array_equal(found.outputs, networks.outputs)
    assert (found.histories, found.is_cut) == (networks.histories, True)
    assert found.predict_seconds == read_predict_seconds(tmp_path / "a") == 0.7
    assert [path.name for path in (tmp_path / "a").iterdir()] == [FILE]


@pytest.mark.parametrize(("count", "shape"), [(1, SHAPE), (2, (4, 2)), (2, (3, 1))])
def test_a_file_of_other_networks_is_none(networks, tmp_path, count, shape):
    write_trial(tmp_path, networks)
    assert read_trial(tmp_path, count, shape) is None


@pytest.mark.parametrize("lost", ["histories", "predict_seconds", "is_cut", "weights"])
def test_a_file_without_a_field_is_none(networks, tmp_path, lost):
    write_trial(tmp_path, networks)
    with np.load(tmp_path / FILE) as file:
        arrays = dict(file)
    about = json.loads(str(arrays["about"]))
    del about[lost]
    np.savez(tmp_path / FILE, **arrays | {"about": np.array(json.dumps(about))})
    assert read_trial(tmp_path, 2, SHAPE) is None
    assert np.isnan(read_predict_seconds(tmp_path)) == (lost == "predict_seconds")


def test_a_torn_file_and_none_at_all_are_none(networks, tmp_path):
    assert read_trial(tmp_path, 2, SHAPE) is None
    write_trial(tmp_path, networks)
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes()[:-40])
    assert read_trial(tmp_path, 2, SHAPE) is None
    assert np.isnan(read_predict_seconds(tmp_path))


def test_a_full_disk_is_no_fault_of_the_trial_and_leaves_nothing(
    networks, tmp_path, monkeypatch
):
    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(StorageFailed, match="a disk with room left.*networks.npz.*No"):
        write_trial(tmp_path, networks)
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_was_writing_is_removed(networks, tmp_path):
    (tmp_path / f".7.{FILE}").write_bytes(b"half of it")
    write_trial(tmp_path, networks)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
