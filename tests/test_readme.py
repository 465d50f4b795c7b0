"""The README's Python blocks run, each in an empty folder, as a new user's would."""

import pathlib
import re
import subprocess
import sys

import keras
import pytest

import keras_trainkit  # noqa: F401 (registers what the saved model names)

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", README, re.M | re.S)

pytestmark = pytest.mark.tensorflow_only


def test_there_is_a_complete_run_to_execute():
    assert BLOCKS and "model.fit(" in BLOCKS[0] and "serving.export(" in BLOCKS[0]


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block_runs_in_an_empty_folder(number, tmp_path):
    command = [sys.executable, "-c", BLOCKS[number]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    if number == 0:
        assert (tmp_path / "saved_model" / "1" / "saved_model.pb").exists()
        assert keras.saving.load_model(tmp_path / "model.keras").output_shape
