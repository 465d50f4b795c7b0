import keras
import keras_tuner
import numpy as np
import pytest

from keras_trainkit.hypermodels import HyperBiLSTMAttention

FIXED = {
    "layers": 2,
    "units_0": 3,
    "units_1": 2,
    "dropout": 0.3,
    "recurrent_dropout": 0.25,
    "recurrent_weight_dropout": 0.1,
    "attention": "multiplicative",
    "query": "learned",
    "scales": "1,2",
    "optimizer": "adamw",
    "batch_size": 5,
}


def built(input_shape=(6, 4), *, space=None, **arguments):
    space = FIXED | (space or {})
    hypermodel = HyperBiLSTMAttention(input_shape, 3, space=space, **arguments)
    hp = keras_tuner.HyperParameters()
    return hypermodel, hp, hypermodel.build(hp)


def test_the_network_is_what_the_values_say():
    _, _, model = built(mask_value=-9.0, max_length=5, keep="start")
    lstms = [model.get_layer(f"bilstm_{n}") for n in (1, 2)]
    assert [lstm.units for lstm in lstms] == [3, 2]
    assert [lstm.dropout for lstm in lstms] == [0.0, 0.3]  # not of measurements
    assert [lstm.recurrent_dropout for lstm in lstms] == [0.25, 0.25]
    assert [lstm.recurrent_weight_dropout for lstm in lstms] == [0.1, 0.1]
    attention = model.get_layer("attention")
    assert (attention.score, attention.query) == ("multiplicative", "learned")
    assert model.get_layer("scales").scales == (1, 2)
    assert model.get_layer("truncation").max_length == 5
    assert model.get_layer("masking").mask_value == -9.0
    assert model.optimizer.global_clipnorm == 1.0


def test_no_attention_takes_the_final_state():
    space = {key: value for key, value in FIXED.items() if key != "query"}
    hypermodel = HyperBiLSTMAttention((6, 4), 3, space=space | {"attention": "none"})
    model = hypermodel.build(keras_tuner.HyperParameters())
    assert "attention" not in [layer.name for layer in model.layers]


def test_tokens_are_embedded():
    _, _, model = built((None,), vocabulary_size=11, space={"embedding_units": 6})
    assert model.get_layer("embedding").output_dim == 6


@pytest.mark.slow
def test_fit_honours_batch_size_and_cycle():
    hypermodel, hp, model = built(space={"schedule": "one_cycle"})
    x = np.random.default_rng(0).normal(size=(12, 6, 4)).astype("float32")
    rates = []
    watching = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda *_: rates.append(float(model.optimizer.learning_rate))
    )
    history = hypermodel.fit(
        *(hp, model, x, np.arange(12) % 3), epochs=1, verbose=0, callbacks=[watching]
    )
    assert isinstance(history, keras.callbacks.History)
    assert history.params["steps"] == 3
    # the end of the cycle, a thousandth of the peak
    assert rates == [pytest.approx(5e-6, rel=1e-3)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"input_shape": (6,)}, "shape of one sequence"),
        ({"input_shape": None}, "shape of one sequence"),
        ({"vocabulary_size": 5}, "shape of one sequence"),
        ({"mask_value": "pad"}, "marks the steps that are padding"),
        ({"space": {"query": "learned", "attention": "none"}}, "only where attention"),
        ({"space": {"attention": "cosine"}}, "'scaled_dot', 'none', or a list"),
    ],
)
def test_arguments_are_checked_in_the_constructor(arguments, words):
    with pytest.raises(ValueError, match=words):
        HyperBiLSTMAttention(**{"input_shape": (6, 4), "outputs": 3} | arguments)
