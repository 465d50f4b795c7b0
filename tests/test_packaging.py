"""What setup.cfg promises is what .ci/floor.txt installs and the tests then run."""

import configparser
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]


def requirements():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    text = setup["options"]["install_requires"]
    for extra in ("examples", "jax", "torch", "postgres"):
        text += "\n" + setup["options.extras_require"][extra]
    return dict(re.findall(r"^([\w-]+)(?:\[\w+\])?>=([\d.]+)$", text, re.M))


def floor():
    text = (ROOT / ".ci" / "floor.txt").read_text()
    return dict(re.findall(r"^([\w-]+)==([\d.]+)$", text, re.M))


def test_every_requirement_has_a_floor():
    assert set(requirements()) == set(floor())


def test_the_floor_that_is_tested_is_the_floor_that_is_promised():
    for name, promised in requirements().items():
        parts = promised.split(".")
        assert floor()[name].split(".")[: len(parts)] == parts, name


def test_metadata_stands_in_one_place_only():
    assert "[project]" not in (ROOT / "pyproject.toml").read_text()
