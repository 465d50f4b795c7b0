"""Verdicts on curves whose ailment is known (`benchmarks/labelled_curves.py`)."""

import json
import pathlib

import pytest

from keras_trainkit.analysis import diagnose

FILE = pathlib.Path(__file__).parents[1] / "fixtures" / "labelled_curves.json"
CURVES = json.loads(FILE.read_text())


def is_hit(curve):
    """True if the first verdict is, or begins with, one of the labels."""
    known = {"baseline": curve["baseline"], "rows": curve["rows"]}
    known["validation_rows"] = curve["validation_rows"]
    verdict = diagnose(curve["history"], **known).verdict
    return verdict.startswith(tuple(curve["labels"]))


def missed(held_back):
    part = [curve for curve in CURVES if curve["held_back"] == held_back]
    return len(part), [curve["name"] for curve in part if not is_hit(curve)]


def test_half_of_the_curves_are_of_real_runs():
    runs = sum(curve["kind"] == "run" for curve in CURVES)
    assert len(CURVES) >= 40
    assert 2 * runs >= len(CURVES)


@pytest.mark.backend_free
def test_most_of_the_curves_that_were_held_back_are_read_rightly():
    count, wrong = missed(held_back=True)
    assert count == 15
    assert len(wrong) <= 2, wrong


@pytest.mark.backend_free
def test_most_of_the_other_curves_are_read_rightly():
    count, wrong = missed(held_back=False)
    assert len(wrong) <= 0.1 * count, wrong
