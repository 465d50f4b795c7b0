"""A table's raw columns to the mean of an ensemble."""

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from keras_trainkit import models, serving
from keras_trainkit.layers import (
    PiecewiseLinearEmbedding,
    StandardScaling,
    TableEncoder,
)

pytestmark = pytest.mark.tensorflow_only


def frame(rows=30):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(40, 9, rows)),
            "hours-per-week": rng.integers(10, 60, rows),
            "town": rng.choice(["Köln", "Ulm", "Rom"], rows),
            "member": rng.random(rows) < 0.5,
        }
    )


@pytest.mark.slow
@pytest.mark.parametrize("task", ["regression", "classification"])
def test_a_saved_model_of_members_answers_raw_columns_as_predict_does(task, tmp_path):
    table, regression = frame(), task == "regression"
    encoder = TableEncoder(max_categories=5)
    encoder.adapt(table)
    x = encoder(table)
    embedding = PiecewiseLinearEmbedding(bins=4, units=3)
    embedding.adapt(x["numeric"])
    y = np.nan_to_num(table["age"].to_numpy())[:, None] * 1e3
    scaling = StandardScaling()
    scaling.adapt(y)
    model = models.mlp(
        encoder.numeric_shape,
        1 if regression else 2,
        (6,),
        numeric_embedding=embedding,
        category_sizes=encoder.category_sizes,
        members=3,
        target_scaling=scaling if regression else None,
        task=task,
    )
    entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", "mse" if regression else entropy)
    model.fit(x, y if regression else (y[:, 0] > 35e3).astype("int32"), verbose=0)

    path = serving.export(model, tmp_path, table[:4], preprocessing=encoder)
    served = tf.saved_model.load(path)
    odd = table.assign(town="unseen", age=np.nan)
    for sent in (table, odd):
        columns = encoder.plain_columns(sent)
        answer = served.signatures["serving_default"](
            **{name: tf.constant(values) for name, values in columns.items()}
        )
        expected = model.predict(encoder(sent), verbose=0)
        if not regression:
            expected = models.predict_proba(model, encoder(sent), verbose=0)
        name = "predictions" if regression else "probabilities"
        np.testing.assert_allclose(answer[name], expected, rtol=1e-5, atol=1e-5)
    assert not regression or expected.mean() > 1e3  # in the units of y
