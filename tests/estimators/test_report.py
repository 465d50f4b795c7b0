"""The page of a fitted estimator."""

import json
import re

import numpy as np
import pytest

from keras_trainkit.estimators import _report


def numbers_of(path):
    text = path.with_suffix(".json").read_text()
    return json.loads(text, parse_constant=pytest.fail)["sections"]


@pytest.mark.slow
def test_a_classifier_tells_its_recipe_and_judges_rows(
    classifier, frame, dear, tmp_path
):
    rows = frame.head(60)
    path = classifier.report(tmp_path / "report.html", rows, dear[:60])
    found = numbers_of(path)
    assert "TableClassifier" in path.read_text()
    confusion = found["confusion_of_the_classes"]["numbers"]
    assert confusion["classes"] == ["cheap", "dear"]
    assert confusion["accuracy"] == pytest.approx(classifier.score(rows, dear[:60]))
    assert np.sum(confusion["counts"]) == 60
    recipe = found["recipe"]["numbers"]
    assert recipe["members"] == {"value": 2, "reason": "given"}
    seed = found["how_to_make_it_again"]["numbers"]["seed"]
    assert seed == classifier.recipe_["seed"]["value"]
    assert found["learning_curves"]["numbers"]["loss"] == classifier.history_["loss"]
    columns = [row["column"] for row in found["data"]["numbers"]]
    assert columns == [*frame.columns, "y"]
    assert "importance_of_the_columns" in found


def test_a_regressor_without_rows_has_neither_residuals_nor_data(regressor, tmp_path):
    found = numbers_of(regressor.report(tmp_path / "report.html", title="Houses"))
    assert not {"residuals", "data", "importance_of_the_columns"} & set(found)
    assert "findings" in found
    rows = found["validation_rows"]
    scores = regressor.conformity_scores_[:, 0]
    assert rows["numbers"]["rows"] == len(scores) == 50
    assert rows["numbers"]["median"] == pytest.approx(np.median(scores))
    assert "Half of 50 validation rows are off by" in rows["verdict"]


@pytest.mark.slow
def test_a_regressor_with_rows_has_residuals(regressor, frame, price, tmp_path):
    found = numbers_of(regressor.report(tmp_path / "a.html", frame, price))
    rmse = np.sqrt(np.mean((regressor.predict(frame) - price) ** 2))
    assert found["residuals"]["numbers"]["rmse"][0] == pytest.approx(rmse)


def test_of_several_trainings_the_curves_are_the_first_ones():
    history = {"loss": [3.0, 2.0, 9.0], "fold": [0, 0, 1], "trial": [4, 4, 4]}
    assert _report.first_training(history) == {"loss": [3.0, 2.0]}
    assert _report.first_training({"loss": [1.0]}) == {"loss": [1.0]}


def test_what_cannot_be_reported_is_refused(classifier, frame, dear, tmp_path):
    with pytest.raises(ValueError, match="^`X` and `y` are rows .* Received: X alone"):
        classifier.report(tmp_path / "a.html", frame)
    with pytest.raises(ValueError, match=r"among the classes, .*Received: \['huge'\]"):
        classifier.report(tmp_path / "a.html", frame.head(2), ["huge", "dear"])
    with pytest.raises(ValueError, match="^`path` is the page to write"):
        classifier.report(tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("folds", "words"),
    [([0, 0, 1, 1], "2 networks were trained .* those of the first"), (None, "^$")],
)
def test_the_recipe_says_of_which_network_the_curves_are(folds, words):
    class Fitted:
        recipe_ = {"seed": {"value": 0, "reason": "given"}}
        history_ = {"loss": [3.0, 2.0, 3.0, 2.5]}

    if folds:
        Fitted.history_ = {**Fitted.history_, "fold": folds}
    section = _report._recipe(Fitted())
    assert re.search(words, section.text)
