import keras
import numpy as np
import pytest

from keras_trainkit.layers import AttentionPooling
from keras_trainkit.models import (
    attention_scores,
    autoregression,
    bilstm_attention,
    ensemble,
    mlp,
)

TOKENS = np.array([[5, 3, 9, 1, 0, 0], [0, 0, 0, 0, 0, 0], [4, 4, 8, 1, 7, 6]])
PADDING = TOKENS == 0


def model(**arguments):
    return bilstm_attention((None,), 2, (4,), vocabulary_size=12, **arguments)


def scores(of):
    return attention_scores(of).predict(TOKENS, verbose=0)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("query", ["final_state", "learned"])
def test_sum_to_one_over_words_and_are_zero_at_padding(query):
    weights = scores(model(query=query))
    assert weights.shape == TOKENS.shape
    assert weights.sum(1) == pytest.approx([1, 0, 1])
    assert (weights[PADDING] == 0).all()


@pytest.mark.usefixtures("eagerly")
def test_are_the_weights_that_the_context_is_made_of():
    given = model()
    steps = keras.Model(given.input, given.get_layer("bilstm_1").output[0])
    pooled = keras.Model(given.input, given.get_layer("attention").output[0])
    expected = np.einsum("bt,btc->bc", scores(given), steps.predict(TOKENS, verbose=0))
    context = pooled.predict(TOKENS, verbose=0)[:, :8]
    assert context == pytest.approx(expected, abs=1e-6)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.slow
def test_follow_the_model_when_it_is_trained():
    given = model()
    shown = attention_scores(given)
    before = shown.predict(TOKENS, verbose=0)
    given.compile(keras.optimizers.SGD(5.0), "mse")
    given.fit(TOKENS, np.ones((3, 2)), verbose=0)
    after = shown.predict(TOKENS, verbose=0)
    assert np.abs(after - before).max() > 1e-4
    assert np.array_equal(after, scores(given))


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("members", [1, 2])
def test_of_networks_that_are_averaged(members):
    task = {"task": "regression", "members": members}
    networks = [model(**task), model(**task)]
    expected = np.mean([scores(one) for one in networks], axis=0)
    both = ensemble(networks)
    assert scores(both) == pytest.approx(expected, abs=1e-6)
    third = model(**task)
    nested = ensemble([both, third])
    expected = (2 * expected + scores(third)) / 3
    assert scores(nested) == pytest.approx(expected, abs=1e-6)


@pytest.mark.usefixtures("eagerly")
def test_of_a_network_beside_a_line():
    task = {"task": "regression"}
    network = bilstm_attention((None, 1), 2, (4,), **task)
    both = ensemble([network, autoregression((None, 1), 2, 3, **task)])
    x = TOKENS[..., None].astype("float32")
    expected = attention_scores(network).predict(x, verbose=0)
    found = attention_scores(both).predict(x, verbose=0)
    assert found == pytest.approx(expected, abs=1e-6)


def numbers_read(time=None, **arguments):
    return bilstm_attention((time, 1), 1, (4,), task="regression", **arguments)


POOLED = {"convolutions": ((4, 3),), "pool_size": 2}


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ({"max_length": 3}, {"max_length": 4}, "max_length=3, .* max_length=4"),
        ({"max_length": 3}, {}, "max_length=3, .* max_length=500"),
        (
            {"max_length": 3, "keep": "start"},
            {"max_length": 3, "keep": "end"},
            "keep='start' .*keep='end'",
        ),
        (POOLED, {}, "pool_size=2 in .* max_length=500, keep=.end. in"),
        (POOLED, {**POOLED, "pool_size": 3}, "pool_size=2 in .*pool_size=3 in"),
        ({"time": 9, "max_length": 4}, {"time": 9}, "max_length=4.* all steps in"),
    ],
)
def test_refuses_networks_that_read_unlike_steps(one, other, words):
    both = ensemble([numbers_read(**one), numbers_read(**other)])
    like = ensemble([numbers_read(**one), numbers_read(**one)])
    attention_scores(like)
    with pytest.raises(ValueError, match=f"must read the same steps.*{words}"):
        attention_scores(both)
    third = ensemble([like, numbers_read(**other)])
    with pytest.raises(ValueError, match="must read the same steps"):
        attention_scores(third)


@pytest.mark.usefixtures("eagerly")
def test_of_networks_one_of_which_would_cut_longer_sequences():
    networks = [numbers_read(6), numbers_read(6, max_length=6)]
    x = TOKENS[:, :1, None].astype("float32").repeat(6, axis=1)
    expected = np.mean(
        [attention_scores(one).predict(x, verbose=0) for one in networks], axis=0
    )
    found = attention_scores(ensemble(networks)).predict(x, verbose=0)
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["layer", "network"])
def test_refuses_a_network_that_reads_something_else_than_the_inputs(kind):
    doubled = keras.layers.Rescaling(2.0)
    inputs = keras.Input((None, 1))
    if kind == "network":
        doubled = keras.Model(inputs, doubled(inputs))
    inner = bilstm_attention((None, 1), 2, (4,))
    outer = keras.Model(inputs, inner(doubled(inputs)))
    with pytest.raises(ValueError, match=r"or a `models.ensemble` of such\. Received"):
        attention_scores(outer)


@pytest.mark.usefixtures("eagerly")
def test_of_a_model_from_a_file(tmp_path):
    given = model()
    expected = scores(given)
    given.save(tmp_path / "model.keras")
    assert np.array_equal(
        scores(keras.saving.load_model(tmp_path / "model.keras")), expected
    )


@pytest.mark.usefixtures("eagerly")
def test_have_a_file_of_their_own(tmp_path):
    given = model()
    attention_scores(given).save(tmp_path / "scores.keras")
    loaded = keras.saving.load_model(tmp_path / "scores.keras")
    assert np.array_equal(loaded.predict(TOKENS, verbose=0), scores(given))


@pytest.mark.usefixtures("eagerly")
def test_have_as_many_steps_as_attention_sees():
    assert scores(model(max_length=3)).shape == (3, 3)


def pooled_without_scores():
    x = keras.Input((None, 2))
    return keras.Model(x, AttentionPooling(query="learned")(x))


def pooled_twice():
    x = keras.Input((None, 2))
    first, second = AttentionPooling()(x), AttentionPooling()(x)
    return keras.Model(x, first + second)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: mlp((3,), 1), "one `layers.AttentionPooling` .* with 0 of them"),
        (lambda: model(attention=None), "with 0 of them"),
        (pooled_twice, "with 2 of them"),
        (pooled_without_scores, "must call its attention layer with"),
        (lambda: "model", "`model` is what attends .*'model'"),
    ],
)
def test_refuses(build, message):
    with pytest.raises(ValueError, match=message):
        attention_scores(build())
