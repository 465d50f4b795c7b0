"""Searches of the kit beside KerasTuner's and a loop with Optuna alone.

    python benchmarks/search.py speed --data FOLDER
    python benchmarks/search.py parts
    python benchmarks/search.py hyperband --data FOLDER
    python benchmarks/search.py scores --data FOLDER

All search one space, `HyperMLP` with one or two layers of up to 128 units, on digits
(1,200 rows) and on california (13,209 rows, for `scores` 4,000 of them; FOLDER holds a
`load.py` with its `table`), 9 epochs a trial.

| job         | what it shows                                                        |
| ----------- | -------------------------------------------------------------------- |
| `speed`     | trials per minute of random searches: KerasTuner's with a `fit` as   |
|             | in its guides and with that of `HyperMLP`, ours, ours with           |
|             | `steps_per_execution=64`, and that with a worker per core            |
| `parts`     | where the seconds of a trial go                                      |
| `hyperband` | seconds and best score of both Hyperbands over the same brackets,    |
|             | three times through                                                  |
| `scores`    | the best score after 10, 20 and 40 trials                            |

Every run has a process of its own, one after the other, and is a line of `--results`;
runs that are there already are not repeated.
"""

import argparse
import functools
import importlib.util
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

from keras_trainkit import hypermodels

HERE = pathlib.Path(__file__).parent
TRIALS = {"speed": 24, "hyperband": None, "scores": 40}
STEPS, CORES = {"steps_per_execution": 64}, os.cpu_count() or 1
HYPER_MLP = {"hypermodel": hypermodels.HyperMLP}
SPEED = {
    "KerasTuner RandomSearch": {},
    "KerasTuner RandomSearch, HyperMLP.fit": HYPER_MLP,
    "RandomSearch": {},
    "RandomSearch, workers": {"workers": CORES},
    "RandomSearch, steps": STEPS,
    "RandomSearch, steps, workers": {**STEPS, "workers": CORES},
}
HYPERBAND = {
    "KerasTuner Hyperband": {},
    "KerasTuner Hyperband, HyperMLP.fit": HYPER_MLP,
    "Hyperband": {},
    "Hyperband, workers": {"workers": CORES},
    "Hyperband, steps": STEPS,
    "Hyperband, steps, workers": {**STEPS, "workers": CORES},
}


def main(job, data, results, sets, methods, seeds):
    results = pathlib.Path(results)
    results.parent.mkdir(parents=True, exist_ok=True)
    methods = methods or methods_of(job)
    for seed in range(seeds):
        for name in sets:
            for method in methods:
                asked = {"job": job, "set": name, "method": method, "seed": seed}
                if not any(asked.items() <= run.items() for run in read(results)):
                    arguments = ["--data", data, "--results", str(results)]
                    command = [sys.executable, __file__, job, *arguments]
                    one = ["--one", name, method, str(seed)]
                    subprocess.run([*command, *one], check=True)
    runs = [run for run in read(results) if run["job"] == job]
    {"speed": print_speed, "hyperband": print_speed, "scores": print_scores}[job](
        runs, sets, methods
    )


def methods_of(job):
    if job == "speed":
        return list(SPEED)
    if job == "hyperband":
        return list(HYPERBAND)
    from search_peers import digits, searches

    return list(searches(digits()))


def read(results):
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text().splitlines()]


def one_run(job, data, results, name, method, seed):
    from search_peers import searches

    means = {**SPEED, **HYPERBAND}.get(method, {})
    rows = 4000 if job == "scores" else None
    search = searches(task_of(name, data, rows))[
        re.sub(r", (steps|workers|HyperMLP).*", "", method)
    ]
    with tempfile.TemporaryDirectory() as folder:
        run = functools.partial(search, **means)(TRIALS[job], seed, folder)
    line = {"job": job, "set": name, "method": method, "seed": seed}
    line |= {"seconds": run.seconds, "epochs": run.epochs, "trials": run.trials}
    with pathlib.Path(results).open("a") as file:
        file.write(json.dumps(line) + "\n")
    print(job, name, method, seed, f"{run.seconds:.1f} s", flush=True)


def task_of(name, data, rows=None):
    from search_peers import california, digits

    if name == "digits":
        return digits()
    spec = importlib.util.spec_from_file_location("load", pathlib.Path(data, "load.py"))
    load = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(load)
    return california(load, rows)


def best_after(run, count):
    """The best score among the first trials; NaN if none of them has any."""
    pick = max if run["set"] == "digits" else min
    scores = [score for _, score in run["trials"][:count] if score is not None]
    return pick(scores, default=float("nan"))


def print_speed(runs, sets, methods):
    """Medians over the seeds; ratios are of runs with the same seed."""
    print("\n| set | search | seconds | trials/min | ratio | epochs | best score |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in sets:
        base = chosen_of(runs, name, methods[0])
        for method in methods:
            found = chosen_of(runs, name, method)
            if not found:
                continue
            ratios = [base[seed]["seconds"] / found[seed]["seconds"] for seed in found]
            rates = [60 * len(r["trials"]) / r["seconds"] for r in found.values()]
            seconds, epochs = (
                statistics.median(run[key] for run in found.values())
                for key in ("seconds", "epochs")
            )
            best = statistics.mean(best_after(run, None) for run in found.values())
            print(
                f"| {name} | {method} | {seconds:.1f} | {statistics.median(rates):.1f} "
                f"| {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f} to {max(ratios):.2f}) "
                f"| {epochs:.0f} | {best:.4f} |"
            )


def print_scores(runs, sets, methods):
    """Mean and standard deviation over the seeds."""
    counts = (10, 20, 40)
    print("\n| set | search | after 10 | after 20 | after 40 | epochs |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in sets:
        for method in methods:
            found = chosen_of(runs, name, method).values()
            if not found:
                continue
            cells = []
            for count in counts:
                best = [best_after(run, count) for run in found]
                spread = statistics.stdev(best) if len(best) > 1 else float("nan")
                cells.append(f"{statistics.mean(best):.4f} ± {spread:.4f}")
            epochs = statistics.mean(run["epochs"] for run in found)
            print(f"| {name} | {method} | {' | '.join(cells)} | {epochs:.0f} |")


def chosen_of(runs, name, method):
    """The runs of one line, by seed."""
    mine = [run for run in runs if (run["set"], run["method"]) == (name, method)]
    return {run["seed"]: run for run in mine}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("job", choices=["speed", "parts", "hyperband", "scores"])
    parser.add_argument("--data", default=".", help="folder of load.py")
    parser.add_argument("--results", default="out/search.jsonl")
    parser.add_argument("--sets", nargs="+", default=["digits", "california"])
    parser.add_argument("--methods", nargs="+", help="default: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = vars(parser.parse_args())
    one = given.pop("one")
    if one:
        one_run(
            *(given["job"], given["data"], given["results"]),
            *(one[0], one[1], int(one[2])),
        )
    elif given["job"] == "parts":
        from search_parts import print_parts

        print_parts(task_of("digits", given["data"]))
    else:
        main(**given)
