"""Compares methods over many tables, for benchmarks/tables.py.

Scores of a table are compared seed by seed, since every seed cuts the table anew. A
method is tied with the best when the mean of the differences is not above their
standard deviation over the seeds.
"""

import statistics


def print_ranks(runs, names, methods):
    """A row for each method, over the tables that every method has run.

    Rank: 1 for the best mean score, ties share the mean of their ranks. Normalised: the
    best of a table is 1, the worst 0. Gap: points of accuracy, or percent of RMSE,
    behind the best.
    """
    errors = {name: errors_of(runs, name, methods) for name in names}
    errors = {name: found for name, found in errors.items() if found}
    print(f"\n{len(errors)} tables that every method has run")
    if not errors:
        return
    print("| method | mean rank | first or tied | normalised | widest gaps |")
    print("| --- | --- | --- | --- | --- |")
    for method in methods:
        ranks, normalised, gaps, tied = [], [], {}, 0
        for name, found in errors.items():
            means = {m: statistics.mean(e.values()) for m, e in found.items()}
            best, worst = min(means.values()), max(means.values())
            mine = means[method]
            others = [mean for m, mean in means.items() if m != method]
            ranks.append(
                1 + sum(e < mine for e in others) + sum(e == mine for e in others) / 2
            )
            normalised.append((worst - mine) / (worst - best) if worst > best else 1.0)
            tied += is_tied(found[method], found[min(means, key=means.get)])
            gaps[name] = gap(runs, name, mine, best)
        widest = sorted(gaps, key=gaps.get, reverse=True)[:3]
        print(
            f"| {method} | {statistics.mean(ranks):.2f} | {tied} "
            f"| {statistics.mean(normalised):.2f} "
            f"| {', '.join(f'{name} {gaps[name]:.1f}' for name in widest)} |"
        )


def errors_of(runs, name, methods):
    """For each method the error by seed, of the seeds that all have; None without."""
    found = {method: {} for method in methods}
    for run in runs:
        if run["set"] == name and run["method"] in found:
            score = run["score"]
            error = score if run["task"] == "regression" else 1 - score
            found[run["method"]][run["seed"]] = error
    seeds = set.intersection(*(set(errors) for errors in found.values()))
    if not seeds:
        return None
    return {m: {s: errors[s] for s in sorted(seeds)} for m, errors in found.items()}


def is_tied(errors, best):
    differences = [errors[seed] - best[seed] for seed in best]
    if len(differences) == 1:
        return differences[0] <= 0
    return statistics.mean(differences) <= statistics.stdev(differences)


def gap(runs, name, error, best):
    task = next(run["task"] for run in runs if run["set"] == name)
    if task == "regression":
        return 100 * (error / best - 1) if best else 0.0
    return 100 * (error - best)
