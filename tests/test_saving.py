"""Files outlive the process and the release that wrote them."""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import keras_trainkit
from keras_trainkit import layers, models, optimizers, schedules

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
RELEASES = sorted(folder for folder in FIXTURES.iterdir() if folder.name[0].isdigit())
MODELS = [file for folder in RELEASES for file in sorted(folder.glob("*.keras"))]


def test_this_release_has_its_files():
    assert keras_trainkit.__version__ in [folder.name for folder in RELEASES]


@pytest.mark.parametrize("file", MODELS, ids=lambda f: f"{f.parent.name}-{f.stem}")
def test_a_model_of_every_release_opens_predicts_and_goes_on_training(file):
    expected = np.load(file.parent / "expected.npz")
    model = keras.saving.load_model(file)
    predicted = model.predict(expected["x"], verbose=0)
    np.testing.assert_allclose(predicted, expected[file.stem], atol=1e-5)
    assert int(model.optimizer.iterations) == 4
    before = model.evaluate(expected["x"], expected["y"], verbose=0)
    model.fit(expected["x"], expected["y"], epochs=5, verbose=0)
    assert model.evaluate(expected["x"], expected["y"], verbose=0) < before


@pytest.mark.parametrize("folder", RELEASES, ids=lambda f: f.name)
def test_schedules_of_every_release_give_the_values_they_gave(folder):
    saved = json.loads((folder / "schedules.json").read_text())
    for name, curve in saved["curves"].items():
        schedule = keras.saving.deserialize_keras_object(curve["config"])
        values = keras.ops.convert_to_numpy(schedule(np.array(saved["steps"])))
        # TensorFlow flushes numbers below the smallest normal one to 0, torch does not.
        bounds = {"rtol": 1e-5, "atol": np.finfo("float32").tiny}
        np.testing.assert_allclose(values, curve["values"], **bounds, err_msg=name)


@pytest.mark.slow  # the files of releases above come from other processes too
def test_saved_model_predicts_the_same_in_a_fresh_process(blobs, tmp_path):
    x, y = blobs
    scaling = layers.RobustScaling()
    scaling.adapt(x)
    model = models.mlp((2,), 1, (8,), scaling=scaling, task="binary")
    model.compile(
        optimizers.AdamW(schedules.OneCycle(0.05, total_steps=8)),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
    )
    model.fit(x, y, batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "expected.npy", model.predict(x, verbose=0))

    script = (
        "import keras, numpy as np, keras_trainkit\n"
        "model = keras.saving.load_model('model.keras')\n"
        "got = model.predict(np.load('x.npy'), verbose=0)\n"
        "np.testing.assert_allclose(got, np.load('expected.npy'), atol=1e-6)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
