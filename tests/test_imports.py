"""Which family may import which, and what importing the kit brings with it."""

import ast
import graphlib
import pathlib
import subprocess
import sys

import pytest

import keras_trainkit

ROOT = pathlib.Path(keras_trainkit.__file__).parent
FAMILIES = {
    "initializers",
    "schedules",
    "optimizers",
    "layers",
    "callbacks",
    "data",
    "models",
    "hypermodels",
    "tuners",
    "serving",
    "analysis",
    "estimators",
}
MAY_IMPORT = {
    "initializers": set(),
    "schedules": set(),
    "data": set(),
    "layers": {"initializers"},
    "optimizers": {"schedules"},
    "callbacks": {"schedules", "optimizers"},
    "models": {"initializers", "layers"},
    "hypermodels": {"models", "optimizers", "schedules", "callbacks"},
    "tuners": {"hypermodels", "callbacks", "data"},
    "serving": {"layers", "models"},
    "analysis": FAMILIES - {"serving", "estimators"},
    "estimators": FAMILIES,
}
# Modules of other families from which more than public names is imported.
PRIVATE_IMPORTS = {
    "models": {"layers._classes", "layers.member_mean"},
    "hypermodels": {
        "models._data_checks",
        "models._heads",
        "models._sequence_input",
        "models._table_input",
        "models._task",
        "models.loss_for",
        "models.metrics_for",
    },
    "serving": {"layers._classes", "models._heads", "models._task"},
    "analysis": {
        "data._row_times",
        "data._rows",
        "tuners._data_description",
        "tuners._study_tuner",
        "tuners._trial_record",
    },
    "estimators": {
        "analysis._figures",
        "analysis._report_page",
        "analysis._report_scores",
        "analysis._report_sections",
        "callbacks._monitor",
        "data._row_times",
        "layers._classes",
        "layers.radial_basis",
        "tuners._configuration_tree",
        "tuners._data_description",
        "tuners._patient_storage",
        "tuners._progress",
        "tuners._search_loop",
    },
}
BACKENDS = ("tensorflow", "jax", "torch")
BACKEND_CODE = ("serving", "_gradients", "_jax", "_recurrent", "_tensorflow")


def imported_modules(file):
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: write imports in full"
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_every_folder_of_the_package_has_its_arrows():
    folders = {p.parent.name for p in ROOT.glob("[a-z]*/__init__.py")}
    assert folders == FAMILIES == set(MAY_IMPORT)


def test_families_import_only_what_the_picture_allows():
    for family, allowed in MAY_IMPORT.items():
        for file in (ROOT / family).glob("*.py"):
            for module in imported_modules(file):
                package, _, rest = module.partition(".")
                used = rest.split(".")[0]
                if package == "keras_trainkit" and not used.startswith("_"):
                    assert used in allowed | {family}, f"{file.name} imports {module}"


def test_private_imports_across_families_are_those_of_the_list():
    found = {}
    for family in FAMILIES:
        for file in (ROOT / family).glob("*.py"):
            for module in imported_modules(file):
                package, _, rest = module.partition(".")
                used, _, inner = rest.partition(".")
                if (
                    package == "keras_trainkit"
                    and used in FAMILIES - {family}
                    and inner
                ):
                    found.setdefault(family, set()).add(rest)
    assert found == PRIVATE_IMPORTS


def test_modules_import_each_other_in_no_circle():
    files = {module_of(file): file for file in ROOT.rglob("*.py")}
    imports = {}
    for module, file in files.items():
        found = imports[module] = set()
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    found.add(inner if inner in files else node.module)
            elif isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
        found &= set(files)
    list(graphlib.TopologicalSorter(imports).static_order())  # CycleError names them


def module_of(file):
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def test_leaves_import_nothing_of_ours_but_leaves():
    for file in [*ROOT.glob("_[a-z]*.py"), *ROOT.glob("_[a-z]*/*.py")]:
        for module in imported_modules(file):
            package, _, rest = module.partition(".")
            assert package != "keras_trainkit" or rest.startswith("_")


def test_private_keras_is_never_imported():
    for file in ROOT.rglob("*.py"):
        for module in imported_modules(file):
            assert not module.startswith("keras.src"), f"{file.name}: {module}"


def test_backends_are_named_only_where_the_design_lets_them():
    for file in ROOT.rglob("*.py"):
        if file.relative_to(ROOT).parts[0] in BACKEND_CODE:
            continue
        for module in imported_modules(file):
            assert module.split(".")[0] not in BACKENDS, f"{file.name}: {module}"


@pytest.mark.slow
def test_importing_the_kit_adds_no_module_and_no_noise_to_what_keras_brings():
    script = (
        "import keras, sys\n"
        "before = set(sys.modules)\n"
        "print('Keras is there.', file=sys.stderr)\n"
        "import keras_trainkit\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    added = done.stdout.split()
    assert "keras_trainkit.models.mlp" in added
    assert {module.split(".")[0] for module in added} == {"keras_trainkit"}
    assert done.stderr.endswith("Keras is there.\n")
