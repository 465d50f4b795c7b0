"""Estimators of measurements: from raw sequences to files and served models."""

import json
import pickle

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn import linear_model
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning, NotFittedError
from sklearn.model_selection import GridSearchCV

from keras_trainkit import callbacks, data, layers, models, optimizers
from keras_trainkit.estimators import (
    SequenceClassifier,
    SequenceRegressor,
    _sequence_recipe,
)

SMALL = {"units": (4,), "epochs": 2, "batch_size": 16, "learning_rate": 0.02}
SMALL |= {"validation": 0.25, "random_state": 3}


@pytest.fixture(scope="module")
def sequences():
    """Forty of 5 to 8 steps and two channels; every other lies higher."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=(5 + n % 4, 2)) + 2 * (n % 2) for n in range(40)]


@pytest.fixture(scope="module")
def levels():
    return ["low", "high"] * 20


@pytest.fixture(scope="module")
def means(sequences):
    return np.array([steps.mean(axis=0) for steps in sequences]) * 1e3


@pytest.fixture(scope="module")
def gappy(sequences):
    """The same with gaps: every value of the first, one channel of the second."""
    found = [steps.copy() for steps in sequences]
    found[0][:] = np.nan
    found[1][:, 0] = np.nan
    found[2][1, 1] = np.nan
    return found


@pytest.fixture(scope="module")
def classifier(sequences, levels):
    return SequenceClassifier(**SMALL).fit(sequences, levels)


@pytest.fixture(scope="module")
def regressor(gappy, means):
    weights, groups = np.r_[0.0, np.ones(39)], np.arange(40) // 2
    return SequenceRegressor(**SMALL).fit(
        gappy, means, sample_weight=weights, groups=groups
    )


def values_of(estimator):
    return {name: choice["value"] for name, choice in estimator.recipe_.items()}


def test_classes_come_with_probabilities_and_sets(classifier, sequences):
    assert classifier.classes_.tolist() == ["high", "low"]
    assert classifier.n_features_in_ == 2
    assert set(classifier.predict(sequences)) <= {"high", "low"}
    probabilities = classifier.predict_proba(sequences)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    sets = classifier.predict_set(sequences, coverage=0.8)
    assert sets.shape == (40, 2) and sets.dtype == bool
    assert len(classifier.conformity_scores_) == 10
    assert classifier.score(sequences, classifier.predict(sequences)) == 1


def test_numbers_come_in_their_units_with_intervals(regressor, gappy):
    predicted = regressor.predict(gappy)
    assert predicted.shape == (40, 2) and np.isfinite(predicted).all()
    assert predicted.mean() > 100  # the targets lie around 1000
    lower, upper = regressor.predict_interval(gappy, coverage=0.8)
    assert (lower < predicted).all() and (predicted < upper).all()
    assert regressor.history_["rmse"][0] > 100


def test_gaps_in_the_rows_of_fit_are_flagged_in_the_network(regressor, classifier):
    assert values_of(regressor)["missing"] == "indicator"
    assert values_of(classifier)["missing"] is None
    assert values_of(regressor)["training_rows"] == 29  # one of weight 0, five groups
    network, line = (regressor.model_.get_layer(f"network_{n}") for n in (1, 2))
    for model in (network, line):  # their mean is the model
        assert "missing" in [layer.name for layer in model.layers]


def test_a_prediction_does_not_depend_on_the_rows_beside_it(classifier, sequences):
    longer = [*sequences, np.ones((30, 2))]
    found = classifier.predict_proba(longer)
    alone = [classifier.predict_proba(longer[row : row + 1])[0] for row in (0, 3, 40)]
    np.testing.assert_allclose(alone, found[[0, 3, 40]], atol=1e-6)


def test_an_array_is_read_as_a_list_is(classifier, sequences):
    same = [steps for steps in sequences if len(steps) == 5]
    np.testing.assert_array_equal(
        classifier.predict_proba(np.stack(same)), classifier.predict_proba(same)
    )


@pytest.fixture(params=["classifier", "regressor"])
def fitted(request):
    return request.getfixturevalue(request.param)


@pytest.mark.first_quick
def test_pickled_and_saved_it_predicts_the_same(fitted, sequences, tmp_path):
    path = fitted.save(tmp_path / "levels")
    files = {file.name for file in path.iterdir()}
    assert files == {"model.keras", "estimator.json"}
    for same in (type(fitted).load(path), pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(
            same.predict(sequences), fitted.predict(sequences)
        )
        assert (same.recipe_, same.history_) == (fitted.recipe_, fitted.history_)
        assert same.get_params() == fitted.get_params()
        assert same.n_features_in_ == 2


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_names_of_channels_are_those_of_fit(sequences, levels, tmp_path):
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    frames = [pd.DataFrame(steps, columns=["temp", "hum"]) for steps in sequences]
    classifier = SequenceClassifier(**SMALL).fit(frames, levels)
    assert classifier.feature_names_in_.tolist() == ["temp", "hum"]
    expected = classifier.predict(sequences)
    loaded = SequenceClassifier.load(classifier.save(tmp_path / "named"))
    for found in (classifier, loaded):
        for kind in (pl.from_pandas, pa.Table.from_pandas):
            assert (found.predict(list(map(kind, frames))) == expected).all()
        for other in (
            [frame[["hum", "temp"]] for frame in frames],
            [pl.from_pandas(frame.rename(columns={"hum": "b"})) for frame in frames],
        ):
            with pytest.raises(ValueError, match="^`X` .*names: .'temp', 'hum'"):
                found.predict(other)
    classifier.fit(sequences, levels)
    assert not hasattr(classifier, "feature_names_in_")
    numbered = [pd.DataFrame(steps) for steps in sequences]
    assert not hasattr(classifier.fit(numbered, levels), "feature_names_in_")


@pytest.fixture(scope="module")
def saved(classifier, tmp_path_factory):
    return classifier.save(tmp_path_factory.mktemp("saved") / "levels")


def with_choice(fields, name, value):
    pairs = fields["recipe"]["dict"]
    entry = {"dict": [["value", value], ["reason", ""]]}
    kept = [pair for pair in pairs if pair[0] != name]
    return {**fields, "recipe": {"dict": [*kept, [name, entry]]}}


@pytest.mark.parametrize(
    "edit",
    [
        lambda fields: {**fields, "channels": 3},
        lambda fields: {**fields, "channels": "two"},
        lambda fields: {**fields, "names": ["a"]},
        lambda fields: {**fields, "names": [1, 2]},
        lambda fields: {**fields, "names": "ab"},
        lambda fields: {k: v for k, v in fields.items() if k != "channels"},
        lambda fields: with_choice(fields, "max_length", 0),
        lambda fields: with_choice(fields, "max_length", "long"),
        lambda fields: with_choice(fields, "keep", "middle"),
        lambda fields: with_choice(fields, "missing", "mean"),
        lambda fields: with_choice(fields, "mask_value", "none"),
        lambda fields: {**fields, "estimator": "SequenceRegressor"},
        lambda fields: {**fields, "arguments": {"folds": {"dict": 7}}},
    ],
)
def test_an_edited_folder_is_refused(edit, saved, tmp_path):
    path = tmp_path / "edited"
    path.mkdir()
    for file in saved.iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    fields = json.loads((path / "estimator.json").read_text())
    (path / "estimator.json").write_text(json.dumps(edit(fields)))
    with pytest.raises(ValueError, match="^`path` is the folder of a saved"):
        SequenceClassifier.load(path)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (np.zeros((2, 5, 3)), "channels .*X has 3 features, but SequenceClassifier is"),
        (np.zeros((2, 5)), "X has 1 features"),
        ([[[np.nan, 1]]], "may miss no value, .* SequenceClassifier was trained"),
        (["so good"], "must hold numbers"),
        (np.zeros(3), "must be an array"),
    ],
)
def test_other_sequences_than_those_of_fit_are_refused(sent, words, classifier):
    with pytest.raises(ValueError, match=f"^`X` holds the sequences, .*{words}"):
        classifier.predict(sent)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"y": [0, 1]}, "^`y` .*an entry for each of the 4 rows"),
        ({"y": [1, 1, 1, 1]}, "^`y` .*must have two classes or more"),
        ({"y": [0.5, 1, 2, 3]}, "^`y` .*must be classes"),
        ({"y": [None, 1, 0, 1]}, "^`y` .*must miss none"),
        ({"y": None}, "^`y` .*must be given"),
        ({"X": ["a", "b", "c", "d"]}, "^`X` holds the sequences, .*must hold numbers"),
        (
            {"X": np.full((4, 3, 1), np.nan)},
            r"a value in each channel, .*channel \[0\]",
        ),
        ({"sample_weight": [0, 0, 0, 0]}, "^`sample_weight` .*all zero"),
        ({"groups": [1, 2]}, "^`groups` .*an entry for each of the 4"),
        ({"units": (), "convolutions": ()}, "^`units` gives the units"),
        ({"units": (0,)}, r"^`units\[0\]` gives the units"),
        ({"max_length": 0}, "^`max_length` is the number of steps"),
        ({"keep": "middle"}, "^`keep` is the end that stays"),
        ({"scales": (1, 1)}, "^`scales`"),
        ({"convolutions": (3,)}, "^`convolutions`"),
        ({"convolutions": (), "pool_size": 2}, "^`pool_size` .*must be 1 without"),
        ({"pool_size": 0}, "^`pool_size` is the number of steps"),
        ({"convolution_mean": 2}, "^`convolution_mean` shows the head"),
        (
            {"convolutions": (), "convolution_mean": True},
            "^`convolution_mean` .*must be False without",
        ),
        ({"dropout": 1.0}, "^`dropout` is the share"),
        ({"recurrent_dropout": -0.1}, "^`recurrent_dropout` is the share"),
        ({"preset": "slow"}, "^`preset` is the cost"),
        ({"loss": "mse", "label_smoothing": 0.1}, "^`label_smoothing` .*must be None"),
        ({"metrics": []}, "^`metrics` are shown"),
        ({"folds": 9}, "^`folds` is the number"),
        ({"class_weight": {"x": 1}}, "^`class_weight` .*must name classes"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_before_training(given, words):
    given = {"X": np.arange(12.0).reshape(4, 3), "y": [0, 1, 0, 1], **given}
    names = ("X", "y", "sample_weight", "groups")
    sent = {name: given.pop(name) for name in names if name in given}
    with pytest.raises(ValueError, match=words):
        SequenceClassifier(**given).fit(**sent)


def test_a_column_of_classes_is_taken_with_a_warning_to_the_caller():
    y = [[0], [1], [0], [1]]
    with pytest.warns(DataConversionWarning) as warned, pytest.raises(ValueError):
        SequenceClassifier().fit(np.zeros((4, 3)), y, groups=[1])
    assert warned[0].filename == __file__


@pytest.mark.parametrize(
    "y", [["a", "b"], np.array([1, np.inf]), [[1], [2], [3]], np.zeros((2, 0))]
)
def test_a_regressor_refuses_what_are_no_numbers(y):
    with pytest.raises(ValueError, match="^`y` is what is learned"):
        SequenceRegressor().fit(np.zeros((2, 3)), y)


def test_it_is_cloned_with_its_arguments_and_says_what_it_takes():
    given = SequenceClassifier(units=(3,), keep="start", class_weight="balanced")
    copy = clone(given)
    assert copy.get_params() == given.get_params()
    assert SequenceRegressor(max_length=7).set_params(epochs=9).epochs == 9
    tags = given.__sklearn_tags__()
    assert tags.estimator_type == "classifier"
    assert tags.input_tags.three_d_array and tags.input_tags.allow_nan
    for method in ("predict", "predict_proba", "predict_set"):
        with pytest.raises(NotFittedError):
            getattr(given, method)(np.zeros((1, 2, 1)))


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_numbers_of_numpy_are_arguments_as_others(sequences, levels):
    given = {"units": (np.int64(2),), "epochs": np.int64(1), "scales": [np.int8(1)]}
    found = SequenceClassifier(**SMALL | given).fit(sequences[:8], levels[:8])
    assert json.dumps(values_of(found)["units"]) == "[2]"


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_half_precision_trains_numbers_in_their_units(gappy, means):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        found = SequenceRegressor(**SMALL | {"epochs": 1}).fit(gappy, means)
        assert np.isfinite(found.predict(gappy)).all()
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.slow
@pytest.mark.usefixtures("eagerly")
def test_a_grid_is_searched_over_a_list_of_sequences(sequences, levels):
    search = GridSearchCV(
        SequenceClassifier(**SMALL | {"epochs": 1}),
        {"units": [(2,)]},
        cv=[(range(30), range(30, 40))],
    )
    search.fit(sequences, np.array(levels) == "high")
    assert search.best_params_ == {"units": (2,)}
    assert search.predict(sequences).dtype == bool


@pytest.fixture(scope="module")
def first_steps(sequences, levels):
    """A network that reads three steps, of which none is missing; there are gaps."""
    gappy = [steps.copy() for steps in sequences]
    for steps in gappy:
        steps[3:, 0] = np.nan
    reading = {"max_length": 3, "keep": "start", "folds": 2, "validation": None}
    return SequenceClassifier(**SMALL | reading).fit(gappy, levels)


@pytest.mark.slow
def test_steps_that_are_not_read_may_miss_values(first_steps, sequences):
    assert values_of(first_steps)["missing"] is None
    found = first_steps.predict_proba(sequences)
    gappy = [np.r_[steps[:3], np.full((2, 2), np.nan)] for steps in sequences]
    np.testing.assert_allclose(first_steps.predict_proba(gappy), found, atol=1e-6)
    cut = [steps[:3] for steps in sequences]
    np.testing.assert_allclose(first_steps.predict_proba(cut), found, atol=1e-6)
    with pytest.raises(ValueError, match="^`X` holds .* may miss no value"):
        first_steps.predict([np.full((2, 2), np.nan)])


@pytest.mark.slow
def test_in_folds_every_sequence_is_trained_on(first_steps, tmp_path):
    assert len(first_steps.conformity_scores_) == 40
    assert first_steps.history_["fold"] == [0, 0, 1, 1]
    same = SequenceClassifier.load(first_steps.save(tmp_path / "a"))
    longer = [np.ones((30, 2)), np.ones((1, 2))]
    np.testing.assert_array_equal(
        same.predict_proba(longer), first_steps.predict_proba(longer)
    )


def test_a_channel_must_have_a_value_in_the_steps_that_are_read(sequences, levels):
    late = [np.full((6, 1), np.nan) for _ in sequences]
    for steps in late:
        steps[0] = 1.0
    with pytest.raises(ValueError, match=r"a value in each channel, .*channel \[0\]"):
        SequenceClassifier(**SMALL, max_length=3).fit(late, levels)


@pytest.mark.parametrize(
    ("rows", "channels", "given", "networks", "left_out"),
    [
        (20, 1, {}, 5, 20),  # the fewest
        (101, 1, {}, 1, 20),
        (20, 2, {}, 1, 4),
        (20, 1, {"validation": 0.3}, 1, 6),
        (20, 1, {"preset": "fast"}, 1, 4),
    ],
)
def test_few_series_of_one_channel_are_all_trained_on(
    rows, channels, given, networks, left_out
):
    x = np.random.default_rng(0).normal(size=(rows, 6, channels))
    tiny = {"convolutions": ((2, 2),), "units": (), "convolution_mean": True}
    found = SequenceClassifier(**tiny, epochs=1, random_state=0, **given)
    found.fit(x, np.arange(rows) % 2)
    assert values_of(found)["validation_rows"] == left_out
    assert len(found.history_["loss"]) == networks
    assert found.predict(x).shape == (rows,)


@pytest.mark.slow
def test_one_channel_of_many_lengths_is_learned():
    """Rising and falling lines that begin anywhere."""
    rng = np.random.default_rng(0)
    lengths, signs = rng.integers(8, 16, 200), rng.choice([-1, 1], 200)
    pairs = zip(lengths, signs, strict=True)
    lines = [sign * np.arange(steps) / 9 + rng.normal() for steps, sign in pairs]
    quick = {"units": (16,), "epochs": 9, "batch_size": 8, "learning_rate": 0.02}
    found = SequenceClassifier(**SMALL | quick).fit(lines[:100], signs[:100])
    assert found.score(lines[100:], signs[100:]) > 0.9
    assert found.n_features_in_ == 1


def in_plain_keras(sequences, y, recipe, **task):
    """What `fit` does, in the lines of a script."""
    chosen = {name: choice["value"] for name, choice in recipe.items()}
    classes = task.get("classes")
    parts = data.split(
        sequences,
        validation=0.25,
        test=None,
        stratify=y[:, 0] if classes else None,
        seed=chosen["seed"],
    )
    padding = chosen["mask_value"]
    x, lengths = data.pad_sequences(sequences, value=padding)
    scaling = layers.StandardScaling()
    scaling.adapt(x[parts.train], mask_value=padding)
    if not classes:
        task["target_scaling"] = layers.StandardScaling()
        task["target_scaling"].adapt(y[parts.train])
        rows = x[parts.train], y[parts.train].astype("float32")
        task["baseline"], copy = (line(*rows, chosen, task) for _ in range(2))
    keras.utils.set_random_seed(chosen["seed"])
    model = models.bilstm_attention(
        (None, 2),
        y.shape[1],
        chosen["units"],
        mask_value=padding,
        max_length=chosen["max_length"],
        dropout=chosen["dropout"],
        recurrent_dropout=chosen["recurrent_dropout"],
        convolutions=chosen["convolutions"] or None,
        pool_size=chosen["pool_size"],
        convolution_mean=chosen["convolution_mean"],
        scaling=scaling,
        missing=chosen["missing"],
        **task,
    )
    metrics = [keras.metrics.RootMeanSquaredError(name="rmse")]
    loss = "mse"
    if classes:
        metrics = models.metrics_for(model)
        loss = models.loss_for(model, label_smoothing=chosen["label_smoothing"])
    model.compile(
        optimizers.AdamW(
            chosen["learning_rate"],
            weight_decay=chosen["weight_decay"],
            global_clipnorm=chosen["global_clipnorm"],
        ),
        loss,
        metrics=metrics,
    )
    y = y.astype("float32")
    arrays = x[parts.train], y[parts.train]
    rows = {"x": arrays[0], "y": arrays[1], "batch_size": chosen["batch_size"]}
    if chosen["num_lengths"] > 1:
        batches = data.SequenceBatches(
            *arrays,
            lengths=lengths[parts.train],
            batch_size=chosen["batch_size"],
            num_lengths=chosen["num_lengths"],
            value=padding,
            seed=chosen["seed"],
        )
        rows = {"x": batches, "shuffle": False}
    model.fit(
        **rows,
        validation_data=(x[parts.validation], y[parts.validation]),
        validation_batch_size=chosen["batch_size"],
        epochs=chosen["epochs"],
        callbacks=[
            callbacks.CooldownOnPlateau(min_epoch_steps=chosen["min_epoch_steps"])
        ],
        verbose=0,
    )
    if classes:
        return model
    share = chosen["linear_weight"]
    assert 0 < share < 1
    return models.ensemble([model, copy], weights=[1 - share, share])


def line(x, y, chosen, task):
    """The linear function of the last steps that the network corrects."""
    padding = chosen["mask_value"]
    scaling = layers.StandardScaling()
    scaling.adapt(x, mask_value=padding)
    linear = models.autoregression(
        (None, x.shape[-1]),
        y.shape[1],
        chosen["linear_steps"],
        mask_value=padding,
        max_length=chosen["max_length"],
        scaling=scaling,
        missing=chosen["missing"],
        task="regression",
        target_scaling=task["target_scaling"],
    )
    past = keras.Model(linear.input, linear.get_layer("past").output)
    numbers = keras.ops.convert_to_numpy(past(x)).astype("float64")
    scaled = keras.ops.convert_to_numpy(task["target_scaling"](y)).astype("float64")
    ridge = linear_model.RidgeCV(len(x) * 10.0 ** np.arange(-6, 4))
    ridge.fit(numbers, scaled)
    linear.get_layer("members").set_weights(
        [ridge.coef_.T[None], ridge.intercept_[None]]
    )
    return linear


@pytest.mark.slow
def test_many_rows_are_trained_on_in_batches_of_like_length(
    sequences, means, monkeypatch, tmp_path
):
    monkeypatch.setattr(_sequence_recipe, "MANY_ROWS", 30)
    unlike = [steps[: 8 if n < 8 else 2 + n % 3] for n, steps in enumerate(sequences)]
    weights = np.linspace(0.5, 1.5, 40)
    seen = []

    def count(batch, logs=None):
        seen.append(batch)

    watch = keras.callbacks.LambdaCallback(on_train_batch_end=count)
    regressor = SequenceRegressor(**SMALL, keras_callbacks=[watch]).fit(unlike, means)
    assert values_of(regressor)["num_lengths"] == 4
    assert len(seen) == 2 * 2  # no more steps than of one array
    model = in_plain_keras(unlike, means, regressor.recipe_, task="regression")
    assert_same_weights(model, regressor)
    weighed = SequenceRegressor(**SMALL).fit(unlike, means, weights, resume=tmp_path)
    assert not np.array_equal(weighed.predict(unlike), regressor.predict(unlike))


def assert_same_weights(model, estimator):
    pairs = zip(model.weights, estimator.model_.weights, strict=True)
    for weight, same in pairs:
        np.testing.assert_array_equal(
            *(keras.ops.convert_to_numpy(w) for w in (weight, same)), weight.path
        )


@pytest.mark.slow
def test_the_same_lines_in_keras_give_the_same_weights(classifier, sequences, levels):
    codes = (np.array(levels) == "low")[:, None]
    task = {"task": "binary", "classes": ["high", "low"]}
    model = in_plain_keras(sequences, codes, classifier.recipe_, **task)
    assert_same_weights(model, classifier)


@pytest.mark.slow
def test_the_same_lines_in_keras_give_the_same_weights_to_numbers(gappy, means):
    regressor = SequenceRegressor(**SMALL).fit(gappy, means)
    model = in_plain_keras(gappy, means, regressor.recipe_, task="regression")
    assert_same_weights(model, regressor)


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_the_export_answers_as_the_estimator(fitted, sequences, tmp_path):
    import tensorflow as tf

    path = fitted.export(tmp_path / "served", sequences[:3], coverage=0.8)
    serve = tf.saved_model.load(path).signatures["serving_default"]
    padding = fitted.recipe_["mask_value"]["value"]
    x, _ = data.pad_sequences(sequences, value=padding)
    answer = {k: v.numpy() for k, v in serve(sequences=tf.constant(x)).items()}
    if isinstance(fitted, SequenceClassifier):
        assert set(answer) == {"probabilities", "classes", "label", "set"}
        assert answer["label"].astype(str).tolist() == list(fitted.predict(sequences))
        expected = fitted.predict_proba(sequences)
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-6)
    else:
        assert set(answer) == {"predictions", "lower", "upper"}
        lower, upper = fitted.predict_interval(sequences, coverage=0.8)
        expected = fitted.predict(sequences)
        np.testing.assert_allclose(answer["predictions"], expected, rtol=1e-4)
        np.testing.assert_allclose(answer["lower"], lower, atol=0.1)
        np.testing.assert_allclose(answer["upper"], upper, atol=0.1)


@pytest.mark.slow
@pytest.mark.tensorflow_only
def test_an_export_without_examples_shows_no_row(classifier, tmp_path):
    path = classifier.export(tmp_path / "served")
    text = (path / "assets.extra" / "golden_request.json").read_text()
    assert json.loads(text)["inputs"]["sequences"] == [[[0.0, 0.0], [0.0, 0.0]]]
