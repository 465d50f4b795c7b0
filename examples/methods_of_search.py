"""The methods of the two search examples, and the options that they have in common."""

import pathlib

from keras_trainkit import analysis, callbacks, tuners

TUNERS = {
    "random": tuners.RandomSearch,
    "grid": tuners.GridSearch,
    "bayesian": tuners.BayesianOptimization,
    "hyperband": tuners.Hyperband,
    "coarse_to_fine": tuners.CoarseToFine,
}


def search_by(methods, hypermodel_for, train, validation, *, out, **options):
    """A finished tuner for each method, compared on the screen and in a picture.

    `hypermodel_for(method)` is what that method searches; the options are those of
    `search`.
    """
    found = {}
    for method in methods:
        hypermodel = hypermodel_for(method)
        found[method] = search(
            method, hypermodel, train, validation, out=out, **options
        )
    picture = pathlib.Path(out) / "searches.png"
    print(analysis.compare_searches(found, picture).to_string())
    return found


def search(
    method,
    hypermodel,
    train,
    validation,
    *,
    out,
    seed=0,
    trials=12,
    epochs=15,
    folds=1,
    workers=1,
    verbose=1,
    **options,
):
    """A tuner whose trials are done, in this run of the script and in earlier ones."""
    if method == "hyperband":
        options["max_epochs"] = epochs
    tuner = TUNERS[method](
        hypermodel,
        hypermodel.objective,
        max_trials=trials,
        seed=seed,
        directory=out,
        project_name=f"{hypermodel.name}_{method}",
        folds=folds,
        **options,
    )
    if verbose:
        print(f"Searching by {method}")
    # A best model of folds is trained again on all rows, with none left to stop by.
    stopping = callbacks.EarlyStopping(hypermodel.objective.name, patience=5)
    tuner.search(
        *train,
        validation_data=None if folds > 1 else validation,
        epochs=epochs,
        callbacks=[] if folds > 1 else [stopping],
        workers=workers,
        verbose=verbose,
    )
    if verbose:
        tuner.results_summary(3)
    return tuner


def best_of(found):
    """The best tuner and its best model.

    The model is trained again if its weights are those of a fold or on another machine.
    """
    tuner = min(found.values(), key=lambda tuner: tuner.study.best_value)
    if tuner.folds > 1 or tuner.storage is not None:
        return tuner, tuner.refit_best()
    return tuner, tuner.get_best_models()[0]


def add_options(parser):
    """Adds the options of both examples to a parser."""
    add = parser.add_argument
    add("--method", nargs="+", choices=TUNERS, default=["random"])
    add("--trials", type=int, default=12, help="of each method")
    add("--epochs", type=int, default=15, help="of a trial that nothing stops")
    add("--folds", type=int, default=1, help="above 1: cross-validated trials")
    add("--workers", type=int, default=1, help="processes that share a search")
    add("--isolate", action="store_true", help="each trial in a process of its own")
    add("--storage", help="URL of a database; default: a file in the folder")
    add("--seed", type=int, default=0)
    add("--verbose", type=int, choices=(0, 1, 2), default=1)
