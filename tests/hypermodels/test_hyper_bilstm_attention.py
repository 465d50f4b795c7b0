import keras
import keras_tuner
import numpy as np
import pytest
from keras_tuner.errors import FatalValueError

from keras_trainkit.hypermodels import HyperBiLSTMAttention
from keras_trainkit.models import TaskModel

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


def test_convolutions_and_members_are_off_and_no_part_of_a_trial():
    _, hp, model = built()
    asked = {"convolutions", "pool_size", "convolution_mean", "train_embedding"}
    asked.add("members")
    assert not asked & set(hp.values)
    assert type(model) is TaskModel
    assert "convolution_1" not in [layer.name for layer in model.layers]


def test_convolutions_and_members_are_what_the_values_say():
    space = {"convolutions": "5x4,6x3", "pool_size": 2, "members": 2}
    space["convolution_mean"] = True
    _, hp, model = built(space=space)
    assert space.items() <= hp.values.items()
    for member in (1, 2):
        convolution = model.get_layer(f"member_{member}_convolution_2")
        assert (convolution.filters, convolution.kernel_size) == (6, 3)
        assert model.get_layer(f"member_{member}_pooling").scales == (2,)
        assert model.get_layer(f"member_{member}_convolution_mean")


def test_steps_are_pooled_only_where_there_are_convolutions():
    space = FIXED | {"convolutions": ["none", "5x4"], "pool_size": [1, 2]}
    space["convolution_mean"] = [True, False]
    hypermodel = HyperBiLSTMAttention((6, 4), 3, space=space)
    hp = keras_tuner.HyperParameters()
    hypermodel.build(hp)
    for name in ("pool_size", "convolution_mean"):
        place = [p.name for p in hp.space].index(name)
        (condition,) = hp.space[place].conditions
        assert (condition.name, condition.values) == ("convolutions", ["5x4"])


def test_word_vectors_come_from_prepare():
    matrix = np.random.default_rng(0).normal(size=(11, 6)).astype("float32")
    space = FIXED | {"embedding_units": 6, "train_embedding": False}
    hypermodel = HyperBiLSTMAttention(
        *((None,), 3),
        space=space,
        prepare=lambda x, y: {"vocabulary_size": 11, "embedding_matrix": matrix},
    )
    hypermodel.prepare(None)
    embedding = hypermodel.build(keras_tuner.HyperParameters()).get_layer("embedding")
    found = keras.ops.convert_to_numpy(embedding.embeddings)
    assert np.array_equal(found, matrix)
    assert not embedding.trainable


def test_word_vectors_of_another_width_end_the_search():
    hypermodel = HyperBiLSTMAttention(
        *((None,), 3),
        prepare=lambda x, y: {
            "vocabulary_size": 9,
            "embedding_matrix": np.ones((9, 6)),
        },
    )
    hypermodel.prepare(None)
    with pytest.raises(FatalValueError, match=r"=128, columns \(6,\)"):
        hypermodel.build(keras_tuner.HyperParameters())


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
        ({"space": {"convolutions": "64"}}, "filters and lengths .*'64x8,128x5"),
        ({"space": {"convolutions": "1x3"}}, "2 filters at least"),
        ({"space": {"convolutions": "64x8,"}}, "filters and lengths"),
        ({"space": {"pool_size": 2}}, "used only where convolutions is"),
        ({"max_length": 0}, "number of steps to keep .*Received: max_length=0"),
        ({"keep": "middle"}, "end that survives .*Received: keep='middle'"),
        ({"space": {"members": 0}}, "networks that are trained together"),
        ({"space": {"train_embedding": False}}, "Received: 'train_embedding'"),
        ({"space": {"attention": "cosine"}}, "'scaled_dot', 'none', or a list"),
    ],
)
def test_arguments_are_checked_in_the_constructor(arguments, words):
    with pytest.raises(ValueError, match=words):
        HyperBiLSTMAttention(**{"input_shape": (6, 4), "outputs": 3} | arguments)
