"""NumPy's masked arrays given to models: NaN where a layer reads it, else refused."""

import keras
import numpy as np
import pytest

from keras_trainkit import models

# torch's own, of each tensor made of an array.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)
RNG = np.random.default_rng(0)
STEPS = RNG.normal(size=(8, 4, 2)).astype("float32")
YES = np.arange(8) % 2
GAPS = np.where(STEPS > 1, np.nan, STEPS)
MASKED = np.ma.masked_greater(np.where(STEPS > 1, 99, STEPS), 1)  # 99 below the mask


def compiled(model):
    model.compile("sgd", models.loss_for(model), metrics=models.metrics_for(model))
    return model


def sequences(**arguments):
    keras.utils.set_random_seed(2)
    rates = {"dropout": 0.0, "recurrent_dropout": 0.0}
    given = {"attention": None, "task": "binary"} | rates | arguments
    return compiled(models.bilstm_attention((None, 2), 1, (2,), **given))


CALLS = {
    "fit": lambda model, x: model.fit(x, YES, verbose=0).history["loss"],
    "fit, validation": lambda model, x: model.fit(
        STEPS, YES, validation_data=(x, YES), verbose=0
    ).history["val_loss"],
    "fit, a dict": lambda model, x: model.fit(
        {"sequences": x}, YES, validation_split=0.5, verbose=0
    ).history["val_loss"],
    "evaluate": lambda model, x: model.evaluate(x, YES, verbose=0),
    "predict": lambda model, x: model.predict(x, verbose=0),
    "predict_proba": lambda model, x: models.predict_proba(model, x, verbose=0),
    "train_on_batch": lambda model, x: model.train_on_batch(x, YES),
    "test_on_batch": lambda model, x: model.test_on_batch(x, YES),
    "predict_on_batch": lambda model, x: keras.ops.convert_to_numpy(
        model.predict_on_batch(x)
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.filterwarnings("ignore:The structure of `inputs` doesn't match")
def test_what_is_masked_is_missing(call):
    found = call(sequences(missing="indicator", mask_value=-9.0), MASKED)
    wanted = call(sequences(missing="indicator", mask_value=-9.0), GAPS)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_attention_reads_what_is_masked_as_missing():
    model = sequences(missing="indicator", attention="additive")
    weights = models.attention_scores(model)
    found, wanted = (weights.predict(x, verbose=0) for x in (MASKED, GAPS))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["fit", "evaluate", "predict", "predict_on_batch"])
def test_masked_inputs_that_no_layer_reads_are_refused(name):
    words = r"`x` holds the inputs of bil.*no masked values .* Received: \d+ masked"
    with pytest.raises(ValueError, match=words):
        CALLS[name](sequences(mask_value=-9.0), MASKED)


def test_masked_token_ids_are_refused_although_a_layer_may_leave_them_out():
    model = models.bilstm_attention(
        (None,), 1, (2,), vocabulary_size=9, embedding_units=2, max_length=3
    )
    ids = np.ma.masked_equal(RNG.integers(1, 9, (6, 5)), 3)
    with pytest.raises(ValueError, match="no masked values"):
        model.predict(ids, verbose=0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"y": np.ma.masked_equal(YES, 1)}, "`y` is what the .* Received: 4 masked"),
        (
            {"sample_weight": np.ma.masked_equal(YES, 0)},
            "`sample_weight` says how much each row counts .*no masked numbers",
        ),
    ],
)
def test_masked_targets_and_weights_are_refused(given, words):
    model = sequences()
    for method in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=words):
            method(**({"x": STEPS, "y": YES, "verbose": 0} | given))
    with pytest.raises(ValueError, match=f"validation_data: {words}"):
        parts = {"x": STEPS, "y": YES} | given
        model.fit(STEPS, YES, validation_data=tuple(parts.values()), verbose=0)


def test_a_mask_that_hides_nothing_passes():
    x = np.ma.masked_array(STEPS, np.zeros(STEPS.shape, bool))
    wanted = sequences().predict(STEPS, verbose=0)
    np.testing.assert_array_equal(sequences().predict(x, verbose=0), wanted)


def test_nan_beside_padded_steps_is_refused_where_no_layer_reads_it():
    with pytest.raises(ValueError, match=r"`x` .* must be finite"):
        sequences(mask_value=-9.0).fit(GAPS, YES, verbose=0)


def test_a_comparison_of_ones_own_may_read_nan_beside_a_masking():
    inputs = keras.Input((None, 2))
    steps = keras.layers.Masking(-9.0)(inputs)
    known = keras.ops.cast(keras.ops.equal(inputs, inputs), "float32")
    known = keras.layers.GlobalAveragePooling1D()(known)
    outputs = keras.layers.Dense(1)(known + keras.layers.LSTM(2)(0 * steps))
    model = models.TaskModel(inputs, outputs)
    model.compile("sgd", "mse")
    with pytest.warns(UserWarning, match="NaN"):
        model.fit(GAPS, YES, verbose=0)
