"""`models.mlp` with embedded numbers, codes of categories and members."""

import keras
import numpy as np
import pytest
from comparing import assert_close
from keras import ops
from member_tables import SIZES, adapted, table, table_mlp

from keras_trainkit.layers import (
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    StandardScaling,
)
from keras_trainkit.models import MemberModel, mlp

X, Y = table()


def numpy_weights(model):
    return {
        f"{layer.name}/{weight.name}": ops.convert_to_numpy(weight)
        for layer in model.layers
        for weight in layer.weights
    }


def names(model):
    return [layer.name for layer in model.layers]


def test_a_table_goes_in_as_numbers_and_codes():
    model = table_mlp(X, Y, name="prices")
    assert model.name == "prices"
    assert {key: (x.shape, x.dtype) for key, x in model.input.items()} == {
        "numeric": ((None, 2), "float32"),
        "categorical": ((None, 2), "int32"),
    }
    assert model.output_names == ["outputs"]
    assert model.predict(X, verbose=0).shape == (20, 1)


@pytest.mark.parametrize(
    ("arguments", "member_model"),
    [
        ({"category_sizes": SIZES}, False),
        ({"numeric_embedding": PeriodicEmbedding()}, False),
        ({"members": 2}, True),
        ({"target_scaling": adapted(StandardScaling(), Y)}, True),
    ],
)
def test_members_and_scaled_targets_make_a_member_model(arguments, member_model):
    model = mlp((2,), 1, (4,), **arguments)
    assert isinstance(model, MemberModel) is member_model
    assert ("adapter" in names(model)) is ("members" in arguments)


def test_weights_counted_by_hand():
    model = table_mlp(X, Y)
    embedding = 2 * 3 + 2 * 3 + 2 * 4 * 3  # slopes, biases, 4 bins each
    width = 2 * 3 + 3 + 8  # two embedded numbers, three codes one-hot, a vector
    network = 3 * width + (width * 6 + 6) + 3 * (6 + 1)
    trained = embedding + 11 * 8 + network
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == trained
    scalings, edges = 3 * 2 + 3 * 1, 2 * 5
    assert model.count_params() == trained + scalings + edges


def test_members_share_the_blocks_as_the_formula_says():
    model = mlp((2,), 4, (6, 5), category_sizes=[3], members=7, residual=True)
    w = numpy_weights(model)
    codes = X["categorical"][:, :1]
    x = np.concatenate([X["numeric"], np.eye(3)[codes[:, 0]]], 1).astype("float64")
    x = x[:, None] * w["adapter/scale"]
    for n in (1, 2):
        bent = np.maximum(x @ w[f"dense_{n}/kernel"] + w[f"dense_{n}/bias"], 0)
        x = bent + x @ w[f"projection_{n}/kernel"]
    members = np.einsum("bkf,kfu->bku", x, w["members/kernel"]) + w["members/bias"]
    came = model({"numeric": X["numeric"], "categorical": codes}, training=False)
    assert_close(came, members.mean(1), rtol=1e-4, atol=1e-4)


def test_numbers_that_were_one_column_start_alike_in_each_member():
    scale = numpy_weights(table_mlp(X, Y))["adapter/scale"]
    starts = np.cumsum([0, 3, 3, 3])  # then the vector of 8
    for first, size in zip(starts, [3, 3, 3, 8], strict=True):
        column = scale[:, first : first + size]
        assert_close(column, np.repeat(column[:, :1], size, axis=1))
    assert len(np.unique(scale)) == 3 * 4
    plain = mlp((2, 2), 1, (4,), members=3)  # two axes, flattened: four columns
    assert len(np.unique(numpy_weights(plain)["adapter/scale"])) == 3 * 4


def test_categories_alone_and_a_model_without_blocks():
    model = mlp((0,), 2, (), category_sizes=SIZES, members=2)
    x = {"numeric": np.zeros((20, 0), "float32"), "categorical": X["categorical"]}
    w = numpy_weights(model)
    one_hot = np.eye(3)[x["categorical"][:, 0]]
    vectors = w["categories/vectors"][x["categorical"][:, 1]]
    scaled = np.concatenate([one_hot, vectors], 1)[:, None] * w["adapter/scale"]
    members = np.einsum("bkf,kfu->bku", scaled, w["members/kernel"])
    expected = (members + w["members/bias"]).mean(1)
    assert_close(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-5)


def test_embedded_numbers_without_categories_are_one_input():
    embedding = adapted(PiecewiseLinearEmbedding(bins=3, units=5), X["numeric"])
    model = mlp((2,), 1, (4,), numeric_embedding=embedding)
    assert names(model)[:4] == ["features", embedding.name, "flatten", "dense_1"]
    flat = keras.Model(model.input, model.get_layer("flatten").output)
    expected = ops.convert_to_numpy(embedding(X["numeric"])).reshape(20, 10)
    assert_close(flat(X["numeric"]), expected)


def test_an_embedding_without_bins_is_refused_at_the_first_call():
    model = mlp((2,), 1, (4,), numeric_embedding=PiecewiseLinearEmbedding())
    with pytest.raises(ValueError, match=r"call `adapt\(data\)`"):
        model(X["numeric"])


def test_heads_of_members_are_regularized_and_bent_like_others():
    model = mlp((2,), 3, (4,), members=5, l1=0.3, output_activation="softplus")
    kernels = [w for key, w in numpy_weights(model).items() if key.endswith("kernel")]
    assert len(kernels) == 2
    expected = 0.3 * sum(np.abs(kernel).sum() for kernel in kernels)
    assert float(ops.convert_to_numpy(sum(model.losses))) == pytest.approx(expected)
    assert (model.predict(X["numeric"], verbose=0) > 0).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"input_shape": (0,)}, r"`input_shape\[0\]` .* at least 1.*=0"),
        ({"input_shape": 2, "category_sizes": [3]}, "shape of one sample"),
        ({"category_sizes": 3}, "codes per column .* Received: category_sizes=3"),
        (
            {"category_sizes": (), "input_shape": (0,)},
            r"must hold one at least where there are no numbers.*=\(\) with .*=\(0,\)",
        ),
        ({"category_sizes": (3, 0)}, r"`category_sizes\[1\]` .* at least 1.*=0"),
        ({"category_sizes": [2.0]}, r"`category_sizes\[0\]` .* integer .*=2.0"),
        (
            {"numeric_embedding": "periodic"},
            "each number into a vector and must be a layer or None.*'periodic'",
        ),
        (
            {"numeric_embedding": keras.layers.Dense(4)},
            r"must give \(batch, features, units\).*Dense .*the shape \(None, 4\)",
        ),
        (
            {"input_shape": (2, 3), "numeric_embedding": PeriodicEmbedding()},
            r"must be `\(columns,\)` with .*input_shape=\(2, 3\)",
        ),
        ({"input_shape": (2, 3), "category_sizes": [3]}, r"must be `\(columns,\)`"),
        ({"members": 0}, "`members` is the number of members .* at least 1.*=0"),
        ({"members": 2.0}, "`members` is the number of members .*members=2.0"),
    ],
)
def test_every_argument_for_tables_is_checked(arguments, words):
    with pytest.raises(ValueError, match=words):
        mlp(**{"input_shape": (2,), "outputs": 1, **arguments})
