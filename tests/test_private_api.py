"""Private names of Keras, KerasTuner, Optuna and TensorFlow, held to their list.

`docs/private_api.md` says of each why it is used. A name that is used and not listed
fails, and so does one that is listed and not used.
"""

import ast
import importlib
import inspect
import pathlib
import re
import textwrap

import pytest

import keras_trainkit

pytestmark = pytest.mark.tensorflow_only  # bases of classes differ between backends

ROOT = pathlib.Path(keras_trainkit.__file__).parent
LIST = pathlib.Path(__file__).parents[1] / "docs" / "private_api.md"
HOSTS = ("keras", "keras_tuner", "optuna", "tensorflow")
# Modules of the hosts that are not made for others, though no underscore says so.
INNER_MODULES = ("keras.src", "keras_tuner.engine", "tensorflow.core")
INNER_MODULES += ("keras_tuner.src", "tensorflow.python")
OURS = {  # attributes of other objects than self that are the kit's own
    ("_statistics/quantiles.py", "_Column"),
    ("_statistics/quantiles.py", "_split"),
    ("_train_state/writer.py", "_running"),
    ("_train_state/writer.py", "_thread"),
    ("analysis/hyperparameter_effects.py", "_rows"),
    ("estimators/feature_importances.py", "_goal"),
    ("estimators/feature_importances.py", "_known_target"),
    ("tuners/_configuration_tree.py", "_ends"),
}
PYTHONS = {"_abc_impl", "_asdict", "_exit"}  # of Python itself
PRIVATE = re.compile(r"_[A-Za-z]\w*")


def is_private(name):
    return PRIVATE.fullmatch(str(name)) is not None


def names_in(tree):
    """Private names that code reads or writes on other objects, and private imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and not is_own(node.value):
            yield node.attr
        elif isinstance(node, ast.Call) and is_access(node.func):
            yield from (a.value for a in node.args[1:2] if isinstance(a, ast.Constant))
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            yield node.slice.value
        elif isinstance(node, ast.ImportFrom) and is_of_host(node.module):
            yield from (alias.name for alias in node.names)
            if is_inner(node.module):
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (a.name for a in node.names if is_inner(a.name))


def is_own(node):
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def is_access(function):
    accesses = ("getattr", "setattr", "hasattr", "delattr")
    return isinstance(function, ast.Name) and function.id in accesses


def is_of_host(module):
    return str(module).split(".")[0] in HOSTS


def is_inner(module):
    inner = str(module).startswith(INNER_MODULES)
    return inner or (is_of_host(module) and "._" in module)


def inherited_names(cls):
    """Private names of host classes that a class of ours overrides or calls."""
    host = {
        name
        for base in cls.__mro__
        if base.__module__.split(".")[0] in HOSTS
        for name in vars(base)
        if is_private(name)
    }
    yield from host & set(vars(cls))
    ours = (b for b in cls.__mro__ if b.__module__.startswith("keras_trainkit"))
    host -= {name for base in ours for name in vars(base)}
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    attributes = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute))
    yield from (a.attr for a in attributes if is_own(a.value) and a.attr in host)


def classes_of(module):
    for cls in vars(module).values():
        if inspect.isclass(cls) and cls.__module__ == module.__name__:
            yield cls


def used():
    found = set()
    for file in ROOT.rglob("*.py"):
        path = file.relative_to(ROOT)
        names = {n for n in names_in(ast.parse(file.read_text())) if n is not None}
        found |= {(str(path), n) for n in names if is_private(n) or is_inner(n)}
        # One module for each backend, whose classes have no bases.
        if path.parts[0] == "_recurrent" or path.stem in ("jax", "torch"):
            continue
        module = ".".join((keras_trainkit.__name__, *path.with_suffix("").parts))
        for cls in classes_of(importlib.import_module(module)):
            found |= {(str(path), name) for name in inherited_names(cls)}
    return {use for use in found - OURS if use[1] not in PYTHONS}


def listed():
    rows = re.findall(r"^\| `([^`]+)` \| (.+?) \| (.+?) \|$", LIST.read_text(), re.M)
    for name, files, why in rows:
        assert why.strip(" -"), name
        for file in re.findall("`([^`]+)`", files):
            yield file, name


def test_each_private_name_is_listed_with_its_file_and_each_listed_one_is_used():
    assert used() == set(listed())
