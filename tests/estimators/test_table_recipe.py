"""The recipe says what it takes and why, and does nothing that a script could not."""

import keras
import numpy as np
import pytest

from keras_trainkit import callbacks, data, layers, models, optimizers, schedules
from keras_trainkit.estimators import TableClassifier
from keras_trainkit.estimators._recipe import folds_for
from keras_trainkit.estimators._table_recipe import FEW_ROWS, chosen
from keras_trainkit.estimators._training import ending_of, steps_per_execution


def values(*arguments):
    return {name: choice["value"] for name, choice in chosen(*arguments).items()}


def test_every_choice_has_a_reason():
    for choice in chosen(400, 5, "binary", "default", {}).values():
        assert set(choice) == {"value", "reason"} and choice["reason"]


def test_what_is_given_goes_before_the_recipe():
    given = {"epochs": 70, "dropout": 0.0, "members": None}
    found = chosen(400, 5, "binary", "default", given)
    assert found["epochs"] == {"value": 70, "reason": "given"}
    assert found["dropout"] == {"value": 0.0, "reason": "given"}
    assert found["members"]["reason"] != "given"


def test_the_fast_preset_has_one_member_and_larger_batches():
    fast = values(6_000, 5, "binary", "fast", {})
    assert (fast["members"], fast["epochs"], fast["batch_size"]) == (1, 60, 256)
    assert fast["hidden_units"] == (128, 128, 128)
    assert values(50_000, 5, "binary", "fast", {})["epochs"] == 30


@pytest.mark.parametrize(
    ("rows", "epochs", "batch_size", "dropout"),
    [
        (50, 4 * 135, 16, 0.1),
        (200, 2 * 135, 25, 0.1),
        (1_000, 135, 64, 0.1),
        (5_400, 100, 135, 0.1),
        (50_000, 30, 256, 0.0),
    ],
)
def test_length_batch_and_dropout_follow_the_rows(rows, epochs, batch_size, dropout):
    found = values(rows, 5, "classification", "default", {})
    expected = {"epochs": epochs, "batch_size": batch_size, "dropout": dropout}
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("rows", [50, 5_400, 50_000])
def test_numbers_are_trained_on_without_dropout(rows):
    assert values(rows, 5, "regression", "default", {})["dropout"] == 0
    assert values(rows, 5, "regression", "fast", {})["dropout"] == 0


@pytest.mark.parametrize(
    ("rows", "task", "rate"),
    [
        (10_000, "binary", 0.003),
        (10_001, "binary", 0.006),
        (10_001, "classification", 0.006),
        (10_001, "regression", 0.003),
    ],
)
def test_many_labels_are_trained_on_at_a_higher_rate(rows, task, rate):
    assert values(rows, 5, task, "default", {})["learning_rate"] == rate
    assert values(rows, 5, task, "fast", {})["learning_rate"] == 0.003


@pytest.mark.parametrize(
    ("changes", "folds"),
    [
        ({}, 5),
        ({"rows": 6000, "units": 6000}, None),
        ({"units": 19}, None),
        ({"preset": "fast"}, None),
        ({"few_rows": 0}, None),
        ({"validation": 0.3}, None),
        ({"order": "rows"}, None),
        ({"units": 25, "what": "groups"}, 5),
        ({"folds": 3, "rows": 6000}, 3),
        ({"folds": 3, "preset": "fast"}, 3),
        ({"folds": 3, "units": 3}, 3),
    ],
)
def test_few_rows_are_trained_on_in_folds(changes, folds):
    assert folds_of(changes)["value"] == folds
    assert folds_of(changes)["reason"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folds": 3, "validation": 0.3}, "must be None beside `validation`"),
        ({"folds": 3, "order": "rows"}, "must be None beside `order`"),
        ({"folds": 1}, "at least 2. Received: folds=1"),
        ({"folds": 2.5}, "at least 2. Received: folds=2.5"),
        ({"folds": 501}, "at most the number of rows .*with 500 such rows"),
        ({"folds": 6, "units": 5, "what": "groups"}, "with 5 such groups"),
    ],
)
def test_folds_that_cannot_be_are_refused(changes, words):
    with pytest.raises(ValueError, match=f"^`folds` is the number .*{words}"):
        folds_of(changes)


def folds_of(changes):
    usual = {"rows": 500, "units": 500, "what": "rows", "preset": "default"}
    usual |= {"folds": None, "validation": None, "order": None, "few_rows": FEW_ROWS}
    return folds_for(**usual | changes)


@pytest.mark.slow
def test_training_ends_where_validation_gets_no_better(frame):
    rng = np.random.default_rng(0)
    y = rng.choice(["a", "b"], len(frame))  # nothing to learn
    tiny = {"members": 1, "hidden_units": (16,), "random_state": 0}
    classifier = TableClassifier(**tiny, validation=0.2).fit(frame, y)
    losses = classifier.history_["val_loss"]
    assert len(losses) < 60 < classifier.recipe_["epochs"]["value"]
    parts = data.split(frame, validation=0.2, test=None, stratify=y, seed=0)
    held_out = frame.iloc[parts.validation]
    codes = np.searchsorted(classifier.classes_, y[parts.validation])
    x = classifier.encoder_(held_out)
    loss = classifier.model_.evaluate(x, codes, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(loss, min(losses), rtol=1e-5)


def test_an_optimizer_with_rates_or_weights_of_its_own_runs_for_all_epochs():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    rate = schedules.WarmupStableDecay(0.01, warmup_steps=0, decay_steps=1)
    for optimizer in (optimizers.AdamW(rate), optimizers.AdamW(use_ema=True)):
        model.compile(optimizer, "mse")
        ending = ending_of(model, "val_loss", {"epochs": 9, "min_epoch_steps": 16})
        assert isinstance(ending, callbacks.EarlyStopping) and ending.patience == 9
    model.compile("sgd", "mse")
    ending = ending_of(model, "val_loss", {"epochs": 9, "min_epoch_steps": 16})
    assert isinstance(ending, callbacks.CooldownOnPlateau)


def test_a_given_optimizer_keeps_its_own_rate_unless_one_is_given_too():
    own = values(400, 5, "binary", "default", {"optimizer": "sgd"})
    assert own["learning_rate"] is own["weight_decay"] is None
    given = {"optimizer": "sgd", "learning_rate": 0.2}
    assert values(400, 5, "binary", "default", given)["learning_rate"] == 0.2


def test_a_given_loss_smooths_no_labels():
    found = chosen(400, 5, "binary", "default", {"loss": "mse"})["label_smoothing"]
    assert found == {"value": None, "reason": "the given loss has its own"}
    assert "label_smoothing" not in values(400, 5, "regression", "default", {})


def in_plain_keras(frame, y, recipe):
    """What `fit` does, in the lines of a script."""
    chosen = {name: choice["value"] for name, choice in recipe.items()}
    keras.utils.set_random_seed(chosen["seed"])
    strata = y if y.dtype.kind == "U" else None
    parts = data.split(
        frame, validation=0.25, test=None, stratify=strata, seed=chosen["seed"]
    )
    encoder = layers.TableEncoder()
    encoder.adapt(frame.iloc[parts.train])
    x, x_valid = (encoder(frame.iloc[part]) for part in parts[:2])
    embedding = layers.PiecewiseLinearEmbedding()
    embedding.adapt(x["numeric"])
    task = {"task": "regression"}
    if strata is not None:
        classes, y = np.unique(y, return_inverse=True)
        task = {"task": "binary", "classes": classes.tolist()}
    else:
        scaling = layers.StandardScaling()
        scaling.adapt(y[parts.train, None])
        task["target_scaling"] = scaling
    model = models.mlp(
        encoder.numeric_shape,
        1,
        chosen["hidden_units"],
        dropout=chosen["dropout"],
        numeric_embedding=embedding,
        category_sizes=encoder.category_sizes,
        members=chosen["members"],
        **task,
    )
    metric = keras.metrics.RootMeanSquaredError(name="rmse")
    if strata is not None:
        (metric,) = models.metrics_for(model)
    model.compile(
        optimizers.AdamW(chosen["learning_rate"], weight_decay=chosen["weight_decay"]),
        models.loss_for(model),
        metrics=[metric],
        steps_per_execution=steps_per_execution(len(parts.train), chosen["batch_size"]),
    )
    y = y[:, None].astype("float32")  # with integers JAX compiles another program
    model.fit(
        x,
        y[parts.train],
        validation_data=(x_valid, y[parts.validation]),
        epochs=chosen["epochs"],
        batch_size=chosen["batch_size"],
        callbacks=[
            callbacks.CooldownOnPlateau(min_epoch_steps=chosen["min_epoch_steps"])
        ],
        verbose=0,
    )
    return model


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classifier", "regressor"])
def test_the_same_lines_in_keras_give_the_same_weights(kind, frame, request):
    estimator = request.getfixturevalue(kind)
    y = request.getfixturevalue({"classifier": "dear", "regressor": "price"}[kind])
    model = in_plain_keras(frame, y, estimator.recipe_)
    pairs = zip(model.weights, estimator.model_.weights, strict=True)
    for weight, same in pairs:
        np.testing.assert_array_equal(
            *(keras.ops.convert_to_numpy(w) for w in (weight, same)), weight.path
        )


@pytest.mark.parametrize(
    ("rows", "task", "epochs"),
    [
        (12_800, "regression", 93),
        (12_800, "classification", 42),
        (2_000, "regression", 135),
        (90_000, "regression", 30),
    ],
)
def test_numbers_are_trained_on_for_longer_where_rows_are_many(rows, task, epochs):
    assert chosen(rows, 5, task, "default", {})["epochs"]["value"] == epochs
