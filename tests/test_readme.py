"""The Python blocks of README and docs/ run as they stand, one after the other.

All of them in one folder, as of a reader who goes from page to page: three minutes on
two cores. A block with a guard for the processes that it starts runs as a script.
"""

import json
import pathlib
import re
import subprocess
import sys

import keras
import pytest

import keras_trainkit  # noqa: F401 (registers what the saved model names)

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = {
    f"{page.name}, line {page.read_text()[: block.start()].count(chr(10)) + 2}": block[
        1
    ]
    for page in PAGES
    for block in re.finditer(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S)
}

# Each block in names of its own, with the libraries loaded once. These are left out of
# collections of garbage: KerasTuner collects twice for each model, half a second.
SCRIPT = """
import gc, json, pathlib, subprocess, sys
import keras_trainkit.analysis, keras_trainkit.estimators, keras_trainkit.tuners

for name, block in json.load(sys.stdin).items():
    gc.collect()
    gc.freeze()
    print("Running", name, flush=True)
    if 'if __name__ == "__main__":' in block:
        pathlib.Path("script.py").write_text(block)
        subprocess.run([sys.executable, "script.py"], check=True)
    else:
        exec(compile(block, name, "exec"), {"__name__": "__main__"})
"""

pytestmark = pytest.mark.tensorflow_only


def test_there_is_a_complete_run_to_execute():
    first = next(iter(BLOCKS.values()))
    for step in ("model.fit(", "models.predict_labels(", "serving.export("):
        assert step in first


def test_the_readme_ends():
    assert len(PAGES[0].read_text().splitlines()) <= 200


@pytest.mark.slow
def test_blocks_run_one_after_the_other_in_one_folder(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(BLOCKS),
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-200:] + done.stderr[-3000:]
    assert (tmp_path / "saved_model" / "1" / "saved_model.pb").exists()
    assert keras.saving.load_model(tmp_path / "model.keras").output_shape
    # Nothing is a second version of what another block has published.
    assert not list(tmp_path.glob("*/2/saved_model.pb"))
