"""Examples in docstrings run, and what pages name in the repository is there."""

import doctest
import importlib
import inspect
import pathlib
import re

import keras
import numpy as np
import pytest
from docstring_setups import SETUPS, SHORTER

import keras_trainkit

ROOT = pathlib.Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FAMILIES = (
    *("initializers", "schedules", "optimizers", "layers", "callbacks", "models"),
    *("hypermodels", "tuners", "data", "analysis", "serving", "estimators"),
)
FENCE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
NEEDS = {"serving.export": pytest.mark.tensorflow_only}


def docstrings():
    """Of public parts and, for classes, of what they define themselves, by name."""
    for family in FAMILIES:
        module = importlib.import_module(f"keras_trainkit.{family}")
        for name in module.__all__:
            part = getattr(module, name)
            own = vars(part) if inspect.isclass(part) else {}
            members = [
                member
                for key, member in own.items()
                if inspect.isfunction(member) and not has_words_of_keras(key, member)
            ]
            parts = [inspect.cleandoc(each.__doc__ or "") for each in (part, *members)]
            yield f"{family}.{name}", "\n".join(parts)


def has_words_of_keras(name, member):
    """Keras hands its docstring on to a method that has none."""
    return member.__doc__ == getattr(getattr(keras.Model, name, None), "__doc__", None)


FENCED = {
    name: FENCE.findall(text) for name, text in docstrings() if FENCE.search(text)
}
PROMPTED = {name: text for name, text in docstrings() if ">>> " in text}


def names_for(part):
    """What an example may use without saying where it is from."""
    import math

    import keras_tuner
    import pandas as pd

    family, name = part.split(".")
    modules = {f: importlib.import_module(f"keras_trainkit.{f}") for f in FAMILIES}
    libraries = {"keras": keras, "np": np, "pd": pd, "math": math}
    libraries |= {"keras_tuner": keras_tuner, "keras_trainkit": keras_trainkit}
    own = {key: getattr(modules[family], key) for key in modules[family].__all__}
    return libraries | modules | own | {"__name__": f"example_of_{name}"}


@pytest.fixture
def names(request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    part = request.node.callspec.params["part"]
    names = names_for(part)
    run(SETUPS.get(part, ""), names, f"setup of {part}")
    return names


def run(text, names, title):
    for long, short in SHORTER:
        text = text.replace(long, short)
    exec(compile(text, title, "exec"), names)


LONG = {"estimators", "hypermodels", "tuners"}  # of these an example trains for seconds


def parts(found):
    return [pytest.param(name, marks=marks_of(name)) for name in found]


def marks_of(name):
    slow = [pytest.mark.slow] if name.split(".")[0] in LONG else []
    return [NEEDS[name], *slow] if name in NEEDS else slow


def test_setups_are_of_examples():
    assert set(SETUPS) <= set(FENCED) | set(PROMPTED)


@pytest.mark.filterwarnings("ignore:currentThread\\(\\):DeprecationWarning")
@pytest.mark.filterwarnings("ignore:getName\\(\\):DeprecationWarning")
@pytest.mark.parametrize("part", parts(FENCED))
def test_fenced_example_of_a_docstring_runs(part, names):
    for example in FENCED[part]:
        run(example, names, f"example of {part}")


@pytest.mark.parametrize("part", parts(PROMPTED))
def test_example_with_prompts_gives_what_it_shows(part, names, capsys):
    test = doctest.DocTestParser().get_doctest(PROMPTED[part], names, part, None, 0)
    doctest.DocTestRunner().run(test)
    assert "Failed example" not in capsys.readouterr().out


def test_an_example_that_is_broken_fails():
    with pytest.raises(AttributeError):
        run("layers.StandardScaling().adopt([[1.0]])", names_for("layers.Head"), "typo")


def test_a_docstring_begins_with_a_noun_or_a_verb():
    questions = re.compile(r'^ *"""(?:What|Whether|Which|Where|How)\b.*', re.M)
    for file in (ROOT / "keras_trainkit").rglob("*.py"):
        assert not questions.findall(file.read_text()), file.name


GENERATED = ("examples/", "api/", "generated/")  # when the site is built


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_to_files(page):
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        target = (page.parent / link).resolve()
        inside = str(target.relative_to(ROOT)).removeprefix("docs/")
        assert target.exists() or inside.startswith(GENERATED), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_a_page_name_scripts_and_options_that_exist(page):
    for line in re.findall(r"python (\w+/\w+\.py[^`\n]*)", page.read_text()):
        script, *words = line.split()
        text = (ROOT / script).read_text()
        for module in re.findall(r"^(?:import|from) (\w+)", text, re.M):
            beside = (ROOT / script).with_name(f"{module}.py")  # some share options
            text += beside.read_text() if beside.exists() else ""
        for option in (word for word in words if re.match("--[a-z]", word)):
            assert f'"{option}"' in text, line


OVERVIEWS = ("In short", "Data and terms", "How the recipe", "How the recipes")


def test_every_figure_has_its_commit_machine_and_command():
    headed = re.compile(r"^Commit [0-9a-f]{7}\b[^`]*, 20\d\d-\d\d-\d\d[^`]*;", re.M)
    for page in (ROOT / "docs" / "figures").glob("[a-z]*.md"):
        for section in re.split(r"\n###? ", page.read_text())[1:]:
            if "\n| ---" in section and not section.startswith(OVERVIEWS):
                assert headed.search(section), (page.name, section.splitlines()[0])


def test_contributing_is_one_screen():
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= 50
