"""A loss or weights of NaN, said by the models of the builders."""

import re
import warnings

import keras
import numpy as np
import pytest

from keras_trainkit import models

X = np.linspace(-1, 1, 24, dtype="float32").reshape(8, 3)
Y = np.linspace(0, 1, 8, dtype="float32").reshape(8, 1)


class Own(keras.layers.Layer):
    """A layer of one's own, of which `fit` does not know what it makes of NaN."""

    def call(self, inputs):
        return inputs


def own_loss(y, y_pred):
    return keras.ops.mean((y - y_pred) ** 2, axis=-1)


def mlp(activation):
    """A model that `fit` lets have NaN."""
    model = models.mlp((3,), 1, hidden_units=(4,), activation=activation, scaling=Own())
    model.compile("sgd", own_loss)
    return model


@pytest.fixture(scope="module")
def model():
    return mlp("tanh")


def said_by_fit(model, x, y, **arguments):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model.fit(x, y, epochs=2, verbose=0, **arguments)
    return [str(w.message) for w in seen if " epoch " in str(w.message)]


def with_nan(array, *place):
    array = array.copy()
    array[place] = np.nan
    return array


def test_column_with_nan_is_named_once(model):
    weights = model.get_weights()
    said = said_by_fit(model, with_nan(X, 4, 1), Y)
    model.set_weights(weights)
    assert len(said) == 1
    assert said[0].startswith("The loss is NaN after batch 1 of epoch 1.")
    assert "NaN or infinity is in column 1 of the inputs: fill" in said[0]


def test_a_loss_of_nan_is_said_at_its_batch_not_at_the_end_of_the_epoch(model):
    """The first two batches of four are finite; threads may swap the other two."""
    seen = []

    class Listening(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            seen.append(sum("epoch" in str(w.message) for w in caught))

    weights = model.get_weights()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(
            with_nan(X, 4, 1),
            Y,
            batch_size=2,
            shuffle=False,
            verbose=0,
            callbacks=[Listening()],  # called before the model's own
        )
    model.set_weights(weights)
    (said,) = [str(w.message) for w in caught if "epoch" in str(w.message)]
    assert re.match(
        "The loss is NaN after batch [34] of epoch 1. NaN or infinity", said
    )
    assert seen == [1]


@pytest.mark.filterwarnings("error:The loss is NaN")
def test_a_loss_of_nan_ends_a_fit_where_warnings_are_errors(model):
    weights = model.get_weights()
    with pytest.raises(UserWarning, match="NaN after batch 1 of epoch 1"):
        model.fit(with_nan(X, 4, 1), Y, epochs=5, verbose=0)
    model.set_weights(weights)


def test_targets_and_weights_of_rows_are_named(model):
    weights = model.get_weights()
    rows = with_nan(np.ones(8, "float32"), 3)
    (said,) = said_by_fit(model, X, with_nan(Y, 2, 0), sample_weight=rows)
    model.set_weights(weights)
    assert "is in the targets, the weights of rows: fill" in said


@pytest.mark.parametrize("form", ["csr_matrix", "csr_array"])
def test_a_column_of_a_sparse_matrix_is_named(model, form):
    sparse = pytest.importorskip("scipy.sparse")
    weights = model.get_weights()
    (said,) = said_by_fit(model, getattr(sparse, form)(with_nan(X, 4, 1)), Y)
    model.set_weights(weights)
    assert "NaN or infinity is in column 1 of the inputs: fill" in said


def test_validation_data_are_looked_at_where_their_loss_is_nan(model):
    weights = model.get_weights()
    (said,) = said_by_fit(model, X, Y, validation_data=(with_nan(X, 0, 2), Y))
    model.set_weights(weights)
    assert said.startswith("The val_loss is NaN in epoch 1. NaN or infinity is in")
    assert "column 2 of the inputs" in said


def test_finite_data_point_to_the_learning_rate():
    model = models.mlp((3,), 1, hidden_units=(4,), activation="tanh")
    model.compile(keras.optimizers.SGD(1e30), "mse")
    (said,) = said_by_fit(model, X, Y, batch_size=1)
    assert "are finite numbers: try a lower learning rate" in said


def test_nothing_is_said_of_a_finite_loss(model):
    assert said_by_fit(model, X, Y, validation_data=(X, Y)) == []


def test_batches_of_a_data_set_are_not_read_again(model):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 1

        def __getitem__(self, index):
            return X, with_nan(Y, 2, 0)

    weights = model.get_weights()
    (said,) = said_by_fit(model, Batches(), None)
    model.set_weights(weights)
    assert "Look for NaN and infinity in the data that `fit` reads" in said


def test_any_form_of_callbacks_is_taken(model):
    for callbacks in (None, [], (), keras.callbacks.TerminateOnNaN()):
        assert said_by_fit(model, X, Y, callbacks=callbacks) == []


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_nan_that_an_activation_hides_from_the_loss_is_said_too(activation):
    model = mlp(activation)
    (said,) = said_by_fit(model, with_nan(X, 4, 1), Y)
    assert "epoch 1. NaN or infinity is in column 1 of the inputs" in said


def test_columns_of_a_dictionary_and_of_a_table_are_named():
    sizes = {"amounts": 2, "codes": 1}
    inputs = {name: keras.Input((size,), name=name) for name, size in sizes.items()}
    joined = Own()(keras.layers.Concatenate()(list(inputs.values())))
    model = models.TaskModel(inputs, keras.layers.Dense(1)(joined))
    model.compile("sgd", "mse")
    data = {"amounts": with_nan(X[:, :2], 1, 0), "codes": with_nan(X[:, 2:], 1, 0)}
    (said,) = said_by_fit(model, data, Y)
    assert "column 0 of the inputs 'amounts', the inputs 'codes'" in said
