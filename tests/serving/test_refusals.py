"""Models that would not be served as they answer here."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_trainkit import serving
from keras_trainkit.serving import _verification

pytestmark = pytest.mark.tensorflow_only


class Applied(keras.layers.Layer):
    """A layer of any TensorFlow function that keeps the shape."""

    def __init__(self, function, name):
        super().__init__(name=name)
        self.function = function

    def call(self, inputs):
        outputs = self.function(inputs)
        outputs.set_shape(inputs.shape)
        return outputs

    def compute_output_shape(self, input_shape):
        return input_shape


def cudnn(x):
    steps = tf.reshape(x, (1, -1, 4))
    state = tf.zeros((1, tf.shape(x)[0], 4))
    weights = tf.zeros((160,))
    made = tf.raw_ops.CudnnRNNV3(
        input=steps,
        input_h=state,
        input_c=state,
        params=weights,
        sequence_lengths=tf.ones((tf.shape(x)[0],), "int32"),
        is_training=False,
    )
    return tf.reshape(made.output, (-1, 4))


def from_file(x):
    return x + tf.strings.to_number(tf.io.read_file("/etc/mean"))


@tf.function(jit_compile=True)
def compiled(x):
    return 2.0 * x


REFUSED = [
    (cudnn, "CudnnRNNV3", "use_cudnn=False"),
    (lambda x: tf.numpy_function(np.sin, [x], tf.float32), "PyFunc", "keras.ops"),
    (
        lambda x: tf.py_function(lambda v: v, [x], tf.float32),
        "EagerPyFunc",
        "keras.ops",
    ),
    (compiled, "PartitionedCall", "drop `jit_compile=True`"),
    (from_file, "ReadFile", "keep the contents as a weight"),
    (
        lambda x: keras.ops.slice_update(x, (0, 0), x[:, :1]),
        "XlaDynamicUpdateSlice",
        "kernels of XLA",
    ),
    (
        lambda x: tf.raw_ops.CollectiveReduce(
            input=x,
            group_size=1,
            group_key=1,
            instance_key=1,
            merge_op="Add",
            final_op="Id",
            subdiv_offsets=[0],
        ),
        "CollectiveReduce",
        "outside a strategy",
    ),
]


def applied(function):
    inputs = keras.Input((4,), name="features")
    return keras.Model(inputs, Applied(function, "odd_layer")(inputs))


@pytest.mark.parametrize(("function", "operation", "remedy"), REFUSED)
def test_what_only_this_machine_can_run_is_named_with_its_place(
    function, operation, remedy, rows, tmp_path
):
    with pytest.raises(ValueError, match="plain TensorFlow operations") as caught:
        serving.export(applied(function), tmp_path / "models", rows)
    message = str(caught.value)
    assert operation in message
    assert remedy in message
    assert "odd_layer" in message
    assert "the function '__inference" in message
    assert list(tmp_path.iterdir()) == []


def test_a_random_output_is_refused(rows, tmp_path):
    model = applied(lambda x: x + tf.random.uniform(tf.shape(x)))
    with pytest.raises(ValueError, match="'odd_layer'.*randomness.*a difference of"):
        serving.export(model, tmp_path, rows)


def test_a_graph_that_is_drawn_otherwise_each_time_is_refused(rows, tmp_path):
    drawn = []

    def counting(x):
        drawn.append(x)
        return x + float(len(drawn))

    with pytest.raises(ValueError, match="equal the model's.*a difference of 1"):
        serving.export(applied(counting), tmp_path, rows)


@pytest.mark.parametrize(
    ("expected", "served", "tolerance"),
    [
        ([0.1, 0.2], [0.1, 0.2 + 3e-6], 1e-6),  # below 1: absolute
        ([1e4, 0.0], [1e4, 0.02], 1e-6),  # 2e-6 of the largest value
        ([3, 4], [3, 5], 1e-6),  # whole numbers: exactly
        ([0.1, 0.2], [0.1, np.nan], 1e-6),
    ],
)
def test_a_difference_is_measured_against_the_largest_value(
    expected, served, tolerance
):
    expected, served = np.array(expected), np.array(served)
    _verification._check_close("price", expected, expected, tolerance)
    with pytest.raises(ValueError, match="'price'.*equal the model's to 1e-06"):
        _verification._check_close("price", expected, served, tolerance)


def test_rounding_of_large_values_is_no_difference():
    _verification._check_close(
        "price", np.array([1e4, 0.0]), np.array([1e4, 0.005]), 1e-6
    )


def test_an_output_that_is_not_finite_is_refused(rows, tmp_path):
    with pytest.raises(ValueError, match="finite outputs.*'odd_layer'"):
        serving.export(applied(lambda x: x / (x - x)), tmp_path, rows)


def test_rows_that_get_lost_are_refused(rows, tmp_path):
    inputs = keras.Input((4,), name="features")
    model = keras.Model(inputs, {"total": keras.ops.sum(inputs, axis=0)})
    with pytest.raises(ValueError, match="'total' answers each row.*shape=\\(4,\\)"):
        serving.export(model, tmp_path, rows)


def test_a_graph_that_cannot_answer_no_rows_is_refused(rows, tmp_path):
    def needs_a_row(x):
        with tf.control_dependencies([tf.debugging.assert_positive(tf.shape(x)[0])]):
            return tf.identity(x)

    with pytest.raises(ValueError, match="A request of no rows.*Received"):
        serving.export(applied(needs_a_row), tmp_path, rows)


def test_text_of_no_fixed_length_is_refused_with_the_remedy(tmp_path):
    review = keras.Input((), name="review", dtype="string")
    tokens = keras.layers.TextVectorization(vocabulary=["good", "bad"])(review)
    state = keras.layers.GRU(3, name="state")(keras.layers.Embedding(4, 2)(tokens))
    with pytest.raises(ValueError, match="no rows.*`output_sequence_length`"):
        serving.export(keras.Model(review, state), tmp_path, ["a good one"])


def unnamed_input():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(1, name="price")(inputs))


def unnamed_output():
    inputs = keras.Input((4,), name="features")
    return keras.Model(inputs, keras.layers.Dense(1)(inputs))


def operation_as_output():
    inputs = keras.Input((4,), name="features")
    return keras.Model(inputs, inputs * 2.0)


def unnamed_last_layer():
    return keras.Sequential([keras.Input((4,), name="features"), keras.layers.Dense(1)])


def same_output_twice():
    inputs = keras.Input((4,), name="features")
    price = keras.layers.Dense(1, name="price")(inputs)
    return keras.Model(inputs, [price, price])


def spaced_name():
    inputs = keras.Input((4,), name="all features")
    return keras.Model(inputs, keras.layers.Dense(1, name="price")(inputs))


def hyphened_output():
    inputs = keras.Input((4,), name="features")
    return keras.Model(inputs, {"mean-price": keras.layers.Dense(1)(inputs)})


def fixed_batch():
    inputs = keras.Input(batch_shape=(3, 4), name="features")
    return keras.Model(inputs, keras.layers.Dense(1, name="price")(inputs))


def sparse_input():
    inputs = keras.Input((4,), name="features", sparse=True)
    return keras.Model(inputs, keras.layers.Dense(1, name="price")(inputs))


def nested_inputs():
    pair = [keras.Input((4,), name="first"), keras.Input((4,), name="second")]
    summed = keras.layers.Add(name="sum")(pair)
    return keras.Model([pair], summed)


def nested_outputs():
    inputs = keras.Input((4,), name="features")
    return keras.Model(inputs, {"all": [keras.layers.Dense(1)(inputs), inputs]})


def subclass():
    class Plain(keras.Model):
        def call(self, inputs):
            return inputs

    model = Plain()
    model(np.zeros((3, 4), "float32"))
    return model


def unbuilt():
    return keras.Sequential([keras.layers.Dense(1, name="price")])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (unnamed_input, r"input's name is what clients send.*input 'keras_tensor"),
        (unnamed_output, r"output's name is what clients ask for.*output 'dense"),
        (operation_as_output, r"output's name is what clients ask.*output 'multiply"),
        (unnamed_last_layer, r"output's name is what clients ask.*output 'dense"),
        (same_output_twice, r"must be given once.*\['price', 'price'\]"),
        (spaced_name, r"letters, digits and underscores.*input 'all features'"),
        (hyphened_output, r"letters, digits and underscores.*output 'mean-price'"),
        (fixed_batch, r"'features'.*any number of rows.*first axis unknown"),
        (sparse_input, r"'features'.*neither sparse nor ragged"),
        (nested_inputs, r"inputs of a served model have one name each"),
        (nested_outputs, r"outputs of a served model have one name each"),
        (subclass, r"functional or sequential model.*wrap one"),
        (unbuilt, r"must be a built functional or sequential"),
        (lambda: "model", r"must be a `keras.Model`. Received: model='model'"),
    ],
)
def test_a_model_without_a_clear_contract_is_refused(build, words, rows, tmp_path):
    with pytest.raises(ValueError, match=words):
        serving.export(build(), tmp_path / "models", rows)
    assert list(tmp_path.iterdir()) == []
