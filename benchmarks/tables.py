"""Scores and times of `models.mlp` on public tables, beside its peers.

    pip install -e ".[benchmarks]"
    python benchmarks/tables.py --data FOLDER
    python benchmarks/tables.py --data FOLDER --sets california --methods ours LightGBM
    python benchmarks/tables.py --data FOLDER --ablation california churn
    python benchmarks/tables.py --data FOLDER --other-rows 7 --results out/other.jsonl
    python benchmarks/tables.py --data FOLDER --panel --seeds 2
    python benchmarks/tables.py --data FOLDER --panel --seeds 1 --automl 120

FOLDER holds a `load.py` whose `table(name)` gives frame, y, task and the rows of
training, validation and test. "ours" is `estimators.TableClassifier` or
`TableRegressor` as they stand, with no setting of its own for any table; it has the
rows of training and validation as one table, of which it keeps some for validation.
Every method runs in a process of its own. `--other-rows` cuts each table anew, by
that seed, into parts as large: a check of a recipe that was settled on the usual parts.
`--panel` takes the tables of `panel.py` beside it, on which the recipe is settled, cuts
each by the seed of the run, and compares the methods over all of them (table_ranks.py).
`--automl` compares the recipe ("ours") with a search around it of so many seconds, of
processor time, so that other work on the machine takes nothing from it. With
`--autogluon PYTHON`, an interpreter with AutoGluon, whose releases of other libraries
are not those of the kit, AutoGluon searches as long, by the clock.
A run is a line of `--results`; runs that are there already are not repeated, so the
table can be made in several sittings.
"""

import argparse
import importlib
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import table_peers
import table_ranks

HERE = pathlib.Path(__file__).parent
ASKED = {
    "california": 0.440,
    "adult": 0.870,
    "churn": 0.860,
    "diamonds": 0.1335,
    "house_16h": 28_000,
    "covertype": 0.908,
}
AUTOML, AUTOGLUON = "ours, time_limit=", "AutoGluon, time_limit="
# For an ablation: arguments of the estimator, a row of the table each.
CHANGES = {
    "the recipe": {},
    "scaling: standard, not robust": {"scaling": "standard"},
    "no numeric embedding": {"numeric_embedding": False},
    "1 member, not 16": {"members": 1},
    "constant rate, no cooldown": {},
    "decay of biases and scales too": {},
    "label smoothing 0.1, not 0": {"label_smoothing": 0.1},
}

# What a method imports, "ours" in all its forms where it is none of these.
LIBRARIES = {
    "XGBoost": ["xgboost"],
    "LightGBM": ["lightgbm"],
    "CatBoost": ["catboost"],
    "scikit-learn": ["sklearn.ensemble"],
    "RealMLP-TD": ["pytabkit"],
    "AutoGluon": ["autogluon.tabular"],
}


def main(
    *,
    data,
    results,
    sets,
    methods,
    seeds,
    ablation,
    other_rows,
    panel,
    automl,
    autogluon,
):
    results = pathlib.Path(results)
    results.parent.mkdir(parents=True, exist_ok=True)
    usual = load_module(pathlib.Path(data, "panel.py")).NAMES if panel else [*ASKED]
    if ablation:
        sets, methods = ablation, list(CHANGES)
    elif automl:
        methods = ["ours", f"{AUTOML}{automl}"]
        methods += [f"{AUTOGLUON}{automl}"] if autogluon else []
    else:
        methods = methods or ["ours", "ours, fast", *table_peers.PEERS]
    for seed in range(seeds):
        for name in sets or usual:
            for method in methods:
                run = (name, method, seed, cut_of(other_rows, panel))
                if not any(is_run(r, *run) for r in read(results)):
                    python = autogluon if AUTOGLUON in method else sys.executable
                    run_apart(data, results, *run[:3], other_rows, panel, python)
    cut = cut_of(other_rows, panel)
    runs = [r for r in read(results) if r.get("cut", "usual") == cut]
    print_table(runs, sets or usual, methods)
    if panel:
        table_ranks.print_ranks(runs, sets or usual, methods)


def read(results):
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text().splitlines()]


def is_run(run, name, method, seed, cut):
    same = (run["set"], run["method"], run["seed"]) == (name, method, seed)
    return same and run.get("cut", "usual") == cut


def cut_of(other_rows, panel):
    """How the tables are cut into parts: scores of two cuts are not compared."""
    if panel:
        return "panel"
    return "usual" if other_rows is None else f"other rows {other_rows}"


def run_apart(data, results, name, method, seed, other_rows, panel, python):
    """In a process of its own, so that no method finds another's threads or caches."""
    job = ["--data", data, "--job", name, method, str(seed), "--results", str(results)]
    if other_rows is not None:
        job += ["--other-rows", str(other_rows)]
    if panel:
        job += ["--panel"]
    subprocess.run([python, __file__, *job], check=True)


def one_job(data, results, name, method, seed, other_rows, panel):
    table = read_table(data, name, other_rows, seed if panel else None)
    usual = ["keras_trainkit.estimators"]
    for library in LIBRARIES.get(method.split(",")[0], usual):
        importlib.import_module(library)  # before the clock starts
    wall, cpu = time.perf_counter(), time.process_time()
    errors = {}
    if method in table_peers.PEERS:
        predicted = table_peers.PEERS[method](table, seed)
    elif method.startswith(AUTOGLUON):
        seconds = int(method.removeprefix(AUTOGLUON))
        predicted, errors = table_peers.autogluon(table, seed, seconds)
    else:
        predicted, errors = ours(table, method, seed)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    truth = table.targets[2]
    if table.task == "regression":
        reached = float(np.sqrt(np.mean((np.ravel(predicted) - truth) ** 2)))
    else:
        reached = float(np.mean(predicted == truth))
    run = {"set": name, "method": method, "seed": seed, "score": reached}
    run |= {"task": table.task, "cut": cut_of(other_rows, panel)}
    run |= {"wall": round(wall, 1), "cpu": round(cpu, 1)} | errors
    with pathlib.Path(results).open("a") as file:
        file.write(json.dumps(run) + "\n")
    print(run, flush=True)


def ours(table, method, seed):
    import pandas as pd
    from sklearn.metrics import log_loss

    from keras_trainkit import analysis, estimators, models, schedules
    from keras_trainkit.estimators import _estimator, _time_limit
    from keras_trainkit.optimizers import AdamW

    changes = {"preset": "fast"} if method == "ours, fast" else {}
    changes |= CHANGES.get(method, {})
    if method.startswith(AUTOML):
        changes = {"time_limit": int(method.removeprefix(AUTOML))}
        _time_limit.now = _estimator.now = time.process_time
    if method == "constant rate, no cooldown":
        rate = schedules.WarmupStableDecay(0.003, warmup_steps=0, decay_steps=1)
        changes["optimizer"] = AdamW(rate, weight_decay=0.02)
    if method == "decay of biases and scales too":
        decay = {"weight_decay": 0.02, "decay_biases_and_scales": True}
        changes |= {"optimizer": AdamW(0.003, **decay)}
    (train, y_train), (validation, y_validation), (frame, y) = table.parts()
    rows = pd.concat([train, validation], ignore_index=True)
    targets = np.concatenate([y_train, y_validation])
    changes["random_state"] = seed  # how rows are validated is the recipe's choice
    if table.task == "regression":
        estimator = estimators.TableRegressor(**changes).fit(rows, targets)
        notes = covered(estimator, frame, y) | searched(estimator)
        return estimator.predict(frame), notes
    estimator = estimators.TableClassifier(**changes).fit(rows, targets)
    known = estimator.encoder_(frame[list(estimator.encoder_.column_names)])
    before = models.predict_proba(estimator.model_, known, batch_size=1024, verbose=0)
    errors = searched(estimator)
    for when, found in (("before", before), ("after", estimator.predict_proba(frame))):
        found = found[:, 1:] if len(estimator.classes_) == 2 else found
        error = analysis.calibration_error(y, found)
        errors[f"calibration_error_{when}"] = error
    labels = np.arange(len(estimator.classes_))
    errors["log_loss"] = log_loss(y, estimator.predict_proba(frame), labels=labels)
    return estimator.predict(frame), errors | covered(estimator, frame, y)


def covered(estimator, frame, y):
    """The share of rows whose interval, or set, holds the truth; 0.9 is asked for."""
    if hasattr(estimator, "classes_"):
        codes = np.searchsorted(estimator.classes_, y)
        inside = estimator.predict_set(frame, 0.9)[np.arange(len(y)), codes]
    else:
        lower, upper = map(np.ravel, estimator.predict_interval(frame, 0.9))
        inside = (lower <= y) & (y <= upper)
    return {"coverage": float(np.mean(inside)), "test_rows": len(y)}


def searched(estimator):
    """Trials of a search, and those in the ensemble; nothing without a search."""
    rows = estimator.recipe_.get("leaderboard", {"value": []})["value"]
    used = {row["model"]: round(row["weight"], 2) for row in rows if row["can_infer"]}
    return {"trials": len(rows) - 1, "weights": used} if rows else {}


def read_table(data, name, other_rows, panel_seed=None):
    if panel_seed is None:
        whole = load_module(pathlib.Path(data, "load.py")).table(name)
    else:
        whole = load_module(pathlib.Path(data, "panel.py")).table(name, panel_seed)
    frame, y, task, *rows = whole
    if other_rows is not None:
        ends = np.cumsum([len(part) for part in rows])[:-1]
        order = np.random.default_rng(other_rows).permutation(len(frame))
        rows = np.split(order, ends)
    if task == "classification" and len(np.unique(y)) == 2:
        task = "binary"
    frames = tuple(frame.iloc[part].reset_index(drop=True) for part in rows)
    return table_peers.Table(name, frames, tuple(y[part] for part in rows), task)


def load_module(path):
    sys.path.append(str(path.parent))  # for what the module imports from beside it
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def print_table(runs, names, methods):
    """Mean, standard deviation and times; the median of the times, in seconds."""
    print("\n| set | method | score | spread | seeds | wall s | CPU s |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in names:
        for method in methods:
            chosen = [r for r in runs if (r["set"], r["method"]) == (name, method)]
            if not chosen:
                continue
            scores = [r["score"] for r in chosen]
            digits = 0 if scores[0] > 100 else 4
            spread = statistics.stdev(scores) if len(scores) > 1 else float("nan")
            wall, cpu = (
                statistics.median(r[k] for r in chosen) for k in ("wall", "cpu")
            )
            print(
                f"| {name} | {method} | {statistics.mean(scores):.{digits}f} "
                f"| {spread:.{digits}f} | {len(scores)} | {wall:.0f} | {cpu:.0f} |"
            )


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of load.py")
    parser.add_argument("--results", default="out/tables.jsonl")
    parser.add_argument("--sets", nargs="+", help="default: all")
    parser.add_argument("--methods", nargs="+", help="default: ours and all peers")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ablation", nargs="+", metavar="SET")
    parser.add_argument("--other-rows", type=int, metavar="SEED")
    parser.add_argument("--panel", action="store_true", help="the tables of panel.py")
    parser.add_argument("--automl", type=int, metavar="SECONDS", help="of a search")
    parser.add_argument("--autogluon", metavar="PYTHON", help="that has AutoGluon")
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    job = given.pop("job")
    if job:
        one_job(
            *(given["data"], given["results"]),
            *(job[0], job[1], int(job[2]), given["other_rows"], given["panel"]),
        )
    else:
        main(**given)
