"""Scripts that start processes without `if __name__ == "__main__":`."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys

import keras_tuner
from keras_trainkit import tuners


class Squares(tuners.RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        return trial.hyperparameters.Float("x", 0, 1) ** 2


options = {"max_trials": 2, "seed": 0, "directory": sys.argv[2], **OPTIONS}
tuner = Squares(None, keras_tuner.Objective("loss", "min"), **options)
tuner.search(verbose=0, **SEARCH)
"""


@pytest.mark.parametrize(
    ("options", "search"),
    [
        pytest.param({}, {"workers": 2}, marks=pytest.mark.soak),
        pytest.param({"isolate": True}, {}, marks=pytest.mark.soak),
        pytest.param({"overwrite": True}, {"workers": 2}, marks=pytest.mark.soak),
    ],
    ids=["workers", "isolate", "overwrite"],
)
def test_script_without_the_guard_is_told_so_in_a_sentence(options, search, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        SCRIPT.replace("**OPTIONS", f"**{options}").replace("**SEARCH", f"**{search}")
    )
    command = [sys.executable, script, "-", tmp_path / "searches"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[-1].startswith("RuntimeError: `workers` and `isolate` start processes")
    assert 'under `if __name__ == "__main__":`' in lines[-1]
    assert sum(line.startswith("Traceback") for line in lines) == 1
