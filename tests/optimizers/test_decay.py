"""Which variables decay, and that they do so once."""

import keras
import numpy as np
import pytest

from keras_trainkit.optimizers import SGDW, AdamW

both = pytest.mark.parametrize("optimizer_class", [AdamW, SGDW])
RATE, DECAY = 0.25, 0.5


def share_left(optimizer_class, variables, prepare=lambda optimizer: None, **arguments):
    """What one step without gradients leaves of each variable, all of them ones."""
    optimizer = optimizer_class(RATE, weight_decay=DECAY, **arguments)
    prepare(optimizer)
    zeros = [keras.ops.zeros(v.shape) for v in variables]
    optimizer.apply(zeros, variables)
    return [float(v.numpy().mean()) for v in variables]


def ones(shape, name="kernel"):
    return keras.Variable(np.ones(shape), dtype="float32", name=name)


@both
@pytest.mark.parametrize(
    ("shape", "name", "left"),
    [
        ((2, 3), "kernel", 1 - RATE * DECAY),
        ((2, 3), "recurrent_kernel", 1 - RATE * DECAY),
        ((2, 3), "embeddings", 1 - RATE * DECAY),
        ((2, 3), "betatron", 1 - RATE * DECAY),  # the whole word counts
        ((2, 3), "scale_kernel", 1 - RATE * DECAY),  # and the last one
        ((3,), "kernel", 1.0),
        ((), "temperature", 1.0),
        ((2, 3), "bias", 1.0),
        ((2, 3), "attention_bias", 1.0),
        ((2, 3), "gamma", 1.0),
        ((2, 3), "beta", 1.0),
        ((2, 3), "scale", 1.0),
        ((2, 3), "scale_1", 1.0),
        ((2, 3), "alpha", 1.0),
    ],
)
def test_kernels_and_tables_decay_biases_and_scales_do_not(
    optimizer_class, shape, name, left
):
    assert share_left(optimizer_class, [ones(shape, name)]) == [pytest.approx(left)]


@both
def test_the_variables_of_keras_layers_fall_on_the_right_side(optimizer_class):
    tokens = keras.Input((4,), dtype="int32")
    x = keras.layers.Embedding(5, 2, name="table")(tokens)
    x = keras.layers.GRU(2, return_sequences=True, name="gru")(x)
    x = keras.layers.MultiHeadAttention(2, 2, name="attention")(x, x)
    x = keras.layers.PReLU(name="prelu")(x)
    x = keras.layers.LayerNormalization(axis=[1, 2], name="norm")(x)
    outputs = keras.layers.Dense(3, name="dense")(x)
    variables = keras.Model(tokens, outputs).trainable_variables
    for variable in variables:
        variable.assign(np.ones(variable.shape))
    left = share_left(optimizer_class, variables)
    decayed = {v.path for v, share in zip(variables, left, strict=True) if share < 1}
    assert decayed == {
        "table/embeddings",
        "gru/gru_cell/kernel",
        "gru/gru_cell/recurrent_kernel",
        "attention/query/kernel",
        "attention/key/kernel",
        "attention/value/kernel",
        "attention/attention_output/kernel",
        "dense/kernel",
    }


@both
def test_every_variable_decays_when_asked(optimizer_class):
    variables = [ones((3,), "bias"), ones((2, 3), "scale")]
    left = share_left(optimizer_class, variables, decay_biases_and_scales=True)
    assert left == [pytest.approx(1 - RATE * DECAY)] * 2


@both
def test_exclusions_of_keras_hold_by_name_and_by_variable(optimizer_class):
    first, second, third = ones((2, 2), "first"), ones((2, 2), "second"), ones((2, 2))

    def exclude(optimizer):
        optimizer.exclude_from_weight_decay(var_list=[third], var_names=["seco"])

    left = share_left(optimizer_class, [first, second, third], exclude)
    assert left == [pytest.approx(1 - RATE * DECAY), 1.0, 1.0]


@both
def test_exclusions_may_be_set_after_an_update(optimizer_class):
    kernel, optimizer = ones((2, 2)), optimizer_class(RATE, weight_decay=DECAY)
    for _ in range(2):
        optimizer.apply([keras.ops.zeros((2, 2))], [kernel])
        optimizer.exclude_from_weight_decay(var_list=[kernel])
    assert float(kernel.numpy().mean()) == pytest.approx(1 - RATE * DECAY)


@both
def test_the_share_taken_off_does_not_depend_on_the_gradients(optimizer_class):
    """Same gradients, other start: what parts the two can only shrink by decay.

    Adam with an L2 penalty would shrink the weight with large gradients less.
    """
    rng = np.random.default_rng(2)
    gradients = rng.normal(size=(8, 2, 3)) * [0.01, 1.0, 100.0]
    optimizer = optimizer_class(0.01, weight_decay=DECAY)
    one, other = (
        ones((2, 3)),
        keras.Variable(np.full((2, 3), -3.0, "float32"), name="kernel"),
    )
    for gradient in gradients:
        tensor = keras.ops.convert_to_tensor(gradient, "float32")
        optimizer.apply([tensor, tensor], [one, other])
    apart = one.numpy() - other.numpy()
    np.testing.assert_allclose(apart, 4 * (1 - 0.01 * DECAY) ** 8, rtol=1e-5)
