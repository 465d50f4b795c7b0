"""Finished searches without training, over values chosen by hand."""

from searching import searcher

from keras_trainkit import tuners


def finished(folder, score_of, rows, name="search", **options):
    """A random search that has tried `rows`, dicts of values, and nothing else."""
    cls = searcher(tuners.RandomSearch, score_of)
    options = {"seed": 3, "max_trials": len(rows), **options}
    options["max_consecutive_failed_trials"] = 99
    tuner = cls(directory=folder, project_name=name, **options)
    for row in rows:
        tuner.enqueue(row)
    tuner.search(verbose=0)
    return tuner
