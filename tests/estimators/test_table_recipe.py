"""The recipe says what it takes and why, and does nothing that a script could not."""

import keras
import numpy as np
import pytest

from keras_trainkit import callbacks, data, layers, models, optimizers
from keras_trainkit.estimators._table_recipe import chosen


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


def test_the_fast_preset_has_one_member():
    assert values(400, 5, "binary", "fast", {})["members"] == 1


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
        optimizers.AdamW(weight_decay=chosen["weight_decay"]),
        models.loss_for(model),
        metrics=[metric],
    )
    model.fit(
        x,
        y[parts.train],
        validation_data=(x_valid, y[parts.validation]),
        epochs=chosen["epochs"],
        batch_size=chosen["batch_size"],
        callbacks=[
            callbacks.OneCycle(
                chosen["learning_rate"], warmup_fraction=0.1, shape="cosine"
            ),
            callbacks.EarlyStopping(f"val_{metric.name}", patience=chosen["epochs"]),
        ],
        verbose=0,
    )
    return model


@pytest.mark.parametrize(
    "kind", ["classifier", pytest.param("regressor", marks=pytest.mark.slow)]
)
def test_the_same_lines_in_keras_give_the_same_weights(kind, frame, request):
    estimator = request.getfixturevalue(kind)
    y = request.getfixturevalue({"classifier": "dear", "regressor": "price"}[kind])
    model = in_plain_keras(frame, y, estimator.recipe_)
    pairs = zip(model.weights, estimator.model_.weights, strict=True)
    for weight, same in pairs:
        np.testing.assert_array_equal(
            *(keras.ops.convert_to_numpy(w) for w in (weight, same)), weight.path
        )
