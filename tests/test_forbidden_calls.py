"""Calls that run what a file or a name holds, which the package does without."""

import ast
import pathlib

import pytest

import keras_trainkit

pytestmark = pytest.mark.backend_free

ROOT = pathlib.Path(keras_trainkit.__file__).parent
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
    ("yaml", "full_load"),
    ("tempfile", "mktemp"),
    ("os", "system"),
    ("os", "popen"),
    ("keras", "enable_unsafe_deserialization"),
    ("config", "enable_unsafe_deserialization"),
}
# Between a process and its own child, over a pipe that nobody else can open.
ALLOWED = {("tuners/_processes.py", "pickle")}


def forbidden(tree):
    """What the code imports or calls and must not."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from MODULES & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            yield from MODULES & {node.module.split(".")[0]}
            imported = {(node.module, alias.name) for alias in node.names}
            yield from (".".join(pair) for pair in imported & ATTRIBUTES)
        elif isinstance(node, ast.Name) and node.id in BUILTINS:
            yield node.id
        elif isinstance(node, ast.Attribute):
            owner = getattr(node.value, "id", getattr(node.value, "attr", None))
            if (owner, node.attr) in ATTRIBUTES:
                yield f"{owner}.{node.attr}"
        elif isinstance(node, ast.keyword):
            yield from switched_on(node)


def switched_on(keyword):
    """Options that let a file be more than data, or a text a command."""
    value = getattr(keyword.value, "value", None)
    if keyword.arg in ("shell", "allow_pickle") and value is not False:
        yield f"{keyword.arg}={value}"
    if keyword.arg == "safe_mode" and value is not True:
        yield f"safe_mode={value}"


def found():
    for file in sorted(ROOT.rglob("*.py")):
        for name in forbidden(ast.parse(file.read_text())):
            yield str(file.relative_to(ROOT)), name


def test_the_package_runs_nothing_that_a_file_or_a_text_holds():
    assert set(found()) == ALLOWED


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import pickle", "pickle"),
        ("from marshal import loads", "marshal"),
        ("eval('1')", "eval"),
        ("exec(text)", "exec"),
        ("yaml.load(text)", "yaml.load"),
        ("from tempfile import mktemp", "tempfile.mktemp"),
        ("subprocess.run(line, shell=True)", "shell=True"),
        ("np.load(path, allow_pickle=True)", "allow_pickle=True"),
        ("load_model(path, safe_mode=False)", "safe_mode=False"),
        ("keras.config.enable_unsafe_deserialization()", "config.enable_unsafe_des"),
    ],
)
def test_each_of_them_is_seen(code, name):
    (seen,) = forbidden(ast.parse(code))
    assert seen.startswith(name)
