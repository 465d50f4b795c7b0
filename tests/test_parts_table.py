"""The parts of the mission have places, and what the pages name exists."""

import pathlib
import re

import keras

import keras_trainkit
import keras_trainkit.estimators
import keras_trainkit.hypermodels
import keras_trainkit.serving
import keras_trainkit.tuners

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MISSION = (ROOT / "docs" / "mission.md").read_text()
OVERVIEW = (ROOT / "docs" / "families" / "index.md").read_text()
ROWS = re.findall(
    r"^\| ([A-H]\d*(?:[-, ]+[A-H]?\d+)*) \| (.*) \| (.*) \|$", MISSION, re.M
)
FAMILIES = [
    "analysis",
    "callbacks",
    "data",
    "estimators",
    "hypermodels",
    "initializers",
    "layers",
    "models",
    "optimizers",
    "schedules",
    "serving",
    "tuners",
]


def test_every_row_of_the_mission_is_there():
    named = " ".join(ids for ids, _, _ in ROWS)
    for letter, last in {
        "A": 8,
        "B": 11,
        "C": 11,
        "D": 6,
        "E": 10,
        "F": 6,
        "H": 2,
    }.items():
        for number in range(1, last + 1):
            assert re.search(rf"\b{letter}{number}\b", named), f"{letter}{number}"
    assert "G" in named.split()


def test_every_part_that_a_page_names_exists():
    names = re.findall(rf"`({'|'.join(FAMILIES)})\.(\w+)", MISSION)
    assert len(names) > 20
    for page in PAGES:
        for family, name in re.findall(
            rf"`({'|'.join(FAMILIES)})\.(\w+)", page.read_text()
        ):
            assert hasattr(getattr(keras_trainkit, family), name), f"{page}: {name}"


def test_every_public_part_is_in_the_overview_and_on_the_page_of_its_family():
    for family in FAMILIES:
        page = (ROOT / "docs" / "families" / f"{family}.md").read_text()
        for name in getattr(keras_trainkit, family).__all__:
            assert f"`{name}`" in OVERVIEW, name
            assert re.search(rf"^   {name}$", page, re.M), name


def test_what_is_called_keras_own_is_in_keras():
    for cell in (cell for _, _, cell in ROWS if "Keras: " in cell):
        for name in re.findall(r"`([A-Z]\w+)`", cell.split("Keras: ")[1]):
            spaces = (keras.layers, keras.initializers, keras.callbacks)
            spaces += (keras.optimizers.schedules, keras.regularizers)
            assert any(hasattr(space, name) for space in spaces), name
