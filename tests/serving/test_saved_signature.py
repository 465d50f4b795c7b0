"""A folder of versions is one model to its clients."""

import keras
import numpy as np
import pytest

from keras_trainkit import models, serving
from keras_trainkit.layers import TemperatureScaling

pytestmark = pytest.mark.tensorflow_only

X = np.random.default_rng(3).normal(size=(3, 4)).astype("float32")


def network(features=4, units=1, name="price", dtype="float32", input_name="features"):
    inputs = keras.Input((features,), name=input_name, dtype=dtype)
    last = keras.layers.Dense(units, name=name, dtype="float32")
    return keras.Model(inputs, last(inputs))


OTHERS = {
    "inputs of another shape": ({"features": 3}, X[:, :3]),
    "inputs of another name": ({"input_name": "columns"}, X),
    "inputs of another type": ({"dtype": "float64"}, X),
    "outputs of another shape": ({"units": 2}, X),
    "outputs of another name": ({"name": "rent"}, X),
}


@pytest.mark.first_quick
@pytest.mark.parametrize(("arguments", "x"), OTHERS.values(), ids=OTHERS)
def test_refuses_a_model_with_other_inputs_or_outputs_unless_told(
    arguments, x, tmp_path
):
    serving.export(network(), tmp_path, X)
    other = network(**arguments)
    with pytest.raises(
        ValueError, match="`directory` holds .*1, does.*Received: .*feat"
    ):
        serving.export(other, tmp_path, x)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert serving.export(other, tmp_path, x, new_signature=True).name == "2"
    assert serving.export(other, tmp_path, x).name == "3"


def test_the_newest_version_counts_and_others_do_not(tmp_path):
    serving.export(network(), tmp_path, X, version=3)
    serving.export(network(units=2), tmp_path, X, version=20, new_signature=True)
    with pytest.raises(ValueError, match="the newest, 20, does"):
        serving.export(network(), tmp_path, X, version=4)
    assert serving.export(network(units=2), tmp_path, X, version=4).name == "4"


def test_a_calibrated_model_goes_on_where_the_raw_one_was(tmp_path):
    model = models.mlp((4,), 2, (), task="classification")
    serving.export(model, tmp_path, X)
    temperature = TemperatureScaling(name="calibrated")
    temperature.adapt(np.array([[2.0, 0], [2, 0], [0, 1]]), np.array([0, 1, 1]))
    calibrated = keras.Model(model.input, temperature(model.output))
    assert serving.export(calibrated, tmp_path, X).name == "2"


def test_what_is_no_saved_model_has_no_clients(tmp_path):
    (tmp_path / "7").write_text("a file")
    assert serving.export(network(), tmp_path, X).name == "8"
    (tmp_path / "9").mkdir()
    assert serving.export(network(units=2), tmp_path, X).name == "10"


def test_a_newest_version_that_cannot_be_read_is_named(tmp_path):
    path = serving.export(network(), tmp_path, X)
    (path / "saved_model.pb").write_bytes(b"torn")
    with pytest.raises(ValueError, match="the newest has no readable graph"):
        serving.export(network(), tmp_path, X)


@pytest.mark.parametrize("flag", [1, None, "yes"])
def test_the_permission_is_true_or_false(flag, tmp_path):
    with pytest.raises(ValueError, match="`new_signature` lets .*True or False"):
        serving.export(network(), tmp_path, X, new_signature=flag)
