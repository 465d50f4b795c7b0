"""Importances are drawn, the largest on top."""

import dataclasses

import numpy as np
import pytest

from keras_trainkit.estimators import FeatureImportances

pytestmark = pytest.mark.backend_free

FOUND = FeatureImportances(
    names=("age", "town", "$x$"),
    mean=np.array([0.1, 0.4, -0.02]),
    std=np.array([0.01, 0.05, 0.0]),
    score=0.9,
    metric="accuracy",
)


def test_bars_stand_in_the_order_of_their_size():
    (axes,) = FOUND._draw().axes
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels == ["town", "age", "$x$"]
    assert [bar.get_width() for bar in axes.patches] == [0.4, 0.1, -0.02]
    assert axes.patches[0].get_y() > axes.patches[1].get_y()
    assert axes.get_xlabel() == "accuracy lost, of 0.9"


def test_the_verdict_names_what_costs_most():
    assert FOUND.verdict == (
        "accuracy is 0.9; most is lost without town (0.4), age (0.1). "
        "1 of 3 columns lose no more than one deviation."
    )


def test_the_verdict_says_when_no_column_matters():
    idle = dataclasses.replace(FOUND, mean=np.array([0.01, -0.02, 0.0]))
    assert idle.verdict == (
        "accuracy is 0.9; shuffled, no column of 3 takes away more than one deviation."
    )


def test_a_picture_is_written(tmp_path):
    FOUND.plot(tmp_path / "importances.svg")
    assert b"<svg" in (tmp_path / "importances.svg").read_bytes()


def test_another_suffix_is_refused():
    with pytest.raises(ValueError, match="^`path` is the file to draw into"):
        FOUND.plot("importances.txt")
