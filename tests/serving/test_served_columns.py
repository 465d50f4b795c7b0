"""A table as the tensors that its exported model is sent."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_trainkit import models, serving
from keras_trainkit.layers import TableEncoder

pytestmark = pytest.mark.tensorflow_only

ODD = {
    "class": ["first", None, "third", "first"],
    "2nd fare": [71.5, None, 8.0, 9.0],
    "per-week": [True, None, False, True],
    "größe (cm)": [180.0, 171.0, 169.0, 190.0],
    "day": np.array(["2020-01-01", "NaT", "2020-01-03", "2020-01-02"], "M8[s]"),
}


def adapted(table):
    encoder = TableEncoder()
    encoder.adapt(table)
    return encoder


def test_values_have_the_names_of_the_inputs():
    columns = serving.served_columns(adapted(ODD), dict(reversed(ODD.items())))
    found = {
        name: np.nan_to_num(c, nan=-7).tolist() if c.dtype != object else [*c]
        for name, c in columns.items()
    }
    assert found == {
        "column_class": ["first", "", "third", "first"],
        "column_2nd_fare": [71.5, -7, 8, 9],
        "per_week": [1, -1, 0, 1],
        "gr_e_cm_": [180, 171, 169, 190],
        "day": [1577836800, -7, 1578009600, 1577923200],
    }


def test_an_exported_model_answers_them_as_the_encoder_does(tmp_path):
    encoder = adapted(ODD)
    keras.utils.set_random_seed(0)
    model = models.mlp(
        encoder.numeric_shape,
        1,
        (4,),
        category_sizes=encoder.category_sizes,
        task="regression",
    )
    path = serving.export(model, tmp_path, ODD, preprocessing=encoder)
    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    columns = serving.served_columns(encoder, ODD)
    answer = served(**{name: tf.constant(column) for name, column in columns.items()})
    expected = model.predict(encoder(ODD), verbose=0)
    np.testing.assert_allclose(answer["predictions"], expected, atol=1e-6)
    assert len(np.unique(expected)) == 4


def test_what_is_no_encoder_is_refused():
    with pytest.raises(ValueError, match="^`encoder` makes the columns .*encoder='x'"):
        serving.served_columns("x", ODD)
    with pytest.raises(ValueError, match="call `adapt.table.`.*Received: neither"):
        serving.served_columns(TableEncoder(), ODD)


def test_columns_of_one_input_are_refused():
    table = {"a b": [1.0, 2.0], "a-b": [3.0, 5.0]}
    with pytest.raises(ValueError, match=r"served as an input.*\['a b', 'a-b'\]"):
        serving.served_columns(adapted(table), table)
