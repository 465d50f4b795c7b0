"""What the tuners refuse or warn of before they write anything."""

import threading
import warnings

import keras
import keras_tuner
import numpy as np
import pytest

from keras_trainkit import hypermodels, tuners

# As in pyproject.toml; `pytest.warns` raises it again, and not from Keras.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
MEMBERS = [
    tuners.RandomSearch,
    tuners.GridSearch,
    tuners.BayesianOptimization,
    tuners.Hyperband,
    tuners.CoarseToFine,
]


@pytest.mark.parametrize("cls", MEMBERS)
@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({"logger": object()}, "`logger` .*`study`.*TensorBoard.*Received: logger="),
        ({"tuner_id": "tuner0"}, "`tuner_id` .*`workers`.*Received: tuner_id='tuner0'"),
    ],
)
def test_arguments_that_make_no_sense_name_what_to_use(cls, argument, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        cls(lambda hp: None, directory=tmp_path, **argument)
    assert not list(tmp_path.iterdir())


class Space(keras_tuner.HyperModel):
    """A space that a test gives as a class."""


def no_model(hp):
    """A space that is never built."""


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        (
            {"objective": "val_f1"},
            "`objective` .*Objective\\('val_f1', 'max'\\).*val_f1'",
        ),
        ({"objective": []}, r"`objective` .*list must hold one.*objective=\[\]"),
        ({"objective": ("val_loss", "min")}, "`objective` .*Received: .*'min'\\)"),
        (
            {"objective": [keras_tuner.Objective("val_loss", "up")]},
            "`objective` .*direction 'min' or 'max'.*direction=\"up\"",
        ),
        ({"directory": 3}, "`directory` is where .*string or a path.*directory=3"),
        ({"overwrite": "no"}, "`overwrite` deletes .*True or False.*overwrite='no'"),
        ({"hyperparameters": {"units": 3}}, "`hyperparameters` .*`enqueue`.*'units'"),
        ({"tune_new_entries": 0}, "`tune_new_entries` .*tune_new_entries=0"),
        ({"allow_new_entries": 0}, "`allow_new_entries` .*allow_new_entries=0"),
        ({"optimizer": "adamm"}, "`optimizer` replaces .*optimizer='adamm'"),
        ({"optimizer": keras.optimizers.Adam}, "`optimizer` replaces .*Adam"),
        ({"loss": "mce"}, "`loss` replaces .*a loss of Keras.*loss='mce'"),
        ({"metrics": "accuracy"}, "`metrics` replace .*a list.*metrics='accuracy'"),
        ({"metrics": ["acc", "acuracy"]}, "`metrics` replace .*Received: 'acuracy' am"),
        ({"max_model_size": 0.5}, "`max_model_size` is the number .*=0.5"),
        ({"hypermodel": Space}, "`hypermodel` .*called with its arguments.*Space"),
        ({"hypermodel": keras.Sequential()}, "`hypermodel` .*a new model for every"),
        ({"hypermodel": 3}, r"`hypermodel` .*function `build\(hp\)`.*hypermodel=3"),
    ],
)
def test_what_makes_no_search_is_refused_before_anything_is_written(
    argument, words, tmp_path
):
    (tmp_path / "search").mkdir()
    arguments = {"hypermodel": no_model, "directory": tmp_path, **argument}
    with pytest.raises(ValueError, match=words):
        tuners.RandomSearch(**arguments)
    assert not list((tmp_path / "search").iterdir())


@pytest.mark.parametrize(
    ("callbacks", "words"),
    [
        (["early"], "`callbacks` watch .*Received: 'early' among"),
        ([keras.callbacks.EarlyStopping], "`callbacks` watch .*EarlyStopping"),
    ],
)
def test_callbacks_that_are_none_are_refused(callbacks, words, tmp_path):
    tuner = tuners.RandomSearch(no_model, directory=tmp_path)
    with pytest.raises(ValueError, match=words):
        tuner.search(callbacks=callbacks)
    assert tuner.trials_frame().empty


X, Y = np.arange(24.0).reshape(12, 2), np.arange(12.0)
OF_X = "^`search` trains on the rows of `x`, so "


def line(hp):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(hp.Float("rate", 1e-4, 1e-3)), "mse")
    return model


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("cls", [tuners.RandomSearch, tuners.GridSearch])
@pytest.mark.parametrize(
    ("args", "given", "words"),
    [
        ((), {}, OF_X + "it must be given.*Received: no `x`"),
        ((X, Y), {"epochs": 1.5}, "`epochs` is the number .*integer.*epochs=1.5"),
        ((X, Y), {"epochs": 0}, "`epochs` is the number .*at least 1.*epochs=0"),
        ((X, Y, 4, 2.5), {}, "`epochs` is the number .*integer.*epochs=2.5"),
        ((X, Y), {"batch_size": 0}, "`batch_size` is the number of rows.*=0"),
        ((X, Y), {"steps_per_epoch": 0}, "`steps_per_epoch` is the number.*=0"),
        ((X, Y), {"validation_split": 1.5}, "`validation_split` is .*below 1.*=1.5"),
        ((X, Y[:7]), {}, OF_X + ".*as many rows.*Received: x of 12, y of 7 rows"),
        (
            ({"a": X, "b": X[:7]}, Y),
            {},
            OF_X + ".*as many rows.*Received: x of 7 and 12, y of 12 rows",
        ),
        ((X[:0], Y[:0]), {}, OF_X + ".*one at least.*Received: x of 0, y of 0 rows"),
        (
            (X, Y),
            {"sample_weight": np.ones(7)},
            OF_X + ".*y of 12, sample_weight of 7 rows",
        ),
        (
            (X, Y),
            {"validation_data": (X[:3], Y[:4])},
            OF_X + ".*Received: validation x of 3, validation y of 4 rows",
        ),
    ],
)
def test_what_no_training_takes_is_refused_before_the_first_trial(
    cls, args, given, words, tmp_path
):
    tuner = cls(line, "loss", 2, directory=tmp_path, seed=0)
    with pytest.raises(ValueError, match=words):
        tuner.search(*args, **{"verbose": 0, **given})
    assert tuner.trials_frame().empty
    tuner.search(X, Y, verbose=0)  # the study keeps nothing of the arguments above
    assert tuner.trials_frame()["state"].tolist() == ["COMPLETE"] * 2


def rows():
    yield X, Y


class Batches(keras.utils.PyDataset):
    """One batch of all rows."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return X, Y


class Locked(keras.callbacks.Callback):
    """Cannot be copied."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("args", "given", "tuner", "words"),
    [
        ((rows(),), {"validation_data": (X, Y)}, {}, "`x` is read anew .*a generator"),
        ((X, Y), {"validation_data": rows()}, {}, "`validation_data` is read anew "),
        ((Batches(),), {"validation_split": 0.5}, {}, "`validation_split` .*Batches"),
        (
            (X.tolist(), Y),
            {"validation_split": 0.5},
            {},
            "`validation_split` .*`validation_data` must .*Received: `x` of type list",
        ),
        (
            (X, Y),
            {},
            {},
            "`validation_data` .*'val_loss' is measured on .*none of",
        ),
        ((Batches(),), {}, {"folds": 2}, "`folds` cuts arrays .*x of type Batches"),
        ((X, Y), {"validation_data": (X, Y)}, {"folds": 2}, "must be left out"),
        ((X, Y), {}, {"folds": 13}, "`folds` .*at most .*folds=13, 12 rows"),
        (
            (X, Y),
            {"validation_split": 0.5, "callbacks": Locked()},
            {},
            "callbacks .*should be deep-copyable",
        ),
    ],
)
def test_what_every_trial_would_fail_with_is_refused_before_the_first(
    args, given, tuner, words, tmp_path
):
    tuner = tuners.RandomSearch(line, directory=tmp_path, seed=0, **tuner)
    with pytest.raises(ValueError, match=words):
        tuner.search(*args, **{"verbose": 0, **given})
    assert tuner.trials_frame().empty


class Logged(keras.callbacks.Callback):
    """Measures something of its own."""

    def on_epoch_end(self, epoch, logs=None):
        logs["val_own"] = 5.0 - epoch


def test_a_callback_may_measure_the_objective_without_validation_rows(tmp_path):
    objective = keras_tuner.Objective("val_own", "min")
    tuner = tuners.RandomSearch(line, objective, max_trials=2, directory=tmp_path)
    tuner.search(X, Y, epochs=3, callbacks=Logged(), verbose=0)
    assert tuner.trials_frame()["score"].tolist() == [3.0, 3.0]


def test_an_objective_that_the_first_epoch_lacks_ends_the_search_there(tmp_path):
    epochs = []

    class Counted(tuners.RandomSearch):
        def on_epoch_begin(self, trial, model, epoch, logs=None):
            epochs.append(epoch)

    objective = keras_tuner.Objective("val_acc", "max")
    tuner = Counted(line, objective, directory=tmp_path)
    words = "must be one of .*'loss', 'val_loss'.*Received: objective='val_acc'"
    with pytest.raises(ValueError, match=words):
        tuner.search(X, Y, validation_split=0.5, epochs=5, verbose=0)
    assert epochs == [0]


def made(**given):
    model = keras.Sequential([keras.layers.Dense(1)])
    if given:
        model.compile("sgd", **{"loss": "mse", **given})
    return model


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"metrics": ["mae", "acuracy"]}, "`metrics` of the model .*'acuracy' among"),
        ({"weighted_metrics": ["acuracy"]}, "`weighted_metrics` of .*'acuracy' among"),
        ({"metrics": {"a": "acuracy"}}, "`metrics` of the model .*'acuracy' among"),
        ({"loss": "mce"}, "`loss` of the model .*names that Keras .*Received: 'mce'"),
        ({"loss": ["mse", "mce"]}, "`loss` of the model .*Received: 'mce' among"),
        ({}, "is trained by `fit` and must be compiled .*Received: 'seq.*not compiled"),
        (None, r"`build\(hp\)`.* must return a `keras.Model`. Received: None of type"),
    ],
)
def test_a_model_that_no_trial_could_train_is_refused_before_the_first(
    model, words, tmp_path
):
    def build(hp):
        hp.Int("a", 1, 3)
        return None if model is None else made(**model)

    for _ in range(2):  # a new search, and one that goes on
        tuner = tuners.RandomSearch(build, directory=tmp_path)
        with pytest.raises(ValueError, match=words):
            tuner.search(X, Y, validation_split=0.5, verbose=0)
        assert tuner.trials_frame().empty


class Plain(keras.Model):
    """A model with a `fit` of its own."""

    def fit(self, *args, **kwargs):
        return {"val_loss": 3.0}


@pytest.mark.parametrize(
    ("build", "given"),
    [
        (lambda: made(loss=lambda y, p: keras.ops.mean((y - p) ** 2)), {}),
        (lambda: made(metrics=["acc", lambda y, p: keras.ops.sum(p)]), {}),
        (lambda: made(metrics=[keras.metrics.MeanSquaredError(name="acuracy")]), {}),
        (lambda: made(metrics=["acuracy"]), {"metrics": ["mae"]}),
        (lambda: made(loss="mce"), {"loss": "mae"}),
        (Plain, {}),
    ],
)
def test_what_some_training_takes_is_not_refused(build, given, tmp_path):
    tuner = tuners.RandomSearch(
        lambda hp: build(), max_trials=1, directory=tmp_path, **given
    )
    tuner.search(X, Y, validation_split=0.5, verbose=0)
    assert tuner.trials_frame()["state"].tolist() == ["COMPLETE"]


class Kept(keras_tuner.HyperModel):
    """A space that is a class."""

    def build(self, hp):
        return line(hp)


def test_a_hypermodel_builds_as_before_when_its_space_is_known(tmp_path):
    space = Kept()
    build = space.build
    tuners.RandomSearch(space, directory=tmp_path)
    assert space.build == build


class OwnFit(keras_tuner.HyperModel):
    """A hypermodel whose `fit` brings its own data, and counts epochs otherwise."""

    def build(self, hp):
        return line(hp)

    def fit(self, hp, model, epochs, callbacks, verbose):
        return model.fit(X, Y, epochs=int(epochs), callbacks=callbacks, verbose=verbose)


def test_a_fit_of_the_users_own_takes_what_it_likes(tmp_path):
    tuner = tuners.RandomSearch(OwnFit(), "loss", 1, directory=tmp_path, seed=0)
    tuner.search(epochs=2.5, verbose=0)
    assert tuner.trials_frame()["epochs"].tolist() == [2]


@pytest.mark.parametrize("cls", [tuners.RandomSearch, tuners.GridSearch])
@pytest.mark.parametrize(
    ("define", "words"),
    [
        (lambda hp: hp.Float("a", float("nan"), 1.0), "finite .*min_value=nan"),
        (lambda hp: hp.Float("a", 0.0, float("inf")), "finite .*max_value=inf"),
        (lambda hp: hp.Float("a", -1.7e308, 1.7e308), "finite difference.*=1.7e.308"),
        (lambda hp: hp.Float("a", 0.0, 1.0, step=float("nan")), "a step.*step=nan"),
        (lambda hp: hp.Float("a", 0.0, 1.0, step=0), "a step above 0.*step=0"),
        (lambda hp: hp.Int("a", 0, 10**30), "integers of 64 bits .*, step=1"),
    ],
)
def test_a_range_that_nothing_can_be_drawn_from_is_refused(
    cls, define, words, tmp_path
):
    def build(hp):
        define(hp)
        return line(hp)

    tuner = cls(build, "loss", 2, directory=tmp_path)
    with pytest.raises(ValueError, match=f"^The range of 'a' is what .*{words}"):
        tuner.search(X, Y, verbose=0)
    assert tuner.trials_frame().empty


def penalized(penalty):
    return hypermodels.HyperMLP((2,), 1, "regression", space={"penalty": penalty})


def test_a_loss_that_holds_what_is_searched_is_warned_of(tmp_path):
    with pytest.warns(UserWarning, match="Take objective=hypermodel.objective"):
        tuners.RandomSearch(penalized(["none", "l2"]), directory=tmp_path)


def test_a_fair_objective_is_not(tmp_path):
    hypermodel = penalized(["none", "l2"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tuners.RandomSearch(hypermodel, hypermodel.objective, directory=tmp_path / "a")
        tuners.RandomSearch(penalized("none"), directory=tmp_path / "b")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ({"max_retries_per_trial": -1}, "tried again .* at least 0.*Received: .*=-1"),
        ({"max_consecutive_failed_trials": 0}, "ends the search .*Received: .*=0"),
    ],
)
def test_failures_are_counted_in_whole_numbers(argument, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        tuners.RandomSearch(lambda hp: None, directory=tmp_path, **argument)
    assert not list(tmp_path.iterdir())
